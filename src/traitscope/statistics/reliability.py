"""How much values of one group agree: groups of numbers -> intraclass correlations."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Agreement:
    """One-way random effects over groups (the votes on one clip, the clips of one source).

    Attributes:
        single: ICC(1), how far one value stands for its group; None where it is undefined.
        mean: ICC(1, k), how far the mean of ``size`` values does.
        size: average size of a group, corrected for unequal sizes.
        groups: how many groups.
        values: how many values.
    """

    single: float | None
    mean: float | None
    size: float
    groups: int
    values: int


def agreement(groups: Iterable[Sequence[float]]) -> Agreement:
    """Compute ICC(1) and ICC(1, k) from a one-way analysis of variance.

    Groups of one value count for the spread between groups, as in Shrout & Fleiss (1979); sizes
    may differ: k is then (N - sum of squared sizes / N) / (groups - 1).

    Args:
        groups: the values of each group.
    """
    filled = [np.asarray(group, dtype=np.float64) for group in groups if len(group)]
    sizes = np.array([len(group) for group in filled], dtype=np.float64)
    total, count = float(sizes.sum()), len(filled)
    if count < 2 or total <= count:
        return Agreement(None, None, total / count if count else 0.0, count, int(total))
    means = np.array([group.mean() for group in filled])
    middle = float((means * sizes).sum() / total)
    between = float((sizes * (means - middle) ** 2).sum()) / (count - 1)
    inside = sum(float(((g - m) ** 2).sum()) for g, m in zip(filled, means, strict=True))
    within = inside / (total - count)
    size = (total - float((sizes**2).sum()) / total) / (count - 1)
    spread = between + (size - 1) * within
    single = (between - within) / spread if spread > 0 else None
    mean = (between - within) / between if between > 0 else None
    return Agreement(single, mean, size, count, int(total))
