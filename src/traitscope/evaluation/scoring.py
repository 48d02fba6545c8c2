"""Labels and rows of predictions in, the parts of a report out: scores and intervals.

A *row* is the model or a baseline; a *part* is the whole split, or its clips from sources that
were never seen in fitting. ``table_rows`` writes a part as the terminal shows it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from traitscope.data.protocols import cluster_numbers
from traitscope.errors import DataError
from traitscope.evaluation.report import Part, Repeated, Report, Role, ScoredRow, Scoring, Spread
from traitscope.statistics.intervals import (
    Clustered,
    cluster,
    intervals,
)
from traitscope.statistics.metrics import (
    FORMULAS,
    MACRO,
    SCALE_FREE,
    Array,
    Score,
    ccc_pooled,
    macro,
    score_table,
)
from traitscope.statistics.rank_intervals import spearman_intervals
from traitscope.types import Clip, Corpus

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("accuracy", "skill", "mae", "r2", "pearson", "ccc")
"""Metrics of the short table, in order."""


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        name: how it is called.
        role: what it is.
        values: predictions (clips, targets).
        repeats: predictions per seed (seeds, clips, targets), when scores are means over seeds;
            ``values`` is then their mean, to plot.
        seeds: their seeds.
    """

    name: str
    role: Role
    values: Array
    repeats: Array | None = None
    seeds: tuple[int, ...] = ()

    @property
    def replicates(self) -> Array:
        """What is scored: predictions of each seed where there are several, else ``values``."""
        return self.values if self.repeats is None else self.repeats

    def each(self, change: Callable[[Array], Array]) -> "Row":
        """Change predictions (..., clips, targets), those of each seed as well."""
        repeats = None if self.repeats is None else change(self.repeats)
        return replace(self, values=change(self.values), repeats=repeats)


@dataclass(frozen=True)
class Truth:
    """What predictions are held against.

    Attributes:
        ids: of the clips (or subjects) scored.
        sources: the source of each.
        target: labels (clips, targets), NaN where one is missing.
        names: of the targets.
        spans: lengths of their ranges, None for z-scores.
        constants: mean labels of what was fitted for each clip (clips, targets).
        clusters: the group by source and subject of each, which intervals are over (clips,).
        folds: which clips were predicted by one model (clips,).
        mismatch: names of targets whose predictions have another kind of range.
    """

    ids: tuple[str, ...]
    sources: tuple[str, ...]
    target: Array
    names: tuple[str, ...]
    spans: tuple[float | None, ...]
    constants: Array
    clusters: NDArray[np.intp]
    folds: NDArray[np.intp]
    mismatch: frozenset[str] = frozenset()

    def keep(self, chosen: Array) -> "Truth":
        """Keep some of the clips; ``chosen`` is boolean (clips,)."""
        places = np.flatnonzero(chosen)
        return replace(
            self,
            ids=tuple(self.ids[i] for i in places),
            sources=tuple(self.sources[i] for i in places),
            target=self.target[places],
            constants=self.constants[places],
            clusters=self.clusters[places],
            folds=self.folds[places],
        )

    def cluster(self, values: Array) -> Clustered:
        """Reduce predictions, (clips, targets) or those of several seeds, to sums per cluster."""
        return cluster(
            self.target,
            values,
            [str(number) for number in self.clusters],
            constant=self.constants,
            span=[np.nan if span is None else span for span in self.spans],
            folds=self.folds,
        )


def truth_of(
    clips: Sequence[Clip],
    corpus: Corpus,
    names: Sequence[str],
    *,
    constants: Array,
    folds: NDArray[np.intp] | None = None,
    mismatch: Iterable[str] = (),
) -> Truth:
    """Collect what predictions of some clips and targets are held against.

    ``constants`` are (targets,), or (clips, targets) where ``folds`` (clips,) have their own.
    """
    targets = [corpus.target(name) for name in names]
    return Truth(
        ids=tuple(clip.id for clip in clips),
        sources=tuple(clip.source for clip in clips),
        target=corpus.with_clips(clips).labels(names),
        names=tuple(names),
        spans=tuple(None if t.low is None or t.high is None else t.high - t.low for t in targets),
        constants=np.broadcast_to(constants, (len(clips), len(names))),
        clusters=cluster_numbers(clips),
        folds=np.zeros(len(clips), dtype=np.intp) if folds is None else folds,
        mismatch=frozenset(mismatch),
    )


