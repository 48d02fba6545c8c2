"""Any range and any data: it works, or is refused by clip and column before anything is written."""

import csv
import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from scipy.io import wavfile

from tests.support.command_line import type_in
from tests.support.prepared import data, history, make_corpus, make_store, requests
from tests.support.prepared_streams import fill_store, tiny_settings
from traitscope.corpora import load_corpus
from traitscope.errors import ConfigError, DataError
from traitscope.features.store import Store
from traitscope.training.fitting import train
from traitscope.types import TRAITS, Stream

QUICK = [
    *("train.optimizer=adam", "train.schedule=constant", "train.milestones=[]", "train.lr=0.01"),
    *("train.batch_size=8", "train.epochs=2", "trainer.tensorboard=false"),
]


def relabel(folder: Path, change: Any, **target: Any) -> None:
    """Write the labels of the small corpus anew; ``target`` is what the declaration says of all."""
    with (folder / "clips.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        for row in rows:
            writer.writerow({**row, **{t: change(float(row[t])) for t in TRAITS}})
    facts = yaml.safe_load((folder / "clips.yaml").read_text())
    facts["targets"] = {
        name: {"direction": 1, "low": None, "high": None, **target} for name in TRAITS
    }
    (folder / "clips.yaml").write_text(yaml.safe_dump(facts))


def place_of(folder: Path) -> Path:
    make_store(folder / "store", make_corpus(folder), streams=["mid_term"])
    return folder


def overwrite(place: Path, clip: str, row: int | slice, column: int | slice, value: float) -> None:
    """Change one number of a stream, or several."""
    store, key = Store(place / "store"), requests()["mid_term"].key
    stream = store.read(key, clip)
    assert stream.values is not None
    values = stream.values.astype(np.float64)
    values[row, column] = value
    changed = Stream(time=stream.time, values=values, columns=stream.columns)
    store.record(key, store.write(key, clip, changed))
    store.settle(key)


@pytest.mark.parametrize("loss", ["mse", "mae", "smooth_l1", "concordance"])
def test_labels_of_any_range_train_as_those_from_0_to_1(tmp_path: Path, loss: str) -> None:
    curves = []
    for low, high in ((0, 1), (20, 120)):
        place = place_of(tmp_path / f"{low}-{high}")
        relabel(place, lambda x, a=low, b=high: a + (b - a) * x, low=low, high=high)
        settings = [*data(place), *QUICK, f"train.loss={loss}"]
        run = train("audio_lstm", settings, to=place / "run", accelerator="cpu")
        curves.append([float(row["train_loss"]) for row in history(run)])
        spans = [float(row["validation_mae"]) / (high - low) for row in history(run)]
        curves[-1] += spans
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-3)


def test_a_wide_target_does_not_decide_alone_which_epoch_is_best(tmp_path: Path) -> None:
    place = place_of(tmp_path)
    relabel(place, lambda x: x, low=0, high=1)
    facts = yaml.safe_load((place / "clips.yaml").read_text())
    facts["targets"]["openness"] |= {"low": 0, "high": 1000}
    (place / "clips.yaml").write_text(yaml.safe_dump(facts))
    run = train("audio_lstm", [*data(place), *QUICK], to=place / "run", accelerator="cpu")
    decisive = torch.load(run / "state.ckpt", weights_only=True)["decisive"]
    shown = [float(row["validation_mae"]) for row in history(run)]
    assert all(score < 1 for score in decisive)
    assert all(mae > 5 for mae in shown)  # labels near 0 of 1000, predictions near the middle


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"value": lambda x: 0.5, "low": 0, "high": 1}, id="constant labels"),
        pytest.param({"value": lambda x: (x - 0.5) / 0.15}, id="z-scores"),
        pytest.param({"value": lambda x: -40 + 1e-4 * x, "low": -40, "high": -39}, id="narrow"),
    ],
)
@pytest.mark.parametrize("more", [[], ["data.targets=[openness]", "train.weighting=density"]])
def test_odd_labels_train_and_finish(
    tmp_path: Path, change: dict[str, Any], more: list[str]
) -> None:
    place = place_of(tmp_path)
    relabel(place, change["value"], **{k: v for k, v in change.items() if k != "value"})
    run = train("audio_lstm", [*data(place), *QUICK, *more], to=place / "run", accelerator="cpu")
    scores = json.loads((run / "metrics.json").read_text())["validation"]
    assert np.isfinite(scores["mae"])
    assert (run / "card.md").is_file()


