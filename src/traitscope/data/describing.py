"""An example, as a model would see it -> one vector of a few hundred numbers that tells what it is.

For questions about clips rather than traits: is this one like those the run was fitted on?
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.data.batches import is_pictures
from traitscope.data.drawing import Example

_TILES = 6  # per side of a picture: light and colour of regions, whoever is in it
_WIDEST = 1024  # columns of a stream: of wider ones every second, third ... is looked at


def described(example: Example) -> NDArray[np.float64]:
    """Mean and sd of what is drawn of each stream, and pooled streams as they are.

    Returns:
        (features,), NaN where a column is missing; streams of words have no part in it.
    """
    parts = [
        _described(values, example.masks.get(name))
        for name, values in sorted(example.streams.items())
        if values.dtype.kind in "fiub"
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def words_of(streams: Mapping[str, NDArray[Any]]) -> list[str]:
    """The words, in small letters, of all streams of text."""
    texts = [str(v) for a in streams.values() if a.dtype.kind in "UO" for v in a.reshape(-1)]
    return [word for text in texts for word in text.casefold().split()]


def known_share(words: Sequence[str], known: frozenset[str]) -> float:
    """Which share of words is among the known ones; NaN without words."""
    return sum(word in known for word in words) / len(words) if words else float("nan")


def _described(values: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    if mask is None or len(mask) != len(values):  # pooled; an optional one says if it is there
        vector = _thinned(values.reshape(-1).astype(np.float64))
        return vector if mask is None or mask.all() else np.full(len(vector), np.nan)
    shown = values[mask] if mask.any() else values[:0]
    rows = _tiles(shown) if is_pictures(values) else _flat(shown)
    if not len(rows):
        return np.full(2 * rows.shape[1], np.nan)
    with np.errstate(invalid="ignore"):
        return np.concatenate([rows.mean(axis=0), rows.std(axis=0)]).astype(np.float64)


def _flat(rows: NDArray[Any]) -> NDArray[np.float64]:
    """(rows, features), of wide ones some of the columns."""
    width = int(np.prod(rows.shape[1:]))
    flat = rows.reshape(len(rows), width)
    return flat[:, :: -(-width // _WIDEST)].astype(np.float64)


def _thinned(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector[:: -(-len(vector) // _WIDEST)] if len(vector) else vector


def _tiles(pictures: NDArray[Any]) -> NDArray[np.float64]:
    """Mean colour of the regions of pictures (rows, height, width, 3), 0 to 1."""
    rows, height, width, colours = pictures.shape
    high, wide = max(1, height // _TILES), max(1, width // _TILES)
    # What does not fill a tile at the lower and right edge is left out: a few pixels.
    cut = pictures[:, : high * (height // high), : wide * (width // wide)]
    tiled = cut.reshape(rows, height // high, high, width // wide, wide, colours)
    return np.asarray(tiled.mean(axis=(2, 4)).reshape(rows, -1) / 255)
