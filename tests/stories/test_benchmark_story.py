"""The core of the benchmark, from raw videos to report and prediction, at sizes of seconds."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from traitscope.cli import main
from traitscope.corpora.synthetic import Config, generate
from traitscope.types import TRAITS

pytestmark = pytest.mark.slow

ONE_STAGE = ["train.epochs=2"]
RESNETS = ["model.channels=[4,4,8,8]"]
CRNET = [*RESNETS, "model.depth=18", "model.size=64", "model.face_size=64", "model.samples=8192"]
CRNET_STAGES = [
    "train.ranges.epochs=1",
    "train.regression.epochs=2",
    "train.regression.milestones=[1]",
]
PICTURES = ["model.pretrained=false", "model.size=64", "model.evaluation_images=3"]
BIMODAL = [*RESNETS, "model.size=64"]
FACES = ["model.units=64", "model.size=64", "model.hidden=16"]
VAT = ["model.pretrained=false", "model.backbone=test_resnet", "model.height=64", "model.dim=32"]
SYSTEMS = {
    "crnet": ("crnet", CRNET, CRNET_STAGES),
    "bimodal_resnet18": ("bimodal_resnet18", [*BIMODAL, "model.samples=8192"], ONE_STAGE),
    "bimodal_resnet18, visual": ("bimodal_resnet18", [*BIMODAL, "model.senses=visual"], ONE_STAGE),
    "audio_resnet18": ("audio_resnet18", [*RESNETS, "model.samples=8192"], ONE_STAGE),
    "bimodal_lstm": ("bimodal_lstm", FACES, ONE_STAGE),
    "bimodal_lstm, visual": ("bimodal_lstm", [*FACES, "model.senses=visual"], ONE_STAGE),
    "audio_lstm": ("audio_lstm", [], ONE_STAGE),  # its published form is small enough
    "image_backbone, frames": ("senet", [*PICTURES, "model.backbone=test_resnet"], ONE_STAGE),
    "image_backbone, faces": ("convnext", [*PICTURES, "model.backbone=test_convnext"], ONE_STAGE),
    "vat": ("vat", [*VAT, "model.frames=4", "model.heads=2"], ONE_STAGE),
}
"""System -> its recipe, settings of the model, settings of training."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen clips of seven subjects; one store for all systems."""
    folder = tmp_path_factory.mktemp("benchmark")
    small = Config(subjects=7, sources_per_subject=1, clips_per_source=2, seconds=1.6, size=256)
    generate(folder / "corpus", config=small)
    return folder


@pytest.fixture
def command(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> "Command":
    """The command line, in a folder with the corpus."""
    monkeypatch.chdir(place)
    return Command(capsys)


class Command:
    """Runs a verb as a user would and gives what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *words: object) -> str:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        told = self.capsys.readouterr()
        assert ended.value.code == 0, told.out + told.err
        return told.out


def trained(
    command: Command, run: str, recipe: str, model: Sequence[str], train: Sequence[str]
) -> str:
    """Prepare what a recipe needs, train it, evaluate it."""
    corpus = "synthetic:corpus"
    command("prepare", corpus, "--store", "store", "--for", recipe, *model, "--workers", 0)
    data = [f"data.corpus={corpus}", "data.store=store", "trainer.tensorboard=false"]
    command("train", recipe, *data, *model, *train, "--to", run)
    report = json.loads(command("evaluate", run, "--json"))
    assert report["counts"]["scored"] == 4
    assert {row["role"] for row in report["parts"]["all"]["rows"]} >= {"model", "constant"}
    return run


def reported_and_predicted(command: Command, run: str) -> None:
    """The page is written, and a video alone scores as it did in evaluation."""
    command("report", run, "--to", f"{run}.html")
    page = Path(f"{run}.html").read_text(encoding="utf-8")
    assert run in page
    assert "neuroticism (high = stable)" in page
    table = Path(run, "evaluation", "test", "predictions.csv")
    with table.open(newline="", encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    told = json.loads(command("predict", run, Path("corpus", "media", f"{row['clip']}.mp4")))
    scores = told["clips"][0]["scores"]
    assert set(scores) == set(TRAITS)
    for trait, score in scores.items():
        assert 0 <= score <= 1
        assert score == pytest.approx(float(row[f"predicted_{trait}"]), abs=1e-5)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_from_raw_videos_to_report_and_prediction(command: Command, system: str) -> None:
    recipe, model, train = SYSTEMS[system]
    run = trained(command, system.replace(", ", "-"), recipe, model, train)
    with Path(run, "history.csv").open(newline="") as file:
        stages = [row["stage"] for row in csv.DictReader(file)]
    assert stages == (["ranges"] + 2 * ["regression"] if recipe == "crnet" else 2 * ["fit"])
    reported_and_predicted(command, run)


def test_trees_on_crnet_from_raw_videos_to_report_and_prediction(command: Command) -> None:
    network = trained(command, "network", "crnet", CRNET, CRNET_STAGES)
    settings = ["model.moments=4", "model.trees.trees=9", "model.trees.per_leaf=2"]
    run = trained(command, "trees", "crnet_etr", settings, ["--from", network])
    reported_and_predicted(command, run)


def test_both_halves_of_dan_joined_from_raw_videos_to_report(command: Command) -> None:
    seen = trained(command, "dan", "dan", ["model.width=16", "model.size=64"], ONE_STAGE)
    heard = trained(command, "linear", "audio_linear", ["model.rows=160"], ONE_STAGE)
    for run in (seen, heard):
        reported_and_predicted(command, run)
    report = json.loads(command("fuse", seen, heard, "--to", "both", "--json"))
    assert report["counts"]["scored"] == 4
    command("report", "both", seen, heard, "--to", "fused.html")
    assert "both" in Path("fused.html").read_text(encoding="utf-8")
