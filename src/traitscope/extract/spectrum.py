"""Amplitude spectrum of the whole clip: one row of amplitudes, from the sound at 4 kHz.

A sine of amplitude a gives a at its frequency. The clip is padded or cut, so that a bin means the
same frequency in every clip: with the defaults 30,604 bins of 0.065 Hz, from 15.3 s.
"""

import numpy as np
from pydantic import PositiveInt

from traitscope.config import Config as BaseConfig
from traitscope.errors import ClipError
from traitscope.types import Inputs, Stream

VERSION = 3
NEEDS = ("audio",)


class Config(BaseConfig):
    """Settings of the spectrum."""

    sample_rate_hz: PositiveInt = 4000
    """Samples per second of the sound it is computed from."""
    bins: PositiveInt = 30604
    """Bins from 0 Hz to half the sample rate; twice as many samples are looked at."""


class Extractor:
    """Compute the spectrum of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def finish(self, inputs: Inputs) -> Stream:
        """Give one row (1, bins), at the middle of the sound."""
        from scipy.fft import rfft

        assert inputs.waveform is not None
        bins, rate = self._config.bins, self._config.sample_rate_hz
        samples = inputs.waveform.samples[: 2 * bins].astype(np.float64)
        if len(samples) < 2:
            raise ClipError(
                f"The sound of clip {inputs.clip.id!r} is too short. Leave the clip out.",
                status="too_short",
            )
        # Half of a sine is in the negative frequencies that rfft leaves out; 0 Hz has no such twin.
        amplitude = 2 * np.abs(rfft(samples, n=2 * bins)[:bins]) / len(samples)
        amplitude[0] /= 2
        return Stream(
            time=np.array([len(samples) / rate / 2]),
            values=amplitude[None].astype(np.float32),
            info={
                "units": "amplitude, full scale is 1",
                "hertz_per_bin": rate / (2 * bins),
            },
        )
