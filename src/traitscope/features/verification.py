"""A store -> what of it is damaged, and what heals it.

Each stream's file is read to its end and compared with its row: the checksum that was written down,
the clip, the feature and the file it says it is of. Each fingerprint is compared with the name of
its folder.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitscope.errors import DataError
from traitscope.features import _stream_files as _files
from traitscope.features.packed import INDEX, Pack
from traitscope.features.status import COLUMNS, OK, StatusRow, header_of, read_status, row_inside
from traitscope.features.store import FINGERPRINT, STATUS, Store
from traitscope.files import checksum
from traitscope.types import Hook


@dataclass(frozen=True)
class Fault:
    """One damaged file of a store.

    Attributes:
        path: of the file.
        what: is wrong with it.
        mended: it was discarded.
        advice: what to do, where discarding is not for a program.
    """

    path: Path
    what: str
    mended: bool = False
    advice: str = ""


@dataclass(frozen=True)
class Verified:
    """What a verification found.

    Attributes:
        files: how many were looked at.
        unknown: how many of them have no checksum, as in stores of before: they were read.
        faults: what is damaged.
    """

    files: int
    unknown: int
    faults: tuple[Fault, ...]


def verify_store(store: Store, *, repair: bool = False, hook: Hook | None = None) -> Verified:
    """Read every file of a store, and say what is damaged.

    Args:
        store: the folder of features.
        repair: discard damaged files, so that ``prepare`` makes them again; nothing else.
        hook: called with (done, total, file).

    Raises:
        DataError: there is no store.
    """
    if store.packed is not None:
        return _verify_packed(store, store.packed, hook)
    folders = sorted(path.parent for path in store.folder.glob(f"*/{FINGERPRINT}"))
    folders += [f for f in _without_fingerprint(store.folder) if f not in folders]
    if not folders:
        raise DataError(
            f"There are no features in {store.folder}. Name the folder that was given as --store."
        )
    files = [(folder, path) for folder in folders for path in sorted(folder.glob("*.npz"))]
    faults: list[Fault] = []
    rows: dict[Path, dict[str, StatusRow]] = {}
    for folder in folders:
        faults += _fingerprint_faults(folder, repair=repair)
        found, status_faults = _rows(folder, repair=repair)
        rows[folder] = {row.stem: row for row in found}
        faults += status_faults
    unknown = 0
    for done, (folder, path) in enumerate(files, 1):
        row = rows[folder].get(path.stem)
        unknown += row is None or not row.sha256
        what = _damage(folder.name, path, row)
        if what:
            faults.append(_discarded(path, what, repair=repair))
        if hook is not None:
            hook(done, len(files), path.name)
    said = {fault.path for fault in faults}
    faults += [fault for fault in _lost(rows) if fault.path not in said]
    if repair:
        _settle(store, folders)
    return Verified(len(files), unknown, tuple(faults))


def _verify_packed(store: Store, pack: Pack, hook: Hook | None) -> Verified:
    """Compare each large file, and each stream in it, with the checksums that were written down."""
    advice = "Bring it back from a copy, or pack the store again."
    faults: list[Fault] = []
    for name, facts in pack.facts["files"].items():
        path = store.folder / name
        pack.bring(path)
        if not path.is_file():
            faults.append(Fault(path, "it is missing", advice=advice))
        elif checksum(path) != facts.get("sha256"):
            what = "its checksum is not the one that was written down"
            faults.append(Fault(path, what, advice=advice))
    broken = {fault.path for fault in faults}
    keys = [key for key in store.fingerprints() if store.folder / key / INDEX not in broken]
    streams = [(key, stem) for key in keys for stem in sorted(pack.stems(key))]
    rows = {key: {row.stem: row for row in store.rows(key)} for key in keys}
    for done, (key, stem) in enumerate(streams, 1):
        path = pack.shard(key, pack.place(key, stem).shard)
        what = _packed_damage(pack, key, stem, rows[key].get(stem)) if path.is_file() else ""
        if what:
            faults.append(Fault(path / stem, what, advice=advice))
        if hook is not None:
            hook(done, len(streams), stem)
    return Verified(len(streams), 0, tuple(faults))


def _packed_damage(pack: Pack, key: str, stem: str, row: StatusRow | None) -> str:
    """What is wrong with a stream of a packed store; nothing if all is well."""
    if row is None:
        return "status.csv has no row of it"
    try:
        pack.read(key, stem, {"clip": row.clip, "key": key, "file": stem})
        data = pack.file(key, stem)
    except (DataError, OSError, ValueError) as error:
        return str(error)
    if hashlib.sha256(data).hexdigest() != row.sha256:
        return "its checksum is not the one that was written down"
    return ""


def _without_fingerprint(folder: Path) -> list[Path]:
    return sorted({path.parent for path in folder.glob("*/*.npz")})


def _damage(key: str, path: Path, row: StatusRow | None) -> str:
    """What is wrong with a stream's file; nothing if all is well."""
    try:
        inside = row_inside(_files.regular(path), key)
        if inside is None:
            said = _files.read_row(path)
            if said is None:
                return "it cannot be read"
            return f"it is of clip {said.get('clip')!r} of {said.get('key', key)}"
        owner = {"clip": inside.clip, "key": key, "file": path.stem}
        _files.read_stream(path, owner)
        if row is not None and row.sha256 and checksum(path) != row.sha256:
            return "its checksum is not the one that was written down"
    except (DataError, OSError) as error:
        return str(error).partition(" is damaged ")[2].partition(") Discard")[0] or str(error)
    return ""


