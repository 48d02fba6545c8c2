"""The 68 short-term audio features known from pyAudioAnalysis, computed for all windows at once.

Waveform in; one row per window out: 34 features and their differences to the previous window. The
definitions are those of the package's documentation and papers; the values agree with what version
0.3.14 of the package returns. Standardise per feature before training: mfcc_1 is far larger than
the rest.
"""

from functools import lru_cache
from typing import Annotated, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, PositiveInt

from traitscope.config import Config as BaseConfig
from traitscope.errors import ClipError
from traitscope.extract._spool import room
from traitscope.types import Inputs, Stream

VERSION = 3
NEEDS = ("audio",)

BASE_COLUMNS = (
    "zcr",
    "energy",
    "energy_entropy",
    "spectral_centroid",
    "spectral_spread",
    "spectral_entropy",
    "spectral_flux",
    "spectral_rolloff",
    *(f"mfcc_{number}" for number in range(1, 14)),
    *(f"chroma_{number}" for number in range(1, 13)),
    "chroma_sd",
)
COLUMNS = (*BASE_COLUMNS, *(f"delta_{name}" for name in BASE_COLUMNS))

_EPS = float(np.finfo(np.float64).eps)
_BLOCKS = 10
"""Blocks of a window, or of its spectrum, whose shares give an entropy; the package's number."""
_ROLLOFF = 0.90
"""Share of the power that lies below the roll-off; the package's."""
_BATCH_SAMPLES = 2**17
"""Samples computed at once: what fits the processor's cache, whatever the length of the sound."""

_PIECE = 2**20
"""Samples read at once to find the level of the whole."""

Array = NDArray[np.float64]


class Config(BaseConfig):
    """Settings of the short-term features."""

    sample_rate_hz: PositiveInt = 16000
    """Samples per second of the sound they are computed from."""
    window_seconds: Annotated[float, Field(gt=0, le=60)] = 0.050
    """Length of a window; not used with segments."""
    step_seconds: Annotated[float, Field(gt=0, le=60)] = 0.025
    """From one window to the next; not used with segments."""
    segments: PositiveInt | None = None
    """Cut the clip into so many equal windows instead."""


class Extractor:
    """Compute the features of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def finish(self, inputs: Inputs) -> Stream:
        """Give one row per window, at the time of the window's middle."""
        assert inputs.waveform is not None
        rate, samples = inputs.waveform.sample_rate_hz, inputs.waveform.samples
        window, step = self._lengths(len(samples), rate)
        # The spectrum has half as many values as the window, and needs one for each block.
        if len(samples) < window or window < 2 * _BLOCKS:
            raise ClipError(
                f"The sound of clip {inputs.clip.id!r} is too short for one window "
                f"({len(samples)} samples, window {window}). Leave the clip out or set a smaller "
                f"window.",
                status="too_short",
            )
        values = short_term_features(samples, rate, window, step).T
        time = (np.arange(len(values)) * step + window / 2) / rate
        info = {"units": "pyAudioAnalysis 0.3.14"}
        return Stream(time=time, values=values, columns=COLUMNS, info=info)

    def _lengths(self, samples: int, rate: int) -> tuple[int, int]:
        if self._config.segments is not None:
            part = samples // self._config.segments
            return part, part
        return (
            max(1, round(self._config.window_seconds * rate)),
            max(1, round(self._config.step_seconds * rate)),
        )


