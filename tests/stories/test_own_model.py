"""The page on models of one's own: its code and its commands work as they are printed."""

import importlib
import shlex
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.support.media_files import tone, write_sound
from traitscope.cli import main
from traitscope.evaluation.report import read_report
from traitscope.types import TRAITS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "own_model.md"
NAME = "my_lab.my_model"


def blocks(language: str) -> list[str]:
    """The blocks of the page in one language."""
    parts = PAGE.read_text(encoding="utf-8").split("```")[1::2]
    return [p.removeprefix(f"{language}\n") for p in parts if p.startswith(f"{language}\n")]


def commands() -> dict[str, list[str]]:
    """Verb -> its arguments, of every command of the page."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    words = [shlex.split(line)[1:] for line in lines if line.startswith("traitscope ")]
    return {verb: [verb, *rest] for verb, *rest in words}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the model of the page and twelve sounds, higher where openness is."""
    (code,) = blocks("python")
    (tmp_path / "my_lab").mkdir()
    (tmp_path / "my_lab/my_model.py").write_text(code)
    rng = np.random.default_rng(0)
    rows = []
    for number in range(12):
        scores = dict(zip(TRAITS, rng.uniform(0.2, 0.8, 5).round(3).tolist(), strict=True))
        pitch = 200 + 800 * scores["openness"]
        write_sound(tmp_path / f"{number}.wav", tone(1.5 + 0.1 * number, hertz=pitch))
        split = ("train", "train", "validation", "test")[number % 4]
        rows.append({"clip": f"c{number}", "path": f"../{number}.wav", "split": split, **scores})
    (tmp_path / "study").mkdir()
    pd.DataFrame(rows).to_csv(tmp_path / "study/clips.csv", index=False)
    targets = {name: {"low": 0, "high": 1, "direction": 1} for name in TRAITS}
    facts = {"name": "small", "kind": "apparent", "targets": targets}
    (tmp_path / "study/clips.yaml").write_text(yaml.safe_dump(facts))
    write_sound(tmp_path / "clip.wav", tone(2))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    for name in ("my_lab", NAME):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def run(arguments: list[str], capsys: pytest.CaptureFixture[str], *, code: int = 0) -> str:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    shown = capsys.readouterr()
    assert left.value.code == code, shown.err
    return shown.out if code == 0 else shown.err


def test_the_model_of_the_page_does_what_the_page_says(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = commands()
    assert list(asked) == ["show", "prepare", "train", "evaluate", "predict"]
    assert "3,461" in run(asked["show"], capsys)  # 68 x 32 + 32, 32 x 32 + 32 + 32, 32 x 5 + 5
    run(asked["prepare"], capsys)
    assert run(asked["train"], capsys).strip() == "runs/mine"
    settings = yaml.safe_load((lab / "runs/mine/run.yaml").read_text())
    assert settings["model"] == {"name": NAME, "width": 16}
    run(asked["evaluate"], capsys)
    assert read_report("runs/mine").counts.scored == 3
    shown = yaml.safe_load(run([*asked["predict"], "--json"], capsys))
    assert set(shown["clips"][0]["scores"]) == set(TRAITS)
    for verb in ("evaluate", "predict"):
        without = [word for word in asked[verb] if word not in {"--model", NAME}]
        assert f"--model {NAME}" in run(without, capsys, code=2)


def test_a_misspelt_setting_of_ones_own_model_is_refused(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = run(["show", NAME, "model.widht=3"], capsys, code=2)
    assert "did you mean 'width'" in shown


def test_folds_and_recipes_of_ones_own_take_the_model_too(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(commands()["prepare"], capsys)
    recipe = {"model": {"name": NAME}, "stages": [{"epochs": 1}], "trainer": {"tensorboard": False}}
    Path("mine.yaml").write_text(yaml.safe_dump(recipe))
    data = ["data.corpus=table:study/clips.csv", "data.store=features", f"model.name={NAME}"]
    folds = ["protocol.kind=kfold", "protocol.folds=3", "protocol.fold=all"]
    run(["train", "mine.yaml", *data, *folds, "--to", "runs/cv"], capsys)
    run(["evaluate", "runs/cv", "--model", NAME], capsys)
    assert read_report("runs/cv").counts.scored == 12
