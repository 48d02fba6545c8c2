"""Standardisation of feature columns: statistics of the fitting clips, applied to all others."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import DataError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scaler:
    """Mean and sd of each column, (columns,) each, fitted on the fitting clips."""

    mean: Array
    sd: Array

    def __call__(self, values: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Standardise (..., columns); what is missing becomes 0, the mean.

        Raises:
            DataError: there are other columns than were fitted on.
        """
        if values.shape[-1:] != self.mean.shape:
            raise DataError(
                f"A stream has {values.shape[-1]} columns, and the run was fitted on "
                f"{len(self.mean)}. Prepare features with the settings of the run."
            )
        scaled = (values - self.mean) / self.sd
        return np.where(np.isfinite(scaled), scaled, 0.0).astype(np.float32)


@dataclass(frozen=True)
class Moments:
    """Count, mean and summed squared deviation of each column (columns,), gathered in parts."""

    count: Array
    mean: Array
    squares: Array

    @classmethod
    def none(cls, columns: int) -> "Moments":
        """Nothing gathered yet."""
        return cls(np.zeros(columns), np.zeros(columns), np.zeros(columns))

    def add(self, rows: Array) -> "Moments":
        """Gather (rows, columns) as well; missing cells are left out.

        Chan, Golub and LeVeque's pairwise update, which stays exact where means are large
        (https://doi.org/10.1080/00031305.1983.10483115).
        """
        finite = np.isfinite(rows)
        added = finite.sum(axis=0)
        # At least 1, or a column without a number would divide by zero.
        mean = np.where(finite, rows, 0).sum(axis=0) / np.maximum(added, 1)
        squares = (np.where(finite, rows - mean, 0) ** 2).sum(axis=0)
        total = np.maximum(self.count + added, 1)
        # Two parts that lie apart are more spread together than each is: the gap counts, by weight.
        gap = mean - self.mean
        return Moments(
            count=self.count + added,
            mean=self.mean + gap * added / total,
            squares=self.squares + squares + gap**2 * self.count * added / total,
        )

    def scaler(self) -> Scaler:
        """Finish; a constant column is only centred, for its sd is rounding error."""
        sd = np.sqrt(self.squares / np.maximum(self.count, 1))
        constant = sd <= 1e-8 * np.maximum(np.abs(self.mean), 1)
        return Scaler(mean=self.mean, sd=np.where(constant | (self.count == 0), 1.0, sd))
