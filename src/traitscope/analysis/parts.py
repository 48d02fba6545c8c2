"""An example of a model -> the parts that an explanation speaks of, and examples without some.

A part is a piece of one stream that can be taken out by itself: a column in a stretch of time, a
cell of a picture, a column of a pooled stream, a word. Taken out means: replaced by a reference,
what stands for "nothing in particular" (`analysis.references`). Together the parts are the whole
input, so that a clip without any of them is the reference::

    signals (rows, columns)          faces (rows, height, width, 3)      transcript
    AU1  | a | b | c |               row 1   +---+---+   row 2  ...      so | then | we | ...
    AU2  | d | e | f |                       | a | b |
          0 s  1 s  2 s                      +---+---+
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.data.batches import is_pictures
from traitscope.data.drawing import Example

Array = NDArray[np.float64]

GRID = 8
"""Cells of a picture across and down: of a face an eye or half a mouth each."""
SEGMENTS = 24
"""Stretches of time a long stream is cut into: as many as are told apart below a video."""
_NAMED = 400  # columns that are parts by themselves; the bins of a spectrum are taken in bands
_BANDS = 16
_WORDS = 150  # parts of a transcript; of a longer one, several words together
_SHOWN = np.ones(1, bool)
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Part:
    """A piece of one stream.

    Attributes:
        stream: its name.
        index: of its values in the stream's array; of words (row, first, after the last).
        start, end: seconds; None of what was pooled over the clip.
        name: the column or the words; empty for a piece of a picture or of all columns.
        cell: of a picture, (row, column) of a grid of GRID x GRID.
    """

    stream: str
    index: tuple[Any, ...]
    start: float | None = None
    end: float | None = None
    name: str = ""
    cell: tuple[int, int] | None = None


def parts_of(
    example: Example, columns: Mapping[str, tuple[str, ...]], seconds: float
) -> tuple[Part, ...]:
    """All parts of an example; rows that are missing have none.

    Args:
        example: of one clip, drawn as in evaluation.
        columns: names of the last axis of each stream.
        seconds: length of the clip.
    """
    parts: list[Part] = []
    for name, array in example.streams.items():
        if name not in example.times:
            # A stream that can be done without, and is, has neither rows nor a say.
            if example.masks.get(name, _SHOWN).any():
                parts += _pooled(name, array, columns.get(name, ()))
            continue
        stretches = segments(example, name, seconds)
        if array.dtype.kind not in "fiub":
            parts += _words(name, array, stretches)
        elif is_pictures(array):
            parts += _cells(name, array, stretches)
        else:
            parts += _columns(name, array, stretches, columns.get(name, ()))
    return tuple(parts)


def segments(
    example: Example, stream: str, seconds: float
) -> list[tuple[NDArray[np.intp], float, float]]:
    """Rows of a stream that stand together, with the seconds that they stand for."""
    rows = np.flatnonzero(example.masks[stream])
    time = example.times[stream][rows]
    # A row stands for the time up to the middle between it and its neighbours.
    edges = np.concatenate([[0.0], (time[1:] + time[:-1]) / 2, [max(seconds, time[-1])]])
    groups = np.array_split(np.arange(len(rows)), min(SEGMENTS, len(rows)))
    return [(rows[g], float(edges[g[0]]), float(edges[g[-1] + 1])) for g in groups]


def _pooled(name: str, array: NDArray[Any], columns: Sequence[str]) -> list[Part]:
    """Columns with all their statistics: mean and sd of one signal stand in for each other."""
    if len(columns) != len(array):
        columns = [f"{name}.{place}.value" for place in range(len(array))]
    owners = np.array([column.rpartition(".")[0] for column in columns])
    return [
        Part(name, (np.flatnonzero(owners == owner),), name=owner.removeprefix(f"{name}."))
        for owner in dict.fromkeys(owners.tolist())
    ]


def _columns(
    name: str,
    array: NDArray[Any],
    stretches: Sequence[tuple[NDArray[np.intp], float, float]],
    columns: Sequence[str],
) -> list[Part]:
    kinds: list[tuple[Any, str]] = [(slice(None), "")]
    if array.ndim == 2:
        width = array.shape[1]
        named = columns if len(columns) == width else ()
        count = width if named and width <= _NAMED else min(width, _BANDS)
        for band in np.array_split(np.arange(width), count):
            first, last = int(band[0]), int(band[-1])
            label = (
                f"{named[first]} to {named[last]}"
                if named and last > first
                else named[first]
                if named
                else f"columns {first} to {last}"
            )
            kinds.append((slice(first, last + 1), label))
        kinds = kinds[1:]
    several = array.ndim == 2
    return [
        Part(name, (rows, place) if several else (rows,), start, end, label)
        for rows, start, end in stretches
        for place, label in kinds
    ]


def _cells(
    name: str, array: NDArray[Any], stretches: Sequence[tuple[NDArray[np.intp], float, float]]
) -> list[Part]:
    height, width = array.shape[1:3]
    down = np.linspace(0, height, GRID + 1).round().astype(int).tolist()
    across = np.linspace(0, width, GRID + 1).round().astype(int).tolist()
    return [
        Part(
            name,
            (rows, slice(down[y], down[y + 1]), slice(across[x], across[x + 1])),
            start,
            end,
            cell=(y, x),
        )
        for rows, start, end in stretches
        for y in range(GRID)
        for x in range(GRID)
    ]


def _words(
    name: str, array: NDArray[Any], stretches: Sequence[tuple[NDArray[np.intp], float, float]]
) -> list[Part]:
    said = [
        (int(row), _WORD.findall(str(array[row])), start, end)
        for rows, start, end in stretches
        for row in rows
    ]
    step = max(1, -(-sum(len(words) for _, words, _, _ in said) // _WORDS))
    return [
        Part(name, (row, at, at + step), start, end, " ".join(words[at : at + step]))
        for row, words, start, end in said
        for at in range(0, len(words), step)
    ]


def without(
    example: Example, parts: Sequence[Part], reference: Mapping[str, NDArray[Any]]
) -> Example:
    """The example with some parts replaced by those of the reference; words are left out."""
    streams = dict(example.streams)
    gone: dict[str, list[Part]] = {}
    for part in parts:
        gone.setdefault(part.stream, []).append(part)
    for name, lost in gone.items():
        if streams[name].dtype.kind in "fiub":
            array = streams[name].copy()
            for part in lost:
                array[part.index] = reference[name][part.index]
        else:
            array = _silenced(streams[name], lost)
        streams[name] = array
    return replace(example, streams=streams)


def _silenced(texts: NDArray[Any], lost: Sequence[Part]) -> NDArray[Any]:
    said = [_WORD.findall(str(text)) for text in texts]
    for part in lost:
        row, first, last = part.index
        # Places of words stay as they are until the end: later parts are named by them.
        said[row][first:last] = [""] * len(said[row][first:last])
    return np.array([" ".join(filter(None, words)) for words in said], dtype=texts.dtype)


def summed(parts: Sequence[Part], values: Mapping[str, Array]) -> Array:
    """Sum values over each part: stream -> (rows, ..., targets) becomes (parts, targets)."""
    sums = [values[part.stream][part.index] for part in parts]
    return np.stack([one.reshape(-1, one.shape[-1]).sum(axis=0) for one in sums])
