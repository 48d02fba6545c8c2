"""Anybody's predictions in, a report out: every number from the table alone."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from traitscope.data.protocols import Fit, Protocol, manifest_facts
from traitscope.evaluation.baselines import baseline_rows, fold_constants
from traitscope.evaluation.cautions import cautions, searched, unknown_clusters, unused_columns
from traitscope.evaluation.ceiling import ceiling_of
from traitscope.evaluation.folds import Fold, asked_and_fitted, grave, leaks, unseen
from traitscope.evaluation.halo import halo_of
from traitscope.evaluation.missing import without_a_score
from traitscope.evaluation.recorded import scored_before, system_folds, trusting, unrecorded
from traitscope.evaluation.report import (
    Columns,
    CorpusFacts,
    Counts,
    Points,
    Report,
    Scoring,
    TargetFacts,
)
from traitscope.evaluation.scales import comparable, scale_notes
from traitscope.evaluation.scoring import (
    Row,
    Truth,
    by_subject,
    score_part,
    truth_of,
    undefined,
)
from traitscope.evaluation.systems import System, given_folds, join, table_system
from traitscope.evaluation.tables import Predictions
from traitscope.evaluation.verdicts import Judged, verdicts
from traitscope.statistics.metrics import Array
from traitscope.types import Clip, Corpus, Target

# Of the points to plot alone: scores keep all their digits.
_DIGITS = 5


def evaluate_predictions(
    predictions: Path | pd.DataFrame,
    corpus: Corpus,
    *,
    split: str = "test",
    fit_on: Fit | None = None,
    protocol: Protocol | None = None,
    name: str | None = None,
    address: str | None = None,
    scoring: Scoring | None = None,
) -> Report:
    """Score a table of predictions beside the baselines, on all clips and on unseen sources.

    Args:
        predictions: predictions.csv or its content (see ``evaluation.tables``).
        corpus: the labels.
        split: which split was predicted.
        fit_on: what was fitted, for baselines and leakage; overrides ``protocol.fit``.
        protocol: how the clips are split; by default official, or for labels without a split by
            the column ``fold`` of the predictions.
        name: of the model in the tables; the file's by default.
        address: of the corpus, kept in the report so that its labels are found again.
        scoring: aggregation, resamples, seed.
    """
    protocol = protocol or given_folds(predictions, corpus)
    system = table_system(
        predictions, split=split, fit_on=fit_on, protocol=protocol, name=name, address=address
    )
    return assess(system, corpus, scoring=scoring)


def assess(system: System, corpus: Corpus, *, scoring: Scoring | None = None) -> Report:
    """Score what a system predicted, beside the baselines.

    Where the system was trained on another corpus (``system.targets``), directions are flipped and
    ranges stretched to those of the labels, and the report says so.
    """
    scoring = (scoring or Scoring()).for_corpus(corpus)
    folds = system_folds(system, corpus, media_hash=scoring.media_hash)
    asked, fitted = asked_and_fitted(folds)
    read = join(system, asked, corpus)
    truth = _truth(read, corpus, folds, system.targets)
    rows = [
        *_models(system.name, read),
        *baseline_rows(folds, read, system.protocol, seed=scoring.seed),
    ]
    # "unseen" is decided by clip, before people are averaged: one fitted source spoils a person
    new = unseen(folds, read.clips)
    if scoring.aggregate == "subject":
        truth, rows, new = by_subject(read.clips, truth, rows, new)
    judged, sentences = _judged(system.split, truth, rows, new, scoring, corpus)
    # The part of unseen sources where it has clips: it says what carries over.
    leading = next((each for each in reversed(judged) if each.part.rows), judged[0])
    facts: dict[str, Any] = {
        "ceiling": ceiling_of(
            corpus, leading.part.model, truth.names, aggregate=str(scoring.aggregate)
        ),
        "halo": halo_of(leading.key, leading.truth, leading.rows, corpus),
    }
    # a verdict says what a note on the scale says
    notes = [note for note in read.notes if note not in scale_notes(read, corpus)]
    missing = without_a_score(folds, read, corpus, aggregate=str(scoring.aggregate))
    others = (*searched(system), *sentences, *leaks(folds), *unrecorded(system), *notes)
    return Report(
        name=system.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        corpus=_corpus_facts(corpus, read.targets, system.address),
        predicted=system.targets,
        protocol=system.protocol,
        scoring=scoring,
        split=system.split,
        fit=tuple(system.protocol.fit.split("+")),
        counts=_counts(asked, read, fitted),
        failures=read.failures,
        noted=system.noted,
        parts={each.key: each.part for each in judged},
        verdicts=verdicts(judged, corpus, **facts, missing=missing, scoring=scoring),
        warnings=(
            *grave(folds),
            *unknown_clusters(read.clips),
            *scored_before(system),
            *trusting(system),
            *unused_columns(system),
            *others,
            *cautions(read, truth, corpus, asked),
        ),
        **facts,
        points=_points(truth, rows),
        run=dict(system.run),
        manifest=manifest_facts(system.protocol).get("manifest"),
    )


def _truth(
    read: Predictions, corpus: Corpus, folds: Sequence[Fold], targets: Sequence[Target] | None
) -> Truth:
    labels = [corpus.target(name) for name in read.targets]
    predicted = {target.name: target for target in (*labels, *(targets or ()))}
    constants, numbers = fold_constants(folds, read.clips, read.targets)
    return truth_of(
        read.clips,
        corpus,
        read.targets,
        constants=constants,
        folds=numbers,
        mismatch=[t.name for t in labels if not comparable(predicted[t.name], t)],
    )


def _models(name: str, read: Predictions) -> list[Row]:
    """The model's row; for several seeds the mean of their scores, their ensemble, and each."""
    values = read.values.mean(axis=0)
    if len(read.seeds) == 1:
        return [Row(name, "model", values)]
    many = f"{len(read.seeds)} seeds"
    # one training scores like the mean of scores; the mean of predictions is another system
    return [
        Row(f"{name} (mean of {many})", "model", values, read.values, read.seeds),
        Row(f"{name} (ensemble of {many})", "ensemble", values),
        *(
            Row(f"{name} (seed {seed})", "seed", each)
            for seed, each in zip(read.seeds, read.values, strict=True)
        ),
    ]


