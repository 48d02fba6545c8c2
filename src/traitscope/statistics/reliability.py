"""How much values of one group agree: groups of numbers -> intraclass correlations."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from traitscope.statistics.metrics import Array, Score
from traitscope.statistics.resampling import Statistic, by_cluster, estimate

CROSSED = 0.9
"""Share of the rated clips that every rater must have rated for a two-way design."""


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
    # With one value in every group nothing tells spread within groups from spread between.
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


@dataclass(frozen=True)
class Reliability:
    """How far ratings, and the labels that are their means, can be relied on.

    Attributes:
        icc: ``1,1`` and ``1,k``, and where raters are crossed ``2,1``, ``2,k``, ``3,1`` and
            ``3,k`` (Shrout & Fleiss 1979), each with a 95 % interval over clusters.
        noise: standard deviation of the error of a label, in units of the ratings.
        size: ratings per clip, on average.
        raters: how many there are.
        clips: how many were rated.
        crossed: every rater rated (nearly) every clip, so that raters can be told from error.
    """

    icc: Mapping[str, Score]
    noise: Score
    size: float
    raters: int
    clips: int
    crossed: bool

    @property
    def basis(self) -> str:
        """The coefficient of the labels themselves: raters who differ by an offset agree."""
        return "3,k" if self.crossed else "1,k"


def reliability(ratings: Array, clusters: Sequence[str], *, seed: int = 0) -> Reliability:
    """Compute intraclass correlations of ratings, with intervals from resampled clusters.

    Args:
        ratings: (clips, raters), NaN where a rater did not rate a clip.
        clusters: the source of each clip.
        seed: of the resamples.
    """
    given = ~np.isnan(ratings)
    rated = given.any(axis=1)
    ratings, given = ratings[rated], given[rated]
    _, index = np.unique(np.asarray(clusters, dtype=str)[rated], return_inverse=True)
    sizes = given.sum(axis=1)
    icc = _scores(_one_way_sums(ratings, given), index, _one_way, ("1,1", "1,k", "noise"), seed)
    complete = given.all(axis=1)
    crossed = ratings.shape[1] > 1 and rated.any() and complete.mean() >= CROSSED
    if crossed:
        raters = ratings.shape[1]
        # Numbered anew: clusters without a complete clip would be drawn and left out to no effect.
        _, index = np.unique(index[complete], return_inverse=True)
        names = ("2,1", "2,k", "3,1", "3,k", "noise")
        sums = _two_way_sums(ratings[complete])
        # Its noise takes the place of the first one, which counts offsets of raters as error.
        icc |= _scores(sums, index, lambda sums: _two_way(sums, raters), names, seed)
    noise = icc.pop("noise")
    size = float(sizes.mean()) if len(sizes) else 0.0
    return Reliability(icc, noise, size, ratings.shape[1], len(ratings), bool(crossed))


def _scores(
    sums: Array, clusters: NDArray[np.intp], statistic: Statistic, names: Sequence[str], seed: int
) -> dict[str, Score]:
    if len(sums) < 2:
        return dict.fromkeys(names, Score(None, "fewer than two rated clips"))
    estimates = estimate(by_cluster(sums, clusters), statistic, seed=seed)
    scores = {}
    for name, value, low, high in zip(
        names, estimates.value, estimates.low, estimates.high, strict=True
    ):
        if not np.isfinite(value):
            scores[name] = Score(None, "no clip has two ratings, or ratings do not vary")
        elif np.isfinite(low) and np.isfinite(high):
            scores[name] = Score(float(value), low=float(low), high=float(high))
        else:
            scores[name] = Score(float(value))
    return scores


def _one_way_sums(ratings: Array, given: NDArray[np.bool_]) -> Array:
    """What each clip adds: 1, n, n², n m, n m², squares around its mean m."""
    size = given.sum(axis=1).astype(float)
    # around the middle of all ratings, squares keep their digits
    values = np.where(given, ratings - (ratings[given].mean() if given.any() else 0.0), 0.0)
    mean = values.sum(axis=1) / size
    inside = (np.where(given, values - mean[:, None], 0.0) ** 2).sum(axis=1)
    parts = (np.ones_like(size), size, size**2, size * mean, size * mean**2, inside)
    return np.stack(parts, axis=1)


def _one_way(sums: Array) -> Array:
    """ICC(1,1), ICC(1,k) and the sd of a label's error (..., 3)."""
    count, total, squares, first, second, inside = np.moveaxis(sums, -1, 0)
    between = (second - first**2 / total) / (count - 1)
    within = inside / np.where(total > count, total - count, np.nan)
    size = (total - squares / total) / (count - 1)
    single = (between - within) / (between + (size - 1) * within)
    return np.stack([single, (between - within) / between, np.sqrt(within / size)], axis=-1)


def _two_way_sums(ratings: Array) -> Array:
    """What each clip adds: 1, its total squared, its sum of squares, and each rater's value."""
    values = ratings - ratings.mean() if ratings.size else ratings
    parts = (np.ones(len(values)), values.sum(axis=1) ** 2, (values**2).sum(axis=1))
    return np.concatenate([np.stack(parts, axis=1), values], axis=1)


def _two_way(sums: Array, raters: int) -> Array:
    """ICC(2,1), (2,k), (3,1), (3,k) and the sd of a label's error (..., 5)."""
    count, rows, squares = np.moveaxis(sums[..., :3], -1, 0)
    columns = sums[..., 3:]
    # Sums of squares as a two-way table splits them up (in a resample the mean is not 0):
    #
    #   squares  =  middle  +   clips   +  judges   +  left
    #   (cells)     (mean)     (rows)     (columns)    (error, what neither explains)
    middle = columns.sum(axis=-1) ** 2 / (count * raters)
    clips = (rows / raters - middle) / (count - 1)
    judges = ((columns**2).sum(axis=-1) / count - middle) / (raters - 1)
    left = squares - middle - clips * (count - 1) - judges * (raters - 1)
    # Where raters agree in everything rounding may leave a little less than nothing.
    error = np.maximum(left, 0.0) / ((count - 1) * (raters - 1))
    shared = (judges - error) / count
    return np.stack(
        [
            # 2: raters drawn from many, whose offsets are error. 3: these raters, whose offsets are
            # the same for every clip and cancel.
            (clips - error) / (clips + (raters - 1) * error + raters * shared),
            (clips - error) / (clips + shared),
            (clips - error) / (clips + (raters - 1) * error),
            (clips - error) / clips,
            np.sqrt(error / raters),
        ],
        axis=-1,
    )
