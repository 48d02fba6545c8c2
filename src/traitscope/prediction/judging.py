"""Scores of a clip -> how sure they are and how usual, as its run knows from its validation clips.

A row of a table that was written before is judged as it was then: all follows from its scores.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from traitscope.runs.checkpoint import Checkpoint
from traitscope.runs.ensemble import trainings
from traitscope.runs.reference import (
    NOTHING,
    Reference,
    Residuals,
    clip_hash,
    ensemble,
    intervals,
    read_reference,
)
from traitscope.statistics.conformal import LEVEL
from traitscope.types import Prediction, Target

_SCORED = Path("evaluation", "validation", "predictions.csv")
"""Where `evaluate --split validation` leaves predictions of a run."""


@dataclass(frozen=True)
class Judge:
    """What is known of a run's scores, worked out once for all clips.

    Attributes:
        reference: what new clips are held against.
        targets: of the run.
        level: of the intervals.
        widths: half width of the interval of each target.
        multiples: instead, in standard deviations that the model states of a clip; None where it
            states none.
    """

    reference: Reference
    targets: Sequence[Target]
    level: float
    widths: Sequence[float]
    multiples: Sequence[float] | None = None

    @classmethod
    def of(cls, reference: Reference, targets: Sequence[Target], level: float = LEVEL) -> "Judge":
        """Work out the half widths."""
        widths, multiples = reference.widths(level), reference.multiples(level)
        known = None if multiples is None else multiples.tolist()
        return cls(reference, targets, level, widths.tolist(), known)

    def judged(self, prediction: Prediction) -> Prediction:
        """Put intervals and percentiles beside the scores, if there are any."""
        scores = prediction.scores
        return replace(
            prediction,
            intervals=intervals(scores, self.targets, self._widths(prediction), self.level),
            percentiles=self.reference.percentiles(scores, self.targets),
        )

    def _widths(self, prediction: Prediction) -> Sequence[float]:
        # Rows of a table written before have scores alone: one width is right for them on average.
        if self.multiples is None or not prediction.variance:
            return self.widths
        own = (math.sqrt(prediction.variance.get(one.name, math.nan)) for one in self.targets)
        return [times * sd for times, sd in zip(self.multiples, own, strict=True)]


def judge_of(runs: Sequence[Checkpoint], level: float = LEVEL) -> Judge:
    """What judges the scores of a loaded run, or the mean of several."""
    return Judge.of(reference_of(runs), runs[0].facts.targets, level)


def reference_of(runs: Sequence[Checkpoint]) -> Reference:
    """What scores of a run, or the mean of several, are held against.

    A system of several seeds has no reference in its folder: its scores are a mean, too.
    """
    targets = runs[0].facts.targets
    return ensemble([_own(one.folder, targets) for run in runs for one in trainings(run)])


def _own(folder: Path, targets: Sequence[Target]) -> Reference:
    """What new clips are held against; of a run of before, from its evaluation on validation.

    Args:
        folder: the run.
        targets: what it estimates.
    """
    reference = read_reference(folder)
    if reference is NOTHING and (folder / _SCORED).is_file():
        return replace(NOTHING, residuals=_residuals(folder / _SCORED, targets))
    return reference


def _residuals(table: Path, targets: Sequence[Target]) -> Residuals | None:
    # Imported here: tables take longer to load than a clip to score, and few runs are so old.
    import pandas as pd

    from traitscope.evaluation.tables import open_predictions

    frame = open_predictions(table)[1]
    columns = [f"{kind}_{t.name}" for kind in ("true", "predicted") for t in targets]
    if frame.empty or not {"clip", *columns} <= set(frame.columns):
        return None
    group = frame["clip"]
    # A person's clips belong together, whatever recordings they are of; else those of a recording.
    for name in ("source", "subject"):
        if name in frame.columns:
            known = frame[name].fillna("").astype(str)
            group = group.where(known == "", name + known)
    numbers = [pd.to_numeric(frame[name], errors="coerce") for name in columns]
    values = np.stack([column.to_numpy(np.float64) for column in numbers], axis=1)
    return Residuals(
        truth=values[:, : len(targets)],
        predicted=values[:, len(targets) :],
        group=np.unique(group.astype(str), return_inverse=True)[1].astype(np.int64),
        clip=np.array([clip_hash(str(clip)) for clip in frame["clip"]], dtype=np.int64),
    )