def _judged(
    split: str,
    truth: Truth,
    rows: Sequence[Row],
    unseen: np.ndarray[Any, Any],
    scoring: Scoring,
    corpus: Corpus,
) -> tuple[list[Judged], list[str]]:
    """Score everything and, where sources were seen, the unseen rest apart; what is undefined."""
    title = f"{split}, all {'subjects' if scoring.aggregate == 'subject' else 'clips'}"
    part = score_part(title, truth, rows, scoring)
    labels = {name: corpus.target(name).label for name in truth.names}
    everything = Judged("all", part, truth, rows, unseen=bool(unseen.all()), labels=labels)
    sentences = list(undefined(part, labels))
    # A second part of the same clips would say everything twice.
    if unseen.all():
        return [everything], sentences
    rest = truth.keep(unseen)
    # Predictions of several seeds have an axis in front of the clips.
    kept = [row.each(lambda values: values[..., unseen, :]) for row in rows]
    part = score_part(f"{split}, sources never seen in fitting", rest, kept, scoring)
    if not rest.ids:
        # ``score_part`` knows that nothing is left, but not why.
        part = part.model_copy(update={"reason": "the source of every scored clip was fitted"})
    sentences += undefined(part, labels)
    apart = Judged("source_disjoint", part, rest, kept, unseen=True, labels=labels)
    return [everything, apart], sentences


def _counts(asked: Sequence[Clip], read: Predictions, fitted: Sequence[Clip]) -> Counts:
    subjects = {clip.subject for clip in read.clips} - {None}
    return Counts(
        clips=len(asked),
        scored=len(read.clips),
        failed=len(read.failures),
        sources=len({clip.source for clip in read.clips}),
        # Not 0: where nobody is named there are people all the same.
        subjects=len(subjects) or None,
        fitted_clips=len(fitted),
    )


def _corpus_facts(corpus: Corpus, names: Sequence[str], address: str | None) -> CorpusFacts:
    facts = [
        TargetFacts(name=t.name, label=t.label, low=t.low, high=t.high, direction=t.direction)
        for t in map(corpus.target, names)
    ]
    return CorpusFacts(
        name=corpus.name,
        kind=corpus.kind,
        targets=tuple(facts),
        notes=tuple(corpus.notes),
        address=address,
    )


def _points(truth: Truth, rows: Sequence[Row]) -> Points:
    """Labels and predictions to plot, None where a label is missing."""

    def columns(values: Array) -> Columns:
        return {
            name: tuple(None if np.isnan(v) else round(float(v), _DIGITS) for v in column)
            for name, column in zip(truth.names, values.T, strict=True)
        }

    shown = {"constant", "lookup"}  # the page draws no others, and points are most of the file
    return Points(
        clip=truth.ids,
        true=columns(truth.target),
        predicted=columns(rows[0].values),
        baselines={row.role: columns(row.values) for row in rows if row.role in shown},
        source=truth.sources,
    )
