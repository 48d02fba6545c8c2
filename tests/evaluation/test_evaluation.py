"""Reports: complete, honest beside baselines, and made from the table alone."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.support.made_systems import (
    FAST,
    knowing,
    made_corpus,
    made_people,
    part_of,
    row,
    table_of,
)
from traitscope.data.protocols import Protocol
from traitscope.errors import DataError
from traitscope.evaluation import baselines
from traitscope.evaluation.assessment import assess, evaluate_predictions
from traitscope.evaluation.folds import folds_of
from traitscope.evaluation.report import Failure, from_json, to_json
from traitscope.evaluation.scoring import table_rows
from traitscope.evaluation.systems import System
from traitscope.types import TRAITS, Clip

CORPUS = made_corpus(600, 150)
TEST = part_of(CORPUS)
KEYS = [
    *("schema", "name", "created", "corpus", "predicted", "protocol", "scoring", "split", "fit"),
    *("counts", "failures", "parts", "verdicts", "warnings", "ceiling", "halo", "points", "run"),
]
"""Of report.json, which others read too; `folds` and `members` only where there are some."""


def test_the_report_is_complete_and_plain_json() -> None:
    known = [replace(c, attributes={"gender": "fm"[n % 2]}) for n, c in enumerate(CORPUS.clips)]
    corpus = CORPUS.with_clips(known)
    report = evaluate_predictions(knowing(TEST, 0.05), corpus, name="m", scoring=FAST)
    tree = json.loads(json.dumps(to_json(report), allow_nan=False))
    assert from_json(tree, where="the report") == report
    assert list(tree) == KEYS
    assert list(tree["parts"]["all"]) == ["title", "clips", "sources", "rows"]
    assert list(tree["parts"]["all"]["rows"][0]) == ["name", "role", "metrics", "pooled"]
    assert tree["counts"] == {
        "clips": 120,
        "scored": 120,
        "failed": 0,
        "sources": len({clip.source for clip in TEST}),
        "subjects": None,
        "fitted_clips": 360,
    }
    roles = [each.role for each in report.everything.rows]
    blind = ["constant", "median", "lookup", "lookup_shrunk", "metadata", "permuted"]
    assert roles == ["model", *blind]
    for cells in row(report, "model").metrics.values():
        assert list(cells) == ["macro", *TRAITS]
        for cell in cells.values():
            assert cell.low <= cell.value <= cell.high
    assert report.corpus.targets[4].label == "neuroticism (high = stable)"
    assert report.points.clip == tuple(clip.id for clip in TEST)
    assert report.fit == ("train",)


def test_the_constant_has_no_skill_and_undefined_relations() -> None:
    report = evaluate_predictions(knowing(TEST, 0.1), CORPUS, scoring=FAST)
    constant = row(report, "constant").metrics
    assert constant["skill"]["macro"].value == 0
    assert constant["ccc"]["macro"].value is None
    assert "do not vary" in constant["ccc"]["macro"].reason


def test_a_constant_prediction_is_not_celebrated() -> None:
    report = evaluate_predictions(table_of(TEST, np.full((120, 5), 0.5)), CORPUS, scoring=FAST)
    assert row(report, "model").metrics["pearson"]["macro"].value is None
    assert any("undefined, because the predictions do not vary" in w for w in report.warnings)


def test_labels_without_variance_are_undefined_and_said() -> None:
    flat = [
        Clip(c.id, source=c.source, split=c.split, targets={**c.targets, "openness": 0.5})
        for c in CORPUS.clips
    ]
    report = evaluate_predictions(knowing(TEST, 0.05), CORPUS.with_clips(flat), scoring=FAST)
    cells = row(report, "model").metrics
    for metric in ("r2", "pearson", "ccc", "spearman", "skill"):
        assert cells[metric]["openness"].value is None
        assert cells[metric]["macro"].value is None
        assert cells[metric]["macro"].reason.startswith("openness: ")
    assert any(
        w.endswith("of openness undefined, because the labels do not vary.")
        for w in report.warnings
    )


def test_failed_clips_are_counted_and_named_with_the_callers_reason() -> None:
    gone = Failure(clip=TEST[3].id, status="no_face", reason="no face in 75 frames")
    table = knowing(TEST, 0.1).drop(index=[3, 5])
    report = assess(System("m", table, failures=(gone,)), CORPUS, scoring=FAST)
    assert (report.counts.scored, report.counts.failed) == (118, 2)
    assert report.failures[0] == gone
    assert any(f"{TEST[3].id} (no_face), {TEST[5].id} (missing)" in w for w in report.warnings)


def test_several_seeds_are_averaged_and_kept_apart() -> None:
    runs = [knowing(TEST, 0.1, seed).assign(seed=seed) for seed in range(3)]
    report = evaluate_predictions(pd.concat(runs), CORPUS, name="m", scoring=FAST)
    model = row(report, "model")
    assert model.name == "m (mean of 3 seeds)"
    assert model.seeds.seeds == (0, 1, 2)
    mae = model.seeds.metrics["mae"]
    assert mae.mean == pytest.approx(np.mean(mae.values))
    assert mae.sd == pytest.approx(np.std(mae.values, ddof=1))
    assert model.macro("mae").value == pytest.approx(mae.mean)
    assert model.macro("mae").sd == pytest.approx(mae.sd)
    apart = [each for each in report.everything.rows if each.role == "seed"]
    assert [each.name for each in apart] == ["m (seed 0)", "m (seed 1)", "m (seed 2)"]
    assert [each.macro("mae").value for each in apart] == pytest.approx(mae.values)
    ensemble = row(report, "ensemble")
    assert ensemble.name == "m (ensemble of 3 seeds)"
    assert ensemble.macro("mae").value < min(mae.values)


def test_a_constant_has_no_skill_under_any_protocol() -> None:
    for protocol in (
        Protocol(),
        Protocol(fit="train+validation"),
        Protocol(kind="random"),
        Protocol(kind="kfold"),
        Protocol(kind="kfold", fold="all"),
        Protocol(kind="kfold", fold="all", fit="train+validation"),
    ):
        table = knowing(CORPUS.clips, 0.1)
        report = evaluate_predictions(table, CORPUS, protocol=protocol, scoring=FAST)
        skill = row(report, "constant").macro("skill")
        assert (skill.value, skill.low, skill.high) == (0, 0, 0)
        assert row(report, "constant").macro("pearson").value is None
    fold = row(report, "constant").name
    assert fold == "constant (mean of train+validation)"
    # the constant of each fold as a system of its own is the constant
    held = baselines.fold_constants(
        folds_of(CORPUS, protocol, "test", media_hash=False), CORPUS.clips, TRAITS
    )[0]
    table = table_of(CORPUS.clips, held)
    report = evaluate_predictions(table, CORPUS, protocol=protocol, scoring=FAST)
    assert row(report, "model").macro("skill").value == 0
    assert row(report, "model").macro("ccc").value is None


def test_scoring_what_was_fitted_is_allowed_and_said() -> None:
    table = knowing(CORPUS.clips, 0.1)
    protocol = Protocol(kind="random", fit="train+validation")
    report = evaluate_predictions(
        table, CORPUS, split="validation", protocol=protocol, scoring=FAST
    )
    assert "The split 'validation' was itself fitted: this is no test." in report.warnings


def test_predictions_of_another_corpus_are_flipped_and_said() -> None:
    corpus = made_people()
    test = part_of(corpus)
    table = knowing(test, 0.0)
    stable = table.assign(predicted_neuroticism=1 - table["predicted_neuroticism"])
    report = assess(System("m", stable, targets=CORPUS.targets), corpus, scoring=FAST)
    cells = row(report, "model").metrics
    assert cells["pearson"]["neuroticism"].value == pytest.approx(1)
    assert cells["mae"]["macro"].value is None
    assert "different kinds of range" in cells["mae"]["openness"].reason
    assert any("neuroticism (high = stable) were flipped" in w for w in report.warnings)


def test_a_missing_label_is_left_out_and_an_unlabelled_clip_named() -> None:
    partial = {TEST[0].id: {"openness": 0.4}, TEST[1].id: {}}
    clips = [
        Clip(c.id, source=c.source, split=c.split, targets=partial.get(c.id, c.targets))
        for c in CORPUS.clips
    ]
    report = evaluate_predictions(knowing(TEST, 0.1), CORPUS.with_clips(clips), scoring=FAST)
    unlabelled = Failure(clip=TEST[1].id, status="no_label", reason="it has no label")
    assert report.failures == (unlabelled,)
    assert report.points.true["neuroticism"][0] is None
    assert row(report, "model").metrics["mae"]["macro"].low is not None


def test_the_table_reads_like_a_paper() -> None:
    report = evaluate_predictions(knowing(TEST, 0.1), CORPUS, name="m", scoring=FAST)
    name, cells = table_rows(report, "all")[0]
    assert name == "m"
    value, rest = cells[0].split(" ", 1)
    assert value.startswith(".")
    assert rest[0] == "["
    assert table_rows(report, "all")[1][1][1] == ".000 [.000, .000]"
    assert table_rows(report, "all", target="openness")[1][1][5] == "undefined"


def test_an_empty_split_is_an_error() -> None:
    kept = [clip for clip in CORPUS.clips if clip.split != "test"]
    with pytest.raises(DataError, match="has no clips in 'test'"):
        evaluate_predictions(knowing(kept, 0.1), CORPUS.with_clips(kept), scoring=FAST)
