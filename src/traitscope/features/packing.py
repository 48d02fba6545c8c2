"""A store of one file per clip in, the same store in a few large files out, and back; verified.

Which form, measured with ``benchmarks/store``: a plain tar of the files as they are, each behind a
head that says where its arrays lie, is read as fast as Arrow's own files, ten times as fast as
the files themselves, and gives them back to the byte, so that checksums of before still hold.
"""

import hashlib
import io
import shutil
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from traitscope.errors import DataError
from traitscope.features import _stream_files as _files
from traitscope.features._layouts import layout_of
from traitscope.features.packed import FORMAT, INDEX, PACKED, Place
from traitscope.features.status import as_csv, row_inside
from traitscope.features.store import FINGERPRINT, STATUS, Store
from traitscope.files import checksum, refuse_used, write_json
from traitscope.types import Hook

SHARD_BYTES = 256 * 2**20
"""From here on the next shard begins: large enough that opening it costs nothing, small enough that
one can be fetched, compared and brought back by itself."""

Finished = Callable[[Path], None]
"""Told of each file that is whole and will not change."""


@dataclass(frozen=True)
class Packing:
    """What was packed or unpacked.

    Attributes:
        features: how many keys.
        streams: how many streams.
        shards: how many large files.
        size_bytes: of these.
    """

    features: int
    streams: int
    shards: int
    size_bytes: int


def pack_store(
    store: Store,
    to: Path,
    *,
    shard_bytes: int = SHARD_BYTES,
    finished: Finished | None = None,
    hook: Hook | None = None,
) -> Packing:
    """Write a store in its packed form; each stream is compared with its checksum on the way.

    Args:
        store: of one file per clip; it stays as it is.
        to: a new folder; nothing is left of it where packing does not end well.
        shard_bytes: size from which a new shard begins.
        finished: told of each whole file; it may move it elsewhere.
        hook: called with (done, total, stream).

    Raises:
        DataError: there is no store, it is packed already, or a stream is damaged.
        ConfigError: the folder is used.
    """
    refuse_used(to)
    if store.packed is not None:
        raise DataError(f"{store.folder} is packed already. Copy the folder as it is.")
    keys = list(store.fingerprints())
    if not keys:
        raise DataError(
            f"There are no features in {store.folder}. Name the folder that was given as --store."
        )
    stems = {key: sorted(store.stems(key)) for key in keys}
    total, done = sum(map(len, stems.values())), 0
    files: dict[str, dict[str, Any]] = {}

    def keep(path: Path) -> None:
        name = path.relative_to(to).as_posix()
        files[name] = {"sha256": checksum(path), "bytes": path.stat().st_size}
        if finished is not None:
            finished(path)

    try:
        for key in keys:
            for stem in _pack_key(store, key, stems[key], to / key, shard_bytes, keep):
                done += 1
                if hook is not None:
                    hook(done, total, stem)
        # Last: a folder without it is no store, however packing was ended.
        write_json(to / PACKED, {"format": FORMAT, "files": files})
        if finished is not None:
            finished(to / PACKED)
    except BaseException:
        shutil.rmtree(to, ignore_errors=True)
        raise
    shards = [facts["bytes"] for name, facts in files.items() if name.endswith(".tar")]
    return Packing(len(keys), total, len(shards), sum(shards))


