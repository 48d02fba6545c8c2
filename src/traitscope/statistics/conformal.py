"""Residuals of held-out people in, intervals for new people out: split-conformal, by group.

Clips of one person or recording resemble each other, so a new person is one draw of groups and not
of clips. Each group has the same weight, shared by its clips, and one more stands for the new one,
of whom nothing is known (Lee, Barber and Willett, 2023, https://arxiv.org/abs/2306.06342)::

    |residuals|   .02  .05  .06  .11  .30   inf
    group          a    a    b    a    c    the new one
    weight        1/12 1/12 1/4  1/12 1/4   1/4          sum to 1
                  -------------------> level: the half width is the first at or beyond it

A label of a new group then lies within the half width of its prediction with at least the
probability ``level``, whatever the model and however its errors are distributed. It holds on
average over people: for a kind of people whose labels scatter more, the share is lower.
"""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEVEL = 0.9
"""Of intervals, unless told otherwise."""

_PARTS = 10  # that take turns in being held out, where coverage is measured


def fewest_groups(level: float = LEVEL) -> int:
    """How many groups a finite interval needs: with fewer, nothing is known of the tail."""
    # The new group has the weight 1 / (groups + 1), which must not reach into the level.
    return math.ceil(level / (1 - level) - 1e-9)


def half_widths(
    residuals: Array, groups: NDArray[np.int64], level: float = LEVEL, *, scale: Array | None = None
) -> Array:
    """How far from its prediction a new label lies at most, with a probability.

    Args:
        residuals: (clips, targets) label minus prediction, NaN without a label.
        groups: (clips,) person or recording of each clip.
        level: the probability.
        scale: (clips, targets) how sure each prediction was; half widths are then multiples.

    Returns:
        (targets,) half widths, infinite where there are fewer groups than `fewest_groups`.
    """
    scores = np.abs(residuals if scale is None else residuals / scale)
    return np.array([_quantile(column, groups, level) for column in scores.T])


def coverage(
    residuals: Array, groups: NDArray[np.int64], level: float = LEVEL, *, scale: Array | None = None
) -> Array:
    """Which share of labels lies in intervals that were made without their own group.

    Arguments as of `half_widths`.

    Returns:
        (targets,) shares, each group weighing the same; NaN where there are too few groups.
    """
    scores = np.abs(residuals if scale is None else residuals / scale)
    numbers = np.unique(groups, return_inverse=True)[1]
    inside = np.full(scores.shape, np.nan)
    for part in range(_PARTS):
        out = numbers % _PARTS == part
        widths = half_widths(scores[~out], numbers[~out], level)
        if not np.isfinite(widths).all():
            return np.full(scores.shape[1], np.nan)
        inside[out] = scores[out] <= widths
    inside[np.isnan(scores)] = np.nan
    return np.array([_mean(column, numbers) for column in inside.T])


def share_inside(residuals: Array, groups: NDArray[np.int64], widths: Array) -> Array:
    """Which share of labels lies within half widths (targets,), each group weighing the same."""
    inside = np.where(np.isfinite(residuals), np.abs(residuals) <= widths, np.nan)
    return np.array([_mean(column, groups) for column in inside.T])


def _quantile(scores: Array, groups: NDArray[np.int64], level: float) -> float:
    known = np.isfinite(scores)
    scores, weights, count = scores[known], *_weights(groups[known])
    order = np.argsort(scores)
    # Sums of many small weights miss a level such as .9 by rounding, by far less than 1e-9.
    reached = np.cumsum(weights[order] / (count + 1)) >= level - 1e-9
    return float(scores[order][np.argmax(reached)]) if reached.any() else math.inf


def _mean(values: Array, groups: NDArray[np.int64]) -> float:
    known = np.isfinite(values)
    weights, count = _weights(groups[known])
    return float(values[known] @ weights / count) if count else math.nan


def _weights(groups: NDArray[np.int64]) -> tuple[Array, int]:
    """(clips,) one over the clips of its group, and the number of groups."""
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return 1 / counts[inverse], len(counts)
