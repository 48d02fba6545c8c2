"""The story a new user lives: videos in, features, a run, numbers, a page, a prediction."""

import csv
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.command_line import Done, in_a_process, type_in
from tests.support.media_files import write_video
from traitscope.corpora.synthetic import Config, generate

OUTSIDE_MODEL = '''
"""A network from outside the package."""
import torch
from traitscope.config import Config as Base
from traitscope.nn.heads import RangeHead
from traitscope.types import Draw

class Config(Base):
    hidden: int = 8

TINY = Config()

def inputs(config):
    return {"mid_term": Draw(standardize=True)}

class Model(torch.nn.Module):
    def __init__(self, config, shapes, targets):
        super().__init__()
        self.layer = torch.nn.Linear(shapes["mid_term"][0], len(targets))
        self.head = RangeHead(targets)

    def forward(self, batch):
        return self.head(self.layer(batch.streams["mid_term"].mean(dim=1)))
'''

OUTSIDE_ESTIMATOR = '''
"""An estimator from outside the package: the mean of the labels."""
import numpy as np
from traitscope.config import Config as Base
from traitscope.types import Draw

class Config(Base):
    pass

TINY = Config()

def inputs(config):
    return {"short_term": Draw(pool=("mean",))}

class Estimator:
    def __init__(self, config, targets):
        self.mean = np.zeros(len(targets))

    def fit(self, batch, groups):
        self.mean = np.asarray(batch.targets, float).mean(axis=0)

    def predict(self, batch):
        return np.tile(self.mean, (len(batch.clips), 1))

    def state(self):
        return {"mean": self.mean}, {}

    def restore(self, arrays, facts):
        self.mean = arrays["mean"]
'''


def run(
    arguments: Sequence[object], cwd: Path, expect: int = 0, *, way: Callable[..., Done] = type_in
) -> Done:
    """Type a command line in a folder."""
    result = way(*arguments, cwd=cwd)
    assert result.returncode == expect, result.stdout + result.stderr
    return result


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a small corpus of videos, its features, and models of somebody's own."""
    folder = tmp_path_factory.mktemp("story")
    shape = Config(
        subjects=7, sources_per_subject=1, clips_per_source=2, seconds=1.0, size=256, workers=1
    )
    generate(folder / "corpus", config=shape)
    (folder / "lab").mkdir()
    (folder / "lab" / "network.py").write_text(OUTSIDE_MODEL)
    (folder / "lab" / "average.py").write_text(OUTSIDE_ESTIMATOR)
    corpus = "table:corpus/clips.csv"
    run(["prepare", corpus, "--store", "store", "--for", "functionals", "--workers", 0], folder)
    run(["prepare", corpus, "--store", "store", "--extract", "mid_term", "--workers", 0], folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder


DATA = ["data.corpus=table:corpus/clips.csv", "data.store=store"]


@pytest.fixture(scope="module")
def functionals(place: Path) -> Path:
    result = run(["train", "functionals", *DATA, "--to", "runs/f"], place)
    assert result.stdout.strip() == "runs/f"
    return place / "runs" / "f"


@pytest.fixture(scope="module")
def table(place: Path, functionals: Path) -> str:
    """What evaluating the run on the test clips prints."""
    return run(["evaluate", "runs/f"], place).stdout


def test_numbers_stand_beside_baselines_and_a_page_is_written(place: Path, table: str) -> None:
    for row in ("runs/f", "constant", "look-up by source", "permuted labels"):
        assert row in table
    report = json.loads(run(["evaluate", "runs/f", "--json"], place).stdout)
    assert report["corpus"]["kind"] == "apparent"
    run(["report", "runs/f", "--to", "page.html"], place)
    assert "neuroticism (high = stable)" in (place / "page.html").read_text()


def test_anyones_predictions_are_scored_without_a_model(
    place: Path, functionals: Path, table: str
) -> None:
    theirs = functionals / "evaluation" / "test" / "predictions.csv"
    arguments = [
        "evaluate",
        "--predictions",
        theirs,
        "--labels",
        "table:corpus/clips.csv",
        "--json",
    ]
    ours = json.loads((theirs.parent / "report.json").read_text())
    outside = json.loads(run(arguments, place).stdout)

    def numbers(report: dict) -> dict:
        return report["parts"]["all"]["rows"][0]["metrics"]

    assert numbers(outside) == numbers(ours)


def test_a_batch_of_odd_files_is_scored_where_it_can_be(place: Path, functionals: Path) -> None:
    clip = next((place / "corpus" / "media").glob("*.mp4"))
    odd = place / "odd"
    odd.mkdir(exist_ok=True)
    whole = odd / 'Jürgen\'s "best" take.mp4'
    whole.write_bytes(clip.read_bytes())
    (odd / "cut.mp4").write_bytes(clip.read_bytes()[:2000])
    (odd / "text.mp4").write_text("this is not a video")
    (odd / "empty.mp4").write_bytes(b"")
    files = [whole, *(odd / name for name in ("cut.mp4", "text.mp4", "empty.mp4", "gone.mp4"))]
    result = run(["predict", "runs/f", *files, "--csv", "scores.csv"], place, expect=1)
    tree = json.loads(result.stdout)
    status = {clip["clip"]: clip["status"] for clip in tree["clips"]}
    assert status[whole.name] == "ok"
    assert status["empty.mp4"] == "empty"
    assert status["gone.mp4"] == "missing"
    assert {status["cut.mp4"], status["text.mp4"]} <= {"undecodable", "no_video"}
    for clip_row in tree["clips"][1:]:
        assert clip_row["scores"] == {}
        assert clip_row["clip"] in result.stderr
    assert tree["kind"] == "apparent"
    assert "Not for decisions about people" in tree["note"]
    with (place / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["predicted_openness"]) for row in rows] == [True, False, False, False, False]


