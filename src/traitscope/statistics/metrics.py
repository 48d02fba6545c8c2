"""Labels and predictions of a whole split in, scores out: pure functions in NumPy.

Every metric but Spearman's follows from nine sums per target (``Sums``), so that the number in a
table and the ten thousand numbers of its bootstrap come from one formula. What cannot be computed
is a ``Score`` without value and with a reason, never a good number.

Predictions of several folds come from several models: the constant and the variances are each
fold's own, so that folds of unlike means are no skill and no lack of it (one fold otherwise).
Variances are population variances (divided by the number of clips). *Macro* is the plain mean over
targets and is undefined as soon as one target is; *pooled* treats all targets as one long vector
and is always named so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

METRICS = (
    "accuracy",
    "skill",
    "mae",
    "mse",
    "rmse",
    "r2",
    "pearson",
    "ccc",
    "spearman",
    "cosine",
)
"""Names of the metrics, in the order of tables."""

SCALE_FREE = frozenset({"pearson", "spearman"})
"""Metrics that keep their meaning when predictions and labels have different ranges."""

MACRO = "macro"
_SAME = 1e-6  # relative spread below which float32 predictions count as one constant


@dataclass(frozen=True)
class Score:
    """One number of a table, with its 95 % interval, or the reason why there is none.

    ``sd`` is the spread over seeds, where the value is the mean over them.
    """

    value: float | None
    reason: str = ""
    low: float | None = None
    high: float | None = None
    sd: float | None = None


@dataclass(frozen=True)
class Sums:
    """Sums over the clips of each fold from which the metrics follow, each (..., folds, targets).

    Labels t and predictions p are shifted by ``shift`` before they are summed, which keeps
    differences of sums exact enough.

    Attributes:
        count: number of labelled clips.
        t: sum of labels.
        p: sum of predictions.
        tt: sum of squared labels.
        pp: sum of squared predictions.
        tp: sum of products.
        absolute: sum of absolute errors.
        squared: sum of squared errors.
        constant: sum of absolute errors of the constant; NaN without one.
        shift: what was subtracted from labels and predictions.
        span: length of the target's range (targets,); NaN for z-scores.
    """

    count: Array
    t: Array
    p: Array
    tt: Array
    pp: Array
    tp: Array
    absolute: Array
    squared: Array
    constant: Array
    shift: float = 0.0
    span: Array | float = np.nan

    def pooled(self) -> "Sums":
        """Add the targets up as if they were one, (..., folds, 1)."""
        # The targets may have ranges of their own: together they have none, and no accuracy.
        parts = [getattr(self, name).sum(axis=-1, keepdims=True) for name in TERMS]
        return named(np.stack(parts, axis=-2), self.shift, np.nan)


TERMS = ("count", "t", "p", "tt", "pp", "tp", "absolute", "squared", "constant")


def named(values: Array, shift: float, span: Array | float) -> Sums:
    """Name the terms of sums (..., folds, terms, targets)."""
    return Sums(**dict(zip(TERMS, np.moveaxis(values, -2, 0), strict=True)), shift=shift, span=span)


def terms(target: Array, prediction: Array, constant: Array, shift: float) -> Array:
    """Give what each clip adds to the ``Sums``.

    Args:
        target: labels (clips, targets), NaN where one is missing: such a cell adds nothing.
        prediction: (clips, targets).
        constant: what skill is measured against, (targets,) or (clips, targets) where folds have
            their own; NaN without one.
        shift: subtracted from labels and predictions.

    Returns:
        (clips, terms, targets), terms in the order of TERMS.
    """
    t, p = target - shift, prediction - shift
    error = t - p
    parts = (np.ones_like(t), t, p, t * t, p * p, t * p, abs(error), error**2)
    stacked = np.stack((*parts, abs(target - constant)), axis=1)
    # The count goes to 0 as well: such a clip is none of this target's.
    return np.where(np.isnan(target)[:, None, :], 0.0, stacked)


def _mse(s: Sums) -> Array:
    return _mean(s.squared, s)


def _mae(s: Sums) -> Array:
    return _mean(s.absolute, s)


def _rmse(s: Sums) -> Array:
    return np.sqrt(_mse(s))


def _accuracy(s: Sums) -> Array:
    # ChaLearn's "mean accuracy" for a range of 0 to 1; other ranges are brought to it
    return 1 - _mae(s) / s.span


def _skill(s: Sums) -> Array:
    # the constant is the mean of the fitted clips, never of those scored: 0 is worthless
    missed: Array = s.constant.sum(axis=-2)
    error: Array = s.absolute.sum(axis=-2)
    return 1 - error / np.where(missed > 0, missed, np.nan)


def _r2(s: Sums) -> Array:
    # against the mean of *these* labels, so a constant of the fitted clips is below 0
    return 1 - _mse(s) / _spread(s, s.t, s.tt)


def _pearson(s: Sums) -> Array:
    product = _spread(s, s.t, s.tt) * _spread(s, s.p, s.pp)
    return np.clip(_covariance(s) / np.sqrt(product), -1, 1)


def _ccc(s: Sums) -> Array:
    # Lin's concordance with population variances: pays for a shift that pearson forgives
    spread = _spread(s, s.t, s.tt) + _spread(s, s.p, s.pp)
    return 2 * _covariance(s) / (spread + _mean(_product(s, s.t - s.p, s.t - s.p), s))


def _cosine(s: Sums) -> Array:
    # not centred: on a range without negative values it is near 1 for anything, a constant too
    n, t, p, tt, pp, tp = (x.sum(axis=-2) for x in (s.count, s.t, s.p, s.tt, s.pp, s.tp))
    both = tp + s.shift * (t + p) + n * s.shift**2
    labels = tt + 2 * s.shift * t + n * s.shift**2
    predictions = pp + 2 * s.shift * p + n * s.shift**2
    product = labels * predictions
    cosine = both / np.sqrt(np.where(product > 0, product, np.nan))
    return np.asarray(np.clip(cosine, -1, 1))


def _mean(total: Array, s: Sums) -> Array:
    """A sum of each fold (..., folds, targets) over all clips: (..., targets)."""
    return np.asarray(total.sum(axis=-2) / s.count.sum(axis=-2))


def _product(s: Sums, one: Array, other: Array) -> Array:
    """Product of two sums over the number of clips of their fold; 0 in a fold without clips."""
    return np.asarray(one * other / np.maximum(s.count, 1))


def _spread(s: Sums, total: Array, squares: Array) -> Array:
    """Population variance within folds; NaN where all values of each fold are the same."""
    # The variance of equal values is a rest of rounding, seldom exactly 0, and would be divided
    # by as if it were spread.
    variance = _mean(squares - _product(s, total, total), s)
    return np.where(variance > _SAME**2 * _mean(squares, s), variance, np.nan)


def _covariance(s: Sums) -> Array:
    return _mean(s.tp - _product(s, s.t, s.p), s)


FORMULAS: dict[str, Callable[[Sums], Array]] = {
    "accuracy": _accuracy,
    "skill": _skill,
    "mae": _mae,
    "mse": _mse,
    "rmse": _rmse,
    "r2": _r2,
    "pearson": _pearson,
    "ccc": _ccc,
    "cosine": _cosine,
}
"""Metric -> its formula on ``Sums``; NaN where it is undefined."""


def ccc_pooled(
    target: ArrayLike, prediction: ArrayLike, *, folds: NDArray[np.intp] | None = None
) -> Score:
    """Concordance over all targets as one long vector; (clips, targets), NaN labels left out.

    Differences between the targets' means count as agreement here, so it is higher than the
    macro mean of ``ccc``.
    """
    t, p = np.asarray(target, dtype=float), np.asarray(prediction, dtype=float)
    if t.shape != p.shape:
        raise ValueError(f"Labels {t.shape} and predictions {p.shape} differ in shape.")
    known = ~np.isnan(t)
    if folds is not None:
        folds = np.broadcast_to(folds[:, None], t.shape)[known]
    return score("ccc", t[known], p[known], folds=folds)


def score(
    metric: str,
    target: ArrayLike,
    prediction: ArrayLike,
    *,
    span: float | None = None,
    constant: ArrayLike | None = None,
    folds: NDArray[np.intp] | None = None,
) -> Score:
    """Compute one metric of one target by name; labels and predictions (clips,).

    Args:
        metric: one of METRICS.
        target: labels.
        prediction: one for each label.
        span: length of the target's range.
        constant: what skill is measured against; one number, or one for each clip.
        folds: which clips were predicted by one model; all where not given.

    Raises:
        ValueError: shapes differ, or a label or prediction is not finite.
    """
    t, p = _pair(target, prediction)
    of = [np.arange(t.size)] if folds is None else [np.flatnonzero(folds == f) for f in set(folds)]
    reason = _undefined(metric, t, p, span=span, constant=constant, folds=of)
    if reason:
        return Score(None, reason)
    if metric == "spearman":  # ranks do not follow from sums of values
        t, p = (np.concatenate([ranks(values[fold]) for fold in of]) for values in (t, p))
        # The clips stand fold by fold now, so their folds are numbered anew.
        sizes = np.repeat(np.arange(len(of)), [len(fold) for fold in of])
        return score("pearson", t, p, folds=sizes)
    # around their mean, labels of 1e5 keep as many digits in a sum of squares as labels of 1
    shift = float(t.mean())
    fixed = np.broadcast_to(np.nan if constant is None else np.asarray(constant), t.shape)
    values = terms(t[:, None], p[:, None], fixed[:, None], shift)
    summed = np.stack([values[fold].sum(axis=0) for fold in of])
    sums = named(summed, shift, np.nan if span is None else span)
    return Score(float(FORMULAS[metric](sums)[0]))


def score_table(
    target: Array,
    prediction: Array,
    *,
    names: Sequence[str],
    constants: Array | None = None,
    spans: Sequence[float | None] | None = None,
    folds: NDArray[np.intp] | None = None,
) -> dict[str, dict[str, Score]]:
    """Compute every metric for every target, and macro.

    Args:
        target: labels (clips, targets), NaN where one is missing: that clip is left out of
            that target.
        prediction: (clips, targets), finite.
        names: of the targets.
        constants: what skill is measured against, (targets,) or (clips, targets); NaN for none.
        spans: lengths of the targets' ranges, None for z-scores.
        folds: which clips were predicted by one model (clips,); all where not given.

    Returns:
        metric -> target name or ``macro`` -> score.
    """
    fixed = np.broadcast_to(np.nan if constants is None else np.asarray(constants), target.shape)
    spans = spans or [None] * len(names)
    table: dict[str, dict[str, Score]] = {}
    for metric in METRICS:
        cells = {}
        for column, name in enumerate(names):
            known = ~np.isnan(target[:, column])
            # Skill over some of the clips alone would not be comparable with the scores beside it.
            held = fixed[known, column]
            cells[name] = score(
                metric,
                target[known, column],
                prediction[known, column],
                span=spans[column],
                constant=None if np.isnan(held).any() else held,
                folds=None if folds is None else folds[known],
            )
        table[metric] = {MACRO: macro(cells), **cells}
    return table


def macro(scores: Mapping[str, Score]) -> Score:
    """Average over targets; undefined as soon as one target is, naming which and why."""
    missing = {name: cell.reason for name, cell in scores.items() if cell.value is None}
    if missing or not scores:
        reasons = sorted(set(missing.values()))
        where = ", ".join(missing) if len(missing) < len(scores) else "every target"
        return Score(None, f"{where}: {'; '.join(reasons)}" if scores else "no targets")
    return Score(float(np.mean([cell.value for cell in scores.values()])))


def macro_scores(target: Array, prediction: Array) -> dict[str, float | None]:
    """Macro MAE, MSE, R2 and CCC of a whole split (clips, targets), None where undefined."""
    names = [str(column) for column in range(target.shape[1])]
    table = score_table(target, prediction, names=names)
    return {metric: table[metric][MACRO].value for metric in ("mae", "mse", "r2", "ccc")}


def ranks(values: Array) -> Array:
    """Ranks from 1, ties at their mean rank; (clips,)."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    # values 3 5 5 9: counts 1 2 1, last ranks 1 3 4, middle ranks 1 2.5 4, by clip 1 2.5 2.5 4
    ends = np.cumsum(counts)
    middle: Array = ends - (counts - 1) / 2
    return middle[place]


