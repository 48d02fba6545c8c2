"""One stream <-> one file: arrays in a zip that is neither compressed nor pickled.

Nothing a file says is believed before it is checked: no array is larger than the bytes that are
there, so that a damaged or planted file costs no more memory than its size.
"""

import json
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import DataError
from traitscope.features.stored_pictures import locate
from traitscope.types import Stream

ROW = "row"
"""The entry that says whose stream the file holds, as JSON."""

_MANY_ROWS = 4096
"""From here on an even rate is written as three numbers: of fewer rows the times are small."""
_PIECE = 2**17
_LONGEST_HEADER = 4096  # bytes; of our longest, names of columns included, far fewer are taken
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, KeyError, ValueError, EOFError, TypeError),
    # strange kinds of zip, and headers of npy that are no Python
    *(NotImplementedError, RuntimeError, OverflowError, SyntaxError, tokenize.TokenError),
)


def write_stream(path: Path, stream: Stream, row: Mapping[str, Any]) -> None:
    """Write a stream and whose it is; pictures need not fit into memory together."""
    arrays = {**_arrays(stream), ROW: np.array(json.dumps(dict(row)))}
    with path.open("wb") as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)
        if stream.images is not None:
            with archive.open("jpeg.npy", "w", force_zip64=True) as entry:
                _write_bytes(entry, stream.images, int(arrays["offset"][-1]))


def read_stream(path: Path, owner: Mapping[str, str], *, in_place: bool = False) -> Stream:
    """Read a stream.

    Args:
        path: of its file.
        owner: what the file has to say of itself: its clip, key and file, where it says so.
        in_place: pictures stay in the file until one is asked for. Then no sum is checked over
            them: a damaged one shows when it is decoded, or in ``features verify``.

    Raises:
        DataError: the file is damaged, or the stream is another one's.
        FileNotFoundError: it is not there.
    """
    with naming(path):
        arrays, images = _read_arrays(path, in_place=in_place)
        said = json.loads(str(arrays[ROW]))
        if not isinstance(said, dict):
            raise ValueError("it does not say whose stream it is")
        check_owner(path, said, owner)
        return stream_of(arrays, images)


def stream_of(arrays: Mapping[str, NDArray[Any]], images: Sequence[bytes] | None) -> Stream:
    """The stream of a file's arrays; ``images`` are pictures that stay where they are."""
    if "jpeg" in arrays:
        images = _pictures(arrays["jpeg"], arrays["offset"])
    # Of pictures the offsets say how many there are, of numbers their first axis.
    rows = len(images) if images is not None else len(arrays["values"])
    time = _from_grid(arrays["grid"], rows) if "grid" in arrays else arrays["time"]
    return Stream(
        time=time,
        values=arrays.get("values"),
        images=images,
        valid=arrays.get("valid"),
        columns=tuple(arrays["columns"].tolist()),
        info=json.loads(str(arrays["info"])),
    )


