"""One column against several targets: correlations with p-values that know of clusters.

Each cluster gives one number, the sum of its centred products; under the null these are independent
with mean zero, whatever clips of one cluster have in common. A t-test of them, with as many values
as there are clusters, is the cluster-robust score test of the correlation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from traitscope.statistics.metrics import Array
from traitscope.statistics.resampling import FEWEST_CLUSTERS, by_cluster, freedom

_FLAT = 1e-9  # range, as a share of the largest value, below which a column does not vary


@dataclass(frozen=True)
class Correlated:
    """Correlations of one column with several targets.

    Attributes:
        value: (targets,), NaN where a column does not vary.
        p: (targets,) two-sided, NaN with fewer than FEWEST_CLUSTERS clusters.
        counts: clips with both (targets,).
        sums: per cluster (clusters, targets * 6), for intervals.
    """

    value: Array
    p: Array
    counts: NDArray[np.intp]
    sums: Array


def correlate(
    x: Array, y: Array, clusters: NDArray[np.intp], *, method: str = "pearson"
) -> Correlated:
    """Correlate one column with several targets, with cluster-robust p-values.

    Args:
        x: a statistic of a signal (clips,), NaN where it was not measured.
        y: targets (clips, targets), NaN where one is missing.
        clusters: number of the cluster of each clip (clips,).
        method: ``pearson`` or ``spearman``.
    """
    known = np.isfinite(x)[:, None] & np.isfinite(y)
    counts = known.sum(axis=0)
    a = _standardised(np.broadcast_to(x[:, None], y.shape), known, method)
    b = _standardised(y, known, method)
    # Of these six sums the correlation follows for any set of clusters, so that intervals need
    # no second look at the clips.
    terms = np.stack([known.astype(float), a, b, a * a, b * b, a * b], axis=-1)
    sums = by_cluster(terms.reshape(len(y), -1), clusters)
    by_target = sums.reshape(len(sums), y.shape[1], terms.shape[-1])
    # clusters without one clip that has both would count as evidence of zero
    p = [_p(by_target[by_target[:, t, 0] > 0, t, -1]) for t in range(y.shape[1])]
    with np.errstate(divide="ignore", invalid="ignore"):
        value = from_sums(sums.sum(axis=0))
    return Correlated(value, np.where(np.isfinite(value), p, np.nan), counts, sums)


def _standardised(values: Array, known: NDArray[np.bool_], method: str) -> Array:
    """Columns with mean 0 and sd 1 over what is known, and 0 elsewhere; NaN if they do not vary."""
    from scipy.stats import rankdata

    result = np.zeros(values.shape)
    for place in range(values.shape[1]):
        # A clip without the other value must move neither the mean nor the ranks of the rest.
        mine = values[known[:, place], place]
        if len(mine) < 3 or np.ptp(mine) <= _FLAT * max(1.0, float(np.abs(mine).max())):
            result[known[:, place], place] = np.nan
            continue
        mine = rankdata(mine) if method == "spearman" else mine
        result[known[:, place], place] = (mine - mine.mean()) / mine.std()
    return result


def from_sums(sums: Array) -> Array:
    """Correlations (..., targets) from sums (..., targets * 6)."""
    n, x, y, xx, yy, xy = np.moveaxis(sums.reshape(*sums.shape[:-1], -1, 6), -1, 0)
    # The columns were centred over all clips; those of a resample have another mean.
    covariance = xy / n - x * y / n**2
    spread = np.sqrt((xx / n - x * x / n**2) * (yy / n - y * y / n**2))
    return np.asarray(covariance / spread)


def _p(products: Array) -> float:
    """Two-sided p of a t-test of the clusters' sums of centred products (clusters,).

    Few clusters that weigh much leave few degrees of freedom (Satterthwaite), as in the intervals.
    """
    from scipy.stats import t as student

    count = len(products)
    away = products - products.mean() if count else products
    squares = float((away**2).sum())
    if count < FEWEST_CLUSTERS or not squares > 0:
        return float("nan")
    # The error of a sum, not of a mean: it is the sum that is 0 where nothing is related.
    error = np.sqrt(squares * count / (count - 1))
    degrees = float(np.clip(freedom(away), 1, count - 1))
    return float(2 * student.sf(abs(products.sum()) / error, degrees))
