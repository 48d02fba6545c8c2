"""Explanations of the windows of a long recording -> one of the recording.

Its score is the mean of theirs (`prediction.windows`), and so is all that explains it: what a part
adds to the score of its window, it adds to the mean by as many parts as there are windows::

    window          [ 0 ]   [ 1 ]   [ 2 ]        score of the recording
    score            .50     .40     .60           .50
    a smile adds    +.03      0     +.12          +.05 = (.03 + 0 + .12) / 3, most in window 2
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from traitscope.analysis.deletion import Deletion
from traitscope.analysis.evidence import Explanation, Strip
from traitscope.analysis.parts import Part
from traitscope.prediction.windows import Window

Array = NDArray[np.float64]

MOST = 24
"""Windows that are explained: as many as stretches of time are told apart below a video."""


def spread(windows: Sequence[Window]) -> list[int]:
    """The places of the windows that are explained: all, or evenly spread ones."""
    places = np.linspace(0, len(windows) - 1, min(MOST, len(windows)))
    return sorted(set(places.round().astype(int).tolist()))


def joined(
    made: Sequence[Explanation], windows: Sequence[Window], *, seconds: float
) -> Explanation:
    """Join the explanations of windows.

    Args:
        made: of each window, with times from its own beginning.
        windows: where they lie.
        seconds: length of the recording.
    """
    first, count = made[0], len(made)
    deletion = Deletion(
        *(
            np.mean([getattr(one.deletion, name) for one in made], axis=0)
            for name in ("whole", "empty", "evidence", "random")
        )
    )
    parts = [_moved(part, at) for one, at in zip(made, windows, strict=True) for part in one.parts]
    return replace(
        first,
        seconds=seconds,
        parts=tuple(parts),
        values=np.concatenate([one.values for one in made]) / count,
        scores=deletion.whole,
        alone=_means([one.alone for one in made]),
        strips=_strips(made, windows),
        cells={stream: some for one in made for stream, some in one.cells.items()},
        pictures={
            stream: tuple(
                (at.start + time, picture)
                for one, at in zip(made, windows, strict=True)
                for time, picture in one.pictures.get(stream, ())
            )
            for stream in first.pictures
        },
        deletion=deletion,
    )


def _moved(part: Part, at: Window) -> Part:
    """A part with the times of the recording; what was pooled belongs to all of its window."""
    if part.start is None or part.end is None:
        return replace(part, start=at.start, end=at.end)
    return replace(part, start=at.start + part.start, end=at.start + part.end)


def _means(tables: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """The mean of each entry; where a window has none, it adds nothing."""
    sums: dict[str, Array] = {}
    for table in tables:
        for key, value in table.items():
            sums[key] = sums.get(key, 0.0) + value / len(tables)
    return sums


def _strips(made: Sequence[Explanation], windows: Sequence[Window]) -> dict[str, Strip]:
    each = [_strips_of(one, at) for one, at in zip(made, windows, strict=True)]
    strips = {}
    for name in dict.fromkeys(name for one in each for name in one):
        some = [one[name] for one in each if name in one]
        strips[name] = Strip(
            np.concatenate([one.start for one in some]),
            np.concatenate([one.end for one in some]),
            np.concatenate([one.values for one in some]) / len(made),
        )
    return strips


def _strips_of(made: Explanation, at: Window) -> dict[str, Strip]:
    """What stretches of a window add; of a stream that is pooled over it, the window itself."""
    strips = {
        name: Strip(one.start + at.start, one.end + at.start, one.values)
        for name, one in made.strips.items()
    }
    # Without some of its seconds a mean stays what it is: inside a window of one mood none counts.
    for name in {part.stream for part in made.parts if part.start is None}:
        strips[name] = Strip(np.array([at.start]), np.array([at.end]), made.alone[name][None])
    return strips
