"""Labels, predictions and clusters in, 95 % intervals of Spearman's correlation out.

Ranks do not follow from sums over clusters: each resample is ranked anew, so there are fewer of
them, and the ends are percentiles.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from traitscope.statistics.metrics import Array
from traitscope.statistics.resampling import FEWEST_CLUSTERS, draws, percentiles

# 25 of a thousand lie beyond each end, enough to place a percentile.
RANK_RESAMPLES = 1_000


def spearman_intervals(
    target: Array,
    prediction: Array,
    clusters: Sequence[str],
    *,
    folds: ArrayLike | None = None,
    resamples: int = RANK_RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Array:
    """Compute percentile intervals of Spearman's correlation, re-ranked in every resample.

    Args:
        target: labels (clips, targets), NaN where one is missing.
        prediction: (clips, targets), or (seeds, clips, targets): then of the mean over seeds.
        clusters: the source, person or group of each clip.
        folds: which clips were predicted by one model (clips,): ranks are within them.
        resamples: how many.
        level: coverage aimed at.
        seed: of the draw.

    Returns:
        (targets + 1, 2) lower and upper ends, macro last.
    """
    _, index = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    within = np.zeros(len(target)) if folds is None else np.asarray(folds)
    repeats = prediction if prediction.ndim == 3 else prediction[None]
    targets = target.shape[1]
    if int(index.max(initial=-1)) + 1 < FEWEST_CLUSTERS:
        return np.full((targets + 1, 2), np.nan)
    samples = [np.ones((1, int(index.max()) + 1)), *draws(int(index.max()) + 1, resamples, seed)]
    parts = []
    for counts in samples:  # all clips as they are, then the resamples
        values = np.empty((len(counts), targets + 1, len(repeats)))
        for column, (number, one) in product(range(targets), enumerate(repeats)):
            known = ~np.isnan(target[:, column])
            cells = target[known, column], one[known, column], counts[:, index[known]]
            values[:, column, number] = _rank_correlation(*cells, within[known])
        values[:, -1] = values[:, :-1].mean(axis=1)
        parts.append(values)
    tail = (1 - level) / 2
    # The first part is no resample; of it only the spread over seeds is used.
    shares, drawn = np.array([tail, 1 - tail]), np.concatenate(parts[1:]).mean(axis=2)
    ends = np.stack([percentiles(column, shares) for column in drawn.T])
    return _widened(ends, parts[0][0], level)


def _rank_correlation(target: Array, prediction: Array, counts: Array, folds: Array) -> Array:
    """Spearman's correlation within folds (resamples,), clips counted ``counts`` times."""
    # Three names of one array, so nothing may be added in place.
    both = tt = pp = np.zeros(len(counts))
    for fold in np.unique(folds):
        weights = counts[:, folds == fold]
        t, p = (_centred_ranks(values[folds == fold], weights) for values in (target, prediction))
        both = both + (weights * t * p).sum(axis=1)
        tt, pp = tt + (weights * t * t).sum(axis=1), pp + (weights * p * p).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(tt * pp > 0, both / np.sqrt(tt * pp), np.nan))


def _centred_ranks(values: Array, weights: Array) -> Array:
    """Mean ranks (resamples, clips) around 0, when clip i occurs ``weights[:, i]`` times."""
    _, place = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    # Ties stand side by side in this order; clips of one tie, each as often as it was drawn,
    # share the rank in their middle.
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    counts = np.add.reduceat(weights[:, order], starts, axis=1)
    middle: Array = np.cumsum(counts, axis=1) - (counts - 1) / 2
    ranks = middle[:, place]
    total = np.maximum(weights.sum(axis=1, keepdims=True), 1)
    return np.asarray(ranks - (weights * ranks).sum(axis=1, keepdims=True) / total)


def _widened(ends: Array, scores: Array, level: float) -> Array:
    """Widen ends (values, 2) by what differs between seeds; scores (values, seeds)."""
    seeds = scores.shape[1]
    if seeds < 2:
        return ends
    from scipy.stats import t as student

    error = student.ppf((1 + level) / 2, seeds - 1) * scores.std(axis=1, ddof=1) / np.sqrt(seeds)
    middle = scores.mean(axis=1)
    # Each side by itself: near 1 an interval is longer below its middle than above.
    low = middle - np.hypot(middle - ends[:, 0], error)
    return np.stack([low, middle + np.hypot(ends[:, 1] - middle, error)], axis=1)
