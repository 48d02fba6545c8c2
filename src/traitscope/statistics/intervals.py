"""Labels, predictions and sources in, 95 % intervals and paired tests out: pure NumPy.

Clips of one source resemble each other, so sources are drawn, not clips. Each source is reduced to
the sums of ``metrics.Sums``; a resample is a row of counts times those sums, which makes ten
thousand resamples of a whole split one matrix product. Intervals are BCa (Efron 1987), with
Student's tails: bias is corrected from the resamples; skewness and degrees of freedom come from
leaving out one source at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from traitscope.statistics.metrics import FORMULAS, MACRO, TERMS, Array, Sums, named, terms

RESAMPLES = 10_000
RANK_RESAMPLES = 1_000
FEWEST_SOURCES = 5
"""Below this many sources there is no interval."""

_CHUNK = 500  # resamples at a time: a few megabytes of counts
_LOST = 0.05  # share of undefined resamples above which there is no interval
_NORMAL = NormalDist()


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
    there = target[~np.isnan(target)]
    shift = float(there.mean()) if there.size else 0.0
    _, index = np.unique(np.asarray(source, dtype=str), return_inverse=True)
    sums = np.zeros((index.max(initial=-1) + 1, len(TERMS), target.shape[1]))
    np.add.at(sums, index, terms(target, prediction, fixed, shift))
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
        NaN where the metric is undefined or there are fewer than FEWEST_SOURCES sources.
    """
    points = _values(data.total(data.sums.sum(axis=0)), metrics)
    if len(data.sums) < FEWEST_SOURCES:
        return {name: np.full((point.shape[-1], 2), np.nan) for name, point in points.items()}
    drawn = _values(data.total(_resample(data.sums, resamples, seed)), metrics)
    left_out = _values(data.total(data.sums.sum(axis=0) - data.sums), metrics)
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
    if sources < FEWEST_SOURCES:
        return np.full((targets + 1, 2), np.nan)
    values = np.empty((resamples, targets + 1))
    start = 0
    for counts in _counts(sources, resamples, np.random.default_rng(seed)):
        rows = slice(start, start + len(counts))
        start += len(counts)
        for column in range(targets):
            there = ~np.isnan(target[:, column])
            weights = counts[:, index[there]]
            t = _weighted_ranks(target[there, column], weights)
            p = _weighted_ranks(prediction[there, column], weights)
            values[rows, column] = _weighted_correlation(t, p, weights)
    values[:, -1] = values[:, :-1].mean(axis=1)
    tail = (1 - level) / 2
    return np.stack([_percentiles(v, np.array([tail, 1 - tail])) for v in values.T])


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
    if second.shift != first.shift:
        raise ValueError("Two systems are compared on the same labels only.")
    both = first.sums.sum(axis=0), second.sums.sum(axis=0)
    point = _apart(first, *both, metrics)
    drawn = _apart(
        first,
        _resample(first.sums, resamples, seed),
        _resample(second.sums, resamples, seed),
        metrics,
    )
    left_out = _apart(first, both[0] - first.sums, both[1] - second.sums, metrics)
    exchanged = _apart(first, *_exchange(first.sums, second.sums, resamples, seed), metrics)
    found: list[Difference] = []
    for metric in metrics:
        ends = bca(point[metric], drawn[metric], left_out[metric])
        if len(first.sums) < FEWEST_SOURCES:
            ends = np.full_like(ends, np.nan)
        p = np.array([_p(*pair) for pair in zip(point[metric], exchanged[metric].T, strict=True)])
        corrected = np.append(holm(p[:-1]), p[-1])
        for row, name in enumerate((*names, MACRO)):
            cells = (point[metric][row], *ends[row], p[row], corrected[row])
            found.append(Difference(metric, name, *(_number(cell) for cell in cells)))
    return tuple(found)


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