def read_row(path: Path) -> dict[str, Any] | None:
    """Read what a file says of itself; None if it is damaged."""
    try:
        with regular(path).open("rb") as file, zipfile.ZipFile(file) as archive:
            _check_sizes(archive, path)
            row = json.loads(str(_entry(archive, f"{ROW}.npy")))
    except (*_DAMAGED, OSError, DataError, MemoryError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def regular(path: Path) -> Path:
    """Refuse what is no file: a folder, a pipe that would be waited for, a device without end.

    Raises:
        DataError: it is none.
        FileNotFoundError: nothing is there.
    """
    path.stat()
    if not path.is_file():
        raise DataError(f"{path} is damaged (it is not a file). {cure(path)}")
    return path


def cure(path: Path) -> str:
    """What to do about a damaged file of a store."""
    return (
        f"Discard it with: traitscope features verify {path.parent.parent} --repair; then run the "
        f"same 'traitscope prepare' (or 'features import') again: it makes what is not there."
    )


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file, and the cure, when its content turns out to be damaged."""
    try:
        yield
    except FileNotFoundError:
        raise
    except PermissionError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}. Give this user the right to."
        ) from error
    except (*_DAMAGED, OSError, MemoryError, RecursionError) as error:
        what = str(error) or type(error).__name__
        raise DataError(f"{path} is damaged ({what[:300]}). {cure(path)}") from error


def check_owner(path: Path, row: Mapping[str, Any], owner: Mapping[str, str]) -> None:
    """A file that was moved or copied to another place is not read as what it is not."""
    for name, expected in owner.items():
        said = row.get(name, expected)  # stores of before do not say all
        if said != expected:
            raise DataError(
                f"{path} holds another stream: its {name} is {said!r}, not {expected!r}. "
                f"{cure(path)}"
            )


def _read_arrays(
    path: Path, *, in_place: bool
) -> tuple[dict[str, NDArray[Any]], Sequence[bytes] | None]:
    """Read all arrays; of pictures that stay in place, where they are instead of their bytes."""
    with regular(path).open("rb") as file, zipfile.ZipFile(file) as archive:
        _check_sizes(archive, path)
        names = archive.namelist()
        left = {"jpeg.npy"} & set(names) if in_place else set()
        arrays = {
            name.removesuffix(".npy"): _entry(archive, name) for name in names if name not in left
        }
        images = None
        if left:
            images = locate(path, file, archive.getinfo("jpeg.npy"), arrays["offset"])
        return arrays, images


def _check_sizes(archive: zipfile.ZipFile, path: Path) -> None:
    """Entries lie as they are, one after another: together they are no larger than the file."""
    entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError("it is compressed, as no file of a store is")
    if len({entry.filename for entry in entries}) < len(entries):
        raise ValueError("an entry occurs twice")
    # Stored entries cannot be larger than their file; who says so wants memory.
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise ValueError("its entries are larger than the file")


def _entry(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    room = archive.getinfo(name).file_size
    # Opened twice: NumPy has to begin at the start, and a zip entry cannot go back cheaply.
    with archive.open(name) as entry:
        _check_header(entry, room)
    with archive.open(name) as entry:
        array = np.lib.format.read_array(entry, allow_pickle=False)
        if entry.read(1):  # reaching the end is what checks the sum of the entry
            raise ValueError(f"{name} is longer than it says")
    # Numbers of a machine that writes them the other way round become those of this one.
    return np.asarray(array, dtype=array.dtype.newbyteorder("="))


def _check_header(entry: IO[bytes], room: int) -> None:
    """Compare what an array says of its size with the bytes there are, before NumPy takes it."""
    version = np.lib.format.read_magic(entry)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"an array has the format {version}")
    shape, _, dtype = readers[version](entry, max_header_size=_LONGEST_HEADER)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded: allow_pickle is off")
    count = 1
    for length in shape:
        count *= int(length)
    if count * dtype.itemsize > room or (count > room and dtype.itemsize == 0):
        raise ValueError(f"an array of {shape} {dtype} does not fit into {room} bytes")


def _pictures(jpeg: NDArray[Any], offset: NDArray[Any]) -> tuple[bytes, ...]:
    data, ends = jpeg.tobytes(), offset.tolist()
    if ends[:1] != [0] or ends[-1] != len(data) or any(a > b for a, b in pairwise(ends)):
        raise ValueError("its pictures do not lie where it says")
    return tuple(data[a:b] for a, b in pairwise(ends))


def _arrays(stream: Stream) -> dict[str, NDArray[Any]]:
    """The arrays of a stream's file; of images, their offsets (rows + 1) in one row of bytes."""
    arrays: dict[str, NDArray[Any]] = {
        **_timing(stream),
        "columns": np.array(stream.columns, dtype=np.str_),
        "info": np.array(json.dumps(dict(stream.info))),
    }
    if stream.images is not None:
        lengths = [len(image) for image in stream.images]
        return {**arrays, "offset": np.cumsum([0, *lengths], dtype=np.int64)}
    values = np.asarray(stream.values)
    if values.dtype.kind == "O":  # strings in a pandas column: anything else fails on writing
        values = values.astype(np.str_) if all(isinstance(v, str) for v in values.flat) else values
    return {**arrays, "values": values}


def _timing(stream: Stream) -> dict[str, NDArray[Any]]:
    """Times and mask; of many valid rows at an even rate, as of a sound, start and rate only."""
    time, rows = stream.time, len(stream.time)
    if rows > _MANY_ROWS and stream.mask.all() and time[-1] > time[0]:
        grid = np.array([time[0], round((rows - 1) / (time[-1] - time[0]), 3), rows])
        # Piece by piece: a second copy of the times of a long sound need not fit into memory.
        parts = (slice(first, first + _PIECE) for first in range(0, rows, _PIECE))
        if all(np.array_equal(_from_grid(grid, rows, part), time[part]) for part in parts):
            return {"grid": grid}
    return {"time": time, "valid": stream.mask}


def _from_grid(
    grid: NDArray[np.float64], rows: int, part: slice = slice(None)
) -> NDArray[np.float64]:
    """Times (rows,) from the first, rows per second, and the number of rows; or a part of them."""
    if int(grid[2]) != rows:
        raise ValueError(f"it has times of {int(grid[2])} rows, and {rows} rows")
    first, stop, _ = part.indices(rows)
    return np.asarray(grid[0] + np.arange(first, stop) / grid[1])


def _write_bytes(entry: IO[bytes], pieces: Iterable[bytes], length: int) -> None:
    """Write pieces as one array of bytes, one after another: they need not fit in memory."""
    shape = {"descr": "|u1", "fortran_order": False, "shape": (length,)}
    np.lib.format.write_array_header_1_0(entry, shape)
    for piece in pieces:
        entry.write(piece)
