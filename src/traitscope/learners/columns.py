"""A table of numbers (rows, columns) -> columns that a linear learner can take."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


FARTHEST = 4.0
"""Standard deviations from the mean beyond which a column of the table has no more to say."""


def moments(table: Array) -> tuple[Array, Array]:
    """Mean and sd (columns,) of what is there; an infinite sd silences a constant column."""
    finite = np.isfinite(table)
    known = np.maximum(finite.sum(axis=0), 1)
    mean = np.where(finite, table, 0).sum(axis=0) / known
    sd = np.sqrt((np.where(finite, table - mean, 0) ** 2).sum(axis=0) / known)
    sd[sd <= 1e-9 * np.maximum(1.0, np.abs(mean))] = np.inf
    return mean, sd


def standardised(table: Array, mean: Array, sd: Array, *, farthest: float = FARTHEST) -> Array:
    """Columns with mean 0 and sd 1; what is missing is the mean, what is far is cut."""
    return np.clip(np.nan_to_num((table - mean) / sd, nan=0.0), -farthest, farthest)
