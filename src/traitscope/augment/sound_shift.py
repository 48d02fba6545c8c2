"""Move the sound of a clip in time; what is moved out is lost, silence comes in."""

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from traitscope.augment import Changed, Masks, Streams
from traitscope.augment._rows import change_rows
from traitscope.config import Config as BaseConfig


class Config(BaseConfig):
    """How far."""

    streams: tuple[str, ...] = ("waveform",)
    """Streams of samples in [-1, 1]."""
    farthest: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Largest shift, forward or back, as a share of the clip."""


def augment(streams: Streams, masks: Masks, config: Config, rng: np.random.Generator) -> Changed:
    """Shift (samples,)."""
    share = rng.uniform(-config.farthest, config.farthest)

    def move(rows: NDArray[Any]) -> NDArray[Any]:
        # Silence comes in, not the other end: a voice must not begin with its last word.
        by = round(share * len(rows))
        moved = np.zeros_like(rows)
        moved[max(0, by) : len(rows) + min(0, by)] = rows[max(0, -by) : len(rows) - max(0, by)]
        return moved

    return change_rows(streams, masks, config.streams, move)
