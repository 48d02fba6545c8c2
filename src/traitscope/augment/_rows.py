"""What the transforms share: changing the valid rows of named streams, and no others."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.augment import Changed, Masks, Streams

IMAGES = ("faces", "frames", "drawings")
POINTS = ("landmarks",)
"""Points in the images, x and y as shares of them: they move with what they mark."""


def change_rows(
    streams: Streams,
    masks: Masks,
    names: Sequence[str],
    change: Callable[[NDArray[Any]], NDArray[Any]],
) -> Changed:
    """Put the valid rows (valid, ...) of the named streams through a function.

    Args:
        streams: name -> (rows, ...).
        masks: name -> (rows,).
        names: the streams to change, where they are there.
        change: gives rows of the same shape.
    """
    changed = dict(streams)
    for name in names:
        if name in streams:
            valid = masks[name]
            changed[name] = np.zeros_like(streams[name])
            changed[name][valid] = change(streams[name][valid])
    return changed, dict(masks)
