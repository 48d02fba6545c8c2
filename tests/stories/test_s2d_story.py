"""A user of S2D: raw videos to report and prediction in four commands, from static to dynamic."""

import csv
import json
from pathlib import Path

import pytest

from tests.stories.test_story import run as command
from tests.support.prepared import history
from traitscope.corpora.synthetic import Config, generate
from traitscope.evaluation.trained_runs import evaluate
from traitscope.features.exports import find_key, write_images
from traitscope.features.store import Store, file_name
from traitscope.prediction.clips import predict
from traitscope.training.fitting import train
from traitscope.types import TRAITS

pytestmark = pytest.mark.slow

SMALL = {
    "size": 32,
    "patch": 8,
    "frames": 4,
    "dim": 32,
    "depth": 3,
    "heads": 4,
    "prompt_dim": 4,
    "temporal_dim": 16,
    "temporal_heads": 2,
    "pretrained": "false",
}
QUICK = ["train.epochs=3", "train.batch_size=4", "train.lr=0.003"]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen clips of seven subjects, 1.2 seconds each."""
    folder = tmp_path_factory.mktemp("videos")
    small = Config(subjects=7, sources_per_subject=1, clips_per_source=2, seconds=1.2, size=256)
    return generate(folder / "corpus", config=small)


def model(**changes: object) -> list[str]:
    return [f"model.{key}={value}" for key, value in {**SMALL, **changes}.items()]


def data(videos: Path) -> list[str]:
    return [f"data.corpus=synthetic:{videos}", "data.store=store"]


def four_commands(folder: Path, videos: Path, backend: str) -> None:
    """Prepare, train, evaluate, predict: report and prediction are complete."""
    corpus = f"synthetic:{videos}"
    backends = [f"faces.backend={backend}", f"landmarks.backend={backend}"]
    prepare = ["prepare", corpus, "--store", "store", "--for", "s2d_112_clip", "model.size=32"]
    settings = [*data(videos), *model(), *QUICK, "augment.flip.probability=0.5"]
    clip = sorted(videos.rglob("*.mp4"))[0]

    command([*prepare, *backends], folder)
    command(["train", "s2d_112_clip", *settings, "trainer.plots=true", "--to", "run"], folder)
    report = json.loads(command(["evaluate", "run", "--json"], folder).stdout)
    predicted = json.loads(command(["predict", "run", clip], folder).stdout)

    ours = next(row for row in report["parts"]["all"]["rows"] if row["role"] == "model")
    assert {"mse", "mae", "rmse", "r2", "accuracy", "ccc"} <= set(ours["metrics"])
    assert set(TRAITS) < set(ours["metrics"]["mae"])
    assert predicted["backend"] == backend
    scores = predicted["clips"][0]["scores"]
    assert set(scores) == set(TRAITS)
    assert all(0 <= score <= 1 for score in scores.values())
    assert predicted["clips"][0]["coverage"] == {"faces": 1.0, "landmarks": 1.0}
    assert len(list((folder / "run" / "plots").glob("*.png"))) == 3


@pytest.fixture(scope="module")
def place(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the store and the run of the four commands, with dlib."""
    folder = tmp_path_factory.mktemp("place")
    four_commands(folder, videos, "dlib")
    return folder


def test_from_raw_video_with_dlib_to_a_page(place: Path) -> None:
    command(["report", "run", "--to", "page.html", "--tables", "figures"], place)
    assert any("traits" in path.name for path in (place / "figures").glob("*.png"))


@pytest.mark.shared
def test_from_raw_video_with_mediapipe(tmp_path: Path, videos: Path, shared_weights: Path) -> None:
    four_commands(tmp_path, videos, "mediapipe")


def test_a_clip_model_starts_from_an_image_model(place: Path, videos: Path, tmp_path: Path) -> None:
    stored = [f"data.corpus=synthetic:{videos}", f"data.store={place / 'store'}", *QUICK]
    static = train("s2d_112_clip", [*stored, *model(frames=1)], to=tmp_path / "static")
    dynamic = train("s2d_112_clip", [*stored, *model()], to=tmp_path / "dynamic", start_from=static)
    fresh = train("s2d_112_clip", [*stored, *model()], to=tmp_path / "fresh")
    losses = [float(history(run)[0]["train_loss"]) for run in (dynamic, fresh)]
    assert losses[0] < losses[1]
    facts = json.loads((dynamic / "metrics.json").read_text())
    assert facts["started_from"] == str(static)
    clip = sorted(videos.rglob("*.mp4"))[0]
    assert len(predict(dynamic, clip)[0].scores) == 5


def test_from_folders_of_faces_as_another_program_left_them(
    place: Path, videos: Path, tmp_path: Path
) -> None:
    frames = tmp_path / "frames"
    write_images(Store(place / "store"), find_key(Store(place / "store"), "faces"), frames)
    corpus = f"synthetic:{videos}"
    given = ["features", "import", "given", frames, "--name", "faces", "--corpus", corpus]
    assert "faces: images for 14 clips" in command(given, tmp_path).stdout
    stored = [f"data.corpus={corpus}", f"data.store={tmp_path / 'given'}", *QUICK]
    run = train("s2d_112_clip", [*stored, *model(landmarks="none")], to=tmp_path / "run")
    evaluate(run)
    with (run / "evaluation" / "test" / "predictions.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    scores = predict(run, frames / file_name(row["clip"]))[0].scores
    for name, score in scores.items():
        assert score == pytest.approx(float(row[f"predicted_{name}"]), abs=1e-6)
