"""Reports: complete, honest beside baselines, and made from the table alone."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from traitscope.data.protocols import Protocol
from traitscope.errors import ConfigError, DataError
from traitscope.evaluation import baselines
from traitscope.evaluation.assessment import assess, evaluate_predictions
from traitscope.evaluation.comparison import compare_predictions
from traitscope.evaluation.folds import folds_of
from traitscope.evaluation.report import Failure, Report, ScoredRow, Scoring, from_json, to_json
from traitscope.evaluation.scoring import table_rows
from traitscope.evaluation.systems import System
from traitscope.types import TRAITS, Clip, Corpus, Target

FAST = Scoring(resamples=300, rank_resamples=50)
FI = tuple(Target(name, 0, 1, -1 if name == "neuroticism" else 1) for name in TRAITS)


KEYS = [
    *("schema", "name", "created", "corpus", "predicted", "protocol", "scoring", "split", "fit"),
    *("counts", "failures", "parts", "verdicts", "warnings", "ceiling", "halo", "points", "run"),
]
"""Of report.json, which others read too; `folds` and `members` only where there are some."""


def made(number: int = 600, sources: int = 150, *, seed: int = 0) -> Corpus:
    """Clips whose labels follow their source, official splits that share sources."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0.5, 0.11, (sources, len(TRAITS)))
    clips = []
    for i in range(number):
        split = ("train", "train", "train", "validation", "test")[i % 5]
        source = int(rng.integers(0, sources * 3 // 4 if split == "train" else sources))
        labels = np.clip(level[source] + rng.normal(0, 0.09, len(TRAITS)), 0, 1)
        targets = dict(zip(TRAITS, map(float, labels), strict=True))
        gender = {"gender": str(rng.choice(["f", "m"]))}
        clips.append(
            Clip(f"c{i:04}", source=f"s{source}", split=split, targets=targets, attributes=gender)
        )
    return Corpus("first_impressions:made", "apparent", FI, tuple(clips))


def part(corpus: Corpus, split: str) -> list[Clip]:
    return [clip for clip in corpus.clips if clip.split == split]


def frame(clips: Sequence[Clip], values: np.ndarray) -> pd.DataFrame:
    scores = {f"predicted_{name}": values[:, i] for i, name in enumerate(TRAITS)}
    return pd.DataFrame({"clip": [clip.id for clip in clips], **scores})


def seeing(clips: Sequence[Clip], noise: float, seed: int = 0) -> pd.DataFrame:
    """Predictions that know the label up to noise."""
    labels = np.array([[clip.targets[name] for name in TRAITS] for clip in clips])
    return frame(clips, labels + np.random.default_rng(seed).normal(0, noise, labels.shape))


def row(report: Report, role: str, part: str = "all") -> ScoredRow:
    return next(each for each in report.parts[part].rows if each.role == role)


def test_the_report_is_complete_and_plain_json() -> None:
    corpus = made()
    test = part(corpus, "test")
    report = evaluate_predictions(seeing(test, 0.05), corpus, name="m", scoring=FAST)
    tree = json.loads(json.dumps(to_json(report), allow_nan=False))
    assert from_json(tree, where="the report") == report
    assert list(tree) == KEYS
    assert list(tree["parts"]["all"]) == ["title", "clips", "sources", "rows"]
    assert list(tree["parts"]["all"]["rows"][0]) == ["name", "role", "metrics", "pooled"]
    assert tree["counts"] == {
        "clips": 120,
        "scored": 120,
        "failed": 0,
        "sources": len({clip.source for clip in test}),
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
    assert report.points.clip == tuple(clip.id for clip in test)
    assert report.fit == ("train",)


def test_the_constant_has_no_skill_and_undefined_relations() -> None:
    corpus = made()
    report = evaluate_predictions(seeing(part(corpus, "test"), 0.1), corpus, scoring=FAST)
    constant = row(report, "constant").metrics
    assert constant["skill"]["macro"].value == 0
    assert constant["ccc"]["macro"].value is None
    assert "do not vary" in constant["ccc"]["macro"].reason


def test_a_constant_prediction_is_not_celebrated() -> None:
    corpus = made()
    test = part(corpus, "test")
    report = evaluate_predictions(frame(test, np.full((120, 5), 0.5)), corpus, scoring=FAST)
    assert row(report, "model").metrics["pearson"]["macro"].value is None
    assert any("undefined, because the predictions do not vary" in w for w in report.warnings)


def test_labels_without_variance_are_undefined_and_said() -> None:
    corpus = made()
    flat = [
        Clip(c.id, source=c.source, split=c.split, targets={**c.targets, "openness": 0.5})
        for c in corpus.clips
    ]
    report = evaluate_predictions(
        seeing(part(corpus, "test"), 0.05), corpus.with_clips(flat), scoring=FAST
    )
    cells = row(report, "model").metrics
    for metric in ("r2", "pearson", "ccc", "spearman", "skill"):
        assert cells[metric]["openness"].value is None
        assert cells[metric]["macro"].value is None
        assert cells[metric]["macro"].reason.startswith("openness: ")
    assert any(
        w.endswith("of openness undefined, because the labels do not vary.")
        for w in report.warnings
    )


def test_what_was_fitted_decides_the_unseen_part() -> None:
    corpus = made()
    table = seeing(part(corpus, "test"), 0.05)
    one = evaluate_predictions(table, corpus, scoring=FAST)
    two = evaluate_predictions(table, corpus, fit_on="train+validation", scoring=FAST)
    assert two.counts.fitted_clips == 480
    assert two.parts["source_disjoint"].clips < one.parts["source_disjoint"].clips
    assert "train+validation" in row(two, "constant").name


def test_no_unseen_source_is_said_and_no_shared_source_leaves_one_part() -> None:
    corpus = made()
    test = part(corpus, "test")
    same = [Clip(c.id, source="s", split=c.split, targets=c.targets) for c in corpus.clips]
    report = evaluate_predictions(seeing(test, 0.1), corpus.with_clips(same), scoring=FAST)
    assert report.parts["source_disjoint"].clips == 0
    assert "every scored clip was fitted" in report.parts["source_disjoint"].reason
    assert report.verdicts[0].kind == "nothing_unseen"
    own = [Clip(c.id, split=c.split, targets=c.targets) for c in corpus.clips]
    report = evaluate_predictions(seeing(test, 0.1), corpus.with_clips(own), scoring=FAST)
    assert list(report.parts) == ["all"]


def test_failed_clips_are_counted_and_named_with_the_callers_reason() -> None:
    corpus = made()
    test = part(corpus, "test")
    gone = Failure(clip=test[3].id, status="no_face", reason="no face in 75 frames")
    table = seeing(test, 0.1).drop(index=[3, 5])
    report = assess(System("m", table, failures=(gone,)), corpus, scoring=FAST)
    assert (report.counts.scored, report.counts.failed) == (118, 2)
    assert report.failures[0] == gone
    assert any(f"{test[3].id} (no_face), {test[5].id} (missing)" in w for w in report.warnings)


def test_several_seeds_are_averaged_and_kept_apart() -> None:
    corpus = made()
    test = part(corpus, "test")
    runs = [seeing(test, 0.1, seed).assign(seed=seed) for seed in range(3)]
    report = evaluate_predictions(pd.concat(runs), corpus, name="m", scoring=FAST)
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


def test_without_a_source_people_are_the_clusters() -> None:
    corpus = made()
    people = [Clip(c.id, subject=c.source, split=c.split, targets=c.targets) for c in corpus.clips]
    test = part(corpus, "test")
    table = frame(test, baselines.lookup_shrunk(part(corpus, "train"), test, TRAITS))
    by_source = evaluate_predictions(table, corpus, scoring=FAST)
    by_person = evaluate_predictions(table, corpus.with_clips(people), scoring=FAST)
    for name in ("all", "source_disjoint"):
        one, two = by_source.parts[name], by_person.parts[name]
        assert two.clips == one.clips
        assert two.clusters == one.sources
        assert two.model.metrics == one.model.metrics
    shrunk = row(by_person, "lookup_shrunk")
    assert shrunk.metrics == row(by_source, "lookup_shrunk").metrics
    assert shrunk.name.startswith("look-up by source and person, shrunk")
    assert not any("Neither source nor subject" in w for w in by_person.warnings)


def test_clips_tied_by_source_and_by_person_are_one_cluster() -> None:
    corpus = made()
    # two sources of one person: seen with either
    tied = [
        Clip(
            c.id,
            source=c.source,
            subject=f"p{int(c.source[1:]) // 2}",
            split=c.split,
            targets=c.targets,
        )
        for c in corpus.clips
    ]
    table = seeing(part(corpus, "test"), 0.1)
    report = evaluate_predictions(table, corpus.with_clips(tied), scoring=FAST)
    everyone = {clip.subject for clip in part(corpus.with_clips(tied), "test")}
    fitted = {clip.subject for clip in part(corpus.with_clips(tied), "train")}
    assert report.everything.clusters == len(everyone)
    assert report.parts["source_disjoint"].clusters == len(everyone - fitted)


def test_clips_of_unknown_people_are_said_first() -> None:
    corpus = made()
    own = [Clip(c.id, split=c.split, targets=c.targets) for c in corpus.clips]
    table = seeing(part(corpus, "test"), 0.1)
    report = evaluate_predictions(table, corpus.with_clips(own), scoring=FAST)
    assert report.warnings[0].startswith("Neither source nor subject of the clips is known")


def test_a_constant_has_no_skill_under_any_protocol() -> None:
    corpus = made()
    for protocol in (
        Protocol(),
        Protocol(fit="train+validation"),
        Protocol(kind="random"),
        Protocol(kind="kfold"),
        Protocol(kind="kfold", fold="all"),
        Protocol(kind="kfold", fold="all", fit="train+validation"),
    ):
        table = seeing(corpus.clips, 0.1)
        report = evaluate_predictions(table, corpus, protocol=protocol, scoring=FAST)
        skill = row(report, "constant").macro("skill")
        assert (skill.value, skill.low, skill.high) == (0, 0, 0)
        assert row(report, "constant").macro("pearson").value is None
    fold = row(report, "constant").name
    assert fold == "constant (mean of train+validation)"
    # the constant of each fold as a system of its own is the constant
    held = baselines.fold_constants(
        folds_of(corpus, protocol, "test", media_hash=False), corpus.clips, TRAITS
    )[0]
    table = frame(corpus.clips, held)
    report = evaluate_predictions(table, corpus, protocol=protocol, scoring=FAST)
    assert row(report, "model").macro("skill").value == 0
    assert row(report, "model").macro("ccc").value is None


def test_seeds_are_replicates_and_an_ensemble_is_not_one_of_them() -> None:
    corpus = made()
    test = part(corpus, "test")
    runs = [seeing(test, 0.1, seed).assign(seed=seed) for seed in range(3)]
    scores = [f"predicted_{name}" for name in TRAITS]
    mean = runs[0].assign(**{name: sum(run[name] for run in runs) / 3 for name in scores})
    systems = [
        System("seeds", pd.concat(runs)),
        System("one", runs[1]),
        System("ensemble", mean),
    ]
    found = compare_predictions(systems, corpus, scoring=FAST)
    assert found.seeds == {"seeds": 3, "one": 1, "ensemble": 1}
    one = evaluate_predictions(runs[1], corpus, scoring=FAST)
    assert found.scores["one"]["skill"]["macro"] == row(one, "model").macro("skill").value
    notes = " ".join(found.notes)
    assert "one is seed 1 of seeds" in notes
    assert "ensemble is the ensemble of the seeds of seeds" in notes
    assert "one, ensemble: trained once" in notes
    assert "the 15 tests of 3 pairs and 5 targets" in found.families
    with pytest.raises(ConfigError, match="margin 0 must be a positive number"):
        compare_predictions(systems, corpus, scoring=FAST, margin=0)


def test_a_split_of_our_own_that_leaks_is_refused() -> None:
    corpus = made()
    table = seeing(corpus.clips, 0.1)
    protocol = Protocol(kind="random", group="none")
    with pytest.raises(DataError, match=r"leaks: .* sources occur on both sides"):
        evaluate_predictions(table, corpus, protocol=protocol, scoring=FAST)
    report = evaluate_predictions(table, corpus, protocol=Protocol(kind="kfold"), scoring=FAST)
    assert list(report.parts) == ["all"]
    lookup, constant = (row(report, role).metrics["mae"] for role in ("lookup", "constant"))
    assert lookup["macro"].value == constant["macro"].value


def test_scoring_what_was_fitted_is_allowed_and_said() -> None:
    corpus = made()
    table = seeing(corpus.clips, 0.1)
    protocol = Protocol(kind="random", fit="train+validation")
    report = evaluate_predictions(
        table, corpus, split="validation", protocol=protocol, scoring=FAST
    )
    assert "The split 'validation' was itself fitted: this is no test." in report.warnings


def udiva(people: int = 40, tasks: int = 4) -> Corpus:
    """Z-scores, several clips per person, no person in two splits."""
    rng = np.random.default_rng(1)
    clips = []
    for person in range(people):
        labels = dict(zip(TRAITS, map(float, rng.normal(0, 1, 5)), strict=True))
        split = "test" if person % 2 else "train"
        for task in range(tasks):
            name = f"p{person}"
            extra: dict[str, Any] = {"source": f"{name}-{task}", "subject": name}
            clips.append(Clip(f"{name}-{task}", split=split, targets=labels, **extra))
    targets = tuple(Target(name, direction=1) for name in TRAITS)
    return Corpus("udiva:made", "self_reported", targets, tuple(clips))


def test_participants_are_averaged_before_any_metric() -> None:
    corpus = udiva()
    test = part(corpus, "test")
    scoring = FAST.model_copy(update={"aggregate": "subject"})
    table = seeing(test, 1.0)
    by_person = evaluate_predictions(table, corpus, scoring=scoring)
    by_clip = evaluate_predictions(table, corpus, scoring=FAST)
    assert by_person.everything.clips == 20
    assert by_person.everything.title == "test, all subjects"
    averaged = table.groupby(table["clip"].str.split("-").str[0])["predicted_openness"].mean()
    truth = {clip.subject: clip.targets["openness"] for clip in test}
    error = np.mean([abs(averaged[name] - value) for name, value in truth.items()])
    cells = row(by_person, "model").metrics["mae"]
    assert cells["openness"].value == pytest.approx(error)
    assert cells["macro"].value < row(by_clip, "model").metrics["mae"]["macro"].value
    assert row(by_clip, "model").metrics["accuracy"]["macro"].value is None


def test_aggregation_needs_subjects() -> None:
    corpus = made()
    scoring = FAST.model_copy(update={"aggregate": "subject"})
    with pytest.raises(DataError, match="120 clips have no subject to aggregate by"):
        evaluate_predictions(seeing(part(corpus, "test"), 0.1), corpus, scoring=scoring)


def test_predictions_of_another_corpus_are_flipped_and_said() -> None:
    corpus = udiva()
    test = part(corpus, "test")
    table = seeing(test, 0.0)
    stable = table.assign(predicted_neuroticism=1 - table["predicted_neuroticism"])
    report = assess(System("m", stable, targets=FI), corpus, scoring=FAST)
    cells = row(report, "model").metrics
    assert cells["pearson"]["neuroticism"].value == pytest.approx(1)
    assert cells["mae"]["macro"].value is None
    assert "different kinds of range" in cells["mae"]["openness"].reason
    assert any("neuroticism (high = stable) were flipped" in w for w in report.warnings)


def test_a_missing_label_is_left_out_and_an_unlabelled_clip_named() -> None:
    corpus = made()
    test = part(corpus, "test")
    partial = {test[0].id: {"openness": 0.4}, test[1].id: {}}
    clips = [
        Clip(c.id, source=c.source, split=c.split, targets=partial.get(c.id, c.targets))
        for c in corpus.clips
    ]
    report = evaluate_predictions(seeing(test, 0.1), corpus.with_clips(clips), scoring=FAST)
    unlabelled = Failure(clip=test[1].id, status="no_label", reason="it has no label")
    assert report.failures == (unlabelled,)
    assert report.points.true["neuroticism"][0] is None
    assert row(report, "model").metrics["mae"]["macro"].low is not None


def test_the_table_reads_like_a_paper() -> None:
    corpus = made()
    report = evaluate_predictions(seeing(part(corpus, "test"), 0.1), corpus, name="m", scoring=FAST)
    name, cells = table_rows(report, "all")[0]
    assert name == "m"
    value, rest = cells[0].split(" ", 1)
    assert value.startswith(".")
    assert rest[0] == "["
    assert table_rows(report, "all")[1][1][1] == ".000 [.000, .000]"
    assert table_rows(report, "all", target="openness")[1][1][5] == "undefined"


def test_an_empty_split_is_an_error() -> None:
    corpus = made()
    kept = [clip for clip in corpus.clips if clip.split != "test"]
    with pytest.raises(DataError, match="has no clips in 'test'"):
        evaluate_predictions(seeing(kept, 0.1), corpus.with_clips(kept), scoring=FAST)


def test_systems_are_compared_on_the_clips_they_share() -> None:
    corpus = made()
    test = part(corpus, "test")
    systems = [
        System("good", seeing(test, 0.03)),
        System("poor", seeing(test, 0.12, 1).iloc[10:]),
        System("same", seeing(test, 0.12, 1)),
    ]
    report = compare_predictions(systems, corpus, scoring=FAST)
    assert report.clips == 110
    assert report.notes == ("poor: 10 of 120 clips have no usable prediction.",)
    found = {(d.first, d.second, d.target): d for d in report.differences if d.metric == "skill"}
    assert len(found) == 18
    assert found["good", "poor", "macro"].low > 0
    assert found["good", "poor", "openness"].p_holm < 0.1
    assert found["good", "poor", "openness"].p_holm > found["good", "poor", "openness"].p
    assert found["poor", "same", "macro"].value == 0
    json.dumps(report.model_dump(mode="json"), allow_nan=False)


def test_systems_that_differ_by_rounding_do_not_differ() -> None:
    corpus = made()
    one = seeing(part(corpus, "test"), 0.1)
    two = one.copy()
    scores = [name for name in two.columns if name.startswith("predicted_")]
    two[scores] += 2.3e-16
    assert not one.equals(two)
    found = compare_predictions([System("one", one), System("two", two)], corpus, scoring=FAST)
    assert {row.p for row in found.differences} == {1.0}
    assert {row.value for row in found.differences} == {0.0}


def test_one_system_cannot_be_compared() -> None:
    corpus = made()
    test = part(corpus, "test")
    with pytest.raises(DataError, match="a comparison takes two or more"):
        compare_predictions([System("a", seeing(test, 0.1))], corpus)
    halves = [System("a", seeing(test[:60], 0.1)), System("b", seeing(test[60:], 0.1))]
    with pytest.raises(DataError, match="no clips or no targets in common"):
        compare_predictions(halves, corpus)
