"""Several tables of predictions in, their paired differences out, on the clips all of them have."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import combinations, permutations
from pathlib import Path

import numpy as np

from traitscope.config import Config
from traitscope.corpora import load_corpus
from traitscope.data.protocols import Fit, Protocol
from traitscope.errors import ConfigError, DataError, counted
from traitscope.evaluation.baselines import fold_constants
from traitscope.evaluation.folds import Fold, asked_and_fitted
from traitscope.evaluation.recorded import system_folds
from traitscope.evaluation.report import Scoring
from traitscope.evaluation.scales import comparable
from traitscope.evaluation.scoring import Row, Truth, mean_table
from traitscope.evaluation.suspicions import wrong_columns
from traitscope.evaluation.systems import (
    System,
    beside_labels,
    corpus_of,
    in_common,
    join,
    read_system,
)
from traitscope.evaluation.tables import Predictions
from traitscope.statistics.intervals import MARGIN, Clustered, Difference, compare, correct
from traitscope.statistics.metrics import MACRO, SCALE_FREE, Array
from traitscope.types import Corpus


class PairedDifference(Config):
    """First minus second in one metric and target; see ``statistics.intervals.Difference``."""

    first: str
    second: str
    metric: str
    target: str
    value: float | None
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    """Corrected over the family that ``families`` names."""
    p_equivalent: float | None


class Comparison(Config):
    """Systems on the clips that all of them have."""

    systems: tuple[str, ...]
    split: str
    clips: int
    sources: int
    clusters: int
    seeds: Mapping[str, int]
    """System -> how many it has."""
    targets: tuple[str, ...]
    labels: Mapping[str, str]
    """Target -> how tables write it."""
    aggregate: str
    fit: str
    margin: float
    scores: Mapping[str, Mapping[str, Mapping[str, float | None]]]
    """System -> metric -> target or ``macro`` -> score, a mean over its seeds."""
    differences: tuple[PairedDifference, ...]
    families: str
    """What Holm corrected for, in words."""
    notes: tuple[str, ...]


def compare_systems(
    systems: Sequence[Path | str],
    *,
    labels: str | None = None,
    fit_on: Fit | None = None,
    split: str = "test",
    metrics: Sequence[str] = ("skill", "ccc"),
    margin: float = MARGIN,
    scoring: Scoring | None = None,
) -> Comparison:
    """Compare evaluated runs, and anyone's tables of predictions.

    Args:
        systems: run folders, folders with ``predictions.csv`` and ``report.json``, or CSV files.
        labels: address of the corpus; needed where every system is a CSV file.
        fit_on: what the constant of skill is fitted on, for CSV files; train by default.
        split: which split was predicted.
        metrics: what to compare.
        margin: differences within it count as none.
        scoring: aggregation, resamples and seed.

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
    # What a user typed may name a module from outside; an address in a report may not.
    corpus = corpus_of(runs, labels) if runs else load_corpus(str(labels))
    protocol = _same_protocol(runs, fit_on)
    tables = [System(str(path), path) for path in map(Path, names) if path.is_file()]
    return compare_predictions(
        # Runs first: folds are those of the first system, and a run has a record of them.
        [replace(each, split=split, protocol=protocol) for each in (*runs, *tables)],
        corpus,
        metrics=metrics,
        margin=margin,
        scoring=scoring,
    )


def compare_predictions(
    systems: Sequence[System],
    corpus: Corpus,
    *,
    metrics: Sequence[str] = ("skill", "ccc"),
    margin: float = MARGIN,
    scoring: Scoring | None = None,
) -> Comparison:
    """Compare every two systems on the clips that all of them scored.

    Args:
        systems: of one split and one protocol, each with a name of its own.
        corpus: the labels.
        metrics: what to compare.
        margin: differences within it count as none.
        scoring: aggregation, resamples and seed.

    Raises:
        DataError: there are fewer than two systems, or no clips or targets in common.
        ConfigError: the margin is no positive number.
    """
    if len(systems) < 2:
        raise DataError(f"{len(systems)} system given; a comparison takes two or more.")
    if not 0 < margin < np.inf:
        raise ConfigError(f"The margin {margin:g} must be a positive number, such as {MARGIN}.")
    scoring = (scoring or Scoring()).for_corpus(corpus)
    # all of one protocol, so that the folds and the constant of the first are those of all
    split, protocol = systems[0].split, systems[0].protocol
    folds = system_folds(systems[0], corpus, media_hash=False)  # leaks were named before
    asked, _ = asked_and_fitted(folds)
    read = {system.name: join(system, asked, corpus) for system in systems}
    _refuse_mismatch(systems, corpus, metrics)
    truth, rows = _shared(read, corpus, folds, scoring)
    # Systems that differ by rounding alone would differ by it in every clip, with a tiny p.
    sums = {row.name: truth.cluster(np.round(row.replicates, 12)) for row in rows}
    return Comparison(
        systems=tuple(sums),
        split=split,
        clips=len(truth.ids),
        sources=len(set(truth.sources)),
        clusters=len(set(truth.clusters)),
        seeds={row.name: len(row.seeds) or 1 for row in rows},
        targets=truth.names,
        labels={name: corpus.target(name).label for name in truth.names},
        aggregate=str(scoring.aggregate),
        fit=protocol.fit,
        margin=margin,
        scores={row.name: _scores(truth, row, metrics) for row in rows},
        differences=tuple(_differences(sums, truth.names, metrics, scoring, margin)),
        families=_families(len(rows), len(truth.names)),
        notes=(*_doubts(truth, rows, corpus), *_seed_notes(rows), *_notes(read, len(asked))),
    )


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
        # Whatever they were fitted on, the clips that are scored are the same.
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
    corpus: Corpus,
    folds: Sequence[Fold],
    scoring: Scoring,
) -> tuple[Truth, list[Row]]:
    """Labels and predictions of the clips and targets that all systems have."""
    # In the order of the corpus, whichever system is named first.
    known = [target.name for target in (*corpus.targets, *corpus.optional)]
    names = [n for n in known if all(n in each.targets for each in read.values())]
    clips, values = in_common(read, asked_and_fitted(folds)[0], names)
    if not names or not clips:
        raise DataError("The systems have no clips or no targets in common to compare them on.")
    rows = []
    for (name, each), mine in zip(read.items(), values, strict=True):
        # A single seed is no replicate: the spread of one number is NaN.
        several = len(mine) > 1
        seeds = each.seeds if several else ()
        rows.append(Row(name, "model", mine.mean(axis=0), mine if several else None, seeds))
    constants, numbers = fold_constants(folds, clips, names)
    aggregate = scoring.aggregate
    return beside_labels(
        rows, clips, corpus, names, constants=constants, folds=numbers, aggregate=aggregate
    )


