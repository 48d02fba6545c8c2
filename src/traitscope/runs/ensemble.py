"""Trainings of one system with several seeds in, one estimate out: the mean of theirs.

An evaluation scores each training by itself, as one training is what others will run; for a new
clip the mean of what all say is the best guess there is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import DataError
from traitscope.runs.settings import RunConfig
from traitscope.types import Batch

if TYPE_CHECKING:
    from traitscope.data.scaling import Scaler
    from traitscope.runs.checkpoint import Checkpoint


@dataclass(frozen=True)
class Ensemble:
    """Stands where a fitted estimator would.

    Attributes:
        members: each turns a batch into predictions (clips, targets).
    """

    members: Sequence[Callable[[Batch], NDArray[np.float64]]]

    def predict(self, batch: Batch) -> NDArray[np.float64]:
        """Predict (clips, targets)."""
        mean: NDArray[np.float64] = np.mean([member(batch) for member in self.members], axis=0)
        return mean


def together(each: "Sequence[Checkpoint]", folder: Path, config: RunConfig) -> "Checkpoint":
    """Let loaded trainings predict as one.

    Raises:
        DataError: they were fitted on other features or clips.
    """
    first = each[0]
    for other in each[1:]:
        same = other.facts == first.facts and other.scalers.keys() == first.scalers.keys()
        if not same or any(not _equal(first.scalers[k], other.scalers[k]) for k in first.scalers):
            raise DataError(
                f"{other.folder} was fitted on other features or clips than {first.folder}. Train "
                f"both again, or name one of them."
            )
    return replace(first, folder=folder, config=config, fitted=Ensemble([o.predict for o in each]))


def _equal(one: "Scaler", other: "Scaler") -> bool:
    return np.array_equal(one.mean, other.mean) and np.array_equal(one.sd, other.sd)
