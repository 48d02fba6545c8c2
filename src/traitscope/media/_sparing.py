"""Packets -> pictures, without decoding those that nobody wants and no other picture needs.

The times of all pictures are known from their packets before anything is decoded, so what is
delivered stays the same, time for time and pixel for pixel::

    time       0   1   2   3   4   5   6   7   8
    picture    I   b   B   b   P   b   B   b   P      a small b is no reference for any other
    wanted     *           *           *              what some rate asks for
    decoded    I   .   B   b   P   .   B   .   P      only a small one that nobody wants is left out

    packets    I   P   B   b   b   P   B   b   b      come in order of decoding,
               0   4   2   1   3   8   6   5   7      each with the time when it is shown

A packet is held back until the time of the next picture is known, since a picture is wanted if a
moment falls between its time and the next. A picture that is left out is told by its time alone.

Where packets do not tell (no times, times out of order, damage, a wanted picture that does not
come out) `AstrayError` is raised, and the reader decodes everything instead. It does not come here
for AVI, whose packets have no times of display, and leaves as soon as a picture is interlaced:
the ones beside it are then needed to fill it up.
"""

import heapq
import math
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import av

CODECS = frozenset({"h264"})
"""Where a picture marked as no reference never is one: in HEVC another layer may still use it."""

_LONGEST_WAIT = 256
"""Packets held back at most; with more, their times make no sense."""

Wanted = Callable[[int | None, int, int | None], bool]
"""Tells from the times of the picture before, of a picture and of the next whether it is wanted."""


class AstrayError(Exception):
    """What is wanted cannot be told from the packets of this file."""


def sparing(
    packets: Iterable[Any], context: Any, wanted: Wanted
) -> Iterator[tuple[int, Any | None]]:
    """Decode packets of one track, in order of display.

    Args:
        packets: of one track, ending with the empty packet that flushes the decoder.
        context: the codec context of the track.
        wanted: tells whether a picture is wanted, by times in units of the track.

    Yields:
        Time and decoded frame, which is None for a picture that was left out.

    Raises:
        AstrayError: something is damaged, a wanted picture did not come out, or the times make
            no sense.
    """
    # A heap: packets come in order of decoding, and their pictures are due in order of display.
    expected: list[tuple[int, bool]] = []
    for packet, keep in _planned(packets, wanted):
        if packet.pts is not None and not packet.is_discard:
            heapq.heappush(expected, (packet.pts, keep))
        # The decoder leaves out only what no other picture needs, however little it is wanted.
        context.skip_frame = "DEFAULT" if keep else "NONREF"
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            raise AstrayError from error
        for frame in frames:
            yield from _before(expected, frame.pts)
            # damage is mended from neighbours, so all of them have to be there
            if frame.is_corrupt or not expected or expected[0][0] != frame.pts:
                raise AstrayError
            heapq.heappop(expected)
            yield frame.pts, frame
    yield from _before(expected, None)


def _before(expected: list[tuple[int, bool]], pts: int | None) -> Iterator[tuple[int, None]]:
    """Pictures that were left out before a time, or until the end."""
    while expected and (pts is None or expected[0][0] < pts):
        time, keep = heapq.heappop(expected)
        if keep:
            raise AstrayError
        yield time, None


def _planned(packets: Iterable[Any], wanted: Wanted) -> Iterator[tuple[Any, bool]]:
    """Hold packets back until the time of the next picture is known, then say what is wanted.

    No later packet has a time before its own decoding time, and these rise; so the next picture
    is known once decoding times have passed it.
    """
    held: deque[Any] = deque()
    times: list[int] = []  # of held packets and of some before the earliest
    passed, end = -math.inf, None
    for packet in packets:
        if packet.size == 0:
            end = packet
            break
        pts, dts = packet.pts, packet.dts
        if pts is None or packet.is_corrupt or len(held) == _LONGEST_WAIT:
            raise AstrayError
        if dts is not None:  # Matroska has none for the first packets
            if pts < dts or dts <= passed:
                raise AstrayError
            passed = dts
        held.append(packet)
        if not packet.is_discard:
            insort(times, pts)
        yield from _settled(held, times, passed, wanted)
    yield from _settled(held, times, math.inf, wanted)
    if end is not None:
        yield end, True


def _settled(
    held: deque[Any], times: list[int], passed: float, wanted: Wanted
) -> Iterator[tuple[Any, bool]]:
    """Let go of the packets whose next picture is known; discarded ones only serve others."""
    while held:
        if held[0].is_discard:
            yield held.popleft(), False
            continue
        place = bisect_right(times, held[0].pts)
        if passed < math.inf and (place == len(times) or times[place] > passed):
            return
        pts = times[place - 1]
        before = times[place - 2] if place > 1 else None
        # Of two pictures with one time nobody can tell which is wanted.
        if before == pts:
            raise AstrayError
        yield held.popleft(), wanted(before, pts, times[place] if place < len(times) else None)
        # Old times go now and then, for each packet is too often; the time before the earliest held
        # packet stays: it is asked for as the one before.
        if len(times) > 2 * _LONGEST_WAIT:
            first = min((packet.pts for packet in held if not packet.is_discard), default=times[-1])
            del times[: max(0, bisect_right(times, first) - 2)]
