"""Decay, rates by layer, losses and schedules of one's own, weighted labels, precision."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.support.prepared import data, history
from tests.training import test_optimisation as optimisation
from tests.training.test_optimisation import QUICK, net, run
from traitscope.errors import ConfigError, DataError
from traitscope.runs.checkpoint import load
from traitscope.runs.settings import Stage
from traitscope.training.fitting import train
from traitscope.training.losses import find
from traitscope.training.optimisation import groups_of
from traitscope.training.weighting import DensityWeights, clip_weights
from traitscope.types import Clip

place = optimisation.place


def test_norms_and_biases_are_spared_the_decay_on_request() -> None:
    spared = groups_of(net(), Stage(weight_decay=0.1, decay="weights"))
    by_decay = {group.decay: [t.ndim for t in group.tensors] for group in spared}
    assert by_decay == {0.1: [2, 2], 0.0: [1, 1, 1, 1]}
    assert [group.decay for group in groups_of(net(), Stage(weight_decay=0.1))] == [0.1]
    with pytest.raises(ValidationError, match="decay would have no effect"):
        Stage(decay="weights")


def test_the_rate_falls_from_layer_to_layer() -> None:
    layers = torch.nn.ModuleDict(
        {
            "patch_embed": torch.nn.Linear(2, 2),
            "blocks": torch.nn.ModuleList([torch.nn.Linear(2, 2) for _ in range(3)]),
            "norm": torch.nn.LayerNorm(2),
            "head": torch.nn.Linear(2, 1),
        }
    )
    groups = groups_of(layers, Stage(layer_decay=0.5))
    factors = {id(t): group.factor for group in groups for t in group.tensors}
    found = {name: factors[id(t)] for name, t in layers.named_parameters() if "bias" in name}
    assert found == {
        **{"patch_embed.bias": 0.0625, "blocks.0.bias": 0.125, "blocks.1.bias": 0.25},
        **{"blocks.2.bias": 0.5, "norm.bias": 1.0, "head.bias": 1.0},
    }


OWN = """
import torch

def twice(output: torch.Tensor, target, mask, progress):
    \"\"\"Twice the squared error.\"\"\"
    return 2 * ((output - target) ** 2 * mask).sum() / mask.sum().clamp(min=1)

class Counting(torch.nn.Module):
    \"\"\"A squared error that knows how often it was asked.\"\"\"
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
    def forward(self, output: torch.Tensor, target, mask, progress):
        self.calls += 1
        return ((output - target) ** 2 * mask).sum() / mask.sum().clamp(min=1)

def half(epoch, stage):
    return 0.5
