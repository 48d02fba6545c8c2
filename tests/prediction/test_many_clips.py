"""Many clips: several processes, one run and one tracker in each, and a table to go on from."""

import csv
import io
import json
import logging
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import traitscope
from tests.support.command_line import type_in
from tests.support.listening import train_listener
from tests.support.media_files import tone, write_sound, write_video
from traitscope import registry
from traitscope.errors import ConfigError
from traitscope.features.extraction import Extraction
from traitscope.features.request import make_request
from traitscope.prediction.clips import predict
from traitscope.prediction.scoring import Scorer, Task, score
from traitscope.runs.checkpoint import Checkpoint, Estimate, load
from traitscope.runs.reference import Residuals, read_reference, save_reference
from traitscope.training.fitting import train
from traitscope.types import Batch, Clip

DEADLY = "tests.support.deadly_extractor"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_listener(tmp_path_factory.mktemp("listening"))


@pytest.fixture
def sounds(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "sounds"
    folder.mkdir()
    paths = [folder / f"{name}.wav" for name in "abcde"]
    for number, path in enumerate(paths):
        write_sound(path, tone(0.4 + 0.1 * number, hertz=300.0 + 40 * number))
    return paths


@pytest.mark.slow
def test_other_processes_give_what_this_one_gives_and_a_deadly_clip_is_a_row(
    run: Path, sounds: list[Path]
) -> None:
    deadly = make_request(DEADLY, {}, typed=registry.typed(streams=[DEADLY]))
    named = {"a": sounds[0], "deadly": sounds[1], "c": sounds[2], "gone": Path("gone.wav")}
    tasks = [Task(Clip(name, path)) for name, path in named.items()]
    rows = dict(score(load(run), tasks, {"short_term": deadly}, workers=1))
    assert [rows[n][0].status for n in range(4)] == ["ok", "crashed", "ok", "missing"]
    assert "ended twice on this clip (signal 9)" in rows[1][0].reason
    assert rows[1][0].path == str(sounds[1])
    here = predict(run, sounds[0], sounds[2], workers=0)
    assert [dict(p.scores) for p in here] == [dict(rows[n][0].scores) for n in (0, 2)]


def test_clips_side_by_side_have_the_scores_they_have_alone(run: Path, sounds: list[Path]) -> None:
    tasks = [Task(Clip(path.name, path)) for path in sounds]
    scorer = Scorer(run, registry.NOTHING, load(run).facts.requests, Extraction())
    together = scorer(tasks)
    for task, (one,) in zip(tasks, together, strict=True):
        (alone,) = predict(run, str(task.clip.path))
        assert one.scores == pytest.approx(alone.scores, rel=1e-6)


_opened: list[str] | None = None


def _listen(event: str, details: tuple[Any, ...]) -> None:
    if event == "open" and _opened is not None:
        _opened.append(str(details[0]))


@contextmanager
def opened() -> Iterator[list[str]]:
    """Collect what this process opens; a hook cannot be taken away, so it is told to rest."""
    global _opened
    if not hasattr(opened, "hooked"):
        sys.addaudithook(_listen)
        opened.hooked = True  # type: ignore[attr-defined]
    _opened = []
    try:
        yield _opened
    finally:
        _opened = None


def test_nothing_of_a_run_is_opened_again_for_further_clips(
    run: Path, sounds: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    def of_the_run(paths: list[str]) -> Counter[str]:
        return Counter(path for path in paths if path.startswith(str(run)))

    with opened() as for_one:
        predict(run, sounds[0], workers=0)
    with opened() as for_all:
        predict(run, *sounds, workers=0)
    assert of_the_run(for_one)
    assert of_the_run(for_all) == of_the_run(for_one)

    video = write_video(sounds[0].with_name("v.mp4"), frames=10, sound=tone(0.4))
    requests = {
        "faces": make_request("faces", {"backend": "haar"}),
        "short_term": make_request("short_term", {}),
    }
    tasks = [Task(Clip(name, video)) for name in "abc"]
    with caplog.at_level(logging.DEBUG, logger="traitscope"):
        assert len(list(score(load(run), tasks, requests))) == 3
    assert [m for m in caplog.messages if m.startswith("Opening tracker")] == [
        "Opening tracker 1 of haar."
    ]


class StoppedError(Exception):
    """Somebody pressed Ctrl-C."""


def progress(limit: int | None = None) -> tuple[list[int], Any]:
    """What was done at each call, and a hook that stops after so many clips."""
    seen: list[int] = []

    def hook(done: int, total: int, name: str) -> None:
        seen.append(done)
        if done == limit:
            raise StoppedError

    return seen, hook


def test_a_stopped_call_goes_on_from_its_table(
    run: Path, sounds: list[Path], tmp_path: Path
) -> None:
    whole, table = tmp_path / "whole.csv", tmp_path / "made" / "scores.csv"
    expected = predict(run, *sounds, table=whole, workers=0)
    with pytest.raises(StoppedError):
        predict(run, *sounds, table=table, workers=0, hook=progress(limit=2)[1])
    assert len(table.read_bytes().splitlines()) == 3
    with table.open("ab") as file:
        file.write(b'c.wav,"half a r')  # as a killed process may leave it
    seen, hook = progress()
    assert predict(run, *sounds, table=table, workers=0, hook=hook) == expected
    assert seen == [2, 3, 4, 5]
    assert table.read_bytes() == whole.read_bytes()
    before = table.stat().st_mtime_ns
    seen, hook = progress()
    assert predict(run, *sounds, table=table, hook=hook) == expected
    assert seen == [5]
    assert table.stat().st_mtime_ns == before


def test_what_changed_is_scored_again_and_what_may_change_is_tried_again(
    run: Path, sounds: list[Path], tmp_path: Path
) -> None:
    table, gone = tmp_path / "scores.csv", sounds[0].with_name("gone.wav")
    silent = sounds[0].with_name("silent.wav")
    write_sound(silent, 0 * tone(0.5))
    files = [*sounds[:2], silent, gone]
    first = predict(run, *files, table=table, workers=0)
    assert [p.status for p in first] == ["ok", "ok", "silent", "missing"]
    size = sounds[1].stat().st_size
    write_sound(sounds[1], tone(0.5, hertz=700.0))
    assert sounds[1].stat().st_size == size
    write_sound(gone, tone(0.5))
    seen, hook = progress()
    second = predict(run, *files, table=table, workers=0, hook=hook)
    assert seen == [2, 3, 4]  # the first and the silent one are as they were
    assert second[0] == first[0]
    assert second[1].scores != first[1].scores
    assert [p.status for p in second] == ["ok", "ok", "silent", "ok"]
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["clip"] for row in rows] == ["a.wav", "b.wav", "silent.wav", "gone.wav"]
    assert float(rows[1]["predicted_warmth"]) == second[1].scores["warmth"]


def test_another_run_or_other_settings_score_anew(
    run: Path, sounds: list[Path], tmp_path: Path
) -> None:
    import shutil

    table = tmp_path / "scores.csv"
    predict(run, sounds[0], table=table)
    other = Path(shutil.copytree(run, tmp_path / "other"))
    seen, hook = progress()
    predict(other, sounds[0], table=table, hook=hook)
    assert seen == [1]  # a copy is the same run
    settings = (other / "run.yaml").read_text()
    (other / "checksums.json").unlink()
    (other / "run.yaml").write_text(settings.replace("seed: 0", "seed: 1"))
    assert (other / "run.yaml").read_text() != settings
    seen, hook = progress()
    predict(other, sounds[0], table=table, hook=hook)
    assert seen == [0, 1]


def test_a_table_of_something_else_is_not_written_over(
    run: Path, sounds: list[Path], tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("clip,warmth\na,0.5\n")
    with pytest.raises(ConfigError, match=r"labels\.csv is there, and is no table of scores.*Name"):
        predict(run, sounds[0], table=table)
    assert table.read_text() == "clip,warmth\na,0.5\n"


def test_parquet_holds_what_csv_holds_and_goes_on_as_it_does(
    run: Path, sounds: list[Path], tmp_path: Path
) -> None:
    whole, table = tmp_path / "whole.csv", tmp_path / "scores.parquet"
    expected = predict(run, *sounds, table=whole, workers=0)
    with pytest.raises(StoppedError):
        predict(run, *sounds, table=table, workers=0, hook=progress(limit=2)[1])
    assert (table.exists(), Path(f"{table}.rows.csv").exists()) == (False, True)
    seen, hook = progress()
    assert predict(run, *sounds, table=table, workers=0, hook=hook) == expected
    assert seen == [2, 3, 4, 5]
    assert not Path(f"{table}.rows.csv").exists()
    packed, plain = pd.read_parquet(table), pd.read_csv(whole, keep_default_na=False)
    assert list(packed.columns) == list(plain.columns)
    assert packed["clip"].tolist() == [path.name for path in sounds]
    assert packed["predicted_warmth"].tolist() == plain["predicted_warmth"].tolist()
    # From the finished file as well, with one clip more.
    write_sound(tmp_path / "f.wav", tone(0.5, hertz=500.0))
    seen, hook = progress()
    predict(run, *sounds, tmp_path / "f.wav", table=table, workers=0, hook=hook)
    assert (seen, len(pd.read_parquet(table))) == ([5, 6], 6)


def test_a_list_on_stdin_and_a_pattern_are_the_files_they_name(
    run: Path, sounds: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern = sounds[0].with_name("[b-d].wav")
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{sounds[4]}\n\n{pattern}\n"))
    done = type_in("predict", run, sounds[0], "-", "--workers", 0, "--json")
    assert done.returncode == 0, done.stderr
    clips = [clip["clip"] for clip in json.loads(done.stdout)["clips"]]
    assert clips == ["a.wav", "e.wav", "b.wav", "c.wav", "d.wav"]


@pytest.mark.slow
def test_seeds_are_a_mean_with_a_spread_and_a_table_has_both(
    run: Path, sounds: list[Path], tmp_path: Path
) -> None:
    settings = yaml.safe_load((run / "run.yaml").read_text())
    address, store = settings["data"]["corpus"], settings["data"]["store"]
    how = [f"data.corpus={address}", f"data.store={store}", "model.streams=[short_term]"]
    trees = ["model.learner=trees", "model.boosting.rounds=8", "seeds=2"]
    system = train("functionals", [*how, *trees], to=tmp_path / "system")
    members = [predict(system / f"seed-{n}", sounds[0], workers=0)[0] for n in (0, 1)]
    both = [one.scores["warmth"] for one in members]
    (joint,) = predict(system, sounds[0], workers=0)
    assert joint.scores["warmth"] == pytest.approx(sum(both) / 2)
    assert joint.variance["warmth"] == pytest.approx((both[0] - both[1]) ** 2 / 2)
    table = tmp_path / "scores.csv"
    (row,) = predict(system, sounds[0], table=table, workers=0)
    assert row.scores == pytest.approx(dict(joint.scores))
    assert row.variance == pytest.approx(dict(joint.variance))
    assert row.percentiles
    assert row.percentiles == dict(joint.percentiles)
    (again,) = predict(system, sounds[0], table=table, workers=0)  # from the table alone
    assert again.variance == dict(row.variance)
    assert pd.read_csv(table)["variance_warmth"].tolist() == pytest.approx([*row.variance.values()])


def test_a_predictor_keeps_what_it_opened_and_gives_what_predict_gives(
    run: Path, sounds: list[Path]
) -> None:
    with traitscope.Predictor(run) as predictor:
        first, again = predictor(sounds[0]), predictor(sounds[:2], timeline=False)
        assert predictor.runs[0].folder == run
    expected = traitscope.predict(run, sounds[0], workers=0)
    assert dict(first[0].scores) == dict(again[0].scores) == dict(expected[0].scores)
    assert [one.clip for one in again] == ["a.wav", "b.wav"]
    frame = first[0].to_frame()
    assert frame["target"].tolist() == ["warmth"]
    assert frame["score"].tolist() == [first[0].scores["warmth"]]
    assert "warmth" in first[0]._repr_html_()


def test_a_table_keeps_what_intervals_follow_from(
    run: Path, sounds: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that says how sure it is, by the tone: its stated deviations are put in its place."""
    own = tmp_path / "run"
    shutil.copytree(run, own)
    clips = np.arange(40)
    truth, sd = np.linspace(0.2, 0.8, 40)[:, None], np.full((40, 1), 0.1)
    known = Residuals(truth, truth + 0.05, clips, clips, sd)
    save_reference(own, replace(read_reference(own), residuals=known))
    estimate = Checkpoint.estimate

    def sure(self: Checkpoint, batch: Batch) -> Estimate:
        made = estimate(self, batch)
        return made._replace(variance=0.01 * (1 + made.scores**2))

    table = tmp_path / "scores.csv"
    (plain,) = predict(own, sounds[0], table=table, workers=0)  # as before it stated a variance
    assert pd.read_csv(table)["variance_warmth"].isna().all()
    seen, hook = progress()
    assert predict(own, sounds[0], table=table, workers=0, hook=hook) == [plain]
    assert seen == [1]
    monkeypatch.setattr(Checkpoint, "estimate", sure)
    table.unlink()
    made = predict(own, *sounds[:2], table=table, workers=0)
    widths = [one.intervals["warmth"].high - one.intervals["warmth"].low for one in made]
    assert widths[0] != pytest.approx(widths[1], rel=1e-6)
    assert made[0].variance["warmth"] == pytest.approx(0.01 * (1 + made[0].scores["warmth"] ** 2))
    seen, hook = progress()
    again = predict(own, *sounds[:2], table=table, workers=0, hook=hook)
    assert seen == [2]
    assert [one.intervals for one in again] == [one.intervals for one in made]
