"""A long recording -> windows as long as the clips its run was trained on, cut from its streams.

Nothing is extracted twice: a window is a view of the rows of the whole recording::

    signals   |....|....|....|....|....|....|....|..      rows of the recording, read once
    windows   [ 0 ][ 1 ][ 2 ][ 3 ][ 4 ][ 5 ][    6 ]      each drawn and scored like a clip
    score     .41  .44  .43   -   .61  .60  .58            "-": nobody was seen; mean is the score
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from traitscope.types import Stream, Timeline

_WORTH = 2.0
"""Lengths of a usual clip from which a recording is scored window by window."""


class Window(NamedTuple):
    """A part of a recording: seconds, half open."""

    start: float
    end: float


def windows_of(streams: Mapping[str, Stream], seconds: float | None) -> list[Window]:
    """The windows of a recording; none for one that is about as long as a usual clip.

    Args:
        streams: of the recording.
        seconds: how long a usual clip is; None where nothing has times.
    """
    whole = max((_seconds(one) for one in streams.values() if _has_rows(one)), default=0.0)
    if not seconds or whole < _WORTH * seconds:
        return []
    # What is left at the end is too short to be scored by itself, and goes to the last one.
    count = max(1, int(whole / seconds + 1e-9))
    ends = [*(seconds * np.arange(1, count)).tolist(), whole]
    return [Window(start, end) for start, end in zip([0.0, *ends[:-1]], ends, strict=True)]


def cut(streams: Mapping[str, Stream], window: Window, *, last: bool) -> dict[str, Stream]:
    """The rows of each stream inside a window; a stream of one row belongs to all windows.

    Args:
        streams: of the recording.
        window: which part.
        last: whether the recording ends with it: a row at its very end counts.
    """
    return {
        name: _cut(stream, window, last) if _has_rows(stream) else stream
        for name, stream in streams.items()
    }


def _cut(stream: Stream, window: Window, last: bool) -> Stream:
    first, end = np.searchsorted(stream.time, window).tolist()
    rows = slice(first, len(stream.time) if last else end)
    return replace(
        stream,
        time=stream.time[rows] - window.start,
        values=None if stream.values is None else stream.values[rows],
        images=None if stream.images is None else stream.images[rows],
        valid=stream.mask[rows],
    )


def timeline(
    windows: Sequence[Window], names: Sequence[str], scores: Iterator[Sequence[float]]
) -> Timeline:
    """Put the scores of windows beside their times.

    Args:
        windows: of the recording.
        names: of the targets.
        scores: (targets,) of each window in order, NaN where there is none.
    """
    table = np.array(list(scores), dtype=np.float64).reshape(len(windows), len(names))
    starts, ends = np.array(windows, dtype=np.float64).T
    return Timeline(starts, ends, dict(zip(names, table.T, strict=True)))


def _has_rows(stream: Stream) -> bool:
    return len(stream.time) > 1


def _seconds(stream: Stream) -> float:
    stated = stream.info.get("duration_seconds", 0.0)
    return max(float(stated), float(stream.time[-1]))