def by_subject(
    clips: Sequence[Clip], truth: Truth, rows: Sequence[Row], unseen: NDArray[np.bool_]
) -> tuple[Truth, list[Row], NDArray[np.bool_]]:
    """Average labels and predictions over the clips of each person, who becomes the cluster.

    A person is unseen when all sources of the person are.

    Raises:
        DataError: a clip has no subject.
    """
    unknown = [clip.id for clip in clips if clip.subject is None]
    if unknown:
        raise DataError(
            f"{len(unknown)} clips have no subject to aggregate by (such as {unknown[0]}). Add "
            f"subjects to the labels, or use aggregate=clip."
        )
    people, first, index = np.unique(
        [str(clip.subject) for clip in clips], return_index=True, return_inverse=True
    )
    # one row per person, so that averaging predictions of any shape is one matrix product
    belongs = np.equal.outer(np.arange(len(people)), index).astype(float)
    mean = belongs / belongs.sum(axis=1, keepdims=True)
    # Divided by the labels there are: a missing one is no 0.
    labelled = belongs @ ~np.isnan(truth.target)
    with np.errstate(invalid="ignore"):
        target = np.where(labelled > 0, belongs @ np.nan_to_num(truth.target) / labelled, np.nan)
    names = tuple(str(person) for person in people)
    averaged = [row.each(lambda values: mean @ values) for row in rows]
    averaged_truth = replace(
        truth,
        ids=names,
        sources=names,
        target=target,
        constants=mean @ truth.constants,
        clusters=np.arange(len(people)),
        # Folds keep people together; whom others dealt to two is counted in one.
        folds=truth.folds[first],
    )
    return averaged_truth, averaged, belongs @ ~unseen == 0


def score_part(title: str, truth: Truth, rows: Sequence[Row], scoring: Scoring) -> Part:
    """Score all rows on the same clips."""
    sources, clusters = len(set(truth.sources)), len(set(truth.clusters))
    return Part(
        title=title,
        clips=len(truth.ids),
        sources=sources,
        clusters=clusters if clusters != sources else None,
        rows=tuple(_score_row(truth, row, scoring) for row in rows) if truth.ids else (),
        reason=None if truth.ids else "no clips are left",
    )


def undefined(part: Part, labels: Mapping[str, str]) -> tuple[str, ...]:
    """Write a sentence for each reason why relations of the model to labels are undefined.

    Args:
        part: its scores.
        labels: target -> how it is written.
    """
    models = [row.metrics for row in part.rows if row.role == "model"]
    affected: dict[tuple[str, str], list[str]] = {}
    for model, name in product(models, labels):
        scores = {metric: model[metric][name] for metric in ("r2", "pearson", "ccc")}
        lost = [metric for metric, score in scores.items() if score.value is None]
        if lost:
            key = (", ".join(lost), scores[lost[-1]].reason)
            affected.setdefault(key, []).append(labels[name])
    return tuple(
        f"{part.title}: {metrics} of {_all_or(targets, labels)} undefined, because {reason}."
        for (metrics, reason), targets in affected.items()
    )


def _all_or(targets: Sequence[str], labels: Mapping[str, str]) -> str:
    """Names of targets; several that are all there are, in one word."""
    everything = len(targets) == len(labels) > 1
    return "all targets" if everything else ", ".join(targets)


def table_rows(report: Report, part: str, *, target: str = MACRO) -> list[tuple[str, list[str]]]:
    """Write the rows of a part as text: name and one cell per metric of COLUMNS.

    A cell reads ``.881 [.879, .883]``, or ``undefined``.
    """
    return [
        (row.name, [shown(row.metrics[metric][target]) for metric in COLUMNS])
        for row in report.parts[part].rows
    ]


def macro_frame(report: Report) -> "pd.DataFrame":
    """The macro metrics of all scored clips as numbers: a row per system, see COLUMNS."""
    import pandas as pd

    rows = [
        {"system": row.name, **{metric: row.macro(metric).value for metric in COLUMNS}}
        for row in report.everything.rows
    ]
    return pd.DataFrame(rows).set_index("system")


