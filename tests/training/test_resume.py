"""Every system resumes to the bit, and what is watched while it trains is right."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from tests.support.prepared import data, history, make_corpus
from tests.support.prepared_streams import fill_store, tiny_settings
from traitscope.errors import ConfigError
from traitscope.models import s2d
from traitscope.training import loop
from traitscope.training.fitting import train
from traitscope.types import TRAITS

RESUMED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "face_cnn": ({"dropouts": [0.3]}, ["augment.flip.probability=0.5", "augment.erase={}"]),
    "resnet_lstm": ({"dropout": 0.3}, ["augment.colour={}", "train.schedule=plateau"]),
    "au_hybrid": (
        {"dropout": 0.5},
        ["augment.decimate_shift_slice.shift=2", "augment.mixup.alpha=0.4"],
    ),
    "s2d": ({"dropout": 0.3}, ["augment.flip.probability=0.5", "train.distil.weight=0.5"]),
}
"""Model -> dropout and augmentation, so that something random is at work."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with random pictures and numbers for the models of ``RESUMED``."""
    folder = tmp_path_factory.mktemp("pictures")
    address = make_corpus(folder, clips=20)
    for name in RESUMED:
        fill_store(folder / "store", address, name, tiny_settings(name))
    return folder


@pytest.mark.parametrize("name", RESUMED)
def test_every_system_resumes_to_the_bit_with_augmentation_and_dropout(
    pictures: Path, tmp_path: Path, name: str
) -> None:
    changes, extra = RESUMED[name]
    settings = [*data(pictures), *tiny_settings(name, **changes), *extra, "train.batch_size=4"]
    settings += ["train.epochs=3", "train.early_stop=0", "train.lr=0.01"]
    settings += ["trainer.tensorboard=false"]
    whole = train(name, settings, to=tmp_path / "whole")
    assert len({row["train_loss"] for row in history(whole)}) == 3
    for after in (1, 2):

        def stop(done: int, total: int, news: str, after: int = after) -> None:
            if done == after + 1:
                raise KeyboardInterrupt

        part = tmp_path / f"part{after}"
        with pytest.raises(KeyboardInterrupt):
            train(name, settings, to=part, hook=stop)
        resumed = train(name, to=part, resume=True)
        assert history(resumed) == history(whole)
        for tensor_name, tensor in load_file(whole / "model.safetensors").items():
            again = load_file(resumed / "model.safetensors")[tensor_name]
            np.testing.assert_array_equal(tensor, again)


@pytest.mark.parametrize("origin", ["pretrained", "run"])
def test_a_run_stopped_in_its_first_epoch_starts_again_from_where_it_began(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: str
) -> None:
    def load_pretrained(model: Any) -> None:
        with torch.no_grad():
            model.backbone.cls_token.fill_(0.25)

    monkeypatch.setattr(s2d.Model, "load_pretrained", load_pretrained)
    settings = [*data(pictures), *tiny_settings("s2d"), "train.epochs=1", "train.batch_size=4"]
    first = train("s2d", settings, to=tmp_path / "first") if origin == "run" else None
    whole = train("s2d", [*settings, "seed=1"], to=tmp_path / "whole", start_from=first)

    def stop(*news: object) -> None:
        raise KeyboardInterrupt

    part = tmp_path / "part"
    with monkeypatch.context() as patched:
        patched.setattr(loop.Loop, "on_train_start", stop)
        with pytest.raises(KeyboardInterrupt):
            train("s2d", [*settings, "seed=1"], to=part, start_from=first)
    assert not (part / "state.ckpt").exists()
    train("s2d", to=part, resume=True)
    assert history(part) == history(whole)
    assert (part / "metrics.json").read_text() == (whole / "metrics.json").read_text()


@pytest.fixture(scope="module")
def watched(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of resnet_lstm with everything that can be watched."""
    to = tmp_path_factory.mktemp("watched") / "run"
    settings = [*data(pictures), *tiny_settings("resnet_lstm"), "train.epochs=2"]
    return train("resnet_lstm", [*settings, "trainer.plots=true"], to=to)


def test_tensorboard_has_losses_and_the_scores_of_every_trait(watched: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(watched / "tensorboard"))
    events.Reload()
    scores = [f"validation_{m}/{t}" for m in ("mae", "accuracy", "cosine") for t in TRAITS]
    names = ["train_loss", "validation_loss", "validation_mae", "validation_cosine", "lr", *scores]
    assert set(names) <= set(events.Tags()["scalars"])
    for name in names:
        assert [event.step for event in events.Scalars(name)] == [0, 1], name
    rows = history(watched)
    for name in ("train_loss", "validation_loss", "validation_mae", "validation_cosine"):
        logged = [event.value for event in events.Scalars(name)]
        assert logged == pytest.approx([float(row[name]) for row in rows], rel=1e-6)
    for metric in ("mae", "accuracy", "cosine"):
        each = [events.Scalars(f"validation_{metric}/{trait}")[1].value for trait in TRAITS]
        assert np.mean(each) == pytest.approx(float(rows[1][f"validation_{metric}"]), rel=1e-5)
    maes = [events.Scalars(f"validation_mae/{trait}")[1].value for trait in TRAITS]
    accuracies = [events.Scalars(f"validation_accuracy/{trait}")[1].value for trait in TRAITS]
    np.testing.assert_allclose(np.add(maes, accuracies), 1, rtol=1e-6)
    assert len(set(maes)) == 5
    kept = json.loads((watched / "metrics.json").read_text())["validation"]["mae"]
    assert kept == pytest.approx(min(float(row["validation_mae"]) for row in rows), abs=1e-6)


def test_plots_of_each_validation_epoch_are_drawn_on_request(watched: Path) -> None:
    import cv2

    files = sorted((watched / "plots").iterdir())
    assert [file.name for file in files] == ["epoch_000.png", "epoch_001.png"]
    one, two = (cv2.imread(str(file)) for file in files)
    assert one.shape == two.shape
    assert one.shape[1] > 1000
    assert not np.array_equal(one, two)


def test_plots_without_anything_to_draw_are_refused(pictures: Path, tmp_path: Path) -> None:
    both = [*data(pictures), "trainer.plots=true"]
    everything = [*both, *tiny_settings("au_hybrid"), "protocol.fit=train+validation"]
    with pytest.raises(ConfigError, match=r"trainer\.plots=true has no effect.*no validation"):
        train("au_hybrid", everything, to=tmp_path / "a")
    with pytest.raises(ConfigError, match=r"trainer\.plots=true has no effect.*in one step"):
        train(
            "functionals",
            [*both, "model.streams=[signals]", "features.signals.rate=native"],
            to=tmp_path / "b",
        )
    assert not list(tmp_path.iterdir())
