"""Log filter bank: 26 bands, 25 ms windows every 10 ms, padded or cut to a declared length.

Rows beyond the end of the sound are missing: NaN and not valid.
"""

from typing import Annotated

import numpy as np
from pydantic import Field, PositiveInt

from traitscope.extract._bands import BandsConfig, log_bands
from traitscope.types import Inputs, Stream

VERSION = 3
NEEDS = ("audio",)


class Config(BandsConfig):
    """Settings of the filter bank."""

    bands: PositiveInt = 26
    """How many, even on the mel scale."""
    rows: PositiveInt | None = 1529
    """Windows that clips are padded or cut to; None keeps each clip's own."""
    preemphasis: Annotated[float, Field(ge=0, lt=1)] = 0.97
    """Share of the previous sample that is taken off each."""


class Extractor:
    """Compute the bands of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def finish(self, inputs: Inputs) -> Stream:
        """Give one row per window, at the time of the window's middle."""
        config = self._config
        # A rectangle, as python_speech_features takes by default: all defaults here are its own.
        return log_bands(
            inputs, config, window=np.ones, rows=config.rows, preemphasis=config.preemphasis
        )