def test_a_single_validation_clip_is_enough_and_is_not_asked_for_its_concordance(
    tmp_path: Path,
) -> None:
    place = place_of(tmp_path)
    lines = (place / "clips.csv").read_text().splitlines()
    held = [line for line in lines if ",validation," in line]
    kept = [line for line in lines if line not in held[1:]]
    (place / "clips.csv").write_text("\n".join(kept))
    run = train("audio_lstm", [*data(place), *QUICK], to=place / "run")
    scores = json.loads((run / "metrics.json").read_text())["validation"]
    assert scores["ccc"] is None
    with pytest.raises(ConfigError, match=r"ccc is undefined on a single.*trainer\.monitor=mae"):
        train("audio_lstm", [*data(place), *QUICK, "trainer.monitor=ccc"], to=place / "b")


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e39])
def test_numbers_that_cannot_be_trained_on_name_their_clip_and_column(
    tmp_path: Path, value: float
) -> None:
    place = place_of(tmp_path)
    overwrite(place, "c003", 2, 1, value)
    for model in ("audio_lstm", "functionals"):
        own = QUICK if model == "audio_lstm" else ["model.streams=[mid_term]"]
        with pytest.raises(DataError, match=r"1 numbers in mid_term of clip 'c003'.*column 'AU1'"):
            train(model, [*data(place), *own], to=place / "run")
    assert not (place / "run").exists()
    overwrite(place, "c003", 2, 1, np.nan)  # a missing cell of a standardised stream is its mean
    train("audio_lstm", [*data(place), *QUICK], to=place / "run")


def test_a_clip_without_any_number_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place, every = place_of(tmp_path), slice(None)
    overwrite(place, "c001", every, every, np.nan)
    train("functionals", [*data(place), "model.streams=[mid_term]"], to=tmp_path / "run")
    assert re.search(r"1 of \d+ clips \(first: 'c001'\) have no number .* in mid_term", caplog.text)


def test_a_gap_in_a_stream_that_is_not_standardised_is_refused(tmp_path: Path) -> None:
    settings = tiny_settings("audio_resnet18")
    address = make_corpus(tmp_path, clips=20)
    store = fill_store(tmp_path / "store", address, "audio_resnet18", settings)
    (key,) = store.fingerprints()
    stream = store.read(key, "c001")
    assert stream.values is not None
    values = stream.values.copy()
    values[7] = np.nan
    store.record(key, store.write(key, "c001", Stream(time=stream.time, values=values)))
    store.settle(key)
    with pytest.raises(DataError, match=r"1 numbers in waveform of clip 'c001'.*is nan at 0\.00 s"):
        train("audio_resnet18", [*data(tmp_path), *settings], to=tmp_path / "run")


def test_a_label_that_is_no_number_of_any_scale_is_named(tmp_path: Path) -> None:
    place = place_of(tmp_path)
    relabel(place, lambda x: x)
    text = (place / "clips.csv").read_text()
    first = text.splitlines()[1].split(",")
    (place / "clips.csv").write_text(
        text.replace(",".join(first[:4]), ",".join([*first[:3], "1e39"]))
    )
    assert load_corpus(f"table:{place / 'clips.csv'}").clips[0].targets["openness"] == 1e39
    with pytest.raises(DataError, match=r"label openness of clip 'c000' is 1e\+39"):
        train("audio_lstm", [*data(place), *QUICK], to=place / "run")


