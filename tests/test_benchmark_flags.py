"""What DeepPersonality's command line could do: each flag's equivalent in its page, and done."""

import csv
from pathlib import Path

import pytest
import yaml

from tests.support.prepared import make_corpus, make_store
from traitscope.cli import main
from traitscope.evaluation.report import read_report
from traitscope.runs.checkpoint import load

PAGE = Path(__file__).resolve().parents[1] / "docs" / "coming_from" / "deeppersonality.md"
FLAGS = ["cfg_file", "weight", "test_only", "lr", "bs", "resume", "max_epoch", "set"]
SHORT = ["train.schedule=constant", "train.milestones=[]", "trainer.tensorboard=false"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_store(tmp_path / "store", make_corpus(tmp_path), streams=["mid_term"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> None:
    with pytest.raises(SystemExit) as left:
        main([*arguments])
    assert left.value.code == 0


def history(folder: str) -> list[dict[str, str]]:
    with Path(folder, "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("flag", FLAGS)
def test_its_page_says_what_each_flag_is_here(flag: str) -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:2] == "| "]
    (row,) = [row for row in rows if f"`--{flag}" in row.split("|")[1]]
    assert "`" in row.split("|")[2]


def test_each_equivalent_does_it(place: Path) -> None:
    data = ["data.corpus=table:clips.csv", "data.store=store", *SHORT]
    numbers = ["train.lr=0.02", "train.batch_size=6", "train.epochs=2"]
    run("cp", "audio_lstm", ".")  # --cfg_file, --lr, --bs, --max_epoch, --set
    run("train", "audio_lstm.yaml", *data, *numbers, "model.hidden=16", "seed=3", "--to", "first")
    saved = yaml.safe_load(Path("first/run.yaml").read_text())
    stage = saved["stages"][0]
    assert (stage["lr"], stage["batch_size"], stage["epochs"]) == (0.02, 6, 2)
    assert (saved["model"]["hidden"], saved["seed"]) == (16, 3)
    assert len(history("first")) == 2

    run("train", "audio_lstm.yaml", "train.epochs=3", "--resume", "--to", "first")
    assert len(history("first")) == 3

    still = [*data, "train.lr=1e-12", "train.epochs=1", "model.hidden=16"]  # --weight
    run("train", "audio_lstm", *still, "--from", "first", "--to", "second")
    first, second = (dict(load(folder).fitted.named_parameters()) for folder in ("first", "second"))
    assert all(abs(first[name] - second[name]).max() < 1e-6 for name in first)

    run("evaluate", "second")  # --test_only
    run("evaluate", "second", "--split", "validation")
    assert read_report("second").counts.scored == 8
    assert read_report("second", split="validation").counts.scored == 8

    run("train", "audio_lstm", *data, "train.epochs=1", "data.targets=[openness]", "--to", "one")
    run("evaluate", "one")
    assert [target.name for target in read_report("one").corpus.targets] == ["openness"]
