"""Labels, predictions and sources in, 95 % intervals of metrics and paired tests out.

Clips of one source resemble each other, so sources are drawn, not clips (``resampling`` draws what
that looks like). Each source is reduced to the sums of ``metrics.Sums``, from which all metrics
but Spearman's follow.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from traitscope.statistics.metrics import FORMULAS, MACRO, Array, Sums, named, terms
from traitscope.statistics.resampling import (
    FEWEST_CLUSTERS,
    bca,
    by_cluster,
    draws,
    leave_one_out,
    percentiles,
    resample,
)

RESAMPLES = 10_000
RANK_RESAMPLES = 1_000

_CHUNK = 500  # exchanges at a time


@dataclass(frozen=True)
class Difference:
    """How far two sets of predictions are apart in one metric, first minus second.

    Attributes:
        metric: name of the metric.
        target: name of the target, or ``macro``.
        value: the difference; None where the metric is undefined.
        low: lower end of the 95 % interval.
        high: upper end.
        p: two-sided, from exchanging the predictions of whole sources.
        p_holm: p corrected for the number of targets by Holm's method.
    """

    metric: str
    target: str
    value: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None


@dataclass(frozen=True)
class Clustered:
    """Predictions of one system reduced to sums per source.

    Attributes:
        sums: (sources, terms, targets).
        shift: what was subtracted from labels and predictions.
        span: lengths of the targets' ranges (targets,), NaN for z-scores.
    """

    sums: Array
    shift: float
    span: Array

    def total(self, values: Array) -> Sums:
        """Name the terms of sums (..., terms, targets)."""
        return named(values, self.shift, self.span)


def cluster(
    target: Array,
    prediction: Array,
    source: Sequence[str],
    *,
    constant: ArrayLike | None = None,
    span: ArrayLike | None = None,
) -> Clustered:
    """Reduce predictions to sums per source.

    Args:
        target: labels (clips, targets), NaN where one is missing.
        prediction: (clips, targets).
        source: the source of each clip.
        constant: what skill is measured against (targets,).
        span: lengths of the targets' ranges (targets,), NaN for z-scores.

    Raises:
        ValueError: shapes differ, or a prediction is not finite.
    """
    if target.ndim != 2 or target.shape != prediction.shape or len(source) != len(target):
        raise ValueError(
            f"Labels {target.shape}, predictions {prediction.shape} and {len(source)} sources "
            f"do not belong together."
        )
    if not np.isfinite(prediction).all():
        raise ValueError(f"{np.sum(~np.isfinite(prediction))} predictions are NaN or infinite.")
    missing = np.full(target.shape[1], np.nan)
    fixed = missing if constant is None else np.asarray(constant, dtype=float)
    spans = missing if span is None else np.asarray(span, dtype=float)
    known = target[~np.isnan(target)]
    shift = float(known.mean()) if known.size else 0.0
    _, index = np.unique(np.asarray(source, dtype=str), return_inverse=True)
    sums = by_cluster(terms(target, prediction, fixed, shift), index)
    return Clustered(sums, shift, spans)


def intervals(
    data: Clustered,
    *,
    metrics: Sequence[str] = tuple(FORMULAS),
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Array]:
    """Compute BCa intervals of metrics by resampling sources.

    Args:
        data: sums per source.
        metrics: names from FORMULAS, or ``ccc_pooled``.
        resamples: how many.
        level: coverage aimed at.
        seed: of the draw; the same for two systems on the same clips draws the same sources.

    Returns:
        metric -> (targets + 1, 2) lower and upper ends, macro last; (1, 2) for ``ccc_pooled``;
        NaN where the metric is undefined or there are fewer than FEWEST_CLUSTERS sources.
    """
    points = _values(data.total(data.sums.sum(axis=0)), metrics)
    if len(data.sums) < FEWEST_CLUSTERS:
        return {name: np.full((point.shape[-1], 2), np.nan) for name, point in points.items()}
    drawn = _values(data.total(resample(data.sums, resamples, seed)), metrics)
    left_out = _values(data.total(leave_one_out(data.sums)), metrics)
    return {m: bca(points[m], drawn[m], left_out[m], level=level) for m in metrics}


def spearman_intervals(
    target: Array,
    prediction: Array,
    source: Sequence[str],
    *,
    resamples: int = RANK_RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Array:
    """Compute percentile intervals of Spearman's correlation, re-ranked in every resample.

    Ranks do not follow from sums, so there are fewer resamples, and the ends are percentiles.

    Args:
        target: labels (clips, targets), NaN where one is missing.
        prediction: (clips, targets).
        source: the source of each clip.
        resamples: how many.
        level: coverage aimed at.
        seed: of the draw.

    Returns:
        (targets + 1, 2) lower and upper ends, macro last.
    """
    _, index = np.unique(np.asarray(source, dtype=str), return_inverse=True)
    sources = int(index.max(initial=-1)) + 1
    targets = target.shape[1]
    if sources < FEWEST_CLUSTERS:
        return np.full((targets + 1, 2), np.nan)
    values = np.empty((resamples, targets + 1))
    start = 0
    for counts in draws(sources, resamples, seed):
        rows = slice(start, start + len(counts))
        start += len(counts)
        for column in range(targets):
            known = ~np.isnan(target[:, column])
            weights = counts[:, index[known]]
            t = _weighted_ranks(target[known, column], weights)
            p = _weighted_ranks(prediction[known, column], weights)
            values[rows, column] = _weighted_correlation(t, p, weights)
    values[:, -1] = values[:, :-1].mean(axis=1)
    tail = (1 - level) / 2
    return np.stack([percentiles(v, np.array([tail, 1 - tail])) for v in values.T])


def compare(
    first: Clustered,
    second: Clustered,
    *,
    names: Sequence[str],
    metrics: Sequence[str] = ("mae", "ccc"),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Difference, ...]:
    """Compare two systems on the same clips: difference, paired interval and permutation test.

    The interval draws the same sources for both; the test exchanges the two systems' predictions
    of whole sources at random (for mean errors: flips the sign of each source's difference).

    Args:
        first: sums of the first system.
        second: sums of the second, from the same clips in the same order.
        names: of the targets.
        metrics: what to compare.
        resamples: of the interval and of the test.
        seed: of both.
    """
    if first.sums.shape != second.sums.shape or not np.allclose(
        first.sums[:, 0], second.sums[:, 0]
    ):
        raise ValueError("Two systems are compared on the same clips only.")
    # sums around another middle cannot be subtracted from each other
    if second.shift != first.shift:
        raise ValueError("Two systems are compared on the same labels only.")
    both = first.sums.sum(axis=0), second.sums.sum(axis=0)
    point = _apart(first, *both, metrics)
    drawn = _apart(
        first,
        resample(first.sums, resamples, seed),
        resample(second.sums, resamples, seed),
        metrics,
    )
    left_out = _apart(first, leave_one_out(first.sums), leave_one_out(second.sums), metrics)
    exchanged = _apart(first, *_exchange(first.sums, second.sums, resamples, seed), metrics)
    differences: list[Difference] = []
    for metric in metrics:
        ends = bca(point[metric], drawn[metric], left_out[metric])
        if len(first.sums) < FEWEST_CLUSTERS:
            ends = np.full_like(ends, np.nan)
        p = np.array([_p(*pair) for pair in zip(point[metric], exchanged[metric].T, strict=True)])
        # macro repeats what the targets say: it is no further test of the family
        corrected = np.append(holm(p[:-1]), p[-1])
        for row, name in enumerate((*names, MACRO)):
            cells = (point[metric][row], *ends[row], p[row], corrected[row])
            differences.append(Difference(metric, name, *(_number(cell) for cell in cells)))
    return tuple(differences)


def holm(p: ArrayLike) -> Array:
    """Correct p-values (tests,) for their number by Holm's method; NaN stays NaN."""
    values = np.asarray(p, dtype=float)
    corrected = values.copy()
    order = np.flatnonzero(~np.isnan(values))
    order = order[np.argsort(values[order], kind="stable")]
    steps = values[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def correct(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    """Correct by Holm over all given differences, for families wider than one comparison."""
    p = holm([np.nan if d.p is None else d.p for d in differences])
    return tuple(replace(d, p_holm=_number(value)) for d, value in zip(differences, p, strict=True))


def _values(sums: Sums, metrics: Sequence[str]) -> dict[str, Array]:
    """Every metric (..., targets + 1), macro last; pooled concordance (..., 1)."""
    values = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        for name in metrics:
            if name == "ccc_pooled":
                values[name] = FORMULAS["ccc"](sums.pooled())
                continue
            each = FORMULAS[name](sums)
            values[name] = np.concatenate([each, each.mean(axis=-1, keepdims=True)], axis=-1)
    return values


def _apart(
    data: Clustered, first: Array, second: Array, metrics: Sequence[str]
) -> dict[str, Array]:
    one, two = (_values(data.total(sums), metrics) for sums in (first, second))
    return {name: one[name] - two[name] for name in metrics}


def _exchange(first: Array, second: Array, resamples: int, seed: int) -> tuple[Array, Array]:
    """Sums of both systems with the predictions of random sources exchanged."""
    rng = np.random.default_rng(seed)
    # middle + half is one system and middle - half the other: exchanging them flips a sign
    half = ((first - second) / 2).reshape(len(first), -1)
    middle = (first + second).sum(axis=0) / 2
    moved = []
    for start in range(0, resamples, _CHUNK):
        rows = min(_CHUNK, resamples - start)
        signs = rng.integers(0, 2, (rows, len(first)), dtype=np.int8) * 2.0 - 1.0
        moved.append(signs @ half)
    away = np.concatenate(moved).reshape(-1, *first.shape[1:])
    return middle + away, middle - away


def _weighted_ranks(values: Array, weights: Array) -> Array:
    """Mean ranks (resamples, clips) when clip i occurs ``weights[:, i]`` times."""
    _, place = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    counts = np.add.reduceat(weights[:, order], starts, axis=1)
    middle: Array = np.cumsum(counts, axis=1) - (counts - 1) / 2
    return middle[:, place]


def _weighted_correlation(t: Array, p: Array, weights: Array) -> Array:
    """Correlation (resamples,) of two arrays (resamples, clips)."""
    total = weights.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = t - (weights * t).sum(axis=1, keepdims=True) / total
        p = p - (weights * p).sum(axis=1, keepdims=True) / total
        product = (weights * t * t).sum(axis=1) * (weights * p * p).sum(axis=1)
        correlation = (weights * t * p).sum(axis=1) / np.sqrt(product)
        return np.where(product > 0, correlation, np.nan)


def _p(value: float, exchanged: Array) -> float:
    """Two-sided p; the observed arrangement counts as one of those tried."""
    defined = exchanged[~np.isnan(exchanged)]
    if np.isnan(value) or not defined.size:
        return float("nan")
    # rounding must not decide whether an exchange is as extreme as what was observed
    extreme = np.sum(np.abs(defined) >= abs(value) * (1 - 1e-12))
    return float((1 + extreme) / (1 + defined.size))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
