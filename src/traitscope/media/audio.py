"""Sound of a media file -> one mono waveform at the asked sample rate."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import av
import numpy as np
from numpy.typing import NDArray

from traitscope.errors import ClipError
from traitscope.media import images
from traitscope.media.info import check_codec, decoded, duration, open_container, video_stream
from traitscope.types import Waveform

SILENCE = 1e-4
"""A peak below this (-80 dBFS) is silence."""

_LONG_SAMPLES = 2**22
"""Samples that are held in memory; more, such as 5 minutes at 16 kHz, are kept in a file."""

_BLOCK = 2**19

_LONG_LEAD_SECONDS = 0.5

_PAUSE_SECONDS = 0.1
"""Frames whose times leave a longer gap have silence between them: sound was lost or left out."""


def read_waveform(
    path: Path,
    *,
    sample_rate_hz: int = 16000,
    start: float | None = None,
    end: float | None = None,
) -> Waveform:
    """Read the sound of a clip, mixed down to mono; see `read_sound`."""
    return read_sound(path, sample_rate_hz=sample_rate_hz, start=start, end=end)[0]


def read_sound(
    path: Path,
    *,
    sample_rate_hz: int = 16000,
    start: float | None = None,
    end: float | None = None,
) -> tuple[Waveform, str | None]:
    """Read the sound of a clip, mixed down to mono, with what went wrong on the way.

    Args:
        path: media file, or folder of images with a WAV inside or beside it.
        sample_rate_hz: samples per second that come out.
        start: seconds into the file where the clip starts; zero is the first picture if there
            are pictures, so that sound and pictures have the same times.
        end: seconds into the file where it ends, exclusive.

    Returns:
        The waveform, and why decoding stopped early or skipped something (None if it did not).

    Raises:
        ClipError: there is no track, or nothing of it can be decoded.
    """
    file = _sound_of(path)
    problems: list[str] = []
    with open_container(file) as container:
        stream = next(iter(container.streams.audio), None)
        if stream is None:
            raise _no_audio(file)
        check_codec(stream, file)
        zero, first = _first_second(video_stream(container) or stream), _first_second(stream)
        interval = zero + (start or 0.0), float("inf") if end is None else zero + end
        if zero - first > _LONG_LEAD_SECONDS and not start:
            problems.append(f"{zero - first:.2f} s of sound before the first picture are left out")
        if start:
            _seek(container, stream, interval[0])
        samples = _collect(container, stream, sample_rate_hz, interval, problems)
        seconds = duration(container, stream)
    if start and not problems and (samples is None or not len(samples)):
        until = "on" if end is None else f"to {end:g} s"
        raise ClipError(
            f"{file} has no sound from {start:g} s {until}; it lasts {seconds:.2f} s. Correct "
            f"start and end.",
            status="empty",
        )
    if samples is None:
        raise ClipError(
            f"No sound of {file} can be decoded ({'; '.join(problems[:1]) or 'no data'}). "
            f"Re-encode it or leave it out.",
            status="undecodable",
        )
    return Waveform(samples, sample_rate_hz), problems[0] if problems else None


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
        f"{path} has no audio track. Use extractors that need none, or another file.",
        status="no_audio",
    )


def _seek(container: Any, stream: Any, seconds: float) -> None:
    """Go to a second before the start: decoders need a run-up; at the beginning if it fails."""
    target = max(int((seconds - 1.0) / stream.time_base), stream.start_time or 0)
    try:
        container.seek(target, stream=stream)
    except av.error.FFmpegError:
        container.seek(0)


def _collect(
    container: Any,
    stream: Any,
    sample_rate_hz: int,
    interval: tuple[float, float],
    problems: list[str],
) -> NDArray[np.float32] | None:
    """Resample frame by frame, keeping the samples of the interval; None if there is no frame.

    Where the sound begins later than the interval, or pauses, there is silence.
    """
    start, end = interval
    stop = None if end == float("inf") else round((end - start) * sample_rate_hz)
    longest = (container.duration / av.time_base if container.duration else 60) * sample_rate_hz
    spool = _Spool()
    position: int | None = None
    for time, piece in _resampled(container, stream, sample_rate_hz, problems):
        if time is not None:
            held, begin = max(0, position or 0), round((time - start) * sample_rate_hz)
            if begin - held > longest:  # a time that makes no sense
                begin = held
            spool.add(np.zeros(max(0, min(begin, stop or begin) - held), dtype=np.int32))
            position = begin if position is None else max(begin, position)
        assert position is not None
        samples = piece.to_ndarray()[0]
        spool.add(samples[max(0, -position) : None if stop is None else max(0, stop - position)])
        position += len(samples)
        if stop is not None and position >= stop:
            break
    return None if position is None else spool.samples()[:stop]


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
    container: Any, stream: Any, sample_rate_hz: int, problems: list[str]
) -> Iterator[tuple[float | None, Any]]:
    """Yield pieces of mono sound; the first, and the first after a pause, with its seconds."""
    resampler = _resampler(sample_rate_hz)
    due = began = None
    for frame in decoded(container, stream, problems.append):
        time = (due or 0.0) if frame.pts is None else float(frame.pts * frame.time_base)
        if due is None or time - due > _PAUSE_SECONDS:
            if due is not None:
                yield from ((None, piece) for piece in resampler.resample(None))
                resampler = _resampler(sample_rate_hz)
            began = due = time
        due += frame.samples / frame.sample_rate
        try:
            pieces = resampler.resample(frame)
        except ValueError:  # rate or layout changed in the middle of the track
            resampler = _resampler(sample_rate_hz)
            pieces = resampler.resample(frame)
        for piece in pieces:
            yield began, piece
            began = None
    yield from ((began, piece) for piece in resampler.resample(None))


def _resampler(sample_rate_hz: int) -> Any:
    # 32-bit integers: only for integer formats swresample keeps a downmix within full scale
    return av.AudioResampler(format="s32p", layout="mono", rate=sample_rate_hz)
