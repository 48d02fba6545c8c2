"""Show a clip whole, at half its rate, shifted, or as one of its slices (Head Motion's copies).

The original system writes every copy into its table before training: every second row in both
phases, a shift by 5 rows with the edge repeated, and non-overlapping slices of 100 rows. Where we
differ: copies are made of training clips alone, one of them is drawn per clip and epoch, each as
likely as another, and nothing is written.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt

from traitscope.augment import Changed, Masks, Streams
from traitscope.config import Config as BaseConfig


class Config(BaseConfig):
    """Which copies there are."""

    streams: tuple[str, ...] = ("signals",)
    """Streams of equally many rows."""
    decimate: bool = True
    """Copies of every second row, beginning with the first or the second."""
    shift: NonNegativeInt = 5
    """Rows by which a copy is late; 0 for no such copy."""
    slice: NonNegativeInt = 100
    """Rows of a slice; what remains is not a slice; 0 for none."""


def copies(rows: int, config: Config) -> list[NDArray[np.intp]]:
    """List the row indices of every copy of a clip of ``rows`` rows, the whole clip first."""
    whole = np.arange(rows)
    chosen = [whole]
    if config.decimate and rows > 1:
        chosen += [whole[0::2], whole[1::2]]
    if config.shift and rows:
        chosen.append(np.maximum(whole - config.shift, 0))
    if config.slice:
        ends = range(config.slice, rows + 1, config.slice)
        chosen += [whole[end - config.slice : end] for end in ends]
    return chosen


def augment(streams: Streams, masks: Masks, config: Config, rng: np.random.Generator) -> Changed:
    """Draw one copy of (rows, ...); streams of equally many rows get the same one."""
    changed: dict[str, NDArray[Any]] = dict(streams)
    shown = dict(masks)
    # One place for all streams: those of equally many rows get the same copy.
    place = rng.random()
    for name in set(config.streams) & set(streams):
        # A slice in which the face was lost has nothing to learn from.
        usable = [kept for kept in copies(len(streams[name]), config) if masks[name][kept].any()]
        kept = usable[int(place * len(usable))]
        changed[name], shown[name] = streams[name][kept], masks[name][kept]
    return changed, shown
