"""Sums per cluster in, the same statistic of ten thousand resamples out, and BCa intervals.

Clips of one source, or of one person, resemble each other: a clip more of the same person is less
than a clip more. So whole clusters are drawn, never clips. Every statistic here follows from sums
over clips, and these add up over clusters, so a resample is a row of counts times a table of sums::

      clips            sums per cluster          one resample: how often each is drawn
    a a a | b | c c      (clusters, terms)         (adds up to the number of clusters)

    [a a a]  ----->   a: n=3, sum=1.4, ...    x 2      the statistic of
    [b]      ----->   b: n=1, sum=0.3, ...    x 0  =>  n = 2*3 + 1*2 = 8, ...
    [c c]    ----->   c: n=2, sum=1.1, ...    x 1      (8 clips of 3 clusters: c once, a twice)

    (resamples, clusters) @ (clusters, terms) = (resamples, terms): one matrix product

Intervals are BCa (Efron 1987), with Student's tails: bias is corrected from the resamples;
skewness and degrees of freedom come from leaving out one cluster at a time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.statistics.metrics import Array

RESAMPLES = 2_000
"""Of an ``Estimate``; tables of a report take more (``intervals``)."""
FEWEST_CLUSTERS = 5
"""Below this many clusters there is no interval."""

_CHUNK = 500  # resamples at a time: a few megabytes of counts
_LOST = 0.05  # share of undefined resamples above which there is no interval
_NORMAL = NormalDist()

Statistic = Callable[[Array], Array]
"""Sums (..., terms) -> values (..., values), NaN where one is undefined."""


@dataclass(frozen=True)
class Estimate:
    """Values (values,) with their intervals.

    Attributes:
        value: on all clips, NaN where undefined.
        low: lower ends, NaN where there is no interval.
        high: upper ends.
        p: two-sided, of the value being 0, from leaving out one cluster at a time.
    """

    value: Array
    low: Array
    high: Array
    p: Array

    def cell(self, place: int) -> dict[str, Any]:
        """One value for JSON."""
        return {
            "value": self.value[place],
            "low": self.low[place],
            "high": self.high[place],
        }


def estimate(
    sums: Array, statistic: Statistic, *, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """Compute a statistic with clustered intervals.

    Args:
        sums: (clusters, terms).
        statistic: of sums.
        resamples: of the clusters; with 0 there are no intervals, only p.
        seed: of the draw.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        value = statistic(sums.sum(axis=0))
        if len(sums) < FEWEST_CLUSTERS:
            nothing = np.full(value.shape, np.nan)
            return Estimate(value, nothing, nothing, nothing)
        left_out = statistic(leave_one_out(sums))
        if not resamples:
            nothing = np.full(value.shape, np.nan)
            return Estimate(value, nothing, nothing, _p(value, left_out))
        ends = bca(value, statistic(resample(sums, resamples, seed)), left_out)
        return Estimate(value, ends[:, 0], ends[:, 1], _p(value, left_out))


def by_cluster(values: Array, clusters: NDArray[np.intp]) -> Array:
    """Sum values (clips, ...) over the clips of each cluster, numbered from 0: (clusters, ...)."""
    sums = np.zeros((int(clusters.max(initial=-1)) + 1, *values.shape[1:]))
    np.add.at(sums, clusters, values)
    return sums


def resample(sums: Array, resamples: int, seed: int) -> Array:
    """Sums (resamples, ...) of clusters drawn with replacement, from sums (clusters, ...)."""
    flat = sums.reshape(len(sums), -1)
    drawn = np.concatenate([counts @ flat for counts in draws(len(sums), resamples, seed)])
    return drawn.reshape(-1, *sums.shape[1:])


def leave_one_out(sums: Array) -> Array:
    """Sums (clusters, ...) of all clusters but one, each left out in turn."""
    left: Array = sums.sum(axis=0) - sums
    return left


def draws(clusters: int, resamples: int, seed: int) -> Iterator[Array]:
    """How often each cluster is drawn: chunks of (resamples, clusters), rows add up to clusters.

    The same seed draws the same clusters whatever is computed of them, so that two systems on the
    same clips are compared on the same resamples.
    """
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, _CHUNK):
        rows = min(_CHUNK, resamples - start)
        drawn = rng.integers(0, clusters, (rows, clusters), dtype=np.int32)
        drawn += np.arange(rows, dtype=np.int32)[:, None] * clusters
        counts = np.bincount(drawn.ravel(), minlength=rows * clusters)
        yield counts.reshape(rows, clusters).astype(np.float64)


def bca(point: Array, drawn: Array, left_out: Array, *, level: float = 0.95) -> Array:
    """Turn resamples into BCa intervals.

    Args:
        point: the values on all data (values,).
        drawn: the values in each resample (resamples, values).
        left_out: the values without each cluster (clusters, values).
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
        # ties count half, so that a discrete statistic shows no bias
        below = np.nanmean(sample < value) + np.nanmean(sample == value) / 2
        away = jackknife.mean() - jackknife
        size = np.sum(away**2)
        skew = np.sum(away**3) / (6 * size**1.5) if size > 0 else 0.0
        # a value outside all resamples would ask for an infinite quantile
        limit = 1 / (2 * len(sample))
        bias = _NORMAL.inv_cdf(float(np.clip(below, limit, 1 - limit)))
        wider = bias + _student(tails, away)
        moved = bias + wider / (1 - skew * wider)
        ends[row] = percentiles(sample, np.array([_NORMAL.cdf(z) for z in moved]))
    return ends


def percentiles(sample: Array, shares: Array) -> Array:
    """Values (shares,) below which these shares of a sample lie; NaN where too much is lost."""
    if np.isnan(sample).mean() > _LOST:
        return np.full(len(shares), np.nan)
    return np.asarray(np.nanquantile(sample, shares), dtype=np.float64)


def freedom(away: Array) -> Array:
    """Satterthwaite's degrees of freedom of a spread that is estimated from clusters.

    Few clusters, or few that weigh much, leave few: twice their number over the excess of the
    kurtosis of their influence over 1.

    Args:
        away: how far each cluster moves the value, around 0 (clusters, ...).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        kurtosis = len(away) * (away**4).sum(axis=0) / (away**2).sum(axis=0) ** 2
    # influences of one size have a kurtosis of exactly 1: no cluster weighs more than another
    return np.asarray(2 * len(away) / np.maximum(kurtosis - 1, 1e-9))


def _student(tails: Array, away: Array) -> Array:
    """Widen normal tails to Student's, because the spread is itself estimated from clusters.

    The first term of the Cornish-Fisher expansion is enough for the tails used here.
    """
    if not np.sum(away**2) > 0:
        return tails
    widened: Array = tails + (tails**3 + tails) / (4 * freedom(away))
    return widened


def _p(value: Array, left_out: Array) -> Array:
    """Two-sided p of each value being 0: a jackknife t-test."""
    from scipy.stats import t as student

    count = len(left_out)
    defined = np.isfinite(left_out).all(axis=0)
    # a cluster without a say leaves the value as it is and counts for nothing
    influence = (left_out - left_out.mean(axis=0)) * (count - 1)
    error = np.sqrt((influence**2).sum(axis=0) / (count * (count - 1)))
    degrees = np.clip(freedom(influence), 1, count - 1)
    p = 2 * student.sf(np.abs(value) / error, degrees)
    return np.where(defined & (error > 0), p, np.nan)