@pytest.mark.slow
def test_prediction_in_a_fresh_process_equals_evaluation_on_the_same_clip(
    place: Path, functionals: Path, table: str
) -> None:
    with (functionals / "evaluation" / "test" / "predictions.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    media = place / "corpus" / "media" / f"{row['clip']}.mp4"
    tree = json.loads(run(["predict", "runs/f", media], place, way=in_a_process).stdout)
    for name, score in tree["clips"][0]["scores"].items():
        assert score == pytest.approx(float(row[f"predicted_{name}"]), abs=1e-9)


@pytest.mark.parametrize("model", ["lab.network", "lab.average"])
def test_a_model_from_outside_trains_evaluates_and_predicts(place: Path, model: str) -> None:
    folder = f"runs/{model.partition('.')[2]}"
    short = ["train.epochs=2"] if model == "lab.network" else []
    run(["train", model, *DATA, *short, "--to", folder], place)
    refused = run(["evaluate", folder], place, expect=2)
    assert f"--model {model}" in refused.stderr
    assert run(["evaluate", folder, "--model", model], place).stdout
    clip = next((place / "corpus" / "media").glob("*.mp4"))
    tree = json.loads(run(["predict", folder, clip, "--model", model], place).stdout)
    assert len(tree["clips"][0]["scores"]) == 5


def test_a_silent_world_fails_clearly_for_a_model_that_listens(place: Path) -> None:
    run(
        ["train", "audio_lstm", *DATA, "train.epochs=1", "train.milestones=[1]", "--to", "runs/l"],
        place,
    )
    write_video(place / "mute.mp4")
    result = run(["predict", "runs/l", "mute.mp4"], place, expect=1)
    assert json.loads(result.stdout)["clips"][0]["status"] == "no_audio"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "audio_lst"], "Did you mean 'audio_lstm'"),
        (["train", "functionals"], "data.corpus is not set"),
        (["evaluate"], "Name either a run"),
        (["evaluate", "nowhere"], "There is no folder nowhere"),
        (["predict", "nowhere", "clip.mp4"], "There is no folder nowhere"),
        (["report", "nowhere"], "traitscope evaluate"),
        (["cp", "audio_lst"], "Did you mean 'audio_lstm'"),
        (["weights", "fetch", "x"], "There are: face_landmarker.task"),
        (["corpus", "check", "tabel:x.csv"], "Did you mean 'table'"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    result = run(arguments, tmp_path, expect=2)
    assert result.stderr.startswith("error: ")
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("room", ["models", "extractors", "corpora", "recipes", "backends"])
def test_what_there_is_can_be_listed(tmp_path: Path, room: str) -> None:
    rows = json.loads(run(["ls", room, "--json"], tmp_path).stdout)
    assert rows
    assert all(row["name"] and row["about"] for row in rows)


def test_a_recipe_can_be_copied_shown_and_changed(tmp_path: Path) -> None:
    run(["cp", "audio_lstm", "."], tmp_path)
    assert "epochs: 1000" in run(["show", "audio_lstm.yaml"], tmp_path).stdout
    assert "epochs: 9" in run(["show", "audio_lstm.yaml", "train.epochs=9"], tmp_path).stdout
    assert "is there already" in run(["cp", "audio_lstm", "."], tmp_path, expect=2).stderr


def test_doctor_names_what_works(tmp_path: Path) -> None:
    findings = json.loads(run(["doctor", "--json"], tmp_path).stdout)
    states = {finding["name"]: finding["works"] for finding in findings}
    assert states["video decoding"] is True
    assert states["dlib faces"] is True
    assert states["MediaPipe faces"] is None


@pytest.mark.shared
def test_a_mediapipe_run_without_its_model_file_names_the_cure(
    place: Path, shared_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = (place / "corpus" / "clips.csv").read_text().splitlines()
    (place / "corpus" / "half.csv").write_text("\n".join(rows[:1] + rows[1::2]))
    shutil.copy(place / "corpus" / "clips.yaml", place / "corpus" / "half.yaml")
    half, store = "table:corpus/half.csv", "half-store"
    run(["prepare", half, "--store", store, "--for", "functionals", "--workers", 0], place)
    data = [f"data.corpus={half}", f"data.store={store}"]
    run(["train", "functionals", *data, "--to", "runs/m"], place)
    clip = next((place / "corpus" / "media").glob("*.mp4"))
    assert json.loads(run(["predict", "runs/m", clip], place).stdout)["backend"] == "mediapipe"
    monkeypatch.setenv("TRAITSCOPE_WEIGHTS", str(place / "no-weights"))
    result = run(["predict", "runs/m", clip], place, expect=2)
    assert "traitscope weights fetch face_landmarker.task" in " ".join(result.stderr.split())


@pytest.mark.shared
def test_real_clips_are_scored_or_refused_with_a_reason(
    place: Path, functionals: Path, shared: Path
) -> None:
    clips = shared / "data" / "clips"
    tree = json.loads(run(["predict", "runs/f", clips / "talking_30s.mp4"], place).stdout)
    assert tree["clips"][0]["coverage"]["signals"] > 0.9
    result = run(["predict", "runs/f", clips / "pyfeat_no_face.mp4"], place, expect=1)
    assert json.loads(result.stdout)["clips"][0]["status"] == "no_face"
    assert json.loads(result.stdout)["clips"][0]["scores"] == {}
