"""Trainings of one system with several seeds in, one estimate out: the mean of theirs.

An evaluation scores each training by itself, as one training is what others will run; for a new
clip the mean of what all say is the best guess there is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

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
        members: the trainings.
    """

    members: "Sequence[Checkpoint]"
    states_variance: ClassVar[bool] = True

    def predict(self, batch: Batch) -> NDArray[np.float64]:
        """Predict (clips, targets)."""
        mean: NDArray[np.float64] = np.mean([one.predict(batch) for one in self.members], axis=0)
        return mean

    def estimate(self, batch: Batch) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The same, with the variances that `mixture` gives."""
        made = [member.estimate(batch) for member in self.members]
        stated = [one.variance for one in made if one.variance is not None]
        scores = np.stack([one.scores for one in made])
        return scores.mean(axis=0), mixture(scores, stated)


def mixture(
    scores: NDArray[np.float64], stated: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """How far members are apart; of members that all state a variance, that of their mixture.

    Args:
        scores: (members, ...).
        stated: the variance (...) of each member that states one.
    """
    if len(stated) == len(scores):
        return np.asarray(np.mean(stated, axis=0) + scores.var(axis=0))
    return np.asarray(scores.var(axis=0, ddof=1))


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
    return replace(first, folder=folder, config=config, fitted=Ensemble(tuple(each)))


def trainings(run: "Checkpoint") -> "Sequence[Checkpoint]":
    """The runs that a loaded run is made of: itself, or its seeds."""
    return run.fitted.members if isinstance(run.fitted, Ensemble) else (run,)


def _equal(one: "Scaler", other: "Scaler") -> bool:
    return np.array_equal(one.mean, other.mean) and np.array_equal(one.sd, other.sd)
