"""Several tables of predictions in, their paired differences out, on the clips all of them have."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from traitscope.corpora import load_corpus
from traitscope.data import protocols
from traitscope.data.protocols import Fit, Protocol
from traitscope.errors import DataError
from traitscope.evaluation import baselines
from traitscope.evaluation.scoring import Row, Scoring, Truth, by_subject, truth_of
from traitscope.evaluation.systems import Evaluated, read_evaluated, same_corpus
from traitscope.evaluation.tables import Predictions, align, comparable, read_labelled
from traitscope.statistics.intervals import Clustered, Difference, compare, correct
from traitscope.statistics.metrics import MACRO, SCALE_FREE, score_table
from traitscope.types import Clip, Corpus, Target


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
    tables = [path for path in map(Path, systems) if path.is_file()]
    runs = [read_evaluated(name, split=split) for name in names if not Path(name).is_file()]
    if not runs and labels is None:
        raise DataError(
            f"Nothing says which labels {', '.join(names)} are to be compared on. Name them: "
            f"--labels fi:/data/fi"
        )
    address = same_corpus(runs) if runs else str(labels)
    if runs and labels is not None:
        same_corpus([runs[0], _as_named(runs[0], labels)])
    protocol = _same_protocol(runs, fit_on)
    return compare_predictions(
        {run.name: run.table for run in runs} | {str(path): path for path in tables},
        load_corpus(address),
        split=split,
        protocol=protocol,
        metrics=metrics,
        scoring=scoring,
        targets={run.name: run.targets for run in runs},
    )


def compare_predictions(
    tables: Mapping[str, Path | pd.DataFrame],
    corpus: Corpus,
    *,
    split: str = "test",
    protocol: Protocol | None = None,
    metrics: Sequence[str] = ("skill", "ccc"),
    scoring: Scoring | None = None,
    targets: Mapping[str, Sequence[Target]] | None = None,
) -> dict[str, Any]:
    """Compare every two systems on the clips that all of them scored.

    Args:
        tables: name of a system -> its predictions.
        corpus: the labels.
        split: which split was predicted.
        protocol: how the clips are split; official by default.
        metrics: what to compare.
        scoring: aggregation, resamples and seed.
        targets: name of a system -> what it predicted, where that is not what the labels are.

    Returns:
        ``systems``, ``split``, ``clips``, ``sources``, ``targets``, ``labels`` (how tables write
        them), ``aggregate``, ``fit``, ``scores`` (of each system), ``differences`` (first minus
        second, 95 % interval, p, and p corrected by Holm over all pairs and targets of one metric;
        macro over all pairs) and ``notes``.

    Raises:
        DataError: there are fewer than two systems, or no clips or targets in common.
    """
    if len(tables) < 2:
        raise DataError(f"{len(tables)} system given; a comparison takes two or more.")
    scoring = (scoring or Scoring()).for_corpus(corpus)
    protocol = protocol or Protocol()
    splits = protocols.split(corpus, protocol)
    asked = splits.part(split)
    meant = targets or {}
    read = {
        name: align(read_labelled(table, asked, corpus), corpus, meant.get(name))
        for name, table in tables.items()
    }
    _refuse_mismatch(meant, corpus, metrics)
    truth, rows = _shared(read, asked, corpus, splits.fitted, scoring)
    # Systems that differ by rounding alone would differ by it in every clip, with a tiny p.
    systems = {row.name: truth.cluster(np.round(row.values, 12)) for row in rows}
    return {
        "systems": list(systems),
        "split": split,
        "clips": len(truth.ids),
        "sources": len(set(truth.sources)),
        "targets": list(truth.names),
        "labels": {name: corpus.target(name).label for name in truth.names},
        "aggregate": scoring.aggregate,
        "fit": protocol.fit,
        "scores": {row.name: _scores(truth, row, metrics) for row in rows},
        "differences": _differences(systems, truth.names, metrics, scoring),
        "notes": _notes(read, len(asked)),
    }


def _refuse_mismatch(
    meant: Mapping[str, Sequence[Target]], corpus: Corpus, metrics: Sequence[str]
) -> None:
    """Refuse errors between predictions in a bounded range and z-scores, or the other way."""
    apart = [
        name
        for name, targets in meant.items()
        if not all(comparable(target, corpus.target(target.name)) for target in targets)
    ]
    if apart and not set(metrics) <= SCALE_FREE:
        raise DataError(
            f"{', '.join(apart)} predicted another kind of range than the labels of {corpus.name} "
            f"have, so errors mean nothing. Compare correlations: --metric pearson"
        )


def _as_named(run: Evaluated, labels: str) -> Evaluated:
    """The labels a user named, as if they were those of another system."""
    return Evaluated("--labels", run.table, labels, run.split, run.protocol, run.targets)


def _same_protocol(runs: Sequence[Evaluated], fit_on: Fit | None) -> Protocol:
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
    shared = set.intersection(*({clip.id for clip in each.clips} for each in read.values()))
    clips = [clip for clip in asked if clip.id in shared]
    if not names or not clips:
        raise DataError("The systems have no clips or no targets in common to compare them on.")
    truth = truth_of(clips, corpus, names, constants=baselines.fitted_means(fitted, names))
    rows = [Row(name, "model", chosen(each, clips, names)) for name, each in read.items()]
    if scoring.aggregate == "subject":
        truth, rows, _ = by_subject(clips, truth, rows, np.zeros(len(clips), dtype=bool))
    return truth, rows


def chosen(
    read: Predictions, clips: Sequence[Clip], names: Sequence[str]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Predictions (clips, targets) of some clips and targets, in their order; mean over seeds."""
    places = {clip.id: place for place, clip in enumerate(read.clips)}
    columns = [read.targets.index(name) for name in names]
    values = read.values.mean(axis=0)[[places[clip.id] for clip in clips]][:, columns]
    return np.asarray(values, dtype=np.float64)


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
    systems: Mapping[str, Clustered], names: Sequence[str], metrics: Sequence[str], scoring: Scoring
) -> list[dict[str, Any]]:
    found: list[tuple[str, str, Difference]] = []
    for first, second in combinations(systems, 2):
        pair = compare(
            systems[first],
            systems[second],
            names=names,
            metrics=metrics,
            resamples=scoring.resamples,
            seed=scoring.seed,
        )
        found += [(first, second, difference) for difference in pair]
    rows = []
    for metric in metrics:
        for is_macro in (True, False):
            family = [
                f for f in found if f[2].metric == metric and (f[2].target == MACRO) == is_macro
            ]
            corrected = correct([difference for _, _, difference in family])
            rows += [
                {"first": first, "second": second, **asdict(difference)}
                for (first, second, _), difference in zip(family, corrected, strict=True)
            ]
    return rows