def _score_row(truth: Truth, row: Row, scoring: Scoring) -> ScoredRow:
    data = truth.cluster(row.replicates)
    metrics = (*FORMULAS, "ccc_pooled")
    ends = intervals(data, metrics=metrics, resamples=scoring.resamples, seed=scoring.seed)
    ends["spearman"] = spearman_intervals(
        truth.target,
        row.replicates,
        [str(number) for number in truth.clusters],
        folds=truth.folds,
        resamples=scoring.rank_resamples,
        seed=scoring.seed,
    )
    repeats = row.values[None] if row.repeats is None else row.repeats
    pooled = _mean_score([_pooled(truth, values) for values in repeats])
    # Macro comes last in the ends of intervals, and first in every table.
    places = dict(zip((MACRO, *truth.names), (-1, *range(len(truth.names))), strict=True))
    return ScoredRow(
        name=row.name,
        role=row.role,
        metrics={
            metric: {
                name: _with_interval(cells[name], ends[metric][place])
                for name, place in places.items()
            }
            for metric, cells in mean_table(truth, row).items()
        },
        pooled={"ccc": _with_interval(pooled, ends["ccc_pooled"][0])},
        seeds=spread(truth, row) if row.repeats is not None else None,
    )


def mean_table(truth: Truth, row: Row) -> dict[str, dict[str, Score]]:
    """Metric -> target or macro -> score; the mean over seeds, with its sd, where there are any."""
    repeats = row.values[None] if row.repeats is None else row.repeats
    tables = [_table(truth, values) for values in repeats]
    return {
        metric: {name: _mean_score([table[metric][name] for table in tables]) for name in cells}
        for metric, cells in tables[0].items()
    }


def _table(truth: Truth, values: Array) -> dict[str, dict[str, Score]]:
    table = score_table(
        truth.target,
        values,
        names=truth.names,
        constants=truth.constants,
        spans=truth.spans,
        folds=truth.folds,
    )
    for metric, cells in table.items():
        # z-scores against a range of 0 to 1: an error would be a number without a meaning
        if truth.mismatch and metric not in SCALE_FREE:
            for name in truth.mismatch:
                cells[name] = Score(None, "predictions and labels have different kinds of range")
            # Over the targets that are left it would be compared with scores over all of them.
            cells[MACRO] = macro({name: cells[name] for name in truth.names})
    return table


def _pooled(truth: Truth, values: Array) -> Score:
    if truth.mismatch:
        return Score(None, "ranges differ")
    return ccc_pooled(truth.target, values, folds=truth.folds)


def _mean_score(scores: Sequence[Score]) -> Score:
    """The mean over seeds with its sd; undefined as soon as one seed is, with its reason."""
    known = [score.value for score in scores if score.value is not None]
    # One training has a score, but no spread that could be named.
    if len(scores) == 1 or len(known) < len(scores):
        return next((score for score in scores if score.value is None), scores[0])
    return Score(float(np.mean(known)), sd=float(np.std(known, ddof=1)))


def _with_interval(score: Score, ends: Array) -> Score:
    if score.value is None or not np.isfinite(ends).all():
        return score
    return replace(score, low=float(ends[0]), high=float(ends[1]))


def spread(truth: Truth, row: Row) -> Spread:
    """Macro scores of each repetition apart, with mean and standard deviation over them."""
    assert row.repeats is not None
    tables = [_table(truth, values) for values in row.repeats]
    apart = {m: repeated([table[m][MACRO].value for table in tables]) for m in tables[0]}
    return Spread.model_validate({"seeds": row.seeds, **apart})


def repeated(values: Sequence[float | None]) -> Repeated:
    """Scores of repetitions with mean and sd over them, which are None where a score is."""
    known = [value for value in values if value is not None]
    whole = len(known) == len(values)
    return Repeated(
        values=tuple(values),
        mean=float(np.mean(known)) if whole else None,
        sd=float(np.std(known, ddof=1)) if whole else None,
    )


def short(value: float) -> str:
    """Three digits without the leading nought: .881, -.020, 1.204."""
    # What is written decides: .9996 reads 1.000, and keeps its 1. A nought has no sign.
    text = f"{value:.3f}"
    return text.replace("-0.000", "0.000").replace("0.", ".", 1) if abs(float(text)) < 1 else text


def shown(score: Score) -> str:
    """A number as people read it: ``.881 [.879, .883]``, or ``undefined``."""
    if score.value is None:
        return "undefined"
    if score.low is None or score.high is None:
        return short(score.value)
    return f"{short(score.value)} [{short(score.low)}, {short(score.high)}]"
