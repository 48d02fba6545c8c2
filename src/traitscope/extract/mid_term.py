"""Mean and spread of the 34 short-term audio features over each of n equal parts of the clip.

Waveform in; one row per part out, as the CNN-LSTM audio system takes them (6 x 68).
"""

from typing import Annotated

import numpy as np
from pydantic import Field, PositiveInt

from traitscope.config import Config as BaseConfig
from traitscope.errors import ClipError
from traitscope.extract.short_term import BASE_COLUMNS, short_term_features
from traitscope.types import Inputs, Stream

VERSION = 3
NEEDS = ("audio",)

COLUMNS = (*(f"{name}_mean" for name in BASE_COLUMNS), *(f"{name}_sd" for name in BASE_COLUMNS))


class Config(BaseConfig):
    """Settings of the mid-term features."""

    sample_rate_hz: PositiveInt = 16000
    """Samples per second of the sound they are computed from."""
    segments: PositiveInt = 6
    """Equal parts of the clip, one row each."""
    window_seconds: Annotated[float, Field(gt=0, le=60)] = 0.050
    """Length of a short-term window."""
    step_seconds: Annotated[float, Field(gt=0, le=60)] = 0.025
    """From one short-term window to the next."""


class Extractor:
    """Compute the features of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def finish(self, inputs: Inputs) -> Stream:
        """Give one row per part, at the time of the part's middle."""
        assert inputs.waveform is not None
        rate, parts = inputs.waveform.sample_rate_hz, self._config.segments
        window = max(1, round(self._config.window_seconds * rate))
        step = max(1, round(self._config.step_seconds * rate))
        base = short_term_features(inputs.waveform.samples, rate, window, step)
        base = base[: len(BASE_COLUMNS)]
        if base.shape[1] < parts:
            raise ClipError(
                f"The sound of clip {inputs.clip.id!r} has {base.shape[1]} windows for {parts} "
                f"parts. Leave the clip out or set fewer segments.",
                status="too_short",
            )
        pieces = np.array_split(base, parts, axis=1)
        values = np.array([np.concatenate([p.mean(axis=1), p.std(axis=1)]) for p in pieces])
        length = inputs.waveform.duration_seconds / parts
        return Stream(
            time=np.asarray((np.arange(parts) + 0.5) * length, dtype=np.float64),
            values=values,
            columns=COLUMNS,
        )
