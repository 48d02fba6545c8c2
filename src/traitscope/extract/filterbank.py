"""Log filter bank: 26 bands, 25 ms windows every 10 ms, padded or cut to a declared length.

Rows beyond the end of the sound are missing: NaN and not valid.
"""

from typing import Annotated

import numpy as np
from pydantic import Field, PositiveInt

from traitscope.config import Config as BaseConfig
from traitscope.errors import ClipError
from traitscope.extract._bands import band_power
from traitscope.types import Inputs, Stream

VERSION = 3
NEEDS = ("audio",)

_FLOOR = 1e-10
"""Power of what cannot be heard."""


class Config(BaseConfig):
    """Settings of the filter bank."""

    sample_rate_hz: PositiveInt = 16000
    """Samples per second of the sound it is computed from."""
    bands: PositiveInt = 26
    """How many, even on the mel scale."""
    window_seconds: Annotated[float, Field(gt=0, le=1)] = 0.025
    """Length of a window."""
    step_seconds: Annotated[float, Field(gt=0, le=1)] = 0.010
    """From one window to the next."""
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
        assert inputs.waveform is not None
        config, rate = self._config, self._config.sample_rate_hz
        length, step = (
            max(1, round(s * rate)) for s in (config.window_seconds, config.step_seconds)
        )
        longest = (config.rows - 1) * step + length if config.rows else None
        samples = inputs.waveform.samples[:longest]
        power = band_power(
            samples,
            rate,
            window=np.ones(length),
            step=step,
            bands=config.bands,
            low_hz=0.0,
            high_hz=rate / 2,
            preemphasis=config.preemphasis,
        )
        if not len(power):
            raise ClipError(
                f"The sound of clip {inputs.clip.id!r} is too short for one window. Leave the clip "
                f"out or set a smaller window.",
                status="too_short",
            )
        values = np.log(np.maximum(power, _FLOOR)).astype(np.float32)
        missing = max(0, (config.rows or 0) - len(values))
        values = np.pad(values, ((0, missing), (0, 0)), constant_values=np.nan)
        return Stream(
            time=(np.arange(len(values)) * step + length / 2) / rate,
            values=values,
            valid=np.arange(len(values)) < len(power),
            columns=tuple(f"band_{band}" for band in range(1, config.bands + 1)),
            info={"units": "natural log of power"},
        )
