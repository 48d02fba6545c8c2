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
skewness, degrees of freedom and the least spread come from leaving out one cluster at a time, which
is what makes them wide enough with 50 clusters (``benchmarks/intervals``). A p-value is read off
the same distribution (``Sampling``), so that an interval without 0 and p below .05 are one thing.
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
_FARTHEST = 8.0  # standard deviations within which the place of a value is looked for
_HALVINGS = 30
_ROUNDING = 1e-12
_CHANCE_BIAS = 2.5  # two standard errors of the bias, times the root of the resamples
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
        # Each row counts in a range of its own, so that one bincount serves them all.
        drawn += np.arange(rows, dtype=np.int32)[:, None] * clusters
        counts = np.bincount(drawn.ravel(), minlength=rows * clusters)
        yield counts.reshape(rows, clusters).astype(np.float64)


@dataclass(frozen=True)
class Sampling:
    """How one value would scatter in other samples of clusters, and with other seeds.

    Attributes:
        value: on all data.
        sample: its resamples, sorted (resamples,).
        bias: correction of BCa for the median, in standard deviations.
        skew: its acceleration.
        degrees: of freedom of the spread over clusters.
        stretch: how far resamples must be pulled apart, 1 or more: of few clusters they scatter
            less than the value itself.
        error: standard error from training with so few seeds, 0 without several.
        error_degrees: of freedom of both errors together.
    """

    value: float
    sample: Array
    bias: float
    skew: float
    degrees: float
    stretch: float = 1.0
    error: float = 0.0
    error_degrees: float = 1.0

    def quantile(self, place: float) -> float:
        """The end of a one-sided interval, for a normal quantile such as -1.96."""
        # the first term of the Cornish-Fisher expansion makes a normal quantile Student's
        wider = self.bias + place + (place**3 + place) / (4 * self.degrees)
        moved = self.bias + wider / max(1 - self.skew * wider, 0.05)
        rank = _NORMAL.cdf(moved) * (len(self.sample) - 1)
        first = min(int(rank), len(self.sample) - 2) if len(self.sample) > 1 else 0
        low, high = self.sample[first], self.sample[min(first + 1, len(self.sample) - 1)]
        drawn = float(low + (rank - first) * (high - low))
        end = self.value + (drawn - self.value) * self.stretch
        if not self.error:
            return end
        from scipy.special import stdtrit

        # two independent sources of error add up as squares on each side (Zou & Donner 2008)
        seeds = self.error * float(stdtrit(self.error_degrees, _NORMAL.cdf(place)))
        away = end - self.value
        return self.value + float(np.copysign(np.hypot(away, seeds), away or place))

    def ends(self, level: float) -> tuple[float, float]:
        """The two ends of an interval of this coverage."""
        place = _NORMAL.inv_cdf((1 + level) / 2)
        return self.quantile(-place), self.quantile(place)

    def below(self, null: float) -> float:
        """How sure the data make that the true value is below ``null``: 0 to 1.

        One minus the level of the one-sided interval that just reaches ``null``; never surer than
        the number of resamples allows.
        """
        if not self.error and np.ptp(self.sample) == 0 and self.value == null:
            return 0.5
        # No formula inverts ``quantile``; it rises with its place, so halving finds the place.
        low, high = -_FARTHEST, _FARTHEST
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.quantile(middle) < null else (low, middle)
        limit = 0.5 / (len(self.sample) + 1)
        return float(np.clip(_NORMAL.cdf((low + high) / 2), limit, 1 - limit))

    def p(self) -> float:
        """Two-sided p of the true value being 0."""
        sure = self.below(0.0)
        return 2 * min(sure, 1 - sure)

    def p_equivalent(self, margin: float) -> float:
        """P of two one-sided tests of the true value being outside ``-margin`` to ``margin``."""
        return max(self.below(-margin), 1 - self.below(margin))


def sampling(
    value: float, sample: Array, left_out: Array, *, error: float = 0.0, error_degrees: float = 1.0
) -> Sampling | None:
    """Collect what the interval and the tests of one value need.

    Args:
        value: on all data.
        sample: in each resample (resamples,).
        left_out: without each cluster (clusters,).
        error: standard error from few seeds.
        error_degrees: of freedom of that.

    Returns:
        None where the value is undefined, or undefined in more than one resample in twenty.
    """
    # what differs by rounding alone does not scatter: the skill of the constant is 0 [0, 0]
    value = 0.0 if abs(value) <= _ROUNDING else value
    same = np.abs(sample - value) <= _ROUNDING * max(1.0, abs(value))
    known = np.sort(np.where(same, value, sample)[~np.isnan(sample)])
    jackknife = left_out[~np.isnan(left_out)]
    if np.isnan(value) or len(known) < (1 - _LOST) * len(sample) or not jackknife.size:
        return None
    # ties count half, so that a discrete statistic shows no bias
    below = np.mean(known < value) + np.mean(known == value) / 2
    away = jackknife.mean() - jackknife
    size = float(np.sum(away**2))
    # the jackknife's standard error is seldom too small, the resamples' spread is with 50 clusters
    wide, drawn = np.sqrt(size * (len(away) - 1) / len(away)), float(np.std(known))
    # a value outside all resamples would ask for an infinite quantile
    limit = 1 / (2 * len(known))
    bias = _NORMAL.inv_cdf(float(np.clip(below, limit, 1 - limit)))
    skew = float(np.sum(away**3)) / (6 * size**1.5) if size > 0 else 0.0
    # corrections that could be chance do harm: of 60 clusters their noise costs 1 % of coverage
    chance = 1 / (6 * len(away))
    stretch = max(1.0, float(wide) / drawn) if drawn > 0 else 1.0
    degrees = float(freedom(away)) if size > 0 else np.inf
    return Sampling(
        value=value,
        sample=known,
        bias=bias if abs(bias) > _CHANCE_BIAS / np.sqrt(len(known)) else 0.0,
        skew=skew * max(0.0, 1 - chance / skew**2) if skew else 0.0,
        degrees=degrees,
        stretch=stretch,
        error=error,
        error_degrees=_together((drawn * stretch, degrees), (error, error_degrees)),
    )


def _together(clusters: tuple[float, float], seeds: tuple[float, float]) -> float:
    """Degrees of freedom of two errors that add up (Satterthwaite).

    Five seeds alone leave 4; where what differs between people is the larger part, Student's tails
    of 4 would make intervals wider than they are.
    """
    whole = clusters[0] ** 2 + seeds[0] ** 2
    parts = clusters[0] ** 4 / clusters[1] + seeds[0] ** 4 / seeds[1]
    return whole**2 / parts if parts > 0 else seeds[1]


def bca(point: Array, drawn: Array, left_out: Array, *, level: float = 0.95) -> Array:
    """Turn resamples into BCa intervals.

    Args:
        point: the values on all data (values,).
        drawn: the values in each resample (resamples, values).
        left_out: the values without each cluster (clusters, values).
        level: coverage aimed at.

    Returns:
        (values, 2) lower and upper ends; NaN where there is no ``sampling``.
    """
    samplings = [sampling(float(v), drawn[:, i], left_out[:, i]) for i, v in enumerate(point)]
    ends = [(np.nan, np.nan) if one is None else one.ends(level) for one in samplings]
    return np.array(ends, dtype=np.float64).reshape(len(point), 2)


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
