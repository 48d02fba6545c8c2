"""Sums per cluster and a statistic of sums in, values with 95 % clustered intervals out.

The same bootstrap as that of the evaluation (`intervals`): whole clusters are drawn,
ends are BCa. Statistics here are not those of `metrics`, so they come as functions of sums.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.statistics.intervals import FEWEST_SOURCES, bca
from traitscope.statistics.metrics import Array

RESAMPLES = 2_000
_CHUNK = 250

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
        resamples: of the clusters.
        seed: of the draw.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        total = sums.sum(axis=0)
        value = statistic(total)
        if len(sums) < FEWEST_SOURCES:
            nothing = np.full(value.shape, np.nan)
            return Estimate(value, nothing, nothing, nothing)
        drawn = np.concatenate(
            [statistic(counts @ sums) for counts in _counts(len(sums), resamples, seed)]
        )
        left_out = statistic(total - sums)
        ends = bca(value, drawn, left_out)
        return Estimate(value, ends[:, 0], ends[:, 1], _p(value, left_out))


def by_cluster(values: Array, clusters: NDArray[np.intp]) -> Array:
    """Sum values (clips, terms) over the clips of each cluster: (clusters, terms)."""
    sums = np.zeros((int(clusters.max(initial=-1)) + 1, values.shape[1]))
    np.add.at(sums, clusters, values)
    return sums


def _counts(clusters: int, resamples: int, seed: int) -> Iterator[Array]:
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, _CHUNK):
        rows = min(_CHUNK, resamples - start)
        drawn = rng.integers(0, clusters, (rows, clusters)) + np.arange(rows)[:, None] * clusters
        counts = np.bincount(drawn.ravel(), minlength=rows * clusters)
        yield counts.reshape(rows, clusters).astype(np.float64)


def _p(value: Array, left_out: Array) -> Array:
    """Two-sided p of each value being 0: jackknife t with Satterthwaite's degrees of freedom."""
    from scipy.stats import t as student

    there = np.isfinite(left_out).all(axis=0)
    away = left_out - left_out.mean(axis=0)
    # a cluster without a say leaves the value as it is and counts for nothing
    influence = away * (len(left_out) - 1)
    squares, fourth = (influence**2).sum(axis=0), (influence**4).sum(axis=0)
    error = np.sqrt(squares / (len(left_out) * (len(left_out) - 1)))
    kurtosis = len(left_out) * fourth / squares**2
    freedom = np.clip(2 * len(left_out) / (kurtosis - 1), 1, len(left_out) - 1)
    return np.where(there & (error > 0), 2 * student.sf(np.abs(value) / error, freedom), np.nan)
