"""Add white noise to the sound of a clip, at a random ratio of signal to noise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.augment import Changed, Masks, Streams
from traitscope.augment._rows import change_rows
from traitscope.config import Config as BaseConfig


class Config(BaseConfig):
    """How much."""

    streams: tuple[str, ...] = ("waveform",)
    """Streams of samples in [-1, 1]."""
    decibels: tuple[float, float] = (10.0, 40.0)
    """Lowest and highest ratio of signal to noise."""


def augment(streams: Streams, masks: Masks, config: Config, rng: np.random.Generator) -> Changed:
    """Add noise to (samples,); silence stays silent."""
    ratio = 10 ** (rng.uniform(min(config.decibels), max(config.decibels)) / 20)

    def disturb(rows: NDArray[Any]) -> NDArray[Any]:
        # Relative to this clip: the same noise would drown a quiet one.
        level = float(np.sqrt(np.mean(np.square(rows, dtype=np.float64)))) / ratio
        noise = rng.normal(0, 1, rows.shape).astype(rows.dtype)
        return np.asarray(np.clip(rows + rows.dtype.type(level) * noise, -1, 1))

    return change_rows(streams, masks, config.streams, disturb)
