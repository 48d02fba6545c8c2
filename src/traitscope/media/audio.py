"""Sound of a media file -> one mono waveform at the asked sample rate."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import av
import numpy as np
from numpy.typing import NDArray

from traitscope.errors import ClipError
from traitscope.media import images
from traitscope.media._channels import Channels, one_channel, resampler_to_mono
from traitscope.media.info import check_codec, decoded, duration, own_duration
from traitscope.media.limits import DEFAULTS, Limits, too_much
from traitscope.media.opening import open_container
from traitscope.media.tracks import audio_stream, tell_choice, video_stream
from traitscope.types import Waveform

SILENCE = 1e-4
"""A peak below this (-80 dBFS) is silence."""

_LONG_SAMPLES = 2**22
"""Samples that are held in memory; more, such as 5 minutes at 16 kHz, are kept in a file."""

_BLOCK = 2**19

_LONG_LEAD_SECONDS = 0.5

_SHORTFALL_SECONDS = 1.0
"""Sound that ends this much before the length its file declares was cut off."""

_PAUSE_SECONDS = 0.1
"""Frames whose times leave a longer gap have silence between them: sound was lost or left out."""


@dataclass(frozen=True)
class Sound:
    """The sound of a clip, and what was noticed while it was read.

    Attributes:
        waveform: mono.
        notes: what a reader should know of it, one short sentence each.
        share: of the interval that the file declares, how much could be decoded; below 1 only
            where the track was cut off.
    """

    waveform: Waveform
    notes: tuple[str, ...] = ()
    share: float = 1.0


def read_waveform(
    path: Path,
    *,
    sample_rate_hz: int = 16000,
    start: float | None = None,
    end: float | None = None,
    track: int | None = None,
) -> Waveform:
    """Read the sound of a clip, mixed down to mono; see `read_sound`."""
    sound = read_sound(path, sample_rate_hz=sample_rate_hz, start=start, end=end, track=track)
    return sound.waveform


def read_sound(
    path: Path,
    *,
    sample_rate_hz: int = 16000,
    start: float | None = None,
    end: float | None = None,
    track: int | None = None,
    limits: Limits = DEFAULTS,
) -> Sound:
    """Read the sound of a clip, mixed down to mono, with what was noticed on the way.

    The mix is FFmpeg's, except where channels cancel each other, as they do when one of them was
    wired the wrong way round: then the loudest of them is taken.

    Args:
        path: media file, or folder of images with a WAV inside or beside it.
        sample_rate_hz: samples per second that come out.
        start: seconds into the file where the clip starts; zero is the first picture if there
            are pictures, so that sound and pictures have the same times.
        end: seconds into the file where it ends, exclusive.
        track: which of several sound tracks, from 1; None takes the default of the file.
        limits: of what is decoded, and of silence that is put between.

    Raises:
        ClipError: there is no such track, nothing of it can be decoded, or it is beyond a limit.
    """
    file = _sound_of(path)
    interval = (start or 0.0, end)
    reading = _Reading(file, sample_rate_hz, interval, track, limits)
    samples = reading.samples(channel=None)
    if samples is not None and reading.channels.cancel(samples):
        loudest = reading.channels.loudest
        reading = _Reading(file, sample_rate_hz, interval, track, limits)
        samples = reading.samples(channel=loudest)
        reading.notes.append(
            f"out-of-phase: channels cancel each other, so channel {loudest + 1} is heard"
        )
    problems = reading.problems
    # Where something went wrong the file is to blame, and not the interval.
    if start and not problems and (samples is None or not len(samples)):
        until = "on" if end is None else f"to {end:g} s"
        raise ClipError(
            f"{file} has no sound from {start:g} s {until}; it lasts {reading.seconds:.2f} s. "
            f"Correct start and end.",
            status="empty",
        )
    if samples is None:
        raise ClipError(
            f"No sound of {file} can be decoded ({'; '.join(problems[:1]) or 'no data'}). "
            f"Re-encode it or leave it out.",
            status="undecodable",
        )
    share = reading.share(len(samples))
    return Sound(Waveform(samples, sample_rate_hz), (*reading.notes, *reading.problems[:1]), share)


def is_silent(waveform: Waveform) -> bool:
    """Tell whether nothing can be heard: the peak is below `SILENCE`."""
    blocks = range(0, len(waveform.samples), _BLOCK)
    return all(np.abs(waveform.samples[b : b + _BLOCK]).max() < SILENCE for b in blocks)


def _sound_of(path: Path) -> Path:
    file = images.sound_file(path) if path.is_dir() else path
    if file is None:
        raise _no_audio(path)
    return file


def _no_audio(path: Path) -> ClipError:
    return ClipError(
        f"{path} has no audio track. Take features or a run of pictures alone, or another file.",
        status="no_audio",
    )


class _Reading:
    """One pass over the sound of a clip.

    Attributes:
        notes: facts of the track.
        problems: what went wrong.
        channels: how loud each channel is.
        seconds: that the track lasts, as its file says.
    """

    def __init__(
        self,
        file: Path,
        rate: int,
        interval: tuple[float, float | None],
        track: int | None,
        limits: Limits,
    ) -> None:
        self.notes: list[str] = []
        self.problems: list[str] = []
        self.channels = Channels()
        self.seconds = 0.0
        self._file, self._rate, self._track = file, rate, track
        self._limits, self._silence = limits, 0
        self._start, self._end = interval
        self._declared_end: float | None = None

    def samples(self, *, channel: int | None) -> NDArray[np.float32] | None:
        """Decode the interval; None if there is no frame.

        Args:
            channel: the one that is taken alone; None for the mix of all.
        """
        with open_container(self._file, self._limits) as container:
            stream = audio_stream(container, self._track)
            if stream is None:
                raise _no_audio(self._file)
            check_codec(stream, self._file)
            self.notes += tell_choice(list(container.streams.audio), stream)
            # The clock of a clip starts with its first picture, of its sound as well.
            zero, first = _first_second(video_stream(container) or stream), _first_second(stream)
            # Shorter leads are how encoders begin: they put a little silence in front.
            if zero - first > _LONG_LEAD_SECONDS and not self._start:
                self.problems.append(
                    f"early-sound: {zero - first:.2f} s before the first picture are left out"
                )
            own = own_duration(container, stream)
            self._declared_end = None if own is None else first - zero + own
            self.seconds = duration(container, stream)
            if self._start:
                _seek(container, stream, zero + self._start)
            frames = decoded(container, stream, self.problems.append)
            if channel is not None:
                frames = one_channel(frames, channel)
            return self._collect(container, frames, zero)

    def share(self, samples: int) -> float:
        """How much of what the file declares could be decoded; says so if it is not all."""
        ends = [end for end in (self._declared_end, self._end) if end is not None]
        expected = min(ends, default=0.0)
        decoded_end = self._start + samples / self._rate
        if self._declared_end is None or decoded_end + _SHORTFALL_SECONDS >= expected:
            return 1.0
        # In front, because only the first problem becomes a note.
        self.problems.insert(0, f"truncated: sound ends at {decoded_end:.2f} s of {expected:.2f} s")
        return max(0.0, (decoded_end - self._start) / (expected - self._start))

    def _collect(
        self, container: Any, frames: Iterator[Any], zero: float
    ) -> NDArray[np.float32] | None:
        """Resample frame by frame, keeping the samples of the interval; None if there is no frame.

        Where the sound begins later than the interval, or pauses, there is silence.
        """
        start, rate = zero + self._start, self._rate
        stop = None if self._end is None else round((self._end - self._start) * rate)
        # No pause is longer than its file; one that does not know its length gets a minute.
        longest = (container.duration / av.time_base if container.duration else 60) * rate
        spool = _Spool()
        position: int | None = None
        for time, piece in _resampled(
            self.channels.heard(frames, start), rate, self.problems.append
        ):
            if time is not None:
                held, begin = max(0, position or 0), round((time - start) * rate)
                if begin - held > longest:  # a time that makes no sense
                    begin = held
                self._pause(spool, max(0, min(begin, stop or begin) - held))
                position = begin if position is None else max(begin, position)
            assert position is not None
            # A piece may begin before the interval, at a negative position, and end behind it.
            samples = np.frombuffer(piece.planes[0], np.int32, piece.samples)
            spool.add(
                samples[max(0, -position) : None if stop is None else max(0, stop - position)]
            )
            position += len(samples)
            self._check_length(position)
            if stop is not None and position >= stop:
                break
        return None if position is None else spool.samples()[:stop]

    def _pause(self, spool: "_Spool", samples: int) -> None:
        """Put silence, which costs a file a few bytes and us four for each sample."""
        self._silence += samples
        seconds = self._silence / self._rate
        if seconds > self._limits.silence_seconds:
            what = f"The sound of {self._file} pauses for {seconds:,.0f} s in all"
            raise too_much(what, "silence_seconds", seconds, self._limits.silence_seconds)
        for begin in range(0, samples, _BLOCK):
            spool.add(np.zeros(min(_BLOCK, samples - begin), dtype=np.int32))

    def _check_length(self, samples: int) -> None:
        if samples > self._limits.seconds * self._rate:
            seconds = max(samples / self._rate, self.seconds - self._start)
            what = f"{self._file} has sound for {seconds:,.0f} s"
            raise too_much(what, "seconds", seconds, self._limits.seconds)


def _seek(container: Any, stream: Any, seconds: float) -> None:
    """Go to a second before the start: decoders need a run-up; at the beginning if it fails."""
    target = max(int((seconds - 1.0) / stream.time_base), stream.start_time or 0)
    try:
        container.seek(target, stream=stream)
    except av.error.FFmpegError:
        container.seek(0)


def _first_second(stream: Any) -> float:
    return float((stream.start_time or 0) * stream.time_base)


class _Spool:
    """Collect pieces of 32-bit sound; what is long goes to a file, not to memory."""

    def __init__(self) -> None:
        self._pieces: list[NDArray[np.int32]] = []
        self._blocks: list[NDArray[np.float32]] = []
        self._waiting = self._settled = 0
        self._file: IO[bytes] | None = None

    def add(self, piece: NDArray[np.int32]) -> None:
        self._pieces.append(piece)
        self._waiting += len(piece)
        if self._waiting > _BLOCK:
            self._settle()

    def samples(self) -> NDArray[np.float32]:
        """Everything, in [-1, 1]; of a long sound a view of the file, which goes when it goes."""
        self._settle()
        if self._file is None:
            return np.concatenate(self._blocks)
        with self._file as file:
            file.flush()
            return np.memmap(file, dtype=np.float32, mode="r")

    def _settle(self) -> None:
        block = np.concatenate([*self._pieces, np.empty(0, np.int32)]).astype(np.float32)
        # A power of two: no sample is rounded for it.
        block /= np.float32(2**31)
        self._blocks.append(block)
        self._settled += len(block)
        self._pieces, self._waiting = [], 0
        if self._settled > _LONG_SAMPLES:
            self._file = self._file or tempfile.TemporaryFile()  # noqa: SIM115
            for block in self._blocks:
                self._file.write(block.tobytes())
            self._blocks = []


def _resampled(
    frames: Iterable[Any], sample_rate_hz: int, note: Callable[[str], None]
) -> Iterator[tuple[float | None, Any]]:
    """Yield pieces of mono sound; the first, and the first after a pause, with its seconds."""
    resampler = resampler_to_mono(sample_rate_hz)
    due = began = None
    for frame in frames:
        # A frame without a time follows the one before.
        time = (due or 0.0) if frame.pts is None else frame.time
        if due is None or time - due > _PAUSE_SECONDS:
            if due is not None:
                # What the resampler still holds was heard before the pause.
                yield from ((None, piece) for piece in resampler.resample(None))
                resampler = resampler_to_mono(sample_rate_hz)
            began = due = time
        due += frame.samples / frame.sample_rate
        try:
            pieces = resampler.resample(frame)
        except ValueError:  # rate or layout changed in the middle of the track
            resampler = resampler_to_mono(sample_rate_hz)
            try:
                pieces = resampler.resample(frame)
            except av.error.FFmpegError as error:  # of a rate or a layout that makes no sense
                note(f"damaged audio was skipped: {error.strerror}")
                resampler = resampler_to_mono(sample_rate_hz)
                continue
        for piece in pieces:
            yield began, piece
            began = None
    yield from ((began, piece) for piece in resampler.resample(None))
