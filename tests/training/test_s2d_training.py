"""S2D through the loop: half precision with recomputed activations."""

import csv
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.numpy import load_file

from tests.support.prepared import data, make_corpus
from tests.support.prepared_streams import fill_store, tiny_settings
from traitscope.nn.mobilefacenet import FILE, MobileFaceNet
from traitscope.training.fitting import train

QUICK = ["train.epochs=2", "train.batch_size=4", "train.lr=0.01", "trainer.tensorboard=false"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("s2d")
    fill_store(folder / "store", make_corpus(folder, clips=20), "s2d", tiny_settings("s2d"))
    return folder


def fit(place: Path, to: Path, *settings: str, **changes: Any) -> list[dict[str, str]]:
    train("s2d", [*data(place), *tiny_settings("s2d", **changes), *QUICK, *settings], to=to)
    with (to / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
@pytest.mark.parametrize("landmarks", ["heatmap", "network"])
def test_half_precision_with_recomputed_activations_trains(
    place: Path, tmp_path: Path, landmarks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAITSCOPE_WEIGHTS", str(tmp_path))
    torch.save(MobileFaceNet().state_dict(), tmp_path / FILE)
    whole: dict[str, Any] = {"freeze_backbone": False, "landmarks": landmarks}
    full = fit(place, tmp_path / "32", **whole)
    half = fit(place, tmp_path / "16", "trainer.precision=bf16", **whole, checkpointing=True)
    for one, other in zip(full, half, strict=True):
        exact, rounded = float(one["train_loss"]), float(other["train_loss"])
        assert math.isfinite(rounded)
        assert rounded != exact
        assert rounded == pytest.approx(exact, rel=0.2)
    again = fit(place, tmp_path / "c", **whole, checkpointing=True)
    assert [row["train_loss"] for row in again] == [row["train_loss"] for row in full]
    tensors = load_file(tmp_path / "16" / "model.safetensors")
    numbers = {tensor.dtype.name for tensor in tensors.values() if tensor.dtype.kind not in "bi"}
    assert numbers == {"float32"}