def _scores(truth: Truth, row: Row, metrics: Sequence[str]) -> dict[str, dict[str, float | None]]:
    table = mean_table(truth, row)
    return {
        metric: {name: cell.value for name, cell in table[metric].items()} for metric in metrics
    }


def _families(systems: int, targets: int) -> str:
    """What Holm corrected for, in words."""
    pairs = systems * (systems - 1) // 2
    return (
        f"Holm corrects, for each metric apart, the {pairs * targets} tests of "
        f"{counted(pairs, 'pair')} and {counted(targets, 'target')}; those of macro scores are a "
        f"family of {pairs}."
    )


def _doubts(truth: Truth, rows: Sequence[Row], corpus: Corpus) -> list[str]:
    """What seems wrong with the columns of a system, as its own evaluation would say."""
    return [
        f"{row.name}: {verdict.text}"
        for row in rows
        for verdict in wrong_columns("all", truth, row.values, corpus)
    ]


def _seed_notes(rows: Sequence[Row]) -> list[str]:
    """Say what of seeds is in the intervals, and where one system is made of another's seeds."""
    notes = []
    many = [row for row in rows if row.repeats is not None]
    # Either of two may be a seed of the other, so both orders are asked.
    for one, other in permutations(rows, 2):
        if other.repeats is None or one.repeats is not None:
            continue
        seed = next(
            (s for s, v in zip(other.seeds, other.repeats, strict=True) if _alike(v, one)), None
        )
        if seed is not None:
            notes.append(
                f"{one.name} is seed {seed} of {other.name}: the two are one system, and their "
                f"difference is what this seed happens to give."
            )
        if _alike(other.values, one):
            notes.append(
                f"{one.name} is the ensemble of the seeds of {other.name}: an average of "
                f"trainings beats one of them, whatever the model. Compare ensembles with "
                f"ensembles of as many."
            )
    if many and len(many) < len(rows):
        single = ", ".join(row.name for row in rows if row.repeats is None)
        notes.append(
            f"{single}: trained once, so that nothing tells what another seed would give; "
            f"intervals are over the seeds of {', '.join(row.name for row in many)} alone."
        )
    return notes


def _alike(values: Array, row: Row) -> bool:
    # Loose enough for predictions that went through float32.
    return bool(np.allclose(values, row.values, rtol=0, atol=1e-6))


def _notes(read: Mapping[str, Predictions], asked: int) -> list[str]:
    notes = [f"{name}: {note}" for name, each in read.items() for note in each.notes]
    return notes + [
        f"{name}: {len(each.failures)} of {asked} clips have no usable prediction."
        for name, each in read.items()
        if each.failures
    ]


def _differences(
    sums: Mapping[str, Clustered],
    names: Sequence[str],
    metrics: Sequence[str],
    scoring: Scoring,
    margin: float,
) -> Iterator[PairedDifference]:
    differences: list[tuple[str, str, Difference]] = []
    for first, second in combinations(sums, 2):
        pair = compare(
            sums[first],
            sums[second],
            names=names,
            metrics=metrics,
            resamples=scoring.resamples,
            seed=scoring.seed,
            margin=margin,
        )
        differences += [(first, second, difference) for difference in pair]
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
            for (first, second, _), difference in zip(family, corrected, strict=True):
                yield PairedDifference(first=first, second=second, **asdict(difference))
