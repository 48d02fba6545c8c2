"""Log-mel spectrogram: natural logarithm of the power in 64 bands, 25 ms windows every 10 ms."""

from typing import Annotated, Self

import numpy as np
from pydantic import Field, PositiveInt, model_validator

from traitscope.extract._bands import BandsConfig, log_bands
from traitscope.types import Inputs, Stream

VERSION = 3
NEEDS = ("audio",)


class Config(BandsConfig):
    """Settings of the log-mel spectrogram."""

    bands: PositiveInt = 64
    """How many, even on the mel scale."""
    low_hz: Annotated[float, Field(ge=0)] = 0.0
    """Lower end of the lowest band; the highest ends at half the sample rate."""

    @model_validator(mode="after")
    def _bands_are_below_half_the_sample_rate(self) -> Self:
        if self.low_hz >= self.sample_rate_hz / 2:
            raise ValueError(f"low_hz must be below half the sample rate, not {self.low_hz:g}")
        return self


class Extractor:
    """Compute the bands of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def finish(self, inputs: Inputs) -> Stream:
        """Give one row per window, at the time of the window's middle."""
        return log_bands(inputs, self._config, window=np.hanning, low_hz=self._config.low_hz)