def bca(point: Array, drawn: Array, left_out: Array, *, level: float = 0.95) -> Array:
    """Turn resamples into BCa intervals.

    Args:
        point: the values on all data (values,).
        drawn: the values in each resample (resamples, values).
        left_out: the values without each source (sources, values).
        level: coverage aimed at.

    Returns:
        (values, 2) lower and upper ends; NaN where a value is undefined, or undefined in more
        than one resample in twenty.
    """
    ends = np.full((len(point), 2), np.nan)
    tails = np.array([_NORMAL.inv_cdf((1 - level) / 2), _NORMAL.inv_cdf((1 + level) / 2)])
    for row, value in enumerate(point):
        sample = drawn[:, row]
        jackknife = left_out[~np.isnan(left_out[:, row]), row]
        if np.isnan(value) or np.isnan(sample).mean() > _LOST or not jackknife.size:
            continue
        below = np.nanmean(sample < value) + np.nanmean(sample == value) / 2
        away = jackknife.mean() - jackknife
        size = np.sum(away**2)
        skew = np.sum(away**3) / (6 * size**1.5) if size > 0 else 0.0
        limit = 1 / (2 * len(sample))
        bias = _NORMAL.inv_cdf(float(np.clip(below, limit, 1 - limit)))
        wider = bias + _student(tails, away)
        moved = bias + wider / (1 - skew * wider)
        ends[row] = _percentiles(sample, np.array([_NORMAL.cdf(z) for z in moved]))
    return ends


def _student(tails: Array, away: Array) -> Array:
    """Widen normal tails to Student's, because the spread is itself estimated from sources.

    Few sources, or few that weigh much, leave few degrees of freedom (Satterthwaite): twice the
    number of sources over the excess of the kurtosis of their influence over 1. The first term of
    the Cornish-Fisher expansion is enough for the tails used here.
    """
    squares = np.sum(away**2)
    if not squares > 0:
        return tails
    kurtosis = len(away) * np.sum(away**4) / squares**2
    freedom = 2 * len(away) / max(kurtosis - 1, 1e-9)
    widened: Array = tails + (tails**3 + tails) / (4 * freedom)
    return widened


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


def _resample(sums: Array, resamples: int, seed: int) -> Array:
    """Sums of resampled sources (resamples, terms, targets)."""
    flat = sums.reshape(len(sums), -1)
    rng = np.random.default_rng(seed)
    drawn = np.concatenate([counts @ flat for counts in _counts(len(sums), resamples, rng)])
    return drawn.reshape(-1, *sums.shape[1:])


def _exchange(first: Array, second: Array, resamples: int, seed: int) -> tuple[Array, Array]:
    """Sums of both systems with the predictions of random sources exchanged."""
    rng = np.random.default_rng(seed)
    half = ((first - second) / 2).reshape(len(first), -1)
    middle = (first + second).sum(axis=0) / 2
    moved = []
    for start in range(0, resamples, _CHUNK):
        rows = min(_CHUNK, resamples - start)
        signs = rng.integers(0, 2, (rows, len(first)), dtype=np.int8) * 2.0 - 1.0
        moved.append(signs @ half)
    away = np.concatenate(moved).reshape(-1, *first.shape[1:])
    return middle + away, middle - away


def _counts(sources: int, resamples: int, rng: np.random.Generator) -> Iterator[Array]:
    """How often each source is drawn: (chunk, sources), each row adds up to ``sources``."""
    for start in range(0, resamples, _CHUNK):
        rows = min(_CHUNK, resamples - start)
        drawn = rng.integers(0, sources, (rows, sources), dtype=np.int32)
        drawn += np.arange(rows, dtype=np.int32)[:, None] * sources
        counts = np.bincount(drawn.ravel(), minlength=rows * sources)
        yield counts.reshape(rows, sources).astype(np.float64)


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


def _percentiles(sample: Array, shares: Array) -> Array:
    if np.isnan(sample).mean() > _LOST:
        return np.full(len(shares), np.nan)
    return np.asarray(np.nanquantile(sample, shares), dtype=np.float64)


def _p(value: float, exchanged: Array) -> float:
    """Two-sided p; the observed arrangement counts as one of those tried."""
    there = exchanged[~np.isnan(exchanged)]
    if np.isnan(value) or not there.size:
        return float("nan")
    extreme = np.sum(np.abs(there) >= abs(value) * (1 - 1e-12))
    return float((1 + extreme) / (1 + there.size))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
