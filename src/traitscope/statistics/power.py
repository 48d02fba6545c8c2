"""Labels and clusters of clips in, what an evaluation on them could tell out.

Before there is a model: how wide the intervals of a middling one would be, and how far two such
models must be apart for a paired comparison to see it. Predictions are made up from the labels;
their errors are alike within a cluster as the labels are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from traitscope.statistics.intervals import cluster, without_each
from traitscope.statistics.metrics import Array
from traitscope.statistics.reliability import agreement
from traitscope.statistics.resampling import FEWEST_CLUSTERS, freedom

CORRELATION = 0.5
"""Of the predictions of the assumed model with the labels."""
ALIKE = 0.8
"""Correlation of the errors of two such models."""
POWER = 0.8
METRICS = ("accuracy", "skill", "ccc", "pearson")
# A plan needs one digit, and each draw leaves every cluster out of two systems.
_DRAWS = 5


@dataclass(frozen=True)
class Planned:
    """What to expect of one macro score.

    Attributes:
        metric: its name.
        half_width: of the 95 % interval of one model.
        difference: smallest one between two models that is found in 80 of 100 comparisons.
    """

    metric: str
    half_width: float
    difference: float


def plan(
    target: Array,
    clusters: NDArray[np.intp],
    *,
    constant: Array | None = None,
    spans: Sequence[float | None] | None = None,
    seed: int = 0,
) -> tuple[Planned, ...]:
    """Tell what an evaluation on some clips could show.

    Args:
        target: labels (clips, targets), NaN where one is missing.
        clusters: number of the source, person or group of each clip (clips,).
        constant: what skill is measured against (targets,); the labels' mean where not given.
        spans: lengths of the targets' ranges, None for z-scores: then there is no accuracy.
        seed: of the made-up predictions.

    Returns:
        One entry for each metric that is defined; none with fewer than FEWEST_CLUSTERS clusters.
    """
    from scipy.stats import t as student

    if len(set(clusters)) < FEWEST_CLUSTERS or np.isnan(target).all(axis=0).any():
        return ()
    fixed = np.nanmean(target, axis=0) if constant is None else constant
    tied = [str(number) for number in clusters]
    ranges = [np.nan if span is None else span for span in spans or [None] * target.shape[1]]
    rng = np.random.default_rng(seed)
    widths: dict[str, list[tuple[float, float]]] = {metric: [] for metric in METRICS}
    for _ in range(_DRAWS):
        systems = [
            without_each(cluster(target, p, tied, constant=fixed, span=ranges), METRICS)
            for p in _pair(rng, target, clusters)
        ]
        for metric in METRICS:
            one, two = (system[metric][:, 0, -1] for system in systems)
            # The difference has an error of its own: what a hard clip costs both cancels in it.
            (error, degrees), (apart, few) = _error(one), _error(one - two)
            half = error * student.ppf(0.975, degrees)
            # Far enough that even a sample with bad luck, such as 20 of 100 have, is beyond the
            # point where the test begins to see anything: both quantiles add up.
            difference = apart * (student.ppf(0.975, few) + student.ppf(POWER, few))
            widths[metric].append((float(half), float(difference)))
    middle = {metric: np.median(values, axis=0) for metric, values in widths.items()}
    return tuple(
        Planned(metric, float(half), float(difference))
        for metric, (half, difference) in middle.items()
        if np.isfinite([half, difference]).all()
    )


def _pair(
    rng: np.random.Generator, target: Array, clusters: NDArray[np.intp]
) -> tuple[Array, Array]:
    """Predictions (clips, targets) of two calibrated models whose errors are alike."""
    mean, spread = np.nanmean(target, axis=0), np.nanstd(target, axis=0)
    # Signal of variance r⁴ and noise of variance r² (1 - r²), in units of the labels' variance,
    # give a correlation of r, and labels that rise by 1 per unit predicted: no scale is wrong.
    known = mean + CORRELATION**2 * (np.nan_to_num(target - mean))
    size = CORRELATION * np.sqrt(1 - CORRELATION**2) * spread
    first, second = (_noise(rng, target, clusters) for _ in range(2))
    # The squares of the two shares add up to 1: both errors are of one size.
    other = ALIKE * first + np.sqrt(1 - ALIKE**2) * second
    return known + size * first, known + size * other


def _noise(rng: np.random.Generator, target: Array, clusters: NDArray[np.intp]) -> Array:
    """Noise (clips, targets) of sd 1 that is as alike within clusters as the labels are."""
    _, index = np.unique(clusters, return_inverse=True)
    own = rng.normal(size=target.shape)
    shared = rng.normal(size=(int(index.max()) + 1, target.shape[1]))[index]
    columns = []
    for column in range(target.shape[1]):
        mine = [target[index == g, column] for g in range(int(index.max()) + 1)]
        # Undefined where no cluster has two clips, and below 0 by chance: nothing is alike then.
        alike = agreement([list(group[~np.isnan(group)]) for group in mine]).single or 0.0
        share = float(np.clip(alike, 0, 1))
        columns.append(np.sqrt(share) * shared[:, column] + np.sqrt(1 - share) * own[:, column])
    return np.stack(columns, axis=1)


def _error(left_out: Array) -> tuple[float, float]:
    """Standard error by the jackknife, and its degrees of freedom; values (clusters,)."""
    # Values without one cluster share all the others and so lie close: the factor undoes it.
    away, count = left_out - left_out.mean(), len(left_out)
    degrees = float(np.clip(freedom(away), 1, count - 1))
    return float(np.sqrt((away**2).sum() * (count - 1) / count)), degrees
