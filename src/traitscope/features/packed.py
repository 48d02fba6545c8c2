"""A packed store: a few large files in, the streams of its clips out, as from one file per clip.

    store/packed.json                     what there is, with the checksum of each file
    store/KEY/fingerprint.json, status.csv   as in any store
    store/KEY/index.npz                   name of each stream -> shard, and where in it
    store/KEY/shard-00000.tar             a.json a.npz b.json b.npz ...

A shard is a plain tar of the files that were packed, each unchanged and behind its head, which says
where its arrays lie (`_layouts`): a stream is one read of some kilobytes. Nothing is ever written
into a packed store. One that was opened from a remote place gets its shards from there, whole and
compared with their checksums, when the first stream of each is read (`remote`).
"""

import json
import os
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from traitscope.errors import DataError
from traitscope.features import _stream_files as _files
from traitscope.features._layouts import PICTURES, arrays_at
from traitscope.features.stored_pictures import StoredPictures, stamp_of
from traitscope.files import checksum, read_json
from traitscope.types import Stream

PACKED = "packed.json"
INDEX = "index.npz"
FORMAT = 1
COLUMNS = ("shard", "head", "head_bytes", "file", "file_bytes", "reach")
"""Of the index, in bytes of the shard: where head and file begin and how long they are, and how
much of the file is not pictures."""
SOURCE = "source.json"
"""Beside a packed store that is a copy: where missing shards are brought from."""

_MOST_OPEN = 64
"""Shards of a key that stay open: some systems give a process 256 files."""
_DAMAGED = (OSError, ValueError, KeyError, TypeError, IndexError, struct.error, zipfile.BadZipFile)


@dataclass(frozen=True)
class Place:
    """Where a stream lies in a shard; numbers as `COLUMNS`."""

    shard: int
    head: int
    head_bytes: int
    file: int
    file_bytes: int
    reach: int


@dataclass
class _Index:
    """The streams of one key."""

    numbers: Mapping[str, int]
    places: np.ndarray[Any, np.dtype[np.int64]]
    shards: list[str]
    opened: dict[int, tuple[int, tuple[int, int, int]]] = field(default_factory=dict)


