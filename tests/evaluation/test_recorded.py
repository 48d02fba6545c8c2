"""What was fitted is what the run recorded, whatever a table says afterwards."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.command_line import type_in
from tests.support.evaluated_systems import FAST
from tests.support.prepared import data, make_corpus, make_store
from traitscope.data.protocols import Protocol, split
from traitscope.data.record import (
    Record,
    join_records,
    read_records,
    record_run,
    save_records,
)
from traitscope.errors import DataError
from traitscope.evaluation.assessment import assess
from traitscope.evaluation.recorded import corpus_changes
from traitscope.evaluation.report import Report
from traitscope.evaluation.systems import System
from traitscope.runs.scorings import count_scoring
from traitscope.types import TRAITS, Clip, Corpus, Target

HOME = "table:home.csv"
FI = tuple(Target(name, 0, 1, 1) for name in TRAITS)
KFOLD = Protocol(kind="kfold", folds=5, fold=0)


def made(clips: int = 60) -> Corpus:
    """Two clips per source; labels are noise."""
    rng = np.random.default_rng(0)
    names = ("train", "train", "train", "validation", "test")
    rows = [
        Clip(
            f"c{n:03d}",
            source=f"s{n // 2}",
            split=names[n // 2 % 5],
            targets=dict(zip(TRAITS, rng.uniform(0.2, 0.8, 5).tolist(), strict=True)),
        )
        for n in range(clips)
    ]
    return Corpus("home", "apparent", FI, tuple(rows))


def recorded(corpus: Corpus, protocol: Protocol, *, start: Record | None = None) -> Record:
    """What a run on a corpus would note."""
    splits = split(corpus, protocol)
    how = {"fitted": splits.fitted, "selected": splits.validation, "targets": TRAITS}
    return record_run(corpus, HOME, splits, start=start, **how)  # type: ignore[arg-type]


def scored(
    record: Record,
    corpus: Corpus,
    protocol: Protocol,
    *,
    address: str = HOME,
    part: str = "test",
) -> Report:
    """A system that says .5 of every clip."""
    columns = {f"predicted_{name}": 0.5 for name in TRAITS}
    table = pd.DataFrame([{"clip": clip.id, **columns} for clip in corpus.clips])
    system = System("run", table, part, protocol, address, run={"seed": 0}, records=(record,))
    return assess(system, corpus, scoring=FAST)


def changed(corpus: Corpus, change: Callable[[Clip], Clip]) -> Corpus:
    return corpus.with_clips([change(clip) for clip in corpus.clips])


def test_a_split_that_was_edited_after_training_is_named_first() -> None:
    record = recorded(made(), Protocol())
    turned = {"train": "test", "test": "train", "validation": "validation", None: None}
    edited = changed(made(), lambda clip: replace(clip, split=turned[clip.split]))
    report = scored(record, edited, Protocol())
    assert report.warnings[0].startswith("36 of 36 scored clips were fitted themselves")
    assert "48 moved to another split" in report.warnings[1]
    assert report.parts["source_disjoint"].clips == 0
    assert report.counts.fitted_clips == 36


def test_another_corpus_with_the_training_clips_is_named_first() -> None:
    record = recorded(made(), Protocol())
    elsewhere = changed(made(), lambda clip: replace(clip, split="test"))
    elsewhere = replace(
        elsewhere,
        clips=(*elsewhere.clips, Clip("x", split="train", targets=dict.fromkeys(TRAITS, 0.5))),
    )
    report = scored(record, elsewhere, Protocol(), address="table:elsewhere.csv")
    assert report.warnings[0].startswith("36 of 60 scored clips were fitted themselves")
    assert report.parts["source_disjoint"].clips == 24


def test_a_kfold_table_that_lost_a_source_is_refused() -> None:
    record = recorded(made(), KFOLD)
    fewer = made().with_clips([clip for clip in made().clips if clip.source != "s3"])
    with pytest.raises(DataError, match=r"fitted themselves.*2 gone \(c006, c007\)"):
        scored(record, fewer, KFOLD)
    accepted = KFOLD.model_copy(update={"leaks": "warn"})
    assert "were fitted themselves" in scored(record, fewer, accepted).warnings[0]


def test_what_changed_in_the_corpus_is_said_and_the_same_corpus_says_nothing() -> None:
    record = recorded(made(), Protocol())
    words = " ".join(scored(record, made(), Protocol()).warnings)
    assert "changed" not in words
    assert "fitted themselves" not in words
    labels = dict.fromkeys(TRAITS, 0.9)
    edited = changed(made(), lambda c: replace(c, targets=labels) if c.id == "c000" else c)
    new = Clip("new", split="test", targets=labels)
    edited = edited.with_clips([*edited.clips[:-1], new])
    report = scored(record, edited, Protocol())
    (said,) = [w for w in report.warnings if "changed since the run was trained" in w]
    assert "1 new (new); 1 gone (c059); 1 with other labels (c000)" in said


def test_selection_data_are_called_so() -> None:
    report = scored(recorded(made(), Protocol()), made(), Protocol(), part="validation")
    assert report.warnings[0].startswith("12 of 12 scored clips are selection data")


def test_a_run_that_records_nothing_says_so() -> None:
    table = pd.DataFrame(
        [{"clip": c.id, **{f"predicted_{t}": 0.5 for t in TRAITS}} for c in made().clips]
    )
    system = System("old", table, run={"seed": 0})
    assert any(
        "old does not say which clips it was fitted on" in w
        for w in assess(system, made(), scoring=FAST).warnings
    )


def test_the_first_run_of_two_counts_as_fitted() -> None:
    first = recorded(made(), Protocol())
    second = recorded(made(), Protocol(kind="kfold", folds=5, fold=1), start=first)
    learnt = {row.clip for row in second.used({"fitted", "start"})}
    assert {row.clip for row in first.used({"fitted"})} <= learnt
    assert "start" in {row.use for row in second.clips}


def test_a_fusion_learnt_what_its_members_learnt(tmp_path: Path) -> None:
    one = recorded(made(), KFOLD)
    two = recorded(made(), KFOLD.model_copy(update={"fold": 1}))
    (joined,) = join_records([[one], [two]])
    fitted = {row.clip for each in (one, two) for row in each.used({"fitted"})}
    assert {row.clip for row in joined.used({"fitted"})} == fitted
    save_records(tmp_path, [one, two])
    assert [len(each.used({"fitted"})) for each in read_records(tmp_path)] == [
        len(one.used({"fitted"})),
        len(two.used({"fitted"})),
    ]


def test_scorings_are_counted_by_split_and_corpus(tmp_path: Path) -> None:
    counts = [
        count_scoring(tmp_path, *where) for where in (("test", "a"), ("test", "a"), ("test", "b"))
    ]
    assert counts == [1, 2, 1]


def test_a_trained_run_keeps_its_record(tmp_path: Path) -> None:
    """The whole way: train, edit the split column, evaluate."""
    address = make_corpus(tmp_path)
    make_store(tmp_path / "store", address, streams=("mid_term",))
    run = tmp_path / "run"
    settings = [*data(tmp_path), "model.streams=[mid_term]", "model.columns={}"]
    assert type_in("train", "functionals", *settings, "--to", run).returncode == 0
    table = tmp_path / "clips.csv"
    rows = list(csv.DictReader(table.open(newline="")))
    turned = {"train": "test", "test": "train"}
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(r | {"split": turned.get(r["split"], r["split"])} for r in rows)
    done = type_in("evaluate", run)
    assert "24 of 24 scored clips were fitted themselves" in done.stderr
    page = tmp_path / "page.html"
    assert type_in("report", run, "--to", page).returncode == 0
    assert "24 of 24 scored clips were fitted themselves" in page.read_text(encoding="utf-8")
    again = type_in("evaluate", run)
    assert "scored 2 times" in again.stderr


def test_a_run_per_fold_is_scored_by_the_record_of_each(tmp_path: Path) -> None:
    address = make_corpus(tmp_path)
    make_store(tmp_path / "store", address, streams=("mid_term",))
    run, folds = tmp_path / "run", ["protocol.kind=kfold", "protocol.fold=all", "protocol.folds=3"]
    settings = [*data(tmp_path), "model.streams=[mid_term]", "model.columns={}", *folds]
    assert type_in("train", "functionals", *settings, "--to", run).returncode == 0
    done = type_in("evaluate", run)
    assert done.returncode == 0
    assert "fitted themselves" not in done.stderr
    assert len(read_records(run / "evaluation" / "test")) == 3
    table = tmp_path / "clips.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], *lines[3:]]) + "\n")  # a source less
    refused = type_in("evaluate", run)
    assert refused.returncode == 2
    assert "were fitted themselves" in refused.stderr
    assert "2 gone (c000, c001)" in refused.stderr


def test_what_the_run_before_has_learnt_is_no_new_clip() -> None:
    """A clip that this run held out and the run it began from had fitted is one of the corpus."""
    corpus = made()
    official = split(corpus, Protocol())
    before = record_run(corpus, HOME, official, targets=TRAITS, fitted=official.test, selected=())
    record = recorded(corpus, Protocol(), start=before)
    assert "start" in {row.use for row in record.clips}
    assert corpus_changes(record, corpus, official, HOME) == []
    fewer = corpus.with_clips(corpus.clips[1:])
    (change,) = corpus_changes(record, fewer, official, HOME)
    assert "1 gone" in change
    assert "new" not in change
