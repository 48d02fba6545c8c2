"""Pictures of a clip that stay in the store: a row number in, the bytes of that picture out.

A stream's file is a zip whose entries lie in it as they are. Where the pictures begin is looked up
once; a row is then a seek and a read, however many pictures a clip has.
"""

import os
import struct
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, overload

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import DataError

_LOCAL_HEADER = struct.Struct("<26xHH")
"""Of a zip's entry: its last fields are the lengths of the name and of the extra field behind it
(APPNOTE.TXT 4.3.7)."""


_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0)  # Windows would change the ends of lines


def _seek_and_read(file: int, length: int, start: int) -> bytes:
    os.lseek(file, start, os.SEEK_SET)
    return os.read(file, length)


_read_at = getattr(os, "pread", _seek_and_read)
"""One call instead of two, which Windows has not."""


@dataclass(frozen=True, eq=False)
class StoredPictures(Sequence[bytes]):
    """A sequence of encoded pictures that are read when they are asked for.

    Attributes:
        path: the file.
        start: where in it the first picture begins.
        offset: (rows + 1,) where each begins and the last ends, from ``start``.
        stamp: what the file was when ``start`` was found: another one is refused.
    """

    path: str
    start: int
    offset: NDArray[np.int64]
    stamp: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.offset) - 1

    @overload
    def __getitem__(self, row: int) -> bytes: ...
    @overload
    def __getitem__(self, row: slice) -> tuple[bytes, ...]: ...
    def __getitem__(self, row: int | slice) -> bytes | tuple[bytes, ...]:
        if isinstance(row, slice):
            return tuple(self.read(range(*row.indices(len(self)))))
        return self.read([range(len(self))[row]])[0]

    def read(self, rows: Iterable[int]) -> list[bytes]:
        """Read the pictures of some rows.

        Raises:
            DataError: the file has been replaced or cannot be read.
        """
        # Without Python's file objects: they would take as long as the reading.
        try:
            file = os.open(self.path, _FLAGS)
            try:
                if stamp_of(os.fstat(file)) != self.stamp:
                    raise DataError(
                        f"{self.path} changed while it was in use. Let the preparation finish, "
                        f"then run the same command again."
                    )
                pieces = []
                for row in rows:
                    begin, end = self.offset[row : row + 2].tolist()
                    pieces.append(_read_at(file, end - begin, self.start + begin))
                return pieces
            finally:
                os.close(file)
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror or error}.") from error


def rows_of(images: Sequence[bytes], rows: Iterable[int]) -> list[bytes]:
    """The pictures of some rows, in one go where they lie in a file."""
    if isinstance(images, StoredPictures):
        return images.read(rows)
    return [images[row] for row in rows]


def stamp_of(stat: os.stat_result) -> tuple[int, int, int]:
    """What tells an open file from what is put in its place: number, size, time of change."""
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def locate(
    path: Path, file: IO[bytes], entry: zipfile.ZipInfo, offset: NDArray[np.int64]
) -> StoredPictures:
    """Find where the pictures of a file lie.

    Args:
        path: of the file.
        file: the same, open.
        entry: the array of their bytes.
        offset: (rows + 1,) where each begins and the last ends.

    Raises:
        ValueError: they do not lie where the file says.
    """
    stamp = stamp_of(os.fstat(file.fileno()))
    file.seek(entry.header_offset)
    name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    first = entry.header_offset + _LOCAL_HEADER.size + name + extra
    file.seek(first)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("its pictures are no array of bytes")
    shape, _, kind = np.lib.format.read_array_header_1_0(file)
    start, length = file.tell(), int(offset[-1]) if offset.ndim == 1 and len(offset) else -1
    lies = start - first + length == entry.file_size and start + length <= stamp[1]
    rising = length >= 0 and offset[0] == 0 and bool((np.diff(offset) >= 0).all())
    if not (lies and rising and shape == (length,) and kind == np.uint8):
        raise ValueError("its pictures do not lie where it says")
    return StoredPictures(str(path), start, np.asarray(offset, np.int64), stamp)
