"""A person's own extractor goes from words to scores, typed once for each command, and not at all
without."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from traitscope.cli import main
from traitscope.errors import ConfigError
from traitscope.features.preparation import prepare
from traitscope.runs.checkpoint import load
from traitscope.types import TRAITS

EXTRACTOR = '''
"""How many words and letters there are."""

import numpy as np

from traitscope.config import Config as Base
from traitscope.types import Stream

VERSION = 1
NEEDS = ("text",)


class Config(Base):
    """Nothing to set."""


class Extractor:
    """Count."""

    def __init__(self, config):
        pass

    def finish(self, inputs):
        """One row."""
        words = (inputs.clip.transcript or "").split()
        values = np.array([[len(words), sum(map(len, words))]], np.float32)
        return Stream(np.zeros(1), values, columns=("words", "letters"))
'''
NAME = "own_lab.counts"
MINE = ["--stream", NAME]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus of words, and the code of a person who works there."""
    rng = np.random.default_rng(0)
    with (tmp_path / "clips.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["clip", "split", "transcript", *TRAITS])
        for number in range(30):
            words = "word " * int(rng.integers(1, 40))
            split = ("train", "train", "validation", "test", "train")[number % 5]
            table.writerow([f"c{number}", split, words, *rng.uniform(0.2, 0.8, 5).round(3)])
    targets = {trait: {"low": 0, "high": 1, "direction": 1} for trait in TRAITS}
    facts = {"name": "words", "kind": "apparent", "targets": targets}
    (tmp_path / "clips.yaml").write_text(yaml.safe_dump(facts))
    (tmp_path / "own_lab").mkdir()
    (tmp_path / "own_lab" / "counts.py").write_text(EXTRACTOR)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("own_lab", NAME):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def test_an_extractor_of_ones_own_is_typed_for_each_command(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare("table:clips.csv", {NAME: {}}, store="store", workers=0)
    settings = ["data.corpus=table:clips.csv", "data.store=store", f"model.streams=[{NAME}]"]
    main_(["train", "functionals", *settings, "--to", "run"])
    main_(["evaluate", "run", *MINE])
    (place / "speech.txt").write_text("one two three")
    main_(["predict", "run", "--text", "speech.txt", *MINE])
    main_(["show", "run", *MINE])
    assert load("run", streams=[NAME]).keys[NAME].startswith("counts-")
    capsys.readouterr()
    for verb in (["evaluate", "run"], ["show", "run"], ["predict", "run", "--text", "speech.txt"]):
        with pytest.raises(SystemExit) as stop:
            main(verb)
        assert stop.value.code == 2
        assert f"type it yourself: --stream {NAME}" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"run.run\.yaml names"):
        load("run", model="functionals")


def main_(arguments: list[str]) -> None:
    """Type a command that works."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert not stop.value.code
