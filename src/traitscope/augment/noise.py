"""Add white noise to numbers per row (facial signals, audio features)."""

import numpy as np
from pydantic import PositiveFloat

from traitscope.augment import Changed, Masks, Streams
from traitscope.augment._rows import change_rows
from traitscope.config import Config as BaseConfig


class Config(BaseConfig):
    """How much."""

    streams: tuple[str, ...] = ("signals", "short_term", "mid_term")
    """Streams of numbers."""
    sd: PositiveFloat = 0.1
    """Standard deviation, in that of the column where the stream is standardised."""


def augment(streams: Streams, masks: Masks, config: Config, rng: np.random.Generator) -> Changed:
    """Add noise to (rows, columns)."""
    return change_rows(
        streams,
        masks,
        config.streams,
        lambda rows: rows + rng.normal(0, config.sd, rows.shape).astype(rows.dtype),
    )
