"""What transforms of numbers share: changing the valid rows of named streams, and no others."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.augment import Changed, Masks, Streams
from traitscope.errors import ConfigError


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

    Raises:
        ConfigError: a stream is of pictures.
    """
    changed = dict(streams)
    for name in names:
        if name in streams:
            if streams[name].dtype == np.uint8:
                raise ConfigError(
                    f"{name} holds pictures, and this transform changes numbers: take {name} out "
                    f"of its streams."
                )
            valid = masks[name]
            changed[name] = np.zeros_like(streams[name])
            changed[name][valid] = change(streams[name][valid])
    return changed, dict(masks)