def _pack_key(
    store: Store,
    key: str,
    stems: Sequence[str],
    to: Path,
    shard_bytes: int,
    finished: Finished,
) -> Iterator[str]:
    """Write shards, index, fingerprint and rows of one key; name each stream that is in."""
    to.mkdir(parents=True)
    rows = {row.stem: row for row in store.rows(key)}
    places: list[Place] = []
    shards: list[_Shard] = []
    for stem in stems:
        if not shards or shards[-1].size >= shard_bytes:
            for full in shards[-1:]:
                full.close()
                finished(full.path)
            shards.append(_Shard(to / f"shard-{len(shards):05d}.tar"))
        path = store.folder / key / f"{stem}.npz"
        row = rows.get(stem)
        said = row_inside(path, key)
        if row is None or said is None or (row.sha256 and checksum(path) != row.sha256):
            raise DataError(f"{path} is damaged (it is not what its row says). {_files.cure(path)}")
        head, reach = _head_of(path)
        places.append(shards[-1].add(stem, head, path, number=len(shards) - 1, reach=reach))
        yield stem
    for last in shards[-1:]:
        last.close()
        finished(last.path)
    with (to / INDEX).open("wb") as file:
        numbers = np.array([astuple(place) for place in places], np.int64).reshape(len(places), 6)
        names = np.frombuffer("\n".join(stems).encode("ascii"), np.uint8)
        np.savez(file, names=names, places=numbers)
    summed = [store.summed(key, row) for row in rows.values()]
    (to / STATUS).write_bytes(as_csv(sorted(summed, key=lambda r: (r.clip, r.file)), header=True))
    write_json(to / FINGERPRINT, store.fingerprint(key))
    for name in (INDEX, STATUS, FINGERPRINT):
        finished(to / name)


def _head_of(path: Path) -> tuple[bytes, int]:
    said = _files.read_row(path)
    assert said is not None
    with path.open("rb") as file:
        return layout_of(file, said)


class _Shard:
    """A tar that is being written. What stands in it depends on nothing but the streams."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # GNU's form: names of up to 200 characters, files of any size.
        self._tar = tarfile.open(path, "w", format=tarfile.GNU_FORMAT)  # noqa: SIM115

    @property
    def size(self) -> int:
        return self._tar.offset

    def add(self, stem: str, head: bytes, path: Path, *, number: int, reach: int) -> Place:
        first = self._member(f"{stem}.json", io.BytesIO(head), len(head))
        size = path.stat().st_size
        with path.open("rb") as file:
            second = self._member(f"{stem}.npz", file, size)
        return Place(number, first, len(head), second, size, reach)

    def _member(self, name: str, file: IO[bytes], size: int) -> int:
        """Add a file; returns where its bytes begin."""
        facts = tarfile.TarInfo(name)
        facts.size, facts.mode = size, 0o644
        self._tar.addfile(facts, file)
        padded = -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        return self._tar.offset - padded

    def close(self) -> None:
        self._tar.close()


def unpack_store(store: Store, to: Path, *, hook: Hook | None = None) -> Packing:
    """Write a packed store as one file per clip, each the file that was packed, to the byte.

    Args:
        store: packed.
        to: a new folder.
        hook: called with (done, total, stream).

    Raises:
        DataError: it is not packed, or a stream is damaged.
        ConfigError: the folder is used.
    """
    refuse_used(to)
    pack = store.packed
    if pack is None:
        raise DataError(f"{store.folder} is not packed: it can be used as it is.")
    stems = {key: sorted(pack.stems(key)) for key in store.fingerprints()}
    total, done, size = sum(map(len, stems.values())), 0, 0
    try:
        for key in stems:
            place = to / key
            place.mkdir(parents=True)
            sums = {row.stem: row.sha256 for row in store.rows(key)}
            for stem in stems[key]:
                data = pack.file(key, stem)
                if hashlib.sha256(data).hexdigest() != sums.get(stem):
                    raise DataError(
                        f"{pack.shard(key, pack.place(key, stem).shard)} is damaged at {stem}. "
                        f"See: traitscope features verify {store.folder}"
                    )
                (place / f"{stem}.npz").write_bytes(data)
                done, size = done + 1, size + len(data)
                if hook is not None:
                    hook(done, total, stem)
            for name in (STATUS, FINGERPRINT):
                shutil.copyfile(store.folder / key / name, place / name)
    except BaseException:
        shutil.rmtree(to, ignore_errors=True)
        raise
    return Packing(len(stems), total, 0, size)
