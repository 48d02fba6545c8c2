"""Two processes fit what one fits: the same batches, the same scores, each clip once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.support.interrupts import interrupt
from tests.support.prepared import data, history, make_corpus
from tests.support.prepared_streams import fill_store, tiny_settings
from traitscope.errors import ConfigError
from traitscope.runs.settings import Stage
from traitscope.training.devices import Devices
from traitscope.training.fitting import train
from traitscope.training.orders import EpochSampler

SHORT = {"train.epochs": 3, "train.batch_size": 4, "train.lr": 0.01, "trainer.tensorboard": False}
EYES = {"signals": {"rows": 20, "patch": 5, "columns": ["gaze_angle_*"]}}
STILL: dict[str, dict[str, Any]] = {
    "face_cnn": {"dropouts": [0.0]},
    "s2d": {"dropout": 0.0},
    "fusion_transformer": {"hide": 0.0, "streams": EYES},
}
"""Models with statistics of batches; s2d with self-distillation too. Masks of dropout differ."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    address = make_corpus(folder, clips=20)
    for name in STILL:
        fill_store(folder / "store", address, name, tiny_settings(name, **STILL[name]))
    return folder


def settings(place: Path, name: str, **more: Any) -> list[str]:
    changes = SHORT | {f"train.{key}": value for key, value in more.items()}
    short = [f"{key}={str(value).lower()}" for key, value in changes.items()]
    return [*data(place), *tiny_settings(name, **STILL[name]), *short]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("clips", [12, 17, 19])
def test_the_parts_of_an_epoch_are_its_batches(count: int, clips: int) -> None:
    stage = Stage(batch_size=6)
    one = list(EpochSampler(clips, 0, stage, epoch=1, skip=6))
    parts = [
        list(EpochSampler(clips, 0, stage, epoch=1, skip=6, devices=Devices(count, rank)))
        for rank in range(count)
    ]
    own = 6 // count
    for first in range(0, len(one), 6):
        start = first // count
        dealt = [index for part in parts for index in part[start : start + own]]
        assert sorted(dealt) == sorted(one[first : first + 6])
    assert sum(map(len, parts)) == len(one)


def test_devices_that_do_not_go_are_refused(pictures: Path, tmp_path: Path) -> None:
    def refused(match: str, devices: int, **more: Any) -> None:
        chosen, to = settings(pictures, "face_cnn", **more), tmp_path / "run"
        with pytest.raises(ConfigError, match=match):
            train("face_cnn", chosen, to=to, accelerator="cpu", devices=devices)
        assert not to.exists()

    refused(r"A batch of 4 clips cannot be dealt to 3.*batch_size=3", 3)
    refused("4 validation clips are too few for 8", 8, batch_size=8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("face_cnn", {}),
        # Twelve clips, of ten the last batch has two: one for each process.
        ("s2d", {"distil.weight": 0.5, "batch_size": 10}),
        # Its own has a concordance, which is of each part.
        ("fusion_transformer", {"loss": "tests.support.own_losses.likelihood"}),
        # Squared errors have no use for the variance that it states.
        ("fusion_transformer", {"loss": "mse"}),
    ],
)
def test_two_processes_score_as_one(
    pictures: Path, tmp_path: Path, name: str, more: dict[str, Any]
) -> None:
    runs = [
        train(name, settings(pictures, name, **more), to=tmp_path / str(count), devices=count)
        for count in (1, 2)
    ]
    assert_alike(*runs)


def assert_alike(*runs: Path) -> None:
    """Whether two trainings of three epochs went the same way."""
    one, two = (history(run) for run in runs)
    assert len(one) == len(two) == 3
    for row, other in zip(one, two, strict=True):
        for column in (c for c in row if c.startswith(("train_", "validation_"))):
            assert float(row[column]) == pytest.approx(float(other[column]), abs=1e-3), column
    kept, others = (load_file(run / "model.safetensors") for run in runs)
    for tensor in kept:
        np.testing.assert_allclose(kept[tensor], others[tensor], atol=1e-3)


@pytest.mark.slow
def test_two_processes_of_a_cluster_score_as_one(pictures: Path, tmp_path: Path) -> None:
    chosen = settings(pictures, "face_cnn")
    alone = train("face_cnn", chosen, to=tmp_path / "alone", accelerator="cpu")
    where: dict[str, Any] = {"accelerator": "cpu", "devices": 2, "ray": "local"}
    assert_alike(alone, train("face_cnn", chosen, to=tmp_path / "two", **where))
    with pytest.raises(ConfigError, match=r"--ray local is for several devices.*--devices 2"):
        train("face_cnn", chosen, to=tmp_path / "one", **{**where, "devices": 1})


@pytest.mark.slow
def test_a_stopped_training_of_two_goes_on_as_two_or_one(pictures: Path, tmp_path: Path) -> None:
    whole = train("face_cnn", settings(pictures, "face_cnn"), to=tmp_path / "whole", devices=2)

    def stop(done: int, total: int, news: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    for count in (1, 2):
        part = tmp_path / f"part{count}"
        with pytest.raises(KeyboardInterrupt):
            train("face_cnn", settings(pictures, "face_cnn"), to=part, devices=2, hook=stop)
        train("face_cnn", to=part, resume=True, devices=count)
        for row, other in zip(history(whole), history(part), strict=True):
            assert float(row["validation_mae"]) == pytest.approx(
                float(other["validation_mae"]), abs=1e-3
            )


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [["--devices", "2"], ["--workers", "2"], ["--devices", "2", "--ray", "local"]],
    ids=["devices", "workers", "ray"],
)
def test_ctrl_c_ends_all_and_leaves_what_resumes(
    pictures: Path, tmp_path: Path, how: list[str]
) -> None:
    run = tmp_path / "run"
    words = ["train", "face_cnn", *settings(pictures, "face_cnn", epochs=100_000, early_stop=0)]
    state = run / "state.ckpt"
    interrupt([*words, "--to", run, *how], when=state.is_file, cwd=tmp_path)
    done = len(history(run))
    train("face_cnn", [f"train.epochs={done + 1}"], to=run, resume=True)
    assert len(history(run)) == done + 1
