"""Scores of epochs in, the best epoch out."""

import math
from dataclasses import dataclass
from typing import Literal

Mode = Literal["min", "max"]


@dataclass
class Best:
    """The best epoch of a stage so far by one score.

    Attributes:
        mode: whether the score is better when lower or higher.
        loss: the score of that epoch, so that lower is better; None before the first.
        epoch: of the stage; -1 before the first.
    """

    mode: Mode
    loss: float | None = None
    epoch: int = -1

    def note(self, epoch: int, score: float) -> None:
        """Compare an epoch with the best so far; an undefined score is worse than any other."""
        loss = -score if self.mode == "max" else score
        if self.loss is None or math.isnan(self.loss) or loss < self.loss:
            self.loss, self.epoch = loss, epoch
