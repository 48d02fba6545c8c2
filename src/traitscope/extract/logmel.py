"""Log-mel spectrogram: natural logarithm of the power in 64 bands, 25 ms windows every 10 ms."""

from typing import Annotated, Self

import numpy as np
from pydantic import Field, PositiveInt, model_validator

from traitscope.config import Config as BaseConfig
from traitscope.errors import ClipError
from traitscope.extract._bands import band_power
from traitscope.types import Inputs, Stream

VERSION = 3
NEEDS = ("audio",)

_FLOOR = 1e-10
"""Power of what cannot be heard."""


class Config(BaseConfig):
    """Settings of the log-mel spectrogram."""

    sample_rate_hz: PositiveInt = 16000
    """Samples per second of the sound it is computed from."""
    bands: PositiveInt = 64
    """How many, even on the mel scale."""
    window_seconds: Annotated[float, Field(gt=0, le=1)] = 0.025
    """Length of a window."""
    step_seconds: Annotated[float, Field(gt=0, le=1)] = 0.010
    """From one window to the next."""
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
        assert inputs.waveform is not None
        config, rate = self._config, self._config.sample_rate_hz
        length, step = (
            max(1, round(s * rate)) for s in (config.window_seconds, config.step_seconds)
        )
        samples = inputs.waveform.samples
        power = band_power(
            samples,
            rate,
            window=np.hanning(length),
            step=step,
            bands=config.bands,
            low_hz=config.low_hz,
            high_hz=rate / 2,
        )
        if not len(power):
            raise ClipError(
                f"The sound of clip {inputs.clip.id!r} is too short for one window. Leave the clip "
                f"out or set a smaller window.",
                status="too_short",
            )
        values = np.log(np.maximum(power, _FLOOR)).astype(np.float32)
        return Stream(
            time=(np.arange(len(values)) * step + length / 2) / rate,
            values=values,
            columns=tuple(f"band_{band}" for band in range(1, config.bands + 1)),
            info={"units": "natural log of power"},
        )
