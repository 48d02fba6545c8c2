"""Several tables of predictions in, their paired differences out, on the clips all of them have."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from traitscope.corpora import load_corpus
from traitscope.data import protocols
from traitscope.data.protocols import Fit, Protocol
from traitscope.errors import DataError
from traitscope.evaluation.baselines import fitted_means
from traitscope.evaluation.report import Scoring
from traitscope.evaluation.scoring import Row, Truth
from traitscope.evaluation.systems import (
    System,
    beside_labels,
    corpus_of,
    in_common,
    join,
    read_system,
)
from traitscope.evaluation.tables import Predictions, comparable
from traitscope.statistics.intervals import Clustered, Difference, compare, correct
from traitscope.statistics.metrics import MACRO, SCALE_FREE, score_table
from traitscope.types import Clip, Corpus


def compare_systems(
    systems: Sequence[Path | str],
    *,
    labels: str | None = None,
    fit_on: Fit | None = None,
    split: str = "test",
    metrics: Sequence[str] = ("skill", "ccc"),
    scoring: Scoring | None = None,
) -> dict[str, Any]:
    """Compare evaluated runs, and anyone's tables of predictions.

    Args:
        systems: run folders, folders with ``predictions.csv`` and ``report.json``, or CSV files.
        labels: address of the corpus; needed where every system is a CSV file.
        fit_on: what the constant of skill is fitted on, for CSV files; train by default.
        split: which split was predicted.
        metrics: what to compare.
        scoring: aggregation, resamples and seed.

    Returns:
        See ``compare_predictions``.

    Raises:
        DataError: systems were evaluated on different corpora or splits, or have no labels.
    """
    names = [str(system) for system in systems]
    if len(set(names)) < len(names):
        raise DataError(f"A system is named twice: {', '.join(names)}. Name each once.")
    runs = [read_system(name, split=split) for name in names if not Path(name).is_file()]
    if not runs and labels is None:
        raise DataError(
            f"Nothing says which labels {', '.join(names)} are to be compared on. Name them: "
            f"--labels fi:/data/fi"
        )
    corpus = corpus_of(runs, labels) if runs else load_corpus(str(labels))
    protocol = _same_protocol(runs, fit_on)
    tables = [System(str(path), path) for path in map(Path, names) if path.is_file()]
    return compare_predictions(
        [replace(each, split=split, protocol=protocol) for each in (*runs, *tables)],
        corpus,
        metrics=metrics,
        scoring=scoring,
    )


def compare_predictions(
    systems: Sequence[System],
    corpus: Corpus,
    *,
    metrics: Sequence[str] = ("skill", "ccc"),
    scoring: Scoring | None = None,
) -> dict[str, Any]:
    """Compare every two systems on the clips that all of them scored.

    Args:
        systems: of one split and one protocol, each with a name of its own.
        corpus: the labels.
        metrics: what to compare.
        scoring: aggregation, resamples and seed.

    Returns:
        ``systems``, ``split``, ``clips``, ``sources``, ``targets``, ``labels`` (how tables write
        them), ``aggregate``, ``fit``, ``scores`` (of each system), ``differences`` (first minus
        second, 95 % interval, p, and p corrected by Holm over all pairs and targets of one metric;
        macro over all pairs) and ``notes``.

    Raises:
        DataError: there are fewer than two systems, or no clips or targets in common.
    """
    if len(systems) < 2:
        raise DataError(f"{len(systems)} system given; a comparison takes two or more.")
    scoring = (scoring or Scoring()).for_corpus(corpus)
    split, protocol = systems[0].split, systems[0].protocol
    splits = protocols.split(corpus, protocol)
    asked = splits.part(split)
    read = {system.name: join(system, asked, corpus) for system in systems}
    _refuse_mismatch(systems, corpus, metrics)
    truth, rows = _shared(read, asked, corpus, splits.fitted, scoring)
    # Systems that differ by rounding alone would differ by it in every clip, with a tiny p.
    sums = {row.name: truth.cluster(np.round(row.values, 12)) for row in rows}
    return {
        "systems": list(sums),
        "split": split,
        "clips": len(truth.ids),
        "sources": len(set(truth.sources)),
        "targets": list(truth.names),
        "labels": {name: corpus.target(name).label for name in truth.names},
        "aggregate": scoring.aggregate,
        "fit": protocol.fit,
        "scores": {row.name: _scores(truth, row, metrics) for row in rows},
        "differences": _differences(sums, truth.names, metrics, scoring),
        "notes": _notes(read, len(asked)),
    }


def _refuse_mismatch(systems: Sequence[System], corpus: Corpus, metrics: Sequence[str]) -> None:
    """Refuse errors between predictions in a bounded range and z-scores, or the other way."""
    apart = [
        system.name
        for system in systems
        if not all(comparable(t, corpus.target(t.name)) for t in system.targets or ())
    ]
    if apart and not set(metrics) <= SCALE_FREE:
        raise DataError(
            f"{', '.join(apart)} predicted another kind of range than the labels of {corpus.name} "
            f"have, so errors mean nothing. Compare correlations: --metric pearson"
        )


def _same_protocol(runs: Sequence[System], fit_on: Fit | None) -> Protocol:
    """The protocol of all runs; what they were fitted on may differ."""
    if not runs:
        return Protocol(fit=fit_on or "train")
    first = runs[0]
    for other in runs[1:]:
        fit = {"fit": first.protocol.fit}
        if other.protocol.model_copy(update=fit) != first.protocol:
            raise DataError(
                f"{first.name} and {other.name} were evaluated with different protocols "
                f"({first.protocol.kind} and {other.protocol.kind}, or other shares, folds or "
                f"seeds), so their test clips are not the same ones."
            )
    return first.protocol.model_copy(update={"fit": fit_on}) if fit_on else first.protocol


def _shared(
    read: Mapping[str, Predictions],
    asked: Sequence[Clip],
    corpus: Corpus,
    fitted: Sequence[Clip],
    scoring: Scoring,
) -> tuple[Truth, list[Row]]:
    """Labels and predictions of the clips and targets that all systems have."""
    known = [target.name for target in (*corpus.targets, *corpus.optional)]
    names = [n for n in known if all(n in each.targets for each in read.values())]
    clips, values = in_common(read, asked, names)
    if not names or not clips:
        raise DataError("The systems have no clips or no targets in common to compare them on.")
    rows = [Row(name, "model", each) for name, each in zip(read, values, strict=True)]
    constants = fitted_means(fitted, names)
    return beside_labels(
        rows, clips, corpus, names, constants=constants, aggregate=scoring.aggregate
    )


def _scores(truth: Truth, row: Row, metrics: Sequence[str]) -> dict[str, dict[str, float | None]]:
    table = score_table(
        truth.target,
        row.values,
        names=truth.names,
        constants=[float(value) for value in truth.constants],
        spans=truth.spans,
    )
    return {
        metric: {name: cell.value for name, cell in table[metric].items()} for metric in metrics
    }


def _notes(read: Mapping[str, Predictions], asked: int) -> list[str]:
    notes = [f"{name}: {note}" for name, each in read.items() for note in each.notes]
    return notes + [
        f"{name}: {len(each.failures)} of {asked} clips have no usable prediction."
        for name, each in read.items()
        if each.failures
    ]


def _differences(
    sums: Mapping[str, Clustered], names: Sequence[str], metrics: Sequence[str], scoring: Scoring
) -> list[dict[str, Any]]:
    differences: list[tuple[str, str, Difference]] = []
    for first, second in combinations(sums, 2):
        pair = compare(
            sums[first],
            sums[second],
            names=names,
            metrics=metrics,
            resamples=scoring.resamples,
            seed=scoring.seed,
        )
        differences += [(first, second, difference) for difference in pair]
    rows = []
    # One family of tests per metric: all pairs and targets, with the macro scores apart, since
    # these repeat what the targets say.
    for metric in metrics:
        for is_macro in (True, False):
            family = [
                (first, second, each)
                for first, second, each in differences
                if each.metric == metric and (each.target == MACRO) == is_macro
            ]
            corrected = correct([difference for _, _, difference in family])
            rows += [
                {"first": first, "second": second, **asdict(difference)}
                for (first, second, _), difference in zip(family, corrected, strict=True)
            ]
    return rows
