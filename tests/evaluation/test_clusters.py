"""Clips that belong together: what is unseen, what is resampled as one, what is averaged."""

import numpy as np
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
from traitscope.evaluation.assessment import evaluate_predictions
from traitscope.types import TRAITS, Clip

CORPUS = made_corpus(600, 150)
TEST = part_of(CORPUS)


def test_what_was_fitted_decides_the_unseen_part() -> None:
    table = knowing(TEST, 0.05)
    one = evaluate_predictions(table, CORPUS, scoring=FAST)
    two = evaluate_predictions(table, CORPUS, fit_on="train+validation", scoring=FAST)
    assert two.counts.fitted_clips == 480
    assert two.parts["source_disjoint"].clips < one.parts["source_disjoint"].clips
    assert "train+validation" in row(two, "constant").name


def test_no_unseen_source_is_said_and_no_shared_source_leaves_one_part() -> None:
    same = [Clip(c.id, source="s", split=c.split, targets=c.targets) for c in CORPUS.clips]
    report = evaluate_predictions(knowing(TEST, 0.1), CORPUS.with_clips(same), scoring=FAST)
    assert report.parts["source_disjoint"].clips == 0
    assert "every scored clip was fitted" in report.parts["source_disjoint"].reason
    assert report.verdicts[0].kind == "nothing_unseen"
    own = [Clip(c.id, split=c.split, targets=c.targets) for c in CORPUS.clips]
    report = evaluate_predictions(knowing(TEST, 0.1), CORPUS.with_clips(own), scoring=FAST)
    assert list(report.parts) == ["all"]


def test_without_a_source_people_are_the_clusters() -> None:
    people = [Clip(c.id, subject=c.source, split=c.split, targets=c.targets) for c in CORPUS.clips]
    table = table_of(TEST, baselines.lookup_shrunk(part_of(CORPUS, "train"), TEST, TRAITS))
    by_source = evaluate_predictions(table, CORPUS, scoring=FAST)
    by_person = evaluate_predictions(table, CORPUS.with_clips(people), scoring=FAST)
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
    # two sources of one person: seen with either
    tied = [
        Clip(
            c.id,
            source=c.source,
            subject=f"p{int(c.source[1:]) // 2}",
            split=c.split,
            targets=c.targets,
        )
        for c in CORPUS.clips
    ]
    table = knowing(TEST, 0.1)
    report = evaluate_predictions(table, CORPUS.with_clips(tied), scoring=FAST)
    everyone = {clip.subject for clip in part_of(CORPUS.with_clips(tied), "test")}
    fitted = {clip.subject for clip in part_of(CORPUS.with_clips(tied), "train")}
    assert report.everything.clusters == len(everyone)
    assert report.parts["source_disjoint"].clusters == len(everyone - fitted)


def test_clips_of_unknown_people_are_said_first() -> None:
    own = [Clip(c.id, split=c.split, targets=c.targets) for c in CORPUS.clips]
    table = knowing(TEST, 0.1)
    report = evaluate_predictions(table, CORPUS.with_clips(own), scoring=FAST)
    assert report.warnings[0].startswith("Neither source nor subject of the clips is known")


def test_a_split_of_our_own_that_leaks_is_refused() -> None:
    table = knowing(CORPUS.clips, 0.1)
    protocol = Protocol(kind="random", group="none")
    with pytest.raises(DataError, match=r"leaks: .* sources occur on both sides"):
        evaluate_predictions(table, CORPUS, protocol=protocol, scoring=FAST)
    report = evaluate_predictions(table, CORPUS, protocol=Protocol(kind="kfold"), scoring=FAST)
    assert list(report.parts) == ["all"]
    lookup, constant = (row(report, role).metrics["mae"] for role in ("lookup", "constant"))
    assert lookup["macro"].value == constant["macro"].value


def test_participants_are_averaged_before_any_metric() -> None:
    corpus = made_people()
    test = part_of(corpus)
    scoring = FAST.model_copy(update={"aggregate": "subject"})
    table = knowing(test, 1.0)
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
    scoring = FAST.model_copy(update={"aggregate": "subject"})
    with pytest.raises(DataError, match="120 clips have no subject to aggregate by"):
        evaluate_predictions(knowing(TEST, 0.1), CORPUS, scoring=scoring)
