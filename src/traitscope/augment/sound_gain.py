"""Make the sound of a clip louder or softer."""

import numpy as np
from pydantic import PositiveFloat

from traitscope.augment import Changed, Masks, Streams
from traitscope.augment._rows import change_rows
from traitscope.config import Config as BaseConfig


class Config(BaseConfig):
    """How much."""

    streams: tuple[str, ...] = ("waveform",)
    """Streams of samples in [-1, 1]."""
    decibels: PositiveFloat = 6.0
    """Largest change, up or down."""


def augment(streams: Streams, masks: Masks, config: Config, rng: np.random.Generator) -> Changed:
    """Scale (samples,); what would leave [-1, 1] is clipped."""
    # In decibels: twice as loud is as likely as half as loud.
    factor = np.float32(10 ** (rng.uniform(-config.decibels, config.decibels) / 20))
    return change_rows(streams, masks, config.streams, lambda rows: np.clip(rows * factor, -1, 1))