def short_term_features(waveform: ArrayLike, sample_rate_hz: int, window: int, step: int) -> Array:
    """Compute the 34 short-term features and their differences.

    Args:
        waveform: (samples,) int16, or float in [-1, 1]; both give equal results.
        sample_rate_hz: samples per second.
        window: length of a window in samples.
        step: samples from one window to the next.

    Returns:
        (68, windows) in the order of `COLUMNS`; (68, 0) when no window fits.
    """
    from scipy.fft import rfft  # here: whoever only trains on such rows does without SciPy

    signal = np.asarray(waveform)
    # Whole windows only: the package leaves out the rest as well.
    starts = np.arange(0, len(signal) - window + 1, step)
    values: Array = room((2 * len(BASE_COLUMNS), len(starts)), np.float64)
    if not len(starts):
        return values
    # Of the whole sound, so that a batch of windows is what it would be alone.
    level = _level(signal)
    base = values[: len(BASE_COLUMNS)]
    last_share: Array | None = None
    # As many windows as fit the cache of a core.
    batch = max(1, _BATCH_SAMPLES // window)
    for first in range(0, len(starts), batch):
        rows = slice(first, first + batch)
        offsets = starts[rows] - starts[first]
        piece = signal[starts[first] : starts[first] + offsets[-1] + window]
        samples = (piece.astype(np.float64) - level[0]) / level[1]
        frames = sliding_window_view(samples, window)[::step]
        # The package leaves out the last bin, at half the sample rate.
        half = rfft(frames, axis=1)[:, : window // 2]
        power = (half.real**2 + half.imag**2) / (window // 2) ** 2
        spectrum = np.sqrt(power)
        base[0, rows] = _crossings(samples, offsets, window)
        base[1:3, rows] = _from_samples(frames)
        base[3:8, rows], last_share = _from_spectrum(spectrum, power, last_share)
        base[8:21, rows] = _mfcc(spectrum, sample_rate_hz)
        base[21:34, rows] = _chroma(power, sample_rate_hz)
    # The first window has none before it: its differences stay zero.
    np.subtract(base[:, 1:], base[:, :-1], out=values[len(BASE_COLUMNS) :, 1:])
    return values


def _level(signal: NDArray[np.generic]) -> tuple[float, float]:
    """Mean of the whole signal, and by how much its scale differs from a maximum of one.

    Both in units of the signal, which is read piece by piece: it may lie in a file.
    """
    # Two hours of sound are 460 MB as float32: they are read in pieces.
    total, low, high = 0.0, np.inf, -np.inf
    for first in range(0, len(signal), _PIECE):
        piece = signal[first : first + _PIECE].astype(np.float64)
        total += float(piece.sum())
        low, high = min(low, float(piece.min())), max(high, float(piece.max()))
    unit = 2.0**15 if np.issubdtype(signal.dtype, np.integer) else 1.0
    mean = total / len(signal)
    peak = max(high - mean, mean - low) / unit
    # The tiny term is the package's own; without it silence would be divided by zero.
    return mean, (peak + 1e-10) * unit


def _crossings(samples: Array, offsets: NDArray[np.intp], window: int) -> Array:
    """Feature 1: sign changes per sample of windows that start at offsets."""
    sign = (samples > 0).astype(np.int8) - (samples < 0)
    # A step from one sign to the other counts 2, one to or from silence 1; hence the half below.
    turns = np.concatenate([[0], np.cumsum(np.abs(np.diff(sign)), dtype=np.int64)])
    return np.asarray((turns[offsets + window - 1] - turns[offsets]) / 2 / (window - 1))


def _entropy(energies: Array) -> Array:
    """Entropy in bits of the shares of ten equal blocks; (windows, samples) of energies."""
    # A few samples at the end belong to no block, as in the package.
    length = energies.shape[1] // _BLOCKS
    total = energies.sum(axis=1, keepdims=True)
    blocks = energies[:, : length * _BLOCKS].reshape(len(energies), _BLOCKS, length)
    share = blocks.sum(axis=2) / (total + _EPS)
    return np.asarray(-(share * np.log2(share + _EPS)).sum(axis=1))


def _from_samples(frames: Array) -> Array:
    """Features 2-3 from (windows, samples)."""
    energies = frames**2
    return np.stack([energies.mean(axis=1), _entropy(energies)])


def _from_spectrum(spectrum: Array, power: Array, last_share: Array | None) -> tuple[Array, Array]:
    """Features 4-8 from (windows, bins); also the last share, for the flux of the next batch."""
    bins = spectrum.shape[1]
    top = spectrum.max(axis=1)
    moments = spectrum @ _powers(bins)
    total, first, second = moments.T / np.where(top == 0, _EPS, top)
    centroid = first / (total + _EPS)
    # rounding may put the difference of a pure tone's moments below zero
    spread = np.sqrt(np.maximum(second / (total + _EPS) - centroid**2, 0))
    # Shares, not levels: the flux is of the colour of a sound, not of its loudness.
    share = spectrum / (moments[:, :1] + _EPS)
    first_change = share[:1] - (share[:1] if last_share is None else last_share)
    change = np.concatenate([first_change, np.diff(share, axis=0)])
    flux = np.einsum("wb,wb->w", change, change)
    cumulative = np.cumsum(power, axis=1)
    below = np.count_nonzero(cumulative <= _ROLLOFF * cumulative[:, -1:] - _EPS, axis=1)
    rolloff = np.where(below < bins, below / bins, 0.0)
    rows = [centroid, spread, _entropy(power), flux, rolloff]
    return np.stack(rows), share[-1:]


@lru_cache(maxsize=8)
def _powers(bins: int) -> Array:
    """(bins, 3): one, frequency from 1 / bins to 1, and its square."""
    frequency = np.arange(1, bins + 1) / bins
    return np.stack([np.ones(bins), frequency, frequency**2], axis=1)


def _mfcc(spectrum: Array, sample_rate_hz: int) -> Array:
    """Features 9-21 from (windows, bins)."""
    from scipy.fft import dct

    filters = _filters(spectrum.shape[1], sample_rate_hz)
    bands = np.log10((filters @ spectrum.T).T + _EPS)
    return np.asarray(dct(bands, type=2, norm="ortho", axis=1)[:, :13].T)


@lru_cache(maxsize=8)
def _filters(bins: int, sample_rate_hz: int) -> Any:
    """Sparse (40, bins) triangles: 13 linear from 133.33 Hz in steps of 66.67 Hz, 27 log-spaced."""
    from scipy.sparse import csr_array

    # The filters of Slaney's Auditory Toolbox (1998), 1.0711703 from one log corner to the next.
    corners = np.zeros(42)
    corners[:13] = 133.33 + np.arange(13) * 200 / 3.0
    corners[13:] = corners[12] * 1.0711703 ** np.arange(1, 30)
    heights = 2.0 / (corners[2:] - corners[:-2])
    frequency = np.arange(bins) * sample_rate_hz / bins
    filters = np.zeros((40, bins))
    scale = bins / sample_rate_hz
    for row, (low, centre, high) in enumerate(
        zip(corners[:-2], corners[1:-1], corners[2:], strict=True)
    ):
        first, middle, last = (int(np.floor(edge * scale)) + 1 for edge in (low, centre, high))
        rising = np.arange(first, min(middle, bins))
        falling = np.arange(middle, min(last, bins))
        filters[row, rising] = heights[row] / (centre - low) * (frequency[rising] - low)
        filters[row, falling] = heights[row] / (high - centre) * (high - frequency[falling])
    return csr_array(filters)


def _chroma(power: Array, sample_rate_hz: int) -> Array:
    """Features 22-34 from (windows, bins) of squared magnitudes."""
    used, folding = _chroma_folding(power.shape[1], sample_rate_hz)
    total = power.sum(axis=1, keepdims=True)
    chroma = (power[:, used] @ folding) / np.where(total == 0, _EPS, total)
    return np.concatenate([chroma, chroma.std(axis=1, keepdims=True)], axis=1).T


@lru_cache(maxsize=8)
def _chroma_folding(bins: int, sample_rate_hz: int) -> tuple[NDArray[np.intp], Array]:
    """Numbers of the bins that count, and their weights for each note (bins that count, 12).

    The weights are what the package's output shows. Only the last bin of a semitone counts, and
    the divisor is the number of bins of the semitone found by looking the semitone up twice as if
    it were a bin: a least-squares fit to its output. With fewer bins than semitones, where the
    package stops, all bins count as in the definition.
    """
    frequency = np.arange(1, bins + 1) * sample_rate_hz / (2.0 * bins)
    semitone = np.rint(12.0 * np.log2(frequency / 27.5)).astype(int)
    _, where, counts = np.unique(semitone, return_inverse=True, return_counts=True)
    folding = np.zeros((12, bins))
    if semitone.max() >= bins:
        folding[semitone % 12, np.arange(bins)] = 1.0 / counts[where]
        return _used(folding)
    last_bin = np.full(bins, -1)
    last_bin[semitone] = np.arange(bins)  # negative semitones wrap around, as they do there
    place = np.nonzero(last_bin >= 0)[0]
    folding[place % 12, last_bin[place]] = 1.0 / counts[where][semitone[place]]
    return _used(folding)


def _used(folding: Array) -> tuple[NDArray[np.intp], Array]:
    used = np.flatnonzero(folding.any(axis=0))
    return used, np.ascontiguousarray(folding[:, used].T)
