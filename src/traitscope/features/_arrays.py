"""Other people's arrays -> a Table of streams: HDF5 files and .npz archives.

Two layouts are read, as published features have them::

    a group per clip                      a dataset per stream
    CLIP/NAME       (rows, features)      NAME    (clips, features) or (clips, rows, features)
    CLIP/time       (rows,) seconds       clips   (clips,) ids; also ids, names, files
                                          times   (rows,) or (clips, rows) seconds

Without times rows are a second apart, and a note says so. In an .npz the names are the same, with a
slash where HDF5 has a group.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope import extras
from traitscope.errors import DataError, some
from traitscope.extract.imported import Table
from traitscope.types import Stream

SUFFIXES = frozenset({".h5", ".hdf5", ".hdf", ".npz"})
IDS = ("clips", "clip", "ids", "id", "names", "name", "files", "filenames", "video_id")
TIMES = ("time", "times", "timestamps")

Arrays = Mapping[str, Any]
"""Path in the file -> a dataset, read when it is indexed."""


def read_arrays(path: Path, name: str) -> Table:
    """Read one stream of all clips; each clip's rows are read when they are asked for.

    Args:
        path: an HDF5 file or an .npz archive.
        name: of the stream in it.

    Raises:
        DataError: the file is damaged, or has no such stream; names those that it has.
        MissingError: h5py is not installed.
    """
    arrays = _opened(path)
    per_clip = {
        head: key for key in arrays if (head := key.rpartition("/")[0]) and key == f"{head}/{name}"
    }
    if per_clip:
        return _table(_Grouped(arrays, per_clip), path)
    ids = next((key for key in IDS if key in arrays), None)
    if ids is None or name not in arrays:
        there = sorted({key.rpartition("/")[2] for key in arrays} - {*IDS, *TIMES})
        raise DataError(
            f"{path} has no {name!r} of clips: neither a group per clip with it, nor a dataset of "
            f"that name beside one of ids ({', '.join(IDS[:4])} ...). It has: {some(there)}."
        )
    if not arrays[ids].shape or not arrays[name].shape:
        raise DataError(f"{path} has one {ids} and one {name}, and no row for each of many clips.")
    clips = [one.decode() if isinstance(one, bytes) else str(one) for one in arrays[ids][:]]
    if len(clips) != len(arrays[name]):
        raise DataError(f"{path} has {len(clips)} ids, but {len(arrays[name])} rows of {name}.")
    if len(set(clips)) < len(clips):
        raise DataError(f"{path} names a clip twice in {ids}. Each clip may stand there once.")
    stacked = _Stacked(arrays, name, clips)
    times = stacked.times
    if times is not None and len(times.shape) > 1 and len(times) != len(clips):
        raise DataError(f"{path} has {len(clips)} ids, but times of {len(times)} clips.")
    return _table(stacked, path)


def _opened(path: Path) -> Arrays:
    try:
        if path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return {key: archive[key] for key in archive.files}
        h5py = extras.require("h5py", extra="hdf5", why=f"Reading {path.name}")
        file = h5py.File(path, "r")
        found: dict[str, Any] = {}
        # Links that lead out of the file are not followed by this walk.
        file.visititems(lambda key, one: found.update({key: one}) if _is_array(one) else None)
        return found
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read as arrays ({error}). Export it again.") from error


def _is_array(one: Any) -> bool:
    return hasattr(one, "shape") and hasattr(one, "dtype")


class _Grouped(Mapping[str, Stream]):
    """Streams of a file with a group per clip."""

    def __init__(self, arrays: Arrays, keys: Mapping[str, str]) -> None:
        self._arrays, self._keys = arrays, keys

    def __getitem__(self, clip: str) -> Stream:
        times = next((f"{clip}/{t}" for t in TIMES if f"{clip}/{t}" in self._arrays), None)
        time = None if times is None else self._arrays[times][()]
        return _stream(clip, self._arrays[self._keys[clip]][()], time)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


class _Stacked(Mapping[str, Stream]):
    """Streams of a file with a dataset for all clips."""

    def __init__(self, arrays: Arrays, name: str, clips: Sequence[str]) -> None:
        self._values, self._places = arrays[name], {clip: at for at, clip in enumerate(clips)}
        self.times = next((arrays[key] for key in TIMES if key in arrays), None)

    def __getitem__(self, clip: str) -> Stream:
        at = self._places[clip]
        time = self.times
        if time is not None:
            time = time[at] if len(time.shape) > 1 else time[()]
        return _stream(clip, self._values[at], time)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _stream(clip: str, values: Any, time: NDArray[Any] | None) -> Stream:
    rows = np.asarray(values)
    if rows.dtype.kind not in "fiu" or rows.ndim > 2:
        raise DataError(
            f"Clip {clip!r} has {rows.dtype} of shape {rows.shape}; rows of numbers are taken."
        )
    rows = np.atleast_2d(rows).astype(np.float64)
    notes = []
    if time is None:
        time = np.arange(len(rows), dtype=np.float64)
        if len(rows) > 1:
            notes = ["assumed-rate: rows have no times, so they are taken as a second apart"]
    time = np.atleast_1d(time)
    if time.dtype.kind not in "fiu":
        raise DataError(f"Clip {clip!r} has times of {time.dtype}; seconds are numbers.")
    if len(time) != len(rows) or not np.isfinite(time).all() or (np.diff(time) < 0).any():
        raise DataError(
            f"Clip {clip!r} has {len(rows)} rows and {len(time)} times, which must be as many, "
            f"finite and rising. Mend it, or leave the clip out of the file."
        )
    valid = np.isfinite(rows).any(axis=1)
    columns = tuple(str(number) for number in range(rows.shape[1]))
    return Stream(time, rows, valid=valid, columns=columns, info={"notes": notes})


def _table(streams: Mapping[str, Stream], path: Path) -> Table:
    if not streams:
        raise DataError(f"{path} has no clip.")
    widths = {len(streams[clip].columns) for clip in list(streams)[:_LOOKED_AT]}
    if len(widths) > 1:
        raise DataError(f"{path} has rows of {sorted(widths)} features; they must be as many.")
    return Table(streams, tuple(str(number) for number in range(widths.pop())))


_LOOKED_AT = 50
"""Clips whose width is compared before anything is written; the store holds all to it."""
