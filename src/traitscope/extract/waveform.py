"""The sound itself: one row per sample, mono, in [-1, 1] or as 16-bit integers."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from traitscope.config import Config as BaseConfig
from traitscope.errors import ClipError
from traitscope.extract._spool import even_times, pieces, room
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
        samples, rate = inputs.waveform.samples, self._config.sample_rate_hz
        if not len(samples):
            raise ClipError(
                f"The sound of clip {inputs.clip.id!r} has no samples. Leave the clip out.",
                status="too_short",
            )
        count = self._config.samples or len(samples)
        values = self._values(samples, count)
        return Stream(
            time=even_times(count, rate),
            values=values,
            # every sample is there: one True for all takes no memory
            valid=np.broadcast_to(np.True_, count),
            info={
                "sample_rate_hz": rate,
                "scale": 32767 if self._config.dtype == "int16" else 1,
            },
        )

    def _values(self, samples: NDArray[np.float32], count: int) -> NDArray[Any]:
        if self._config.dtype == "float32" and count <= len(samples):
            return samples[:count]  # long sound lies in a file already
        values = room((count,), self._config.dtype)
        for part in pieces(min(count, len(samples))):
            piece = samples[part]
            if self._config.dtype == "int16":
                # 32767 and not 32768, which would not fit: full scale is reached on both sides.
                piece = np.rint(np.clip(piece, -1, 1) * 32767)
            values[part] = piece
        return values
