"""The sound itself: one row per sample, mono, in [-1, 1] or as 16-bit integers."""

from typing import Literal

import numpy as np
from pydantic import PositiveInt

from traitscope.config import Config as BaseConfig
from traitscope.errors import ClipError
from traitscope.types import Inputs, Stream

VERSION = 3
NEEDS = ("audio",)


class Config(BaseConfig):
    """Settings of the waveform."""

    sample_rate_hz: PositiveInt = 16000
    """Samples per second."""
    samples: PositiveInt | None = None
    """Cut the clip, or pad it with silence at the end, to so many samples; None for all."""
    dtype: Literal["float32", "int16"] = "float32"
    """Samples in [-1, 1], or in half the room as integers up to 32767."""


class Extractor:
    """Take the samples of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def finish(self, inputs: Inputs) -> Stream:
        """Give (samples,) at their times."""
        assert inputs.waveform is not None
        samples, wanted = inputs.waveform.samples, self._config.samples
        if not len(samples):
            raise ClipError(
                f"The sound of clip {inputs.clip.id!r} has no samples. Leave the clip out.",
                status="too_short",
            )
        values = np.array(samples[:wanted])
        if wanted is not None and len(values) < wanted:
            values = np.pad(values, (0, wanted - len(values)))
        if self._config.dtype == "int16":
            # 32767 and not 32768, which would not fit: full scale is reached on both sides.
            values = np.rint(np.clip(values, -1, 1) * 32767).astype(np.int16)
        return Stream(
            time=np.arange(len(values)) / self._config.sample_rate_hz,
            values=values,
            info={
                "sample_rate_hz": self._config.sample_rate_hz,
                "scale": 32767 if self._config.dtype == "int16" else 1,
            },
        )
