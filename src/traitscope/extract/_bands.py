"""Power of a sound in bands that are even on the mel scale, and its logarithm as a stream."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Annotated

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from traitscope.config import Config as BaseConfig
from traitscope.errors import ClipError
from traitscope.extract._spool import even_times, room
from traitscope.types import Inputs, Stream

Array = NDArray[np.float64]
_ROWS = 512
"""Windows computed at once."""
_FLOOR = 1e-10
"""Power of what cannot be heard: one step of 16-bit sound has 1e-9, and zero has no logarithm."""


class BandsConfig(BaseConfig):
    """Windows and bands of a logarithmic spectrogram."""

    sample_rate_hz: PositiveInt = 16000
    """Samples per second of the sound it is computed from."""
    bands: PositiveInt
    """How many, even on the mel scale."""
    window_seconds: Annotated[float, Field(gt=0, le=1)] = 0.025
    """Length of a window."""
    step_seconds: Annotated[float, Field(gt=0, le=1)] = 0.010
    """From one window to the next."""


def log_bands(
    inputs: Inputs,
    config: BandsConfig,
    *,
    window: Callable[[int], Array],
    rows: int | None = None,
    low_hz: float = 0.0,
    preemphasis: float = 0.0,
) -> Stream:
    """Give the natural logarithm of the power in each band, at the time of each window's middle.

    Args:
        inputs: with the sound.
        config: lengths and bands.
        window: how many samples -> the weight of each.
        rows: cut to so many windows, or fill up with missing ones; None keeps the clip's own.
        low_hz: lower end of the lowest band; the highest ends at half the sample rate.
        preemphasis: share of the previous sample that is taken off each.

    Raises:
        ClipError: the sound is shorter than one window.
    """
    assert inputs.waveform is not None
    rate = config.sample_rate_hz
    length, step = (max(1, round(s * rate)) for s in (config.window_seconds, config.step_seconds))
    # What lies beyond the last wanted window is not even looked at.
    longest = (rows - 1) * step + length if rows else None
    samples = inputs.waveform.samples[:longest]
    windows = 1 + (len(samples) - length) // step if len(samples) >= length else 0
    if not windows:
        raise ClipError(
            f"The sound of clip {inputs.clip.id!r} is too short for one window. Leave the clip "
            f"out or set a smaller window.",
            status="too_short",
        )
    total = max(windows, rows or 0)
    values = room((total, config.bands), np.float32)
    powers = band_power(
        samples,
        rate,
        window=window(length),
        step=step,
        bands=config.bands,
        low_hz=low_hz,
        high_hz=rate / 2,
        preemphasis=preemphasis,
    )
    for part, power in powers:
        # Natural, as the filter banks of speech recognition have it: a step of 1 is 4.3 dB.
        values[part] = np.log(np.maximum(power, _FLOOR))
    values[windows:] = np.nan
    return Stream(
        time=even_times(total, rate, step=step, middle=length / 2),
        values=values,
        valid=np.arange(total) < windows,
        columns=tuple(f"band_{band}" for band in range(1, config.bands + 1)),
        info={"units": "natural log of power"},
    )


def band_power(
    samples: NDArray[np.float32],
    sample_rate_hz: int,
    *,
    window: Array,
    step: int,
    bands: int,
    low_hz: float,
    high_hz: float,
    preemphasis: float = 0.0,
) -> Iterator[tuple[slice, Array]]:
    """Compute the mean squared magnitude in each band, some windows at a time.

    Args:
        samples: (samples,) in [-1, 1], as long as one window at least.
        sample_rate_hz: samples per second.
        window: (length,) weights of a window's samples.
        step: samples from one window to the next.
        bands: how many triangles.
        low_hz: lower end of the lowest.
        high_hz: upper end of the highest.
        preemphasis: share of the previous sample that is taken off each.

    Yields:
        Numbers of some windows, and their power (windows, bands).
    """
    from scipy.fft import rfft

    # A power of two is what the Fourier transform is fastest at.
    points = 1 << (len(window) - 1).bit_length()
    triangles = mel_triangles(bands, points, sample_rate_hz, low_hz, high_hz)
    every = sliding_window_view(samples, len(window))[::step]
    for first in range(0, len(every), _ROWS):
        rows = slice(first, min(first + _ROWS, len(every)))
        frames = every[rows].astype(np.float64)
        if preemphasis:
            # Windows overlap, so each is filtered apart; the sample before its first is that of
            # the sound, as if the whole of it had been filtered; the very first has none.
            before = samples[np.maximum(np.arange(first, first + len(frames)) * step - 1, 0)]
            frames[:, 1:] -= preemphasis * frames[:, :-1].copy()
            frames[:, 0] -= preemphasis * before * (np.arange(first, first + len(frames)) > 0)
        spectrum = rfft(frames * window, n=points, axis=1)
        # Divided by the points, as python_speech_features does: power, whatever the padding.
        yield rows, (spectrum.real**2 + spectrum.imag**2) @ triangles.T / points


@lru_cache(maxsize=8)
def mel_triangles(
    bands: int, points: int, sample_rate_hz: int, low_hz: float, high_hz: float
) -> Array:
    """Triangles of height one, their corners even on the mel scale 2595 log10(1 + f / 700).

    Returns:
        (bands, points / 2 + 1) weights of the bins of a spectrum.
    """
    ends = 2595 * np.log10(1 + np.array([low_hz, high_hz]) / 700)
    corners = 700 * (10 ** (np.linspace(ends[0], ends[1], bands + 2) / 2595) - 1)
    frequency = np.arange(points // 2 + 1) * sample_rate_hz / points
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    # Each triangle starts at the middle of the one below and ends at that of the one above.
    rising, falling = (frequency - low) / (middle - low), (high - frequency) / (high - middle)
    return np.asarray(np.maximum(0, np.minimum(rising, falling)))
