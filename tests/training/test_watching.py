"""What is watched while a network trains: TensorBoard, plots, scores of every trait."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.prepared import data, history, make_corpus
from tests.support.prepared_streams import fill_store, tiny_settings
from traitscope.errors import ConfigError
from traitscope.training.fitting import train
from traitscope.types import TRAITS


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with random numbers."""
    folder = tmp_path_factory.mktemp("numbers")
    address = make_corpus(folder, clips=20)
    fill_store(folder / "store", address, "au_hybrid", tiny_settings("au_hybrid"))
    return folder


@pytest.fixture(scope="module")
def watched(numbers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything that can be watched."""
    to = tmp_path_factory.mktemp("watched") / "run"
    settings = [*data(numbers), *tiny_settings("au_hybrid"), "train.epochs=2"]
    return train("au_hybrid", [*settings, "trainer.plots=true"], to=to)


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


def test_plots_without_anything_to_draw_are_refused(numbers: Path, tmp_path: Path) -> None:
    both = [*data(numbers), "trainer.plots=true"]
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
