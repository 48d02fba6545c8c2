"""Users of the three systems: raw videos, or a table, to report and prediction in four commands."""

import csv
import json
from pathlib import Path

import pytest

from tests.stories.test_story import run as command
from tests.support.openface_tables import write_table
from traitscope.corpora.synthetic import Config, generate
from traitscope.types import TRAITS

pytestmark = pytest.mark.slow

QUICK = ["train.epochs=2", "trainer.tensorboard=false"]
SMALL = ["model.backbone=resnet18", "model.width=0.25", "model.pretrained=false"]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen clips of seven subjects, two seconds each."""
    folder = tmp_path_factory.mktemp("videos")
    small = Config(subjects=7, sources_per_subject=1, clips_per_source=2, seconds=2.0, size=256)
    return generate(folder / "corpus", config=small)


def four_commands(
    folder: Path, videos: Path, recipe: str, prepare: list[str], train: list[str]
) -> Path:
    """Prepare, train, evaluate, predict; the run is complete and scores a clip in the range."""
    corpus = f"synthetic:{videos}"
    command(["prepare", corpus, "--store", "store", "--for", recipe, *prepare], folder)
    data = [f"data.corpus={corpus}", "data.store=store"]
    command(["train", recipe, *data, *train, *QUICK, "--to", "run"], folder)
    report = json.loads(command(["evaluate", "run", "--json"], folder).stdout)
    assert report["counts"]["scored"] == 4
    assert {row["role"] for row in report["parts"]["all"]["rows"]} >= {"model", "constant"}
    clip = sorted(videos.rglob("*.mp4"))[0]
    scores = json.loads(command(["predict", "run", clip], folder).stdout)["clips"][0]["scores"]
    assert set(scores) == set(TRAITS)
    assert all(0 <= score <= 1 for score in scores.values())
    with (folder / "run" / "history.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2
    return folder / "run"


def test_facial_images_from_raw_video(tmp_path: Path, videos: Path) -> None:
    train = [*SMALL, "model.images=4", "model.size=64", "augment.flip.probability=0.5"]
    four_commands(tmp_path, videos, "face_cnn", ["faces.backend=dlib"], train)
    figures = ["report", "run", "--to", "page.html", "--tables", "figures"]
    command(figures, tmp_path)
    drawn = {path.name for path in (tmp_path / "figures").glob("*.png")}
    assert any("traits" in name for name in drawn)
    assert any("epochs" in name for name in drawn)


def test_facial_images_from_stored_embeddings(tmp_path: Path, videos: Path) -> None:
    options = ["model.embeddings=true", "model.backbone=resnet18", "model.pretrained=false"]
    prepare = [*options, "features.embedding.faces.backend=dlib"]
    train = [*options, "features.embedding.faces.backend=dlib", "model.images=4"]
    four_commands(tmp_path, videos, "face_cnn", prepare, train)


def test_resnet_audio_lstm_from_raw_video(tmp_path: Path, videos: Path) -> None:
    train = [*SMALL, "model.hidden=32", "model.bidirectional=true", "train.early_stop=0"]
    run = four_commands(tmp_path, videos, "resnet_lstm", [], train)
    features = json.loads((run / "features.json").read_text())["streams"]
    assert features["faces"]["fingerprint"]["tracker"]["backend"] == "haar"
    assert features["short_term"]["fingerprint"]["config"]["segments"] == 10
    layers = command(["show", "run", "--to", "layers.png"], tmp_path).stdout
    assert "LSTM" in layers
    assert (tmp_path / "layers.png").stat().st_size > 10_000


def test_head_motion_from_raw_video(tmp_path: Path, videos: Path) -> None:
    four_commands(
        tmp_path, videos, "au_hybrid", ["signals.backend=dlib"], ["model.signals=rotation"]
    )


def test_head_motion_from_an_openface_table(tmp_path: Path) -> None:
    write_table(tmp_path / "rows.csv", clips=24)
    openface = "features.signals.backend=openface"
    data = ["data.corpus=openface:rows.csv", "data.store=store", openface]
    prepare = ["prepare", "openface:rows.csv", "--store", "store", "--for", "au_hybrid"]
    command([*prepare, "signals.backend=openface"], tmp_path)
    command(["train", "au_hybrid", *data, *QUICK, "--to", "run"], tmp_path)
    command(["evaluate", "run"], tmp_path)
    command(["predict", "run", "rows.csv", "--label-rows", "labelled.csv", "--json"], tmp_path)
    with (tmp_path / "labelled.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24 * 45
    assert all(0 <= float(row[f"predicted_{trait}"]) <= 1 for row in rows for trait in TRAITS)

    annotated = (tmp_path / "again").with_suffix(".csv")  # the same people, rated again
    write_table(annotated, clips=24, first=400)
    more = ["data.corpus=openface:again.csv", "data.store=store", openface]
    again = ["prepare", "openface:again.csv", "--store", "store", "--for", "au_hybrid"]
    command([*again, "signals.backend=openface"], tmp_path)
    command(["train", "au_hybrid", *more, *QUICK, "--from", "run", "--to", "retrained"], tmp_path)
    metrics = json.loads((tmp_path / "retrained" / "metrics.json").read_text())
    assert metrics["started_from"] == "run"
