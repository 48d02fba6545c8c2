"""Which moments of a clip are looked at: pure rules over times, no media, no global randomness.

Times in seconds (float) and counts come in; flags, row numbers and intervals go out.
"""

import bisect
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Moments = tuple[float, ...]
"""Rising times in seconds from the start of the clip."""

Rate = float | Literal["native"] | Moments
"""Frames per second to look at, or every frame there is, or the moments themselves."""

TOLERANCE_SECONDS = 5.1e-4
"""Containers such as Matroska round times to 1 ms: a frame may be half of that late."""


@dataclass(frozen=True)
class Spread:
    """So many moments over a clip, whatever its length.

    Attributes:
        rule: ``even`` takes the middle of each of equal parts, ``segments`` a random moment of
            each, ``random`` moments anywhere.
        count: how many moments; a frame that is on display at two of them is one row.
        seed: of the random rules.
    """

    rule: Literal["even", "segments", "random"]
    count: int
    seed: int = 0

    def moments(self, duration_seconds: float) -> Moments:
        """The moments for a clip of this length."""
        rng = np.random.default_rng(self.seed)
        place = np.full(self.count, 0.5) if self.rule == "even" else rng.random(self.count)
        share = place if self.rule == "random" else (np.arange(self.count) + place) / self.count
        return tuple(float(moment) for moment in np.sort(share) * duration_seconds)


def is_wanted(since: float, until: float, rate: Rate) -> bool:
    """Tell whether a frame is on display at one of the moments k / rate.

    A frame is on display from its own time until the next one's, so each frame is wanted at most
    once and at each moment the latest frame is the one delivered.

    Args:
        since: time of the frame; for the first frame of a clip the clip's start, zero.
        until: time of the next frame, or the end of the clip.
        rate: moments per second, ``"native"`` for every frame, or the moments themselves.
    """
    if rate == "native":
        return True
    if isinstance(rate, tuple):
        place = bisect.bisect_left(rate, since - TOLERANCE_SECONDS)
        return place < len(rate) and rate[place] < until - TOLERANCE_SECONDS
    tick = max(0, math.ceil((since - TOLERANCE_SECONDS) * rate))
    return tick / rate < until - TOLERANCE_SECONDS


def wanted(times: Sequence[float], rate: Rate, *, end: float) -> NDArray[np.bool_]:
    """Mark the frames that are delivered for a rate.

    Args:
        times: (frames,) rising, in seconds from the start of the clip.
        rate: moments per second, or ``"native"``.
        end: time at which the last frame leaves the display.

    Returns:
        (frames,) True where the frame is delivered.
    """
    since = [0.0, *times[1:]]
    until = [*times[1:], end]
    return np.array([is_wanted(a, b, rate) for a, b in zip(since, until, strict=True)], dtype=bool)


def segment_rows(rows: int, count: int, rng: np.random.Generator | None = None) -> NDArray[np.intp]:
    """Take one row of each of ``count`` equal parts.

    Args:
        rows: how many rows there are.
        count: parts; with fewer rows than parts, rows repeat.
        rng: draws a row of each part at random; None takes the middle one.

    Returns:
        (count,) row numbers, never falling.
    """
    _need_rows(rows, count)
    edges = np.arange(count + 1) * rows / count
    if rng is None:
        picked = (edges[:-1] + edges[1:]) / 2
    else:
        picked = edges[:-1] + rng.random(count) * np.diff(edges)
    return np.minimum(picked.astype(np.intp), rows - 1)


def random_rows(rows: int, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw rows at random, in order; without repeats unless there are too few.

    Returns:
        (count,) row numbers, never falling.
    """
    _need_rows(rows, count)
    return np.sort(rng.choice(rows, size=count, replace=count > rows)).astype(np.intp)


def windows(
    duration_seconds: float, *, length: float, step: float, partial: bool = False
) -> Iterator[tuple[float, float]]:
    """Slide a half-open window over a clip.

    Args:
        duration_seconds: length of the clip.
        length: length of a window in seconds.
        step: seconds from one start to the next.
        partial: also give the last, shorter window.
    """
    if length <= 0 or step <= 0:
        raise ValueError(f"Window length and step must be positive, not {length} and {step}.")
    slack = 1e-9 * max(1.0, duration_seconds)
    for number in range(math.ceil((duration_seconds - slack) / step)):
        start = number * step
        if start + length <= duration_seconds + slack:
            yield start, min(start + length, duration_seconds)
        elif partial:
            yield start, duration_seconds
            return


def _need_rows(rows: int, count: int) -> None:
    if rows < 1 or count < 1:
        raise ValueError(f"Cannot draw {count} of {rows} rows.")