"""


def test_losses_and_schedules_of_ones_own_are_imported_where_typed(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_terms.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    plain = [*data(place), *[s for s in QUICK if "schedule" not in s], "train.epochs=1"]
    own = [*plain, "train.loss=my_terms.twice", "train.schedule=my_terms.half"]
    first = train("audio_lstm", own, to=tmp_path / "own", accelerator="cpu")
    usual = train("audio_lstm", [*plain, "train.schedule=constant"], to=tmp_path / "usual")
    assert float(history(first)[0]["lr"]) == pytest.approx(0.005)
    assert float(history(first)[0]["train_loss"]) > 1.5 * float(history(usual)[0]["train_loss"])
    counting = [*plain, "train.schedule=constant", "train.loss=my_terms.Counting"]
    second = train("audio_lstm", counting, to=tmp_path / "counting", accelerator="cpu")
    state = torch.load(second / "state.ckpt", weights_only=True)["state_dict"]
    assert state["loss.loss.calls"] > 1
    with pytest.raises(ConfigError, match=r"type it yourself: train\.loss=my_terms\.twice"):
        train(str(first / "run.yaml"), to=tmp_path / "again")
    assert load(first).facts.fitted_clips  # to predict with it, nobody needs the loss
    with pytest.raises(ConfigError, match=r"'my_terms' has no function 'thrice'"):
        train(
            "audio_lstm",
            [*plain, "train.schedule=constant", "train.loss=my_terms.thrice"],
            to=tmp_path / "c",
        )


def test_rare_labels_weigh_more_and_all_of_them_one(place: Path, tmp_path: Path) -> None:
    labels = np.array([[0.5]] * 18 + [[0.9]] * 2)
    weights = DensityWeights(labels)(torch.tensor(labels, dtype=torch.float32)).numpy()
    assert weights[-1] > 3 * weights[0]
    assert weights.mean() == pytest.approx(1, rel=1e-5)
    same = DensityWeights(np.array([[0.5], [0.5], [np.nan]]))(torch.tensor([[0.5]]))
    assert same.item() == pytest.approx(1)
    plain = run(place, tmp_path / "plain", "train.epochs=1")
    weighted = run(place, tmp_path / "weighted", "train.epochs=1", "train.weighting=density")
    assert history(plain)[0]["train_loss"] != history(weighted)[0]["train_loss"]


def test_batches_are_logged_on_request(place: Path, tmp_path: Path) -> None:
    folder = run(place, tmp_path / "run", "train.epochs=2", "trainer.log_steps=2")
    rows = (folder / "steps.csv").read_text().splitlines()
    assert rows[0] == "stage,epoch,batch,lr,train_loss"
    assert [row.split(",")[:3] for row in rows[1:]] == [
        ["fit", "0", "0"],
        ["fit", "0", "2"],
        ["fit", "1", "0"],
        ["fit", "1", "2"],
    ]


@pytest.mark.slow
def test_a_compiled_network_learns_the_same(place: Path, tmp_path: Path) -> None:
    plain = run(place, tmp_path / "plain", "train.epochs=2")
    compiled = run(place, tmp_path / "compiled", "train.epochs=2", "trainer.compile=true")
    for a, b in zip(history(plain), history(compiled), strict=True):
        assert float(a["train_loss"]) == pytest.approx(float(b["train_loss"]), rel=1e-4)


def test_tf32_is_the_same_where_no_gpu_rounds(place: Path, tmp_path: Path) -> None:
    plain, rounded = (
        run(place, tmp_path / precision, "train.epochs=2", f"trainer.precision={precision}")
        for precision in ("32", "tf32")
    )
    for a, b in zip(history(plain), history(rounded), strict=True):
        assert float(a["train_loss"]) == pytest.approx(float(b["train_loss"]), rel=1e-2)
    assert torch.get_float32_matmul_precision() == "highest"  # as it was before


def test_half_precision_runs(place: Path, tmp_path: Path) -> None:
    folder = run(place, tmp_path / "run", "train.epochs=2", "trainer.precision=bf16")
    assert float(history(folder)[-1]["train_loss"]) < float(history(folder)[0]["train_loss"])


def test_clips_weigh_what_a_column_of_the_table_says(place: Path, tmp_path: Path) -> None:
    heavy = tmp_path / "weighed"
    heavy.mkdir()
    rows = (place / "clips.csv").read_text().splitlines()
    weights = [str(number % 3) for number in range(len(rows) - 1)]
    text = [f"{rows[0]},trust", *(f"{r},{w}" for r, w in zip(rows[1:], weights, strict=True))]
    (heavy / "clips.csv").write_text("\n".join(text))
    facts = (place / "clips.yaml").read_text()
    (heavy / "clips.yaml").write_text(f"{facts}attributes: [trust]\n")
    settings = [f"data.corpus=table:{heavy / 'clips.csv'}", f"data.store={place / 'store'}"]
    settings += [*QUICK, "train.epochs=1", "train.clip_weights=trust"]
    weighed = train("audio_lstm", settings, to=tmp_path / "run", accelerator="cpu")
    plain = run(place, tmp_path / "plain", "train.epochs=1")
    assert history(weighed)[0]["train_loss"] != history(plain)[0]["train_loss"]
    assert "Clips weigh in the loss by their trust" in (weighed / "card.md").read_text()
    (heavy / "clips.csv").write_text("\n".join(text).replace(",1\n", ",much\n", 1))
    with pytest.raises(DataError, match=r"Clip 'c001' has the weight 'much' in .*'trust'"):
        train("audio_lstm", settings, to=tmp_path / "b", accelerator="cpu")
    assert not (tmp_path / "b").exists()


def test_the_mean_weight_is_one_and_does_not_cancel_in_a_batch() -> None:
    clips = [Clip("a", attributes={"w": 1.0}), Clip("b", attributes={"w": "3"})]
    assert clip_weights(clips, "w") == {"a": 0.5, "b": 1.5}
    one, target = torch.tensor([[0.5]]), torch.tensor([[0.7]])
    for name in ("mse", "smooth_l1", "mae"):
        loss = find(name)
        whole = loss(one, target, torch.ones(1, 1, dtype=torch.bool), 0.0)
        assert loss(one, target, torch.tensor([[3.0]]), 0.0) == pytest.approx(3 * float(whole))


SHAKE = """
import numpy as np
from traitscope.config import Config as Base

class Config(Base):
    streams: tuple[str, ...] = ("mid_term",)
    strength: float = 1.0

def augment(streams, masks, config, rng):
    noise = {n: config.strength * rng.normal(size=streams[n].shape) for n in config.streams}
    shaken = {n: (streams[n] + noise[n]).astype(streams[n].dtype) for n in noise}
    return {**streams, **shaken}, dict(masks)
"""


def test_a_transform_of_ones_own_is_imported_where_typed(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_lab").mkdir()
    (tmp_path / "my_lab" / "shake.py").write_text(SHAKE)
    monkeypatch.syspath_prepend(str(tmp_path))
    own = "augment={my_lab.shake: {strength: 2.0}}"
    shaken = run(place, tmp_path / "shaken", "train.epochs=1", own)
    plain = run(place, tmp_path / "plain", "train.epochs=1")
    assert history(shaken)[0]["train_loss"] != history(plain)[0]["train_loss"]
    assert load(shaken).facts.fitted_clips  # to predict with it, nobody needs the transform
    with pytest.raises(ConfigError, match=r"type it yourself: 'augment=\{my_lab\.shake: \.\.\.\}'"):
        train(str(shaken / "run.yaml"), to=tmp_path / "again")
