"""What one clip needs, in memory while it is little and in a file when it is much.

Pictures as JPEG in a `Spool`, numbers in a `room`: long recordings take as much memory as short.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, cast, overload
from weakref import finalize

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

_IN_MEMORY = 2**24
"""Bytes held in memory, about 1500 chips: 5 minutes at 5 per second."""

PIECE = 2**17
"""Rows of a long sound that are computed at once; they fit into the processor's cache."""

Place = tuple[int, int]
"""Where a picture starts and ends; (0, 0) is no picture."""


class Spool:
    """Keep pictures until the end of a clip shows which of them are wanted."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115
        # A clip that fails never comes to an end: the file goes when nobody holds the spool.
        finalize(self, self._file.close)
        self._end = 0

    def add(self, data: bytes) -> Place:
        """Keep one picture, and say where."""
        self._file.seek(self._end)
        self._file.write(data)
        start, self._end = self._end, self._end + len(data)
        return start, self._end

    def read(self, place: Place) -> bytes:
        """Read one picture back."""
        self._file.seek(place[0])
        return self._file.read(place[1] - place[0])


class Images(Sequence[bytes]):
    """Pictures of a spool, read when they are asked for."""

    def __init__(self, spool: Spool, places: Sequence[Place]) -> None:
        self._spool, self._places = spool, tuple(places)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> "Images": ...
    def __getitem__(self, index: int | slice) -> "bytes | Images":
        if isinstance(index, slice):
            return Images(self._spool, self._places[index])
        return self._spool.read(self._places[index])

    def __iter__(self) -> Iterator[bytes]:
        return map(self._spool.read, self._places)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return False
        return all(one == another for one, another in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]


def room(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Make an array of zeros to fill; a long one lies in a file that goes when the array goes.

    Raises:
        OSError: there is no room for it.
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    if size <= _IN_MEMORY:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile() as file:
        if hasattr(os, "posix_fallocate"):
            # Now, or a full disk would end the process when a number is put there.
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
        return np.memmap(file, dtype, mode="r+", shape=shape)


def even_times(count: int, rate: float, *, step: int = 1, middle: float = 0.0) -> NDArray[Any]:
    """Times (count,) of rows at an even rate: ``(row * step + middle) / rate`` seconds."""
    time = room((count,), np.float64)
    for part in pieces(count):
        rows = np.arange(part.start, part.stop)
        time[part] = (rows * step + middle) / rate
    return time


def pieces(count: int) -> Iterator[slice]:
    """Parts of so many rows, one after another."""
    return (slice(first, min(first + PIECE, count)) for first in range(0, count, PIECE))


def stored(spool: Spool, places: Sequence[Place]) -> tuple[bytes, ...]:
    """The pictures at some places, in this order, for a stream: they behave as a tuple does."""
    return cast(tuple[bytes, ...], Images(spool, places))


def encode(pixels: NDArray[np.uint8], quality: int) -> bytes:
    """Write a picture (height, width, 3) RGB as JPEG."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return bytes(data)
