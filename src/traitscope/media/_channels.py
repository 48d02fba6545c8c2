"""Channels of sound: how loud each is, whether they cancel in the mix, and one of them alone.

A microphone that is wired the wrong way round, or a trick against background noise, gives two
channels that are each other's opposite. Every player is heard, and the mix of both is silence.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

_EVERY = 16
"""Of so many frames one is looked at: loudness needs no more, and most tracks are in order."""

_CANCELLED = 0.003
"""Channels cancel whose mix has less than this share of their energy (-25 dB). A mix that loses
nothing has a quarter of what two channels have, and a fiftieth of what is in one of eight."""

_QUIET = 1e-9
"""Energy of a channel, -90 dBFS, below which there is nothing to cancel."""


class Channels:
    """Measure the energy of each channel of a track, from some of its frames."""

    def __init__(self) -> None:
        self._energy: NDArray[np.float64] = np.zeros(0)
        self._samples = 0
        self._unpack = _Unpacker()

    def heard(self, frames: Iterable[Any], start: float) -> Iterator[Any]:
        """Pass frames on, and measure some of those that end after a time in seconds."""
        for number, frame in enumerate(frames):
            looked_at = number % _EVERY == 0 and _end(frame) > start
            if looked_at and frame.layout.nb_channels > 1:
                self._measure(frame)
            yield frame

    def cancel(self, mix: NDArray[np.float32]) -> bool:
        """Tell whether channels are sound, and their mix (samples,) as good as none."""
        if not self._samples or not len(mix):
            return False
        energy = float(self._energy.sum()) / self._samples
        # the mean of squares in blocks: a long sound lies in a file
        blocks = (mix[at : at + 2**19] for at in range(0, len(mix), 2**19))
        mixed = sum(float(np.square(block, dtype=np.float64).sum()) for block in blocks) / len(mix)
        return energy > _QUIET and mixed < _CANCELLED * energy

    @property
    def loudest(self) -> int:
        """The channel with the most energy, from 0."""
        return int(np.argmax(self._energy))

    def _measure(self, frame: Any) -> None:
        try:
            samples = self._unpack(frame).astype(np.float64)
        except av.error.FFmpegError:  # whoever resamples it says so
            return
        if len(self._energy) != len(samples):  # the layout changed in the middle of the track
            self._energy, self._samples = np.zeros(len(samples)), 0
        self._energy += np.square(samples).sum(axis=1)
        self._samples += samples.shape[1]


def one_channel(frames: Iterable[Any], channel: int) -> Iterator[Any]:
    """Frames of one channel alone; of the first where a frame has not so many."""
    unpack = _Unpacker()
    for frame in frames:
        try:
            samples = unpack(frame)
        except av.error.FFmpegError:  # said when the mix was made
            continue
        wanted = samples[channel if channel < len(samples) else 0]
        alone = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(wanted[None]), format="fltp", layout="mono"
        )
        alone.sample_rate, alone.pts, alone.time_base = (
            frame.sample_rate,
            frame.pts,
            frame.time_base,
        )
        yield alone


def resampler_to_mono(sample_rate_hz: int) -> Any:
    """Make a resampler that mixes as FFmpeg does by default."""
    # 32-bit integers: only for integer formats swresample keeps a downmix within full scale
    return av.AudioResampler(format="s32p", layout="mono", rate=sample_rate_hz)


class _Unpacker:
    """Frames of any format -> (channels, samples) in [-1, 1].

    Through packed samples, because the arrays that PyAV makes of frames with a plane for each of
    eight channels or more read beyond the end.
    """

    def __init__(self) -> None:
        self._resampler = av.AudioResampler(format="flt")

    def __call__(self, frame: Any) -> NDArray[np.float32]:
        try:
            packed = self._resampler.resample(frame)
        except ValueError:  # rate or layout changed in the middle of the track
            self._resampler = av.AudioResampler(format="flt")
            packed = self._resampler.resample(frame)
        channels = frame.layout.nb_channels
        # Packed: the channels take turns within one plane.
        pieces = [piece.to_ndarray().reshape(-1, channels).T for piece in packed]
        return np.concatenate([np.empty((channels, 0), np.float32), *pieces], axis=1)


def _end(frame: Any) -> float:
    """Seconds at which a frame ends; endless where nothing tells."""
    if frame.pts is None:
        return float("inf")
    return float(frame.pts * frame.time_base + Fraction(frame.samples, frame.sample_rate))