def _pair(target: ArrayLike, prediction: ArrayLike) -> tuple[Array, Array]:
    """Refuse what is not two finite vectors of one length."""
    t, p = np.asarray(target, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if t.ndim != 1 or t.shape != p.shape:
        raise ValueError(
            f"Labels {t.shape} and predictions {p.shape} must be two vectors of one length."
        )
    for name, values in (("labels", t), ("predictions", p)):
        if not np.isfinite(values).all():
            raise ValueError(f"{np.sum(~np.isfinite(values))} {name} are NaN or infinite.")
    return t, p


def _undefined(
    metric: str,
    t: Array,
    p: Array,
    *,
    span: float | None,
    constant: ArrayLike | None,
    folds: Sequence[NDArray[np.intp]],
) -> str:
    """Say why a metric has no value here; an empty string where it has one."""
    related = metric in {"pearson", "spearman", "ccc"}
    checks = (
        (t.size == 0, "no labelled clips"),
        (metric == "accuracy" and span is None, "accuracy needs a bounded range"),
        (metric == "skill" and constant is None, "skill needs the constant of the fitted clips"),
        ((related or metric == "r2") and t.size < 2, "fewer than two clips"),
        ((related or metric == "r2") and _same(t, folds), "the labels do not vary"),
        (related and _same(p, folds), "the predictions do not vary"),
        (metric == "cosine" and not (t.any() and p.any()), "labels or predictions are all zero"),
        (metric == "skill" and np.all(t == constant), "the constant is already exact"),
    )
    # The first that holds is shown: what is missing comes before what does not vary.
    return next((reason for holds, reason in checks if holds), "")


def _same(values: Array, folds: Sequence[NDArray[np.intp]]) -> bool:
    """Tell whether the values of each fold are one number."""
    least = _SAME * float(np.abs(values).max(initial=0))
    return all(fold.size == 0 or np.ptp(values[fold]) <= least for fold in folds)
