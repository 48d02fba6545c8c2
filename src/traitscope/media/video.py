"""Video files and folders of images -> RGB frames with true times, one decode for all rates."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from traitscope.errors import ClipError
from traitscope.media import images
from traitscope.media._showing import Converter, deinterlaced
from traitscope.media._sparing import CODECS, AstrayError, sparing
from traitscope.media._threads import use_threads
from traitscope.media._timing import Clock, says_no_times, seconds_of, shown
from traitscope.media.info import (
    DEINTERLACED,
    MediaInfo,
    Tracks,
    check_codec,
    describe,
    measured,
    own_duration,
    packets_of,
)
from traitscope.media.limits import DEFAULTS, Limits, check_extent, check_pixels
from traitscope.media.opening import check_size, open_container
from traitscope.media.sampling import TOLERANCE_SECONDS, Choice, Rate, Spread
from traitscope.media.tracks import audio_stream, first_frame, video_stream
from traitscope.types import Frame, Picture

Shown = tuple[float, Callable[[], NDArray[np.uint8] | Picture]]
"""Seconds into the file, and a function that makes the picture when it is wanted."""
_EDGE = 1e-9
_PROBLEM_LENGTH = 300
_ASSUMED_RATE = 25.0
"""Pictures per second where neither times nor a declared rate tell."""

_MOST_FACTS = 10
_SHORTFALL_SECONDS = 1.0
"""A track that ends this much before the length its file declares was cut off."""
_SHORTFALL = 0.05
"""So was one that lacks this share of the pictures that its index names, however short it is."""


def probe(
    path: Path,
    *,
    fps: float | None = None,
    tracks: Tracks | None = None,
    limits: Limits = DEFAULTS,
) -> MediaInfo:
    """Read the facts of a media file or a folder of images.

    Args:
        path: media file or folder of images.
        fps: frames per second of a folder of images.
        tracks: which tracks of the file; its default ones if not said.
        limits: of what is decoded.

    Raises:
        ClipError: the file is missing, empty or no media, has no such track, or is beyond a limit.
    """
    tracks = tracks or Tracks()
    if path.is_dir():
        return images.probe(path, fps=fps, limits=limits)
    with open_container(path, limits) as container:
        stream = video_stream(container, tracks.video)
        readable = stream is not None and stream.codec_context is not None
        first = first_frame(container, stream) if readable else None
        info = describe(container, first, tracks)
    if readable and first is None:
        check_size(path, limits)
    check_pixels(path, info.width or 0, info.height or 0, limits)
    with open_container(path, limits) as container:  # from the beginning again
        main = video_stream(container, tracks.video) or audio_stream(container, tracks.audio)
        return info if main is None else measured(info, container, main)


def read_frames(
    path: Path,
    *,
    rates: Sequence[Rate | Spread],
    start: float | None = None,
    end: float | None = None,
    fps: float | None = None,
    track: int | None = None,
    skip: bool = True,
    limits: Limits = DEFAULTS,
) -> "FrameReader":
    """Open a clip for reading at several rates at once.

    Args:
        path: media file or folder of images.
        rates: frames per second, ``"native"`` or moments spread over the clip; a flag for each.
        start: seconds into the file where the clip starts.
        end: seconds into the file where it ends, exclusive.
        fps: frames per second of a folder of images.
        track: which video track of a file that has several, from 1; None takes its default.
        skip: leave out decoding what changes nothing; frames and times are the same without.
        limits: of what is decoded.

    Returns:
        An iterable of (frame, one flag per rate) with only the frames that some rate wants.

    Raises:
        ClipError: there is no such video; while iterating: no frame can be decoded or lies in the
            interval, or the clip goes beyond a limit.
    """
    interval = (start or 0.0, end)
    return FrameReader(path, rates, interval, fps, track=track, skip=skip, limits=limits)


class FrameReader:
    """Iterate over the wanted frames of a clip; holds two at a time, whatever its length.

    Attributes:
        info: facts of the file, complete after the first frame.
        share: of the interval that the file declares, how much could be decoded; below 1 only
            where the track was cut off.
    """

    def __init__(
        self,
        path: Path,
        rates: Sequence[Rate | Spread],
        interval: tuple[float, float | None],
        fps: float | None,
        *,
        track: int | None,
        skip: bool,
        limits: Limits,
    ) -> None:
        self.share = 1.0
        self._noticed: list[str] = []
        self._problems: list[str] = []
        self._path, self._fps, self._tracks = path, fps, Tracks(video=track)
        self._limits = limits
        self._declared: float | None = None
        self._indexed = 0  # pictures in the index of the track; 0 where it has none
        self._size = (0, 0)
        self._start, self._end = interval[0], float("inf") if interval[1] is None else interval[1]
        self._skip = skip and "native" not in rates
        self._seen, self._delivered, self._exhausted, self._count = False, False, False, 0
        if path.is_dir():
            self.info = images.probe(path, fps=fps, limits=limits)
        else:
            with open_container(path, limits) as container:
                self.info = describe(container, None, self._tracks)
                if self.info.has_video:
                    stream = video_stream(container, track)
                    check_codec(stream, path)
                    self._declared = own_duration(container, stream)
                    whole = self._start == 0 and self._end == float("inf")
                    self._indexed = stream.frames if whole and stream else 0
                    self._skip = self._skip and not says_no_times(container)
                    self.info = measured(self.info, container, stream)
        if not self.info.has_video:
            raise ClipError(
                f"{path} has no video track. Take features or a run of sound alone, or another "
                f"file.",
                status="no_video",
            )
        length = max(min(self.info.duration_seconds, self._end) - self._start, 0.0)
        self._choice = Choice(rates, length, self.info.fps or _ASSUMED_RATE)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of the file and of its reading, one short sentence each."""
        return tuple(dict.fromkeys((*self.info.notes, *self._noticed, *self._problems)))

    @property
    def problem(self) -> str | None:
        """Why decoding stopped early or skipped something; None while all is well."""
        return "; ".join(self._problems)[:_PROBLEM_LENGTH] or None

    def __iter__(self) -> Iterator[tuple[Frame, tuple[bool, ...]]]:
        """Deliver the wanted frames; what was left out in vain is decoded a second time."""
        delivered = 0
        try:
            for frame_and_flags in self._frames():
                yield frame_and_flags
                delivered += 1
        except AstrayError:
            self._skip = False
            self._noticed.clear()
            self._problems.clear()
            self._choice.restart()
            self._seen, self._delivered, self._exhausted = False, False, False
            yield from islice(self._frames(), delivered, None)

    def _frames(self) -> Iterator[tuple[Frame, tuple[bool, ...]]]:
        """Pair each picture with the time of the next to know its display interval."""
        waiting: Shown | None = None
        since = last = 0.0
        for time, convert in self._pictures():
            if waiting is not None:
                yield from self._deliver(waiting, since, time - self._start)
                since = time - self._start
            waiting, last = (time, convert), time
        if waiting is None:
            raise self._nothing_found()
        self._check_length(last)
        until = min(self._last_display(last), self._end) - self._start
        # a last frame that the end cuts to almost nothing is still a frame
        yield from self._deliver(waiting, since, max(until, since + 2 * TOLERANCE_SECONDS))
        if not self._delivered:
            raise self._nothing_found()

    def _deliver(
        self, picture: Shown, since: float, until: float
    ) -> Iterator[tuple[Frame, tuple[bool, ...]]]:
        flags = self._choice.flags(since, until)
        if not any(flags):
            return
        time, convert = picture
        try:
            seen = convert()
        except ClipError as error:  # one bad image of a folder; the others are still good
            self._note(f"damaged: {error}")
            return
        self._delivered = True
        yield Frame(time - self._start, seen), flags

    def _pictures(self) -> Iterator[Shown]:
        """Pictures of the interval, from files or from a decoder."""
        source = self._from_folder() if self._path.is_dir() else self._from_decoder()
        for count, (time, convert) in enumerate(source, 1):
            self._seen = True
            if time >= self._end - _EDGE:
                return
            check_extent(self._path, count, time - self._start, self._limits)
            if time >= self._start - _EDGE:
                yield time, convert
            self._count = count
        self._exhausted = True

    def _from_folder(self) -> Iterator[Shown]:
        for time, file in images.timed_files(self._path, fps=self._fps):
            yield time, partial(images.load, file, self._limits)

    def _from_decoder(self) -> Iterator[Shown]:
        """Decode from the key frame before the start; from the beginning if seeking fails."""
        if self._start > 0:
            pictures = self._decode(seek=True)
            first = next(pictures, None)
            if first is not None and first[0] <= self._start + 1e-6:
                yield first
                yield from pictures
                return
            pictures.close()
            self._problems.clear()
        yield from self._decode(seek=False)

    def _decode(self, *, seek: bool) -> Generator[Shown, None, None]:
        with open_container(self._path, self._limits) as container:
            stream = video_stream(container, self._tracks.video)
            assert stream is not None
            use_threads(stream)
            zero, unit = stream.start_time or 0, stream.time_base
            if seek:
                try:
                    container.seek(int(self._start / unit) + zero, stream=stream)
                except av.error.FFmpegError:
                    return
            clock = Clock(zero, unit, 1 / (self.info.fps or _ASSUMED_RATE), self._notice)
            convert = Converter()
            frames = self._decoded(container, stream, convert, whole=not seek)
            for pts, frame in frames:
                if pts is None and seek:
                    return
                if frame is not None and frame.is_corrupt:
                    self._note("damaged: some pictures are not whole")
                look = _left_out if frame is None else convert.looked_at(frame)
                yield clock.seconds(pts), look

    def _decoded(
        self, container: Any, stream: Any, convert: Converter, *, whole: bool
    ) -> Iterator[tuple[int | None, Any | None]]:
        """Times and frames, in order; None for a frame that nothing asks for."""
        if self._skip and stream.codec_context.name in CODECS:
            packets = packets_of(container, stream, self._note)
            wanted = self._wanted(stream)
            for pts, frame in sparing(packets, stream.codec_context, wanted):
                if frame is not None:
                    self._look(container, stream, frame, convert)
                    if frame.interlaced_frame:  # its neighbours are needed too
                        raise AstrayError
                yield pts, frame
            return

        def looked_at() -> Iterator[tuple[int | None, Any]]:
            for pts, frame in shown(container, stream, self._note, whole=whole):
                self._look(container, stream, frame, convert)
                yield pts, frame

        yield from deinterlaced(looked_at())

    def _look(self, container: Any, stream: Any, frame: Any, convert: Converter) -> None:
        """Take in what a frame says: all of the first, size and interlacing of the others."""
        if convert.orientation is None:
            before, facts = self.info, describe(container, frame, self._tracks)
            self.info = replace(
                facts,
                duration_seconds=before.duration_seconds,
                fps=before.fps,
                notes=tuple(dict.fromkeys((*before.notes, *facts.notes))),
            )
            check_pixels(self._path, self.info.width or 0, self.info.height or 0, self._limits)
            convert.look(stream, frame)
            self._size = frame.width, frame.height
        elif (frame.width, frame.height) != self._size:
            self._notice(
                f"resized: the pictures change, from {self._size[0]} x {self._size[1]} to "
                f"{frame.width} x {frame.height}"
            )
            self._size = frame.width, frame.height
        if changed := convert.look_again(stream):
            self._notice(f"squared: the shape of the pixels changes, {changed}")
        if frame.interlaced_frame:
            self._notice(DEINTERLACED)

    def _wanted(self, stream: Any) -> Callable[[int | None, int, int | None], bool]:
        """Make the rule that tells which pictures have to be decoded, by times of the track."""
        # asking the track each time would make a fraction each time
        zero, unit = stream.start_time or 0, stream.time_base

        def wanted(before: int | None, pts: int, after: int | None) -> bool:
            time = seconds_of(pts - zero, unit)
            if not self._start - _EDGE <= time < self._end - _EDGE:
                return False
            since = None if before is None else seconds_of(before - zero, unit)
            until = float("inf") if after is None else seconds_of(after - zero, unit)
            if since is None or since < self._start - _EDGE or until >= self._end - _EDGE:
                return True  # the first and the last have rules of their own
            since, until = time - self._start, until - self._start
            return self._choice.may_want(since, until)

        return wanted

    def _notice(self, fact: str) -> None:
        """Keep a fact for the reader, once."""
        _keep(self._noticed, fact)

    def _note(self, problem: str) -> None:
        """Keep what went wrong, once."""
        _keep(self._problems, problem)

    def _check_length(self, last: float) -> None:
        expected = min(self.info.duration_seconds, self._end)
        # A last picture may be shown for long, and an index count what an edit list leaves out.
        lacking = self._count < self._indexed * (1 - _SHORTFALL)
        slack = expected * _SHORTFALL if lacking else _SHORTFALL_SECONDS
        if self._exhausted and last + max(slack, 2 * self._nominal) < expected:
            self._note(f"truncated: video ends at {last:.2f} s of {expected:.2f} s")
            if self._declared is not None:
                decoded = last + self._nominal - self._start
                self.share = max(0.0, decoded / (expected - self._start))

    @property
    def _nominal(self) -> float:
        """Usual time of one frame on display, in seconds."""
        return 1.0 / self.info.fps if self.info.fps else 0.04

    def _last_display(self, last: float) -> float:
        """Time into the file at which the last frame leaves the display."""
        if last < self.info.duration_seconds < last + _SHORTFALL_SECONDS:
            return self.info.duration_seconds
        return last + self._nominal

    def _nothing_found(self) -> ClipError:
        if self._seen and self.problem is None:
            until = "on" if self._end == float("inf") else f"to {self._end:g} s"
            return ClipError(
                f"{self._path} has no frame from {self._start:g} s {until}; it lasts "
                f"{self.info.duration_seconds:.2f} s. Correct start and end.",
                status="empty",
            )
        if not self._path.is_dir():
            check_size(self._path, self._limits)
        return ClipError(
            f"No frame of {self._path} can be decoded ({self.problem or 'no data'}). "
            f"Re-encode it or leave it out.",
            status="undecodable",
        )


def _keep(lines: list[str], line: str) -> None:
    if line not in lines and len(lines) < _MOST_FACTS:
        lines.append(line)


def _left_out() -> NDArray[np.uint8]:
    """Stands for a picture that was not decoded: asking for it shows that it should have been."""
    raise AstrayError
