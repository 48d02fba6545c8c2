"""Self-distillation: soft targets by hand, what is remembered, and no effect when off."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.prepared import history, make_corpus, make_store
from traitscope.errors import ConfigError
from traitscope.runs.settings import Distil
from traitscope.training.distillation import SelfDistillation
from traitscope.training.fitting import train

LABELS = np.array([[0.1], [0.2], [0.6], [0.9]])

MODEL = '''
"""A network with features, for tests."""
from dataclasses import dataclass
import torch
from traitscope.config import Config as Base
from traitscope.types import Draw

class Config(Base):
    pass

TINY = Config()

def inputs(config):
    return {"mid_term": Draw(standardize=True)}

@dataclass
class Output:
    prediction: torch.Tensor
    features: torch.Tensor

class Model(torch.nn.Module):
    num_features = 4
    def __init__(self, config, shapes, targets):
        super().__init__()
        self.layer = torch.nn.Linear(shapes["mid_term"][0], 4)
        self.head = torch.nn.Linear(4, len(targets))
    def forward(self, batch):
        features = torch.tanh(self.layer(batch.streams["mid_term"].mean(dim=1)))
        return Output(self.head(features), features)
'''


def memory(**settings: object) -> SelfDistillation:
    config = Distil.model_validate(
        {"weight": 1, "bins": 2, "memory": 2, "neighbours": 1, **settings}
    )
    return SelfDistillation(config, LABELS, 2)


def one(*values: float) -> torch.Tensor:
    return torch.tensor([list(values)])


def remember(module: SelfDistillation, features: torch.Tensor, label: float) -> None:
    module.remember(features, one(label), torch.tensor([[True]]))


def test_an_empty_memory_adds_nothing() -> None:
    module = memory()
    assert module(one(1, 0), one(0.5), 1.0).item() == 0
    assert not module.soft_targets(one(1, 0))[1].any()


def test_the_soft_target_is_the_mean_of_each_bins_nearest_weighted_by_similarity() -> None:
    module = memory(temperature=1.0)
    remember(module, one(1, 0), 0.1)
    remember(module, one(0, 1), 0.3)
    remember(module, one(0, 1), 0.9)
    soft, known = module.soft_targets(one(1, 0))
    # nearest below the median: 0.1 at similarity 1; above it: 0.9 at similarity 0
    weights = np.exp([1.0, 0.0]) / np.exp([1.0, 0.0]).sum()
    assert soft.item() == pytest.approx(weights @ [0.1, 0.9], rel=1e-5)
    assert known.item() == 1


def test_the_oldest_sample_of_a_bin_makes_room() -> None:
    module = memory()
    for label in (0.1, 0.2, 0.3):
        remember(module, one(1, 0), label)
    assert sorted(module.labels[0, 0].tolist()) == pytest.approx([0.2, 0.3])
    assert not module.filled[0, 1].any()


def test_masked_samples_are_not_remembered() -> None:
    module = memory()
    module.remember(one(1, 0), one(0.1), torch.tensor([[False]]))
    assert not module.filled.any()


def test_the_weight_grows_from_zero() -> None:
    module = memory(warmup=0.5, weight=2.0)
    remember(module, one(1, 0), 0.1)
    losses = [module(one(1, 0), one(0.5), progress).item() for progress in (0, 0.25, 0.5, 1)]
    full = 2 * 0.5 * 0.4**2
    assert losses == pytest.approx([0, full / 2, full, full])


def test_the_loss_pulls_predictions_not_features() -> None:
    module = memory()
    remember(module, one(1, 0), 0.1)
    features, prediction = one(1.0, 0.0).requires_grad_(), one(0.5).requires_grad_()
    module(features, prediction, 1.0).backward()
    assert prediction.grad is not None
    assert features.grad is None


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    address = make_corpus(tmp_path)
    make_store(tmp_path / "store", address, streams=["mid_term"])
    (tmp_path / "lab_of_features").mkdir()
    (tmp_path / "lab_of_features" / "net.py").write_text(MODEL)
    monkeypatch.syspath_prepend(str(tmp_path))
    quick = ["train.epochs=4", "train.batch_size=8", "trainer.tensorboard=false"]
    return [f"data.corpus={address}", f"data.store={tmp_path / 'store'}", *quick]


def test_off_is_identical_and_on_is_not(place: list[str], tmp_path: Path) -> None:
    name = "lab_of_features.net"
    off = train(name, [*place, "train.distil.weight=0"], to=tmp_path / "off")
    plain = train(name, place, to=tmp_path / "plain")
    on = train(name, [*place, "train.distil.weight=1"], to=tmp_path / "on")
    assert history(off) == history(plain)
    assert history(on) != history(plain)


def test_the_memory_survives_a_resume(place: list[str], tmp_path: Path) -> None:
    settings = [*place, "train.distil.weight=1", "train.distil.warmup=0"]
    whole = train("lab_of_features.net", settings, to=tmp_path / "whole")

    def stop(done: int, total: int, news: str) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("lab_of_features.net", settings, to=tmp_path / "part", hook=stop)
    state = torch.load(tmp_path / "part" / "state.ckpt", weights_only=True)["state_dict"]
    assert state["distil.filled"].any()
    train("lab_of_features.net", to=tmp_path / "part", resume=True)
    assert history(tmp_path / "part") == history(whole)


def test_mixed_samples_are_not_remembered(place: list[str], tmp_path: Path) -> None:
    settings = [*place, "train.distil.weight=1", "augment={mixup: {probability: 1.0}}"]
    folder = train("lab_of_features.net", settings, to=tmp_path / "run")
    state = torch.load(folder / "state.ckpt", weights_only=True)["state_dict"]
    assert not state["distil.filled"].any()


def test_a_model_without_features_says_so(place: list[str], tmp_path: Path) -> None:
    constant = ["train.schedule=constant", "train.milestones=[]"]
    with pytest.raises(ConfigError, match="audio_lstm has no features to distil from"):
        train("audio_lstm", [*place, *constant, "train.distil.weight=1"], to=tmp_path / "run")
