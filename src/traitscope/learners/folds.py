"""Folds that keep groups whole, and predictions spread out again by as much as they bear."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import DataError
from traitscope.types import Target

Array = NDArray[np.float64]

NO_LOSS = 1e-4
"""Share of a target's range that accuracy may fall by and still count as the same: it is printed
with four digits, and a test of 2000 clips knows it to twenty times as much."""

FACTORS = tuple(round(1 + 0.05 * step, 2) for step in range(21))
"""Expansions that are tried, from none to twice the spread."""


def grouped_folds(groups: Sequence[str], folds: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Deal whole groups to folds of nearly equal size: (clips,) number of each clip's fold.

    Raises:
        DataError: there is only one group, so nothing could be held out.
    """
    names, place, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise DataError(
            f"All {len(groups)} fitting clips are of one source ({str(names[0])!r}), so nothing "
            f"can be held out to choose settings with. Give clips of at least two sources."
        )
    # Fewer sources than folds: each is held out by itself.
    folds = min(folds, len(names))
    order = np.random.default_rng(seed).permutation(len(names))
    # The largest groups first: dealt last, one of them would make its fold the largest by far.
    order = order[np.argsort(-counts[order], kind="stable")]
    filled, fold = np.zeros(folds), np.zeros(len(names), dtype=np.int64)
    for group in order:
        fold[group] = int(np.argmin(filled))
        filled[fold[group]] += counts[group]
    return np.asarray(fold[place], dtype=np.int64)


def expansion(predictions: Array, labels: Array, *, centre: float, target: Target) -> float:
    """Choose how far predictions are spread from the centre: best concordance, no less accuracy.

    A regression that is right on average has too little spread, which concordance counts against
    it; stretched a little it is as accurate. On predictions that follow nothing, none is chosen.

    Args:
        predictions: (clips,) of clips that were held out.
        labels: (clips,).
        centre: what stays where it is, the mean label.
        target: whose range says what a loss is; without one, six sd of the labels do.
    """
    low, high = target.low, target.high
    span = 6 * labels.std() if low is None or high is None else high - low
    factors = np.array(FACTORS)
    spread = centre + factors[:, None] * (predictions - centre)
    errors = np.abs(spread - labels).mean(axis=1)
    covariance = ((spread - spread.mean(axis=1, keepdims=True)) * (labels - labels.mean())).mean(1)
    # Lin's concordance, for all factors at once.
    total = spread.var(axis=1) + labels.var() + (spread.mean(axis=1) - labels.mean()) ** 2
    agreement = 2 * covariance / np.where(total > 0, total, 1)
    # Accuracy is what people compare: concordance may not be bought with it.
    agreement[errors > errors[0] + NO_LOSS * span] = -np.inf
    return float(factors[int(np.argmax(agreement))]) if agreement[0] > 0 else 1.0


def inside(scores: Array, targets: Sequence[Target]) -> Array:
    """Keep scores (clips, targets) in the range of each target."""
    low = [-np.inf if target.low is None else target.low for target in targets]
    high = [np.inf if target.high is None else target.high for target in targets]
    return np.clip(scores, low, high)


def labels_of(batch: Any, targets: Sequence[Target], *, least: int = 2) -> Array:
    """Labels (clips, targets), NaN where one is missing.

    Raises:
        DataError: a target has fewer labels than can be fitted on.
    """
    known = np.asarray(batch.target_mask, dtype=bool)
    for target, count in zip(targets, known.sum(axis=0), strict=True):
        if count < least:
            raise DataError(f"Target {target.name!r} has {count} labels to fit on.")
    return np.where(known, np.asarray(batch.targets, dtype=np.float64), np.nan)
