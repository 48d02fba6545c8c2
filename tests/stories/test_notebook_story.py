"""The notebook of examples/, run as a script, and what a notebook shows of results."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import traitscope
from traitscope.errors import ConfigError
from traitscope.interface import Predictions, Run, as_overrides
from traitscope.notebook import bar, progress
from traitscope.runs.plan import load_run
from traitscope.types import TRAITS, Prediction

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the examples suppose: a corpus of clips, somebody's predictions, and no more."""
    from traitscope.corpora.synthetic import Config, generate

    folder = tmp_path_factory.mktemp("study")
    shape = Config(subjects=7, sources_per_subject=1, clips_per_source=2, seconds=1.5)
    generate(folder / "corpus", config=shape)
    clips = pd.read_csv(folder / "corpus" / "clips.csv")
    noise = np.random.default_rng(0).normal(0, 0.1, (len(clips), 5))
    theirs = (clips[list(TRAITS)] + noise).add_prefix("predicted_")
    theirs.insert(0, "clip", clips["clip"])
    theirs.to_csv(folder / "theirs.csv", index=False)
    return folder


EXAMPLES = {
    "first_study": ("14 clips, targets: openness", "page.html", "neuroticism (high = stable)"),
    "check_predictions": ("skill: ", "checked.html", "mean of train"),
    "own_model": ("- ", "my_lab/listening.py", "class Model"),
    "explanations": ("extraversion rests most on ", "explained.html", "<video"),
}
"""Example -> what it prints, and a file that it leaves with something in it."""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_as_a_script(name: str, study: Path, tmp_path: Path) -> None:
    printed, file, text = EXAMPLES[name]
    script = ROOT / "examples" / f"{name}.py"
    environ = {**os.environ, "TRAITSCOPE_WEIGHTS": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, cwd=study, env=environ
    )
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout
    assert text in (study / file).read_text(encoding="utf-8")


def test_every_notebook_is_run() -> None:
    written = {
        path.stem for path in (ROOT / "examples").glob("*.py") if "# %%" in path.read_text("utf-8")
    }
    assert written == set(EXAMPLES)


def test_every_name_is_there_and_in_the_stub() -> None:
    stub = (ROOT / "src" / "traitscope" / "__init__.pyi").read_text(encoding="utf-8")
    for name in traitscope.__all__:
        assert name in dir(traitscope)
        assert getattr(traitscope, name) is not None
        assert f" as {name}\n" in stub or f"{name}: " in stub


def test_settings_may_be_a_dictionary_of_any_values() -> None:
    settings = {"train.lr": 1e-5, "train.epochs": np.int64(3), "data.store": Path("a b/store")}
    settings |= {"model": {"hidden": 8}, "data.targets": ("openness",)}
    config = load_run("audio_lstm", as_overrides(settings))
    assert config.stages[0].lr == 1e-5
    assert config.stages[0].epochs == 3
    assert config.data.store == str(Path("a b/store"))
    assert config.data.targets == ("openness",)
    assert config.model["hidden"] == 8
    assert as_overrides(["train.lr=1"]) == ["train.lr=1"]


def test_predictions_are_a_table() -> None:
    scored = Predictions(
        [
            Prediction("a", status="no_face", reason="no face"),
            Prediction("b", {"openness": 0.5, "extraversion": 0.25}),
        ]
    )
    frame = scored.to_frame()
    assert list(frame.columns[:3]) == ["clip", "openness", "extraversion"]
    assert frame["openness"].isna().tolist() == [True, False]
    assert repr(scored) == "Predictions of 2 clips, 1 without scores"
    assert "no face" in scored._repr_html_()
    assert scored[-1:][0] == scored[1]


def test_a_run_is_a_path_and_shows_its_epochs(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert Path(run) == tmp_path
    assert run.to_frame().empty
    history = "stage,epoch,lr,train_loss,validation_mae\nfit,0,0.001,0.25,\nfit,1,0.001,0.2,0.1\n"
    (tmp_path / "history.csv").write_text(history)
    assert run.to_frame()["epoch"].tolist() == [0, 1]
    assert run.to_frame()["validation_mae"].tolist()[1] == 0.1
    assert "2 epochs" in run._repr_html_()


def test_progress_is_drawn_in_notebooks_alone() -> None:
    with progress("clips") as hook:
        assert hook is None
    assert bar(1, 4, "clips", "<a>") == (
        '<progress value="1" max="4"></progress> 1/4 clips &middot; &lt;a&gt;'
    )


def test_prepare_asks_for_one_way_to_say_what(tmp_path: Path) -> None:
    for how in ({}, {"for_": "functionals", "extract": ["faces"]}):
        with pytest.raises(ConfigError, match=r"either extract=.*or for_="):
            traitscope.prepare("table:clips.csv", tmp_path, **how)  # type: ignore[arg-type]