class Pack:
    """The large files of a packed store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._facts: dict[str, Any] | None = None
        self._indices: dict[str, _Index] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave open files behind: another process opens its own."""
        return {"folder": self.folder, "_facts": None, "_indices": {}}

    def __del__(self) -> None:
        for index in self._indices.values():
            for number, _ in index.opened.values():
                os.close(number)

    @property
    def facts(self) -> dict[str, Any]:
        """What ``packed.json`` says: ``format``, and the checksum and size of each file by name."""
        if self._facts is None:
            facts = read_json(self.folder / PACKED, root=dict, damaged=_AGAIN)
            if facts.get("format") != FORMAT or not isinstance(facts.get("files"), dict):
                raise DataError(
                    f"{self.folder} is packed in the format {facts.get('format')!r}, and this "
                    f"version reads {FORMAT}. Pack the store again, or take a newer version."
                )
            self._facts = facts
        return self._facts

    def stems(self, key: str) -> set[str]:
        """Names of the streams of a key."""
        return set(self._index(key).numbers)

    def size_bytes(self, key: str) -> int:
        """Size of the streams of a key."""
        places = self._index(key).places
        return int(places[:, COLUMNS.index("file_bytes")].sum())

    def row(self, key: str, stem: str) -> dict[str, Any] | None:
        """What a stream says of itself; None if it is damaged."""
        try:
            row = self._head(key, self.place(key, stem))[0]["row"]
        except (*_DAMAGED, DataError):
            return None
        return row if isinstance(row, dict) else None

    def read(
        self, key: str, stem: str, owner: Mapping[str, str], *, in_place: bool = False
    ) -> Stream:
        """Read a stream; arguments as of `_stream_files.read_stream`.

        Raises:
            FileNotFoundError: there is none of this name.
            DataError: it is damaged, or another one's.
        """
        place = self.place(key, stem)
        path = self.shard(key, place.shard)
        try:
            head, data = self._head(key, place, place.reach if in_place else place.file_bytes)
            arrays = arrays_at(head, data, in_place=in_place)
            left = in_place and PICTURES in head["arrays"]
            images = self._in_place(key, place, head, arrays["offset"]) if left else None
            stream = _files.stream_of(arrays, images)
            row = dict(head["row"])
        except _DAMAGED as error:
            raise DataError(f"{path} is damaged at {stem} ({error}). {_AGAIN}") from error
        _files.check_owner(path, row, owner)
        return stream

    def file(self, key: str, stem: str) -> bytes:
        """The file of a stream, as it was packed."""
        place = self.place(key, stem)
        return self._read(key, place.shard, place.file, place.file_bytes)

    def place(self, key: str, stem: str) -> Place:
        """Where a stream lies."""
        index = self._index(key)
        if stem not in index.numbers:
            raise FileNotFoundError(f"{self.folder / key}: {stem}")
        return Place(*index.places[index.numbers[stem]].tolist())

    def shard(self, key: str, number: int) -> Path:
        """The file of a shard."""
        return self.folder / key / self._index(key).shards[number]

    def _head(self, key: str, place: Place, reach: int = 0) -> tuple[dict[str, Any], bytes]:
        """The head of a stream, and the begin of its file, in one read."""
        data = self._read(key, place.shard, place.head, place.file + reach - place.head)
        first = place.file - place.head
        return json.loads(data[: place.head_bytes]), data[first:]

    def _in_place(
        self, key: str, place: Place, head: Mapping[str, Any], offset: Any
    ) -> StoredPictures:
        kind, shape, start, *_ = head["arrays"][PICTURES]
        length = int(offset[-1]) if offset.ndim == 1 and len(offset) else -1
        rising = length >= 0 and offset[0] == 0 and bool((np.diff(offset) >= 0).all())
        inside = [length] == shape and place.reach <= start and start + length <= place.file_bytes
        if not (rising and inside and kind == "|u1"):
            raise ValueError("its pictures do not lie where it says")
        stamp = self._opened(key, place.shard)[1]
        path = str(self.shard(key, place.shard))
        return StoredPictures(path, place.file + start, np.asarray(offset, np.int64), stamp)

    def _read(self, key: str, shard: int, start: int, size: int) -> bytes:
        number, _ = self._opened(key, shard)
        data = bytearray()
        # One call gives two gigabytes at most, and less where a signal comes in between.
        while len(data) < size:
            piece = os.pread(number, size - len(data), start + len(data))
            if not piece:
                raise ValueError(f"it ends after {start + len(data)} bytes")
            if len(piece) == size:
                return piece
            data += piece
        return bytes(data)

    def _opened(self, key: str, shard: int) -> tuple[int, tuple[int, int, int]]:
        index = self._index(key)
        if shard not in index.opened:
            if len(index.opened) == _MOST_OPEN:
                os.close(index.opened.pop(next(iter(index.opened)))[0])
            path = self.shard(key, shard)
            self.bring(path)
            number = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            index.opened[shard] = number, stamp_of(os.fstat(number))
        return index.opened[shard]

    def bring(self, path: Path) -> None:
        """Fetch a file that is not there, where this is a copy of a store elsewhere."""
        if path.exists() or not (self.folder / SOURCE).is_file():
            return
        from traitscope.features.remote import fetch

        name = path.relative_to(self.folder).as_posix()
        source = read_json(self.folder / SOURCE, root=dict, damaged=f"Delete {self.folder}.")
        fetch(str(source["address"]), name, path, sha256=self.facts["files"][name]["sha256"])

    def _index(self, key: str) -> _Index:
        if key not in self._indices:
            self._indices[key] = self._read_index(key)
        return self._indices[key]

    def _read_index(self, key: str) -> _Index:
        path = self.folder / key / INDEX
        said = self.facts["files"].get(f"{key}/{INDEX}")
        if said is None:
            return _Index({}, np.zeros((0, len(COLUMNS)), np.int64), [])
        try:
            if checksum(path) != said["sha256"]:
                raise ValueError("its checksum is not the one that was written down")
            with np.load(path, allow_pickle=False) as arrays:
                names, places = arrays["names"].tobytes().decode("ascii"), arrays["places"]
        except _DAMAGED as error:
            raise DataError(f"{path} is damaged ({error}). {_AGAIN}") from error
        numbers = {stem: number for number, stem in enumerate(names.split("\n") if names else ())}
        shards = sorted(
            name.rpartition("/")[2]
            for name in self.facts["files"]
            if name.startswith(f"{key}/") and name.endswith(".tar")
        )
        return _Index(numbers, places, shards)


_AGAIN = "Bring the file back from a copy, or pack the store again: traitscope features pack"
