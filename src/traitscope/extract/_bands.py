"""Power of a sound in bands that are even on the mel scale."""

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.fft import rfft

Array = NDArray[np.float64]
_ROWS = 512
"""Windows computed at once."""


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
) -> Array:
    """Compute the mean squared magnitude in each band, window by window.

    Args:
        samples: (samples,) in [-1, 1].
        sample_rate_hz: samples per second.
        window: (length,) weights of a window's samples.
        step: samples from one window to the next.
        bands: how many triangles.
        low_hz: lower end of the lowest.
        high_hz: upper end of the highest.
        preemphasis: share of the previous sample that is taken off each.

    Returns:
        (windows, bands); (0, bands) when no window fits.
    """
    length = len(window)
    points = 1 << (length - 1).bit_length()
    triangles = mel_triangles(bands, points, sample_rate_hz, low_hz, high_hz)
    if len(samples) < length:
        return np.empty((0, bands))
    every = sliding_window_view(samples, length)[::step]
    power = np.empty((len(every), bands))
    for first in range(0, len(every), _ROWS):
        rows = slice(first, first + _ROWS)
        frames = every[rows].astype(np.float64)
        if preemphasis:
            before = samples[np.maximum(np.arange(first, first + len(frames)) * step - 1, 0)]
            frames[:, 1:] -= preemphasis * frames[:, :-1].copy()
            frames[:, 0] -= preemphasis * before * (np.arange(first, first + len(frames)) > 0)
        spectrum = rfft(frames * window, n=points, axis=1)
        power[rows] = (spectrum.real**2 + spectrum.imag**2) @ triangles.T / points
    return power


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
    rising, falling = (frequency - low) / (middle - low), (high - frequency) / (high - middle)
    return np.asarray(np.maximum(0, np.minimum(rising, falling)))
