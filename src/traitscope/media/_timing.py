"""Packets -> decoded frames with the time of each: in order of display, rising, none left out.

Some files do not say when a picture is shown, only when it is decoded: AVI, and Matroska in its
mode for old codecs. What a decoder lets out is in order of display all the same, so that the
earliest time that has not been shown yet is the time of the next picture::

    packets     I0  P1  B2  B3  P4      0 1 2 3 4: when each is decoded, and all that is known
    waiting     0   0 1 0 1 2   ...
    shown       I0  B2  B3  P1  P4      what the decoder lets out
    times       0   1   2   3   4       the earliest of those that wait
"""

import heapq
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import av

from traitscope.media.info import packets_of

_BREAK_SECONDS = 1.0
"""Times that go back by more are those of another recording, joined to the one before."""

Note = Callable[[str], None]


def shown(
    container: Any, stream: Any, note: Note, *, whole: bool
) -> Iterator[tuple[int | None, Any]]:
    """Decode packet by packet, so that one damaged packet does not end the clip.

    Args:
        container: an open container.
        stream: its video track.
        note: is told, in a few words, what went wrong.
        whole: reading began with the first packet. Nothing comes out without that where times
            have to be counted from the beginning.

    Yields:
        Time in units of the track, or None if nothing tells it, and the decoded frame.
    """
    counted = says_no_times(container)
    waiting: list[int] = []
    for packet in packets_of(container, stream, note):
        counted = counted or (packet.size > 0 and packet.pts is None and packet.dts is not None)
        if counted and not whole:
            return
        due = packet.dts if counted and packet.size else None
        if due is not None:
            heapq.heappush(waiting, due)
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            note(f"damaged: some {stream.type} was skipped ({error.strerror})")
            # Its picture never comes, so its time must not go to another one.
            if due is not None:
                waiting.remove(due)
                heapq.heapify(waiting)
            continue
        for frame in frames:
            yield heapq.heappop(waiting) if waiting else frame.pts, frame


def says_no_times(container: Any) -> bool:
    """Tell whether a format has no times of display, whatever FFmpeg makes up for it."""
    return str(container.format.name) == "avi"


class Clock:
    """Turn times in units of a track into rising seconds since its first picture."""

    def __init__(self, zero: int, unit: Fraction, step_seconds: float, note: Note) -> None:
        self._zero, self._step, self._note = zero, step_seconds, note
        # In parts: multiplying fractions, once per picture, would cost more than all else here.
        self._numerator, self._denominator = unit.numerator, unit.denominator
        self._last, self._moved = -math.inf, 0.0
        self._untimed = 0

    def seconds(self, ticks: int | None) -> float:
        """The time of the next picture; later than all before, whatever the file says."""
        if ticks is None:
            time = self._assumed()
        else:
            time = (ticks - self._zero) * self._numerator / self._denominator + self._moved
            if time <= self._last:
                time = self._mended(time)
        self._last = time
        return time

    def _assumed(self) -> float:
        if not self._untimed:
            rate = f"{1 / self._step:.4g}"
            self._note(f"assumed-rate: pictures have no times, so {rate} per second are assumed")
        self._untimed += 1
        return 0.0 if self._last == -math.inf else self._last + self._step

    def _mended(self, time: float) -> float:
        """Go on after a break; slip in a picture that only comes too early."""
        if self._last - time > _BREAK_SECONDS:
            self._note(f"times: they go back by {self._last - time:.2f} s at {self._last:.2f} s")
            # The other recording goes on one step after the last picture.
            self._moved += self._last + self._step - time
            return self._last + self._step
        self._note("times: some do not rise, so their pictures were put after the one before")
        # Half a step, so that the next picture, which is in time, still comes later.
        return self._last + self._step / 2


def seconds_of(ticks: int, unit: Fraction) -> float:
    """A time of a track in seconds; without a fraction of its own, which would cost more."""
    return ticks * unit.numerator / unit.denominator