@pytest.mark.parametrize(
    "model", ["functionals", pytest.param("audio_lstm", marks=pytest.mark.slow)]
)
def test_a_target_without_labels_to_fit_on_is_refused_with_the_cure(
    tmp_path: Path, model: str
) -> None:
    address = make_corpus(tmp_path)
    make_store(tmp_path / "store", address)
    with (tmp_path / "clips.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (tmp_path / "clips.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        for number, row in enumerate(rows):
            empty = row["split"] == "train" and number
            writer.writerow({**row, **({"openness": ""} if empty else {})})
    settings = [*data(tmp_path), *(QUICK if model == "audio_lstm" else [])]
    with pytest.raises(DataError, match="1 of 24 fitted clips have a label for openness") as caught:
        train(model, settings, to=tmp_path / "run", accelerator="cpu")
    assert not (tmp_path / "run").exists()
    (cure,) = re.findall(r"data\.targets=\S+\]", str(caught.value))
    train(model, [*settings, cure], to=tmp_path / "run", accelerator="cpu")


def test_batches_of_one_work_or_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    place = place_of(tmp_path)
    one = [*[s for s in QUICK if "batch_size" not in s], "train.batch_size=1"]
    assert len(history(train("audio_lstm", [*data(place), *one], to=place / "a"))) == 2
    done = type_in("train", "audio_lstm", *data(place), *one, "train.loss=ranges", "--to", "b")
    assert "loss 'ranges' needs 'logits' of a model" in done.stderr
    assert "train.loss=mse" in done.stderr


NORMALISING = '''
"""A network that normalises over the clips of a batch."""
import torch
from traitscope.config import Config as Base
from traitscope.types import Draw

class Config(Base):
    pass

TINY = Config()

def inputs(config):
    return {"mid_term": Draw(standardize=True)}

class Model(torch.nn.Module):
    def __init__(self, config, shapes, targets):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(shapes["mid_term"][0])
        self.head = torch.nn.Linear(shapes["mid_term"][0], len(targets))
    def forward(self, batch):
        return self.head(self.norm(batch.streams["mid_term"].mean(dim=1)))
'''


def test_batch_normalisation_of_a_single_clip_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place_of(tmp_path)
    (tmp_path / "lab_of_norms").mkdir()
    (tmp_path / "lab_of_norms" / "net.py").write_text(NORMALISING)
    monkeypatch.syspath_prepend(str(tmp_path))
    plain = [*data(place), "train.epochs=2", "trainer.tensorboard=false"]
    with pytest.raises(ConfigError, match=r"normalises over the clips.*Set: train\.batch_size=2"):
        train("lab_of_norms.net", [*plain, "train.batch_size=1"], to=place / "run")
    assert not (place / "run").exists()
    mended = train("lab_of_norms.net", [*plain, "train.batch_size=2"], to=place / "run")
    assert len(history(mended)) == 2


def test_a_gpu_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("there is one")
    place = place_of(tmp_path)
    to = ("--to", place / "run")
    done = type_in("train", "audio_lstm", *data(place), *QUICK, *to, "--accelerator", "gpu")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "Train with: --accelerator cpu" in done.stderr
    mended = type_in("train", "audio_lstm", *data(place), *QUICK, *to, "--accelerator", "cpu")
    assert mended.returncode == 0, mended.stderr


def test_an_unknown_network_leaves_no_folder_behind(tmp_path: Path) -> None:
    settings = tiny_settings("image_backbone")
    address = make_corpus(tmp_path, clips=20)
    fill_store(tmp_path / "store", address, "image_backbone", settings)
    wrong = [s for s in settings if "backbone" not in s] + ["model.backbone=resnet999"]
    with pytest.raises(ConfigError, match=r"no timm model 'resnet999'") as caught:
        train("image_backbone", [*data(tmp_path), *wrong], to=tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_the_printed_command_makes_what_is_missing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [",".join(["clip", "path", "split", *TRAITS])]
    for number in range(8):
        sound = (3000 * rng.normal(size=8000)).astype(np.int16)
        wavfile.write(tmp_path / f"{number}.wav", 16000, sound)
        split = "validation" if number > 5 else "train"
        scores = [f"{score:.3f}" for score in rng.uniform(0.2, 0.8, 5)]
        rows.append(",".join([f"c{number}", f"{number}.wav", split, *scores]))
    (tmp_path / "clips.csv").write_text("\n".join(rows[:6]))
    targets = {name: {"low": 0, "high": 1, "direction": 1} for name in TRAITS}
    facts = {"name": "sounds", "kind": "apparent", "targets": targets}
    (tmp_path / "clips.yaml").write_text(yaml.safe_dump(facts))
    settings = [*data(tmp_path), "model.streams=[filterbank]", "features.filterbank.rows=null"]
    for clips in (6, len(rows)):  # nothing is there; then clips that came later are not
        (tmp_path / "clips.csv").write_text("\n".join(rows[:clips]))
        done = type_in("train", "functionals", *settings, "--to", tmp_path / "run")
        assert done.returncode == 2
        command = done.stderr.splitlines()[-1].strip()
        assert "filterbank.rows=null" in command
        mended = type_in(*shlex.split(command)[1:])
        assert mended.returncode == 0, mended.stderr
    done = type_in("train", "functionals", *settings, "--to", tmp_path / "run")
    assert done.returncode == 0, done.stderr