def _discarded(path: Path, what: str, *, repair: bool) -> Fault:
    if not repair:
        return Fault(path, what)
    if path.is_dir() and not path.is_symlink():
        return Fault(path, what, advice="It is a folder: move it elsewhere yourself.")
    try:
        path.unlink()
    except OSError as error:
        return Fault(path, what, advice=f"It cannot be removed: {error.strerror}.")
    return Fault(path, what, mended=True)


def _fingerprint_faults(folder: Path, *, repair: bool) -> Iterator[Fault]:
    """A folder's name is a hash of its fingerprint: an edited one does not fit."""
    path = folder / FINGERPRINT
    whole = f"Delete {folder}, and prepare again: it is not known what is in it."
    try:
        made_of = Store(folder.parent).fingerprint(folder.name)
    except DataError as error:
        yield Fault(path, str(error).partition(", so it is")[0], advice=whole)
        return
    if not made_of:
        yield Fault(path, "it is missing", advice="Prepare again: it is written anew.")
    elif key_of(made_of) != folder.name:
        yield Fault(path, "it is of other features than its folder: was it edited?", advice=whole)


def key_of(fingerprint: Mapping[str, Any]) -> str:
    """The key of features with a fingerprint, as `Request.key`."""
    text = json.dumps(fingerprint, sort_keys=True, separators=(",", ":"))
    name = str(fingerprint.get("extractor")).rpartition(".")[2]
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _rows(folder: Path, *, repair: bool) -> tuple[list[StatusRow], list[Fault]]:
    """Rows of the status file, and what is wrong with it."""
    path = folder / STATUS
    try:
        rows = list(read_status(path).rows)
    except DataError as error:
        what = str(error).partition(" is damaged ")[2].partition(") Delete")[0] or str(error)
        return [], [_discarded(path, what, repair=repair)]
    if not path.exists():
        return [], [Fault(path, "it is missing", mended=repair)]
    titled = (header_of(path) or ())[:2] == COLUMNS[:2]
    lines = len(path.read_bytes().splitlines()) - titled
    faults = []
    stems = [row.stem for row in rows]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        faults.append(Fault(path, f"it has several rows of {twice!r}: the last counts", repair))
    if len(rows) < lines:
        what = f"{lines - len(rows)} of its {lines} rows cannot be read"
        faults.append(Fault(path, what, mended=repair))
    return rows, faults


def _lost(rows: Mapping[Path, Mapping[str, StatusRow]]) -> Iterator[Fault]:
    """Rows that say ok without a file: `prepare` makes it again."""
    for folder, known in rows.items():
        for stem, row in known.items():
            path = folder / f"{stem}.npz"
            if row.status == OK and not path.exists() and not path.is_symlink():
                yield Fault(path, f"it is missing, and clip {row.clip!r} was finished", mended=True)


def _settle(store: Store, folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(DataError):  # said above
            store.settle(folder.name)
