"""Which moments of a clip are looked at: pure rules over times, no media, no global randomness.

Times in seconds (float) and counts come in; flags, row numbers and intervals go out.
"""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Moments = tuple[float, ...]
"""Rising times in seconds from the start of the clip."""


TOLERANCE_SECONDS = 5.1e-4
"""Containers such as Matroska round times to 1 ms: a frame may be half of that late."""


@dataclass(frozen=True)
class Run:
    """Frames that follow one another.

    Attributes:
        since: seconds; the first of them is the one on display then.
        count: how many.
    """

    since: float
    count: int


Rate = float | Literal["native"] | Moments | Run
"""Frames per second to look at, or every frame there is, or the moments themselves, or a run."""


@dataclass(frozen=True)
class Spread:
    """So many moments over a clip, whatever its length.

    Attributes:
        rule: ``even`` takes the middle of each of equal parts, ``segments`` a random moment of
            each, ``random`` moments anywhere; ``window`` as many frames that follow one another,
            around the middle of the clip.
        count: how many moments; a frame that is on display at two of them is one row.
        seed: of the random rules.
    """

    rule: Literal["even", "segments", "random", "window"]
    count: int
    seed: int = 0

    def resolved(self, duration_seconds: float, fps: float) -> "Moments | Run":
        """What is wanted of a clip of this length with so many frames per second."""
        if self.rule == "window":
            # Rates that files declare are wrong at times, and change: frames are counted, and the
            # rate says only where to begin.
            return Run(max(0.0, (duration_seconds - self.count / fps) / 2), self.count)
        # A generator of its own, so that a clip's moments do not depend on what was read before.
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
        rate: moments per second, ``"native"`` for every frame, the moments themselves, or a run,
            whose frames are counted by `Choice`.
    """
    if rate == "native":
        return True
    if isinstance(rate, Run):
        return until > rate.since + TOLERANCE_SECONDS
    if isinstance(rate, tuple):
        # Both ends give way alike: no moment falls between two frames, or on two of them.
        place = bisect.bisect_left(rate, since - TOLERANCE_SECONDS)
        return place < len(rate) and rate[place] < until - TOLERANCE_SECONDS
    # The first moment that is not before the frame; none lies before the clip.
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
    # The first frame stands for the start of the clip as well, even if it comes a little later.
    since = [0.0, *times[1:]]
    until = [*times[1:], end]
    return np.array([is_wanted(a, b, rate) for a, b in zip(since, until, strict=True)], dtype=bool)


class Choice:
    """Which frames of one reading each of several rates wants."""

    def __init__(self, rates: Sequence[Rate | Spread], duration_seconds: float, fps: float) -> None:
        self._rates: tuple[Rate, ...] = tuple(
            rate.resolved(duration_seconds, fps) if isinstance(rate, Spread) else rate
            for rate in rates
        )
        self.restart()

    def restart(self) -> None:
        """Begin the reading anew."""
        self._left = [rate.count if isinstance(rate, Run) else math.inf for rate in self._rates]

    def may_want(self, since: float, until: float) -> bool:
        """Tell whether any rate wants a frame, whatever was delivered before it."""
        return any(is_wanted(since, until, rate) for rate in self._rates)

    def flags(self, since: float, until: float) -> tuple[bool, ...]:
        """Of the next frame on display, which rates want it."""
        flags = []
        for place, rate in enumerate(self._rates):
            flags.append(self._left[place] > 0 and is_wanted(since, until, rate))
            self._left[place] -= flags[-1]
        return tuple(flags)
