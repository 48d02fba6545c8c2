"""Other people's folds, labels that are all a test, and folders that every verb takes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.report.test_page import Page
from tests.support.command_line import type_in
from tests.support.evaluated_systems import FAST, frame
from tests.support.prepared import data, make_corpus, make_store
from traitscope import load_corpus
from traitscope.data.manifests import read_manifest
from traitscope.data.protocols import Protocol, split
from traitscope.data.record import record_run
from traitscope.errors import DataError
from traitscope.evaluation.assessment import assess, evaluate_predictions
from traitscope.evaluation.recorded import foreign_protocol
from traitscope.evaluation.report import read_report
from traitscope.evaluation.systems import System
from traitscope.report import write_report
from traitscope.types import TRAITS, Corpus


def unsplit(corpus: Corpus) -> Corpus:
    return corpus.with_clips([replace(clip, split=None) for clip in corpus.clips])


def constants_of_folds(corpus: Corpus, path: Path, column: str, *, folds: int = 4) -> Path:
    """Folds, from 1, by source; each predicted by the mean of the others."""
    fold = [1 + (n // 2) % folds for n in range(len(corpus.clips))]
    rows = []
    for clip, number in zip(corpus.clips, fold, strict=True):
        others = [c for c, f in zip(corpus.clips, fold, strict=True) if f != number]
        means = corpus.with_clips(others).labels(TRAITS).mean(axis=0)
        columns = {f"predicted_{t}": m for t, m in zip(TRAITS, means, strict=True)}
        rows.append({"clip": clip.id, column: number, **columns})
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("folds", [2, 4])
def test_the_folds_of_others_are_held_against_the_constant_of_each(
    tmp_path: Path, folds: int
) -> None:
    corpus = unsplit(load_corpus(make_corpus(tmp_path)))
    table = constants_of_folds(corpus, tmp_path / "p.csv", "fold", folds=folds)
    report = evaluate_predictions(table, corpus, scoring=FAST)
    by_role = {row.role: row for row in report.everything.rows}
    mae = {role: row.macro("mae").value for role, row in by_role.items()}
    assert mae["model"] == pytest.approx(mae["constant"])
    assert report.counts.scored == 40
    assert report.protocol.folds == folds
    assert report.manifest == f"{table} ({read_manifest(table, folds=True).mark})"
    assert read_manifest(table, folds=True).mark in Page(write_report([report], table)).text
    assert "source_disjoint" not in report.parts


def test_two_folds_of_our_own_are_refused() -> None:
    with pytest.raises(ValueError, match="folds=2 leaves no fold to train on"):
        Protocol(kind="kfold", folds=2)


def test_a_report_says_that_its_split_was_scored_before(tmp_path: Path) -> None:
    address = make_corpus(tmp_path)
    table = frame(address, "test")
    for times, expected in ((1, 0), (3, 1)):
        system = System("run", table, address=address, run={"scored": times})
        report = assess(system, load_corpus(address), scoring=FAST)
        assert sum("test was scored 3 times with run" in w for w in report.warnings) == expected


def test_a_seed_that_is_a_fold_is_called_so(tmp_path: Path) -> None:
    corpus = load_corpus(make_corpus(tmp_path))
    corpus = corpus.with_clips(
        [
            replace(corpus.clips[0], id="fit", split="train"),
            *(replace(clip, split="test") for clip in corpus.clips),
        ]
    )
    table = constants_of_folds(corpus, tmp_path / "p.csv", "seed")
    with pytest.raises(DataError, match="The column seed holds folds"):
        evaluate_predictions(table, corpus, scoring=FAST)


def test_labels_that_are_all_a_test_are_held_against_the_constant_of_the_run(
    tmp_path: Path,
) -> None:
    address = make_corpus(tmp_path)
    home = load_corpus(address)
    splits = split(home, Protocol())
    record = record_run(home, address, splits, targets=TRAITS, fitted=splits.fitted, selected=())
    # the same traits from 0 to 10, with neuroticism the other way round
    targets = tuple(replace(t, low=0, high=10, direction=1) for t in home.targets)
    strange = [
        replace(c, id=f"x{c.id}", source=f"x{c.source}", targets=dict.fromkeys(c.targets, 4.0))
        for c in unsplit(home).clips
    ]
    away = replace(home, targets=targets, clips=tuple(strange))
    table = pd.DataFrame(
        [{"clip": c.id, **{f"predicted_{t}": 0.5 for t in TRAITS}} for c in strange]
    )
    protocol = foreign_protocol(away)
    how = {"address": "table:away.csv", "targets": home.targets, "records": (record,)}
    system = System("run", table, "test", protocol, run={"seed": 0}, **how)  # type: ignore[arg-type]
    report = assess(system, away, scoring=FAST)
    assert report.counts.scored == 40
    means = home.with_clips(splits.fitted).labels(TRAITS).mean(axis=0)
    expected = [
        10 * (1 - m if t == "neuroticism" else m) for t, m in zip(TRAITS, means, strict=True)
    ]
    shown = [report.points.baselines["constant"][t][0] for t in TRAITS]
    assert np.allclose(np.array(shown, dtype=float), expected, atol=1e-4)


def test_report_takes_the_folder_that_evaluate_wrote(tmp_path: Path) -> None:
    address = make_corpus(tmp_path)
    test = [clip for clip in load_corpus(address).clips if clip.split == "test"]
    rows = [{"clip": c.id, **{f"predicted_{t}": 0.5 for t in TRAITS}} for c in test]
    pd.DataFrame(rows).to_csv(tmp_path / "p.csv", index=False)
    evaluated = ["--predictions", tmp_path / "p.csv", "--labels", address, "--to", tmp_path / "e"]
    assert type_in("evaluate", *evaluated).returncode == 0
    page = tmp_path / "page.html"
    assert type_in("report", tmp_path / "e", "--to", page).returncode == 0
    assert page.is_file()


def test_a_run_names_its_manifest_and_is_scored_on_labels_without_a_split(tmp_path: Path) -> None:
    address = make_corpus(tmp_path)
    make_store(tmp_path / "store", address, streams=("mid_term",))
    manifest, run = tmp_path / "m.csv", tmp_path / "run"
    assert type_in("corpus", "manifest", address, "kind=random", "--to", manifest).returncode == 0
    settings = [*data(tmp_path), "model.streams=[mid_term]", "model.columns={}"]
    given = f"protocol.manifest={manifest}"
    assert type_in("train", "functionals", *settings, given, "--to", run).returncode == 0
    mark = read_manifest(manifest).mark
    assert mark in (run / "card.md").read_text(encoding="utf-8")
    assert type_in("evaluate", run).returncode == 0
    assert mark in read_report(run).run["manifest"]
    away = make_corpus(tmp_path / "away")
    table = pd.read_csv(tmp_path / "away" / "clips.csv").drop(columns="split")
    table.to_csv(tmp_path / "away" / "clips.csv", index=False)
    done = type_in("evaluate", run, "--corpus", away)
    assert done.returncode == 0
    assert "24 of 40 scored clips were fitted themselves" in done.stderr
    second = [*settings, "protocol.kind=kfold", "--to", tmp_path / "next", "--from", run]
    model = "model.learner=ridge"
    refused = type_in("train", "functionals", *second, model)
    assert refused.returncode == 2
    assert "learnt clips that are left out here" in refused.stderr


def test_what_was_noticed_of_a_table_is_in_every_output_of_its_evaluation(tmp_path: Path) -> None:
    address = make_corpus(tmp_path)
    corpus = load_corpus(address)
    means = {f"predicted_{name}": 0.5 for name in TRAITS}
    rows = [{"clip": clip.id, "model": "m\u00fcller", **means} for clip in corpus.clips]
    pd.DataFrame(rows).to_csv(tmp_path / "p.csv", encoding="cp1252")  # with an index without name
    typed = type_in(
        *("evaluate", "--predictions", tmp_path / "p.csv", "--labels", address),
        *("--to", tmp_path / "out", "--split", "test"),
    )
    assert typed.returncode == 0, typed.stderr
    made = type_in("report", tmp_path / "out", "--to", tmp_path / "page.html")
    assert made.returncode == 0, made.stderr
    summary = " ".join((typed.stdout + typed.stderr).split())
    saved = " ".join(read_report(tmp_path / "out" / "report.json").warnings)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for note in ("p.csv is not UTF-8", "Without a name, so left out: column 1"):
        assert note in summary
        assert note in saved
        assert note in page


def test_columns_that_speak_of_another_evaluation_are_named(tmp_path: Path) -> None:
    corpus = load_corpus(address := make_corpus(tmp_path))
    table = frame(address, "test")
    folds = table.assign(fold=[n % 3 for n in range(len(table))], split="validation")
    warnings = " ".join(evaluate_predictions(folds, corpus, scoring=FAST).warnings)
    assert "have a column fold, which is not used" in warnings
    assert "says validation, and they are scored as test" in warnings
    copies = pd.concat([table.assign(seed=0), table.assign(seed=1)])
    warnings = " ".join(evaluate_predictions(copies, corpus, scoring=FAST).warnings)
    assert "Seeds 0 and 1 have equal predictions: they are copies" in warnings


@pytest.mark.parametrize("verb", ["report", "fuse"])
def test_a_mere_table_is_told_how_it_becomes_a_report(tmp_path: Path, verb: str) -> None:
    tables = [tmp_path / name for name in ("a.csv", "b.csv")]
    for table in tables:
        table.write_text("clip,predicted_openness\nx,0.5\n")
    refused = type_in(verb, *tables, "--to", tmp_path / "new")
    assert refused.returncode == 2
    assert f"evaluate --predictions {tables[0]}" in " ".join(refused.stderr.split())
