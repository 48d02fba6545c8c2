"""The voice of a synthetic clip: behaviours in, waveform and envelope of the mouth out.

A source-filter synthesiser in additive form: each harmonic of the fundamental gets the gain of the
spectral tilt (vocal effort) and of the three formants of the current vowel. A constant room tone
keeps loudness visible to features that normalise the level of a clip.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
_CONTROL_HZ = 200
_VOWELS = np.array(
    [(730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240)],
    dtype=np.float64,
)
"""First three formants in Hz of a, e, i, o, u (Peterson and Barney 1952, men)."""
_BANDWIDTHS = (90.0, 110.0, 170.0)
"""Of the formants, in Hz: about as wide as those of a voice."""
_ROOM_DB = -52.0
"""Of the room tone, below full scale."""
_HIGHEST_HZ = 5000.0
"""Highest harmonic: well below half the sample rate, above which it would fold back."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Voice:
    """Samples (n,) in [-1, 1] and the opening of the mouth in [0, 1], both with their rates."""

    samples: NDArray[np.float32]
    opening: FloatArray
    syllables: int
    control_hz: int = _CONTROL_HZ


def speak(behaviours: Mapping[str, float], seconds: float, rng: np.random.Generator) -> Voice:
    """Synthesise babble with the planted pitch, range, rate, loudness and pauses."""
    count = round(seconds * _CONTROL_HZ)
    time = np.arange(count) / _CONTROL_HZ
    starts, ends = _syllables(behaviours, seconds, rng)
    gain, opening = _envelopes(time, starts, ends, rng)
    formants = _formants(time, starts, ends, behaviours["pitch"], rng)
    pitch = _pitch(time, behaviours, rng)
    voiced = _harmonics(pitch, gain, formants, behaviours["loudness"])
    burst = _consonants(time, starts, rng, len(voiced))
    speech = voiced / _level(voiced) + 0.4 * burst
    # Loudness is meant of speech, the level is measured over the whole clip: pauses lower it by
    # the root of the share that is spoken.
    talking = max(float(np.mean(gain > 0.05)), 0.05)
    speech *= 10 ** (behaviours["loudness"] / 20) * np.sqrt(talking) / _level(speech)
    room = rng.standard_normal(len(speech)) * 10 ** (_ROOM_DB / 20)
    samples = np.clip(speech + room, -1, 1).astype(np.float32)
    return Voice(samples, opening, len(starts))


def within(shown: Voice, calm: Voice, seconds: tuple[float, float]) -> Voice:
    """One voice inside an interval and another outside, cut hard as between two syllables."""

    def cut(one: NDArray[Any], other: NDArray[Any], rate: int) -> NDArray[Any]:
        time = np.arange(len(one)) / rate
        return np.where((time >= seconds[0]) & (time < seconds[1]), one, other)

    return Voice(
        cut(shown.samples, calm.samples, SAMPLE_RATE_HZ),
        cut(shown.opening, calm.opening, shown.control_hz),
        shown.syllables,
        shown.control_hz,
    )


