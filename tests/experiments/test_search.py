"""Searches of settings; those that start Ray are slow."""

import csv
import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.interrupts import interrupt
from tests.support.prepared import data, history, make_corpus, make_store
from traitscope.errors import ConfigError, DataError, MissingError
from traitscope.evaluation.trained_runs import evaluate
from traitscope.experiments.search import tune
from traitscope.experiments.trials import (
    Job,
    begin_trial,
    best_trial,
    read_trial,
    read_trials,
    train_trial,
)
from traitscope.report.search_page import Axis, Row, SearchView, write_search_page
from traitscope.training.fitting import train

QUICK = ["train.epochs=2", "train.batch_size=8", "trainer.logger=csv", "trainer.monitor=ccc"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("small")
    make_store(place / "store", make_corpus(place, clips=40), streams=["mid_term", "signals"])
    return place


def job(place: Path, folder: Path, *more: str) -> Job:
    settings = (*data(place), *QUICK, "searched.trials=2", "searched.metric=ccc", *more)
    return Job("audio_lstm", settings, folder, accelerator="cpu")


def test_a_trial_is_a_run_that_is_told_epoch_by_epoch_and_goes_on(
    place: Path, tmp_path: Path
) -> None:
    search = job(place, tmp_path)
    begin_trial(search, 0, {"train.lr": 0.05, "model.hidden": 4})
    told: list[tuple[int, float]] = []

    def stop(epoch: int, standing: float) -> None:
        told.append((epoch, standing))
        raise KeyboardInterrupt  # as a scheduler that stops it

    with pytest.raises(KeyboardInterrupt):
        train_trial(search, 0, stop)
    assert read_trial(search, 0).epochs == 1
    assert best_trial(search, read_trials(search)) is None  # it is not over
    again: list[tuple[int, float]] = []
    train_trial(search, 0, lambda *one: again.append(one))
    assert again[0] == told[0]  # whoever compares is told of what was before
    trial = read_trial(search, 0)
    assert (trial.status, trial.epochs) == ("finished", 2)
    assert "of 2 trials by macro ccc" in (search.run(0) / "card.md").read_text()
    kept = (search.run(0) / "model.safetensors").stat().st_mtime_ns
    train_trial(search, 0, lambda *_: None)
    assert (search.run(0) / "model.safetensors").stat().st_mtime_ns == kept  # nothing runs again


def test_a_trial_that_cannot_be_trained_says_why(place: Path, tmp_path: Path) -> None:
    search = job(place, tmp_path)
    begin_trial(search, 0, {"train.lr": -1})
    with pytest.raises(ConfigError):
        train_trial(search, 0, lambda *_: None)
    assert read_trial(search, 0).status == "failed"
    assert "lr" in read_trial(search, 0).reason
    search.note(0).write_text('{"settings": 3}')
    with pytest.raises(DataError, match="is damaged"):
        read_trial(search, 0)


def test_scores_where_lower_is_better_stand_the_other_way_round(tmp_path: Path) -> None:
    by_error = Job("audio_lstm", (), tmp_path, metric="mae")
    assert by_error.standing(0.1) > by_error.standing(0.2) > by_error.standing(math.nan)
    assert Job("audio_lstm", (), tmp_path).standing(0.2) > by_error.standing(None)


@pytest.mark.parametrize(
    ("settings", "options", "message"),
    [
        ([], {}, "Nothing is searched"),
        (["train.lrr=uniform(0,1)"], {}, "did you mean 'lr'"),
        (["train.lr=uniform(-1,1)"], {}, "greater than 0"),
        (["train.lr=loguniform(1e-4,1e-2)"], {"trials": 0}, "trials: "),
        (["train.lr=loguniform(1e-4,1e-2)"], {"grace": "no"}, "grace: "),
        (["features.mid_term.segments=choice(6,7)"], {}, "traitscope prepare"),
    ],
)
def test_what_is_wrong_with_a_search_is_told_before_it_begins(
    place: Path, tmp_path: Path, settings: list[str], options: dict[str, object], message: str
) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        tune("audio_lstm", [*data(place), *QUICK, *settings], to=tmp_path / "s", **options)
    assert not (tmp_path / "s").exists()


def test_a_search_needs_ray_and_says_so(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    settings = [*data(place), *QUICK, "train.lr=uniform(0.1,1)"]
    with pytest.raises(MissingError, match=r"traitscope tune needs.*traitscope\[ray\]"):
        tune("audio_lstm", settings, to=tmp_path / "s")
    with pytest.raises(ConfigError, match=r"seed is 0 in .*cannot change in a resumed search"):
        tune(to=tmp_path / "s", resume=True, seed=1)
    with pytest.raises(ConfigError, match=r"no search in .* to resume"):
        tune(to=tmp_path, resume=True)


def test_the_page_warns_before_it_shows_and_escapes(tmp_path: Path) -> None:
    axis = Axis("train.lr", "loguniform(0.001, 0.1)", ((0.0, "0.001"), (1.0, "0.1")))
    rows = (
        Row(0, "finished", 0.31, (0.1, 0.31), (0.2,), ("0.002",)),
        Row(1, "stopped", -0.05, (None, -0.05), (0.9,), ("0.07",)),
        Row(2, "failed", None, (), (1.0,), ("0.1",), reason="<script>alert(1)</script>"),
    )
    view = SearchView("net", "ccc", False, (axis,), rows, 0, (("train.lr", 1.0),), "traitscope")
    text = write_search_page(view, tmp_path / "p.html").read_text(encoding="utf-8")
    assert text.index("Validation was searched") < text.index("0.3100")
    assert "1 trial was stopped early" in text
    assert "1 trial failed" in text
    assert "<script>" not in text
    assert text.count("<polyline") >= 4  # two trials, their curves, and the best so far
    single = SearchView("net", "mae", True, (axis,), rows[:1], 0, (), "traitscope")
    assert "Too few trials" in write_search_page(single, tmp_path / "p.html").read_text()


def finished(folder: Path) -> dict[str, int]:
    """When trials were finished, by their name."""
    paths = (folder / "trials").glob("*/metrics.json")
    return {path.parent.name: path.stat().st_mtime_ns for path in paths}


@pytest.mark.slow
def test_a_killed_search_goes_on_and_its_best_recipe_gives_its_score(
    place: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "search"
    words = [*data(place), "train.epochs=4", "trainer.logger=csv", "train.lr=loguniform(1e-4,0.3)"]
    options = ["--trials", "5", "--grace", "1", "--to", str(folder), "--accelerator", "cpu"]
    code = "from traitscope.cli import main; main()"
    with (tmp_path / "told.txt").open("w") as told:
        driver = subprocess.Popen(
            [sys.executable, "-c", code, "tune", "audio_lstm", *words, *options],
            stdout=told,
            stderr=told,
        )
        while driver.poll() is None and len(finished(folder)) < 1:
            time.sleep(0.2)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    before = finished(folder)
    assert before, (tmp_path / "told.txt").read_text()
    for each in (folder / "trials").glob("*.json"):  # as a kill before they were noted
        each.write_text(each.read_text().replace('"finished"', '"running"'))
    # Test labels have no say: the rest of the search has none.
    table = place / "clips.csv"
    kept = table.read_text()
    rows = list(csv.DictReader(kept.splitlines()))
    for row in rows:
        if row["split"] == "test":
            row |= dict.fromkeys(("openness", "extraversion"), "0.999")
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    tune(to=folder, resume=True)
    table.write_text(kept)
    after = finished(folder)
    assert before.items() <= after.items()
    trials = read_trials(Job("audio_lstm", (), folder))
    assert {trial.status for trial in trials} <= {"finished", "stopped"}
    assert len(trials) == 5
    best = json.loads((folder / "search.json").read_text())["best"]
    run = train(str(folder / "best.yaml"), data(place), to=tmp_path / "run", accelerator="cpu")
    score = json.loads((run / "metrics.json").read_text())["validation"]["ccc"]
    assert score == pytest.approx(best["score"], abs=1e-3)
    report = evaluate(run, split="validation")
    assert any("best of 5 trials by macro ccc" in warning for warning in report.warnings)


@pytest.mark.slow
def test_ctrl_c_ends_a_search_and_says_how_to_go_on(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "search"
    # Ever so many epochs: whatever the machine, it is at work when it is stopped.
    settings = [
        *data(place),
        "train.epochs=100000",
        "trainer.logger=csv",
        "train.lr=loguniform(1e-4,0.1)",
    ]
    how = ["--trials", "1", "--to", folder, "--accelerator", "cpu"]
    run = folder / "trials" / "000"
    said = interrupt(
        ["tune", "audio_lstm", *settings, *how],
        when=(run / "state.ckpt").is_file,
        cwd=tmp_path,
    )
    assert f"traitscope tune --resume --to {folder}" in said
    assert read_trial(Job("audio_lstm", (), folder), 0).status == "running"
    done = len(history(run))
    train("audio_lstm", [f"train.epochs={done + 1}"], to=run, resume=True, accelerator="cpu")
    assert len(history(run)) == done + 1
