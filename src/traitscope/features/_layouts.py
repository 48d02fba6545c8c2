"""Where the arrays of a stream's file lie: its bytes in, a head out by which they are read at once.

To open a zip and to parse the header of each array takes ten times as long as to read the bytes. A
packed store does it once, when it is packed, and writes down what came out:

    {"row": {...}, "arrays": {"time": ["<f8", [75], 67, "C", 2774153107], ...}}
                                       kind  shape start order  crc32

The head is believed no more than the file is: an array lies within the bytes and has its sum.
"""

import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

PICTURES = "jpeg"
"""The array of encoded pictures: the last of a file, so that all others are read without it."""

_LOCAL_HEADER = struct.Struct("<26xHH")  # as in `stored_pictures`
_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_KINDS = frozenset("biufUS")
"""Of numbers and text: an object is nothing that bytes may become."""


def layout_of(file: IO[bytes], row: Mapping[str, Any]) -> tuple[bytes, int]:
    """The head of a stream's file, which was found whole before, and its bytes before pictures.

    Args:
        file: open, at any place.
        row: what the file says of itself.
    """
    arrays: dict[str, list[Any]] = {}
    reach = 0
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            file.seek(entry.header_offset)
            lengths = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
            file.seek(entry.header_offset + _LOCAL_HEADER.size + sum(lengths))
            shape, fortran, kind = _READERS[np.lib.format.read_magic(file)](file)
            start, size = file.tell(), int(np.prod(shape)) * kind.itemsize
            arrays[name] = [kind.str, shape, start, "F" if fortran else "C", _sum(file, size)]
            reach = max(reach, start + size if name != PICTURES else 0)
    return json.dumps({"row": dict(row), "arrays": arrays}).encode(), reach


def arrays_at(head: Mapping[str, Any], data: bytes, *, in_place: bool) -> dict[str, NDArray[Any]]:
    """The arrays of a file, as its head says where they lie.

    Args:
        head: from `layout_of`.
        data: of the file, from its begin; up to its pictures, where they stay in place.
        in_place: leave the pictures out.

    Raises:
        ValueError: an array lies elsewhere, or its sum differs.
    """
    arrays = {}
    for name, (kind, shape, start, order, crc) in head["arrays"].items():
        if in_place and name == PICTURES:
            continue
        dtype, count = np.dtype(kind), int(np.prod(shape))
        if dtype.kind not in _KINDS:
            raise ValueError(f"{name} is of the kind {kind}")
        end = start + count * dtype.itemsize
        if zlib.crc32(memoryview(data)[start:end]) != crc:
            raise ValueError(f"the checksum of {name} differs")
        array = np.frombuffer(data, dtype, count, start) if end > start else np.zeros(count, dtype)
        array = array.reshape(shape, order=order)
        arrays[name] = np.asarray(array, dtype=dtype.newbyteorder("="))
    return arrays


def _sum(file: IO[bytes], size: int, piece: int = 2**20) -> int:
    """A checksum of the next bytes, a piece at a time: pictures need not fit into memory."""
    crc = 0
    for left in range(size, 0, -piece):
        crc = zlib.crc32(file.read(min(piece, left)), crc)
    return crc