def _syllables(
    behaviours: Mapping[str, float], seconds: float, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Place syllables: phrases with pauses between them that take the planted share of time."""
    # The larger the number in a Dirichlet draw, the more equal its parts: syllables are more
    # regular than phrases, phrases than pauses.
    phrases = max(1, round(seconds / 1.4))
    spoken = rng.dirichlet(np.full(phrases, 12.0)) * seconds * (1 - behaviours["pauses"])
    silent = rng.dirichlet(np.full(phrases + 1, 6.0)) * seconds * behaviours["pauses"]
    starts, ends = [], []
    now = float(silent[0])
    for length, pause in zip(spoken, silent[1:], strict=True):
        number = max(1, round(length * behaviours["rate"]))
        edges = now + length * np.concatenate(
            [[0.0], np.cumsum(rng.dirichlet(np.full(number, 25.0)))]
        )
        starts.extend(edges[:-1])
        ends.extend(edges[1:])
        now += float(length + pause)
    return np.array(starts), np.array(ends)


def _envelopes(
    time: FloatArray, starts: FloatArray, ends: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Make the gain of the voice and the opening of the mouth, (controls,) each in [0, 1]."""
    gain, opening = np.zeros_like(time), np.zeros_like(time)
    for start, end in zip(starts, ends, strict=True):
        inside = (time >= start) & (time < end)
        phase = (time[inside] - start) / (end - start)
        bump = np.sin(np.pi * phase)
        gain[inside] = bump**0.7 * rng.uniform(0.75, 1.0)
        opening[inside] = (0.55 + 0.45 * bump) * rng.uniform(0.9, 1.0)
    # Lips are slower than the voice: nothing of them moves within some 60 ms.
    width = round(0.06 * _CONTROL_HZ)
    window = np.hanning(width + 2)
    return gain, np.convolve(opening, window / window.sum(), "same")


def _formants(
    time: FloatArray,
    starts: FloatArray,
    ends: FloatArray,
    pitch: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Give each syllable a vowel; a higher voice has a shorter tract: (controls, 3) in Hz."""
    vowels = _VOWELS[rng.integers(len(_VOWELS), size=len(starts))]
    middles = (starts + ends) / 2
    # Formants rise far less than pitch: a child's voice is an octave above a man's, and its
    # formants a quarter.
    tract = (pitch / 160.0) ** 0.3
    tracks = [np.interp(time, middles, vowels[:, number]) for number in range(3)]
    return np.asarray(tract * np.stack(tracks, axis=1))


def _pitch(
    time: FloatArray, behaviours: Mapping[str, float], rng: np.random.Generator
) -> FloatArray:
    """Draw the intonation: slow waves of the planted range around the mean, (controls,) in Hz."""
    wave = np.sin(2 * np.pi * (0.9 * time + rng.uniform())) + 0.4 * np.sin(
        2 * np.pi * (2.1 * time + rng.uniform())
    )
    jitter = 0.01 * rng.standard_normal(len(time))
    return np.asarray(behaviours["pitch"] * 2 ** (behaviours["pitch_range"] * wave + jitter))


def _harmonics(
    pitch: FloatArray, gain: FloatArray, formants: FloatArray, loudness: float
) -> FloatArray:
    """Add up the harmonics, (samples,); a louder voice has a flatter spectrum."""
    step = SAMPLE_RATE_HZ // _CONTROL_HZ
    control = np.arange(len(pitch)) * step
    sample = np.arange(len(pitch) * step)
    # Pitch changes all the time, so the phase is its sum: pitch * time would jump between notes.
    phase = np.cumsum(np.interp(sample, control, pitch)) / SAMPLE_RATE_HZ * 2 * np.pi
    # 6 dB an octave at -25 dB, the middle of what is planted.
    tilt = -1.0 + 0.05 * (loudness + 25.0)
    voice = np.zeros(len(sample))
    for number in range(1, int(_HIGHEST_HZ / pitch.min()) + 1):
        hertz = number * pitch
        weight = gain * (hertz / 200.0) ** tilt * (hertz < _HIGHEST_HZ)
        for place, width in enumerate(_BANDWIDTHS):
            centre = formants[:, place]
            # Between formants a harmonic is weak, and never silent.
            weight = weight * (0.08 + 1 / np.sqrt(1 + ((hertz - centre) / width) ** 2))
        voice += np.interp(sample, control, weight) * np.sin(number * phase)
    return voice


def _consonants(
    time: FloatArray, starts: FloatArray, rng: np.random.Generator, samples: int
) -> FloatArray:
    """Put a short hiss at the start of most syllables, (samples,)."""
    envelope = np.zeros_like(time)
    for start in starts:
        if rng.uniform() < 0.8:
            envelope += np.exp(-0.5 * ((time - start) / 0.018) ** 2)
    # Differences of white noise rise with frequency, as a hiss does.
    hiss = np.diff(rng.standard_normal(samples + 1))
    step = SAMPLE_RATE_HZ // _CONTROL_HZ
    return np.asarray(hiss * np.interp(np.arange(samples), np.arange(len(time)) * step, envelope))


def _level(samples: FloatArray) -> float:
    return max(float(np.sqrt(np.mean(samples**2))), 1e-6)
