"""Features on disk: streams and their fingerprints in, the same streams out, all or nothing.

``store/<key>/<clip>.npz`` with ``fingerprint.json`` and ``status.csv`` beside them. The key is
the hash of what made the features, so that features of another recipe are another folder. Clips of
several corpora that have one id have a file each, ``<clip>+<hash>.npz`` from the second on; which
one is meant is known by the media, see ``origins``.
"""

import errno
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from traitscope.errors import DataError, TraitscopeError
from traitscope.features import _stream_files as _files
from traitscope.features.packed import PACKED, Pack
from traitscope.features.status import (
    COLUMNS,
    FILE,
    OK,
    Noted,
    StatusRow,
    as_csv,
    described,
    file_name,
    header_of,
    read_status,
    row_inside,
    row_said,
)
from traitscope.files import checksum, remove_drafts, replacing, write_json
from traitscope.notes import joined
from traitscope.types import Stream

__all__ = ["OK", "Origin", "StatusRow", "Store", "file_name"]

FINGERPRINT = "fingerprint.json"
STATUS = "status.csv"
_KEY = re.compile(r"[A-Za-z0-9_][\w.-]*", re.ASCII)


@dataclass(frozen=True)
class Origin:
    """What a stream is made of, and for whom; fields as in `StatusRow`."""

    media_bytes: int = 0
    span: str = ""
    media: str = ""
    corpora: str = ""
    file: str = ""


class Chooser(Protocol):
    """Whoever knows which of several streams of one id are meant; see ``origins.serving``."""

    def choose(self, store: "Store", key: str, rows: Sequence[StatusRow]) -> dict[str, StatusRow]:
        """Choose a row for each clip, by id; refuse what is of other media."""
        ...

    def file(self, store: "Store", key: str, clip_id: str) -> str:
        """Name the file of a clip's stream, if it is not the plain one."""
        ...


@dataclass(frozen=True)
class Store:
    """A folder of features.

    Attributes:
        folder: made when the first stream is written.
        chooser: tells clips of one id in several corpora apart; without one they are refused.
    """

    folder: Path
    chooser: Chooser | None = field(default=None, compare=False, repr=False)

    @cached_property
    def packed(self) -> Pack | None:
        """The large files that the streams lie in, where they were packed: nothing is written."""
        return Pack(self.folder) if (self.folder / PACKED).is_file() else None

    @cached_property
    def _read(self) -> dict[str, Noted]:
        return {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave what was read behind: it would go through a pipe to every process."""
        return {name: value for name, value in vars(self).items() if name != "_read"}

    def path(self, key: str, clip_id: str, file: str = "") -> Path:
        """Where the stream of a clip is, or would be."""
        if file and not FILE.fullmatch(file):  # also read from status.csv
            raise DataError(f"{file!r} is not the name of a stream's file.")
        return self._folder(key) / f"{file or file_name(clip_id)}.npz"

    def add(self, key: str, fingerprint: Mapping[str, Any]) -> None:
        """Make the folder of a key, and write down what its features are made of.

        Raises:
            DataError: the folder is there and belongs to other features.
        """
        # Through JSON and back: what is read later has lists where there were tuples.
        path = self._folder(key) / FINGERPRINT
        fresh = json.loads(json.dumps(fingerprint))
        if path.exists():
            if _read_fingerprint(path) != fresh:
                raise DataError(
                    f"{path} is of other features than {key} stands for. Was it edited? Delete "
                    f"the folder {path.parent}, and prepare again."
                )
            return
        with _saying_full(self._writable(path)):
            write_json(path, fresh)

    def fingerprints(self) -> dict[str, dict[str, Any]]:
        """What the stored features are made of, by key."""
        paths = sorted(self.folder.glob(f"*/{FINGERPRINT}"))
        return {path.parent.name: _read_fingerprint(path) for path in paths}

    def fingerprint(self, key: str) -> dict[str, Any]:
        """What the features of a key are made of; nothing where that was not written down."""
        path = self._folder(key) / FINGERPRINT
        return _read_fingerprint(path) if path.exists() else {}

    def matching(self, extractor: str, config: Mapping[str, Any], *, version: int) -> list[str]:
        """Keys of an extractor's features whose config has all the given values."""
        wanted = json.loads(json.dumps(config))
        return [
            key
            for key, stored in self.fingerprints().items()
            if (stored.get("extractor"), stored.get("version")) == (extractor, version)
            and wanted.items() <= dict(stored.get("config", {})).items()
        ]

    def write(
        self, key: str, clip_id: str, stream: Stream, *, origin: Origin | None = None
    ) -> StatusRow:
        """Write the stream of a clip, all or nothing, and return its status row.

        Raises:
            TraitscopeError: the disk is full, or the folder cannot be written.
        """
        row = StatusRow(
            clip=clip_id,
            rows=len(stream.time),
            coverage=round(stream.coverage, 6),
            notes=joined(stream.info.get("notes", ())),
            **asdict(origin or Origin()),
        )
        path = self._writable(self.path(key, clip_id, row.file))
        with _saying_full(path), replacing(path) as draft:
            _files.write_stream(draft, stream, {**asdict(row), "file": row.stem, "key": key})
            # Of the draft: after the rename somebody may already be reading, or replacing, the
            # file.
            row = replace(row, sha256=checksum(draft))
        return row

    def read(self, key: str, clip_id: str, *, file: str = "", in_place: bool = False) -> Stream:
        """Read the stream of a clip.

        Args:
            key: of its features.
            clip_id: the clip.
            file: its file, if it is not the plain one.
            in_place: leave pictures in the file; each is read when it is asked for.

        Raises:
            DataError: it is not there, its file is damaged, or it holds another stream.
        """
        # Whoever names the file knows; otherwise the corpus decides between clips of one id.
        if not file and self.chooser is not None:
            file = self.chooser.file(self, key, clip_id)
        path = self.path(key, clip_id, file)
        try:
            owner = {"clip": clip_id, "key": key, "file": path.stem}
            if self.packed is not None:
                return self.packed.read(key, path.stem, owner, in_place=in_place)
            return _files.read_stream(path, owner, in_place=in_place)
        except FileNotFoundError as error:
            raise DataError(
                f"No {key} features for clip {clip_id!r}. Make them with: "
                f"traitscope prepare CORPUS --store {self.folder}"
            ) from error

    def discard(self, key: str, clip_id: str, file: str = "") -> None:
        """Remove the stream of a clip, if it is there."""
        path = self._writable(self.path(key, clip_id, file))
        with _saying_full(path):
            path.unlink(missing_ok=True)

    def record(self, key: str, row: StatusRow) -> None:
        """Append the status of one clip; only the process that runs the preparation does it."""
        path = self._writable(self._folder(key) / STATUS)
        with _saying_full(path):
            header = header_of(path)
            if header not in (None, COLUMNS):  # of a store of before: rows would not fit below
                self.settle(key)
            with path.open("ab") as file:
                file.write(as_csv([row], header=header is None))

    def rows(self, key: str) -> list[StatusRow]:
        """What became of each clip, sorted, of all corpora: what is on disk decides.

        A stream that lost its row, because the run was killed, gets the row back; a row that
        lost its stream is dropped. Damaged streams without a row are as if they were not there.
        """
        return self._found(key, self._noted(key).rows)

    def _found(self, key: str, noted: Sequence[StatusRow]) -> list[StatusRow]:
        """The rows of what is on disk, of which some are noted."""
        rows = {row.stem: row for row in noted}
        stored = self.stems(key)
        for stem in stored:
            # The file is there, so it was written after the failure, by a run that was killed then.
            if stem not in rows or rows[stem].status != OK:
                kept = self._row_inside(key, stem)
                if kept is not None:
                    rows[stem] = kept
        kept_rows = (row for stem, row in rows.items() if row.status != OK or stem in stored)
        return sorted(kept_rows, key=lambda row: (row.clip, row.file))

    def _noted(self, key: str) -> Noted:
        """The rows of the status file, taken apart once for each state of it."""
        noted = read_status(self._folder(key) / STATUS, self._read.get(key))
        self._read[key] = noted
        return noted

    def stems(self, key: str) -> set[str]:
        """Names of the files of a key's streams, without their suffix."""
        if self.packed is not None:
            return self.packed.stems(key)
        return {entry.name.removesuffix(".npz") for entry in self._files(key)}

    def statuses(self, key: str) -> dict[str, StatusRow]:
        """What became of each clip, by id.

        Raises:
            DataError: streams are of other media than the clips that are served; or, where
                nobody says whose clips are meant, two corpora have clips of one id.
        """
        rows = self.rows(key)
        if self.chooser is not None:
            return self.chooser.choose(self, key, rows)
        found: dict[str, StatusRow] = {}
        for row in rows:
            other = found.setdefault(row.clip, row)
            if other is not row:
                raise DataError(
                    f"{self.folder} has {key} of two clips {row.clip!r}: one of "
                    f"{described(other)}, and one of {described(row)}. Say whose are meant with "
                    f"--corpus."
                )
        return found

    def settle(self, key: str) -> None:
        """Rewrite ``status.csv`` sorted, one row per clip, and remove what killed runs left.

        Where nothing changes nothing is written, so that a finished store may be read-only.
        """
        folder = self._folder(key)
        path = folder / STATUS
        if self.packed is not None:  # it was settled when it was packed
            return
        # A row without a checksum may be of a store of before, and is left as it is: reading all of
        # its files to sum them would take hours.
        noted = self._noted(key)
        found = self._found(key, noted.rows)
        with _saying_full(path):
            if not noted.says(found):
                known = {row.stem for row in noted.rows if row.status == OK}
                every = (row if row.stem in known else self.summed(key, row) for row in found)
                rows = as_csv(every, header=True)
                if not (path.is_file() and noted.data == rows):
                    # Whole or not at all: who reads meanwhile sees the rows of before.
                    with replacing(path) as draft:
                        draft.write_bytes(rows)
            # Only what processes of this machine left that are gone: others may be at work.
            remove_drafts(folder)

    def size_bytes(self, key: str) -> int:
        """Size of the stored streams of a key."""
        if self.packed is not None:
            return self.packed.size_bytes(key)
        return sum(entry.stat().st_size for entry in self._files(key))

    def _files(self, key: str) -> Iterator["os.DirEntry[str]"]:
        # Not by `glob`, which makes a path of each name before it looks at it: of 10^5 names that
        # is half of the time that finding nothing to do takes.
        with suppress(OSError), os.scandir(self._folder(key)) as entries:
            yield from (entry for entry in entries if entry.name.endswith(".npz"))

    def _row_inside(self, key: str, stem: str) -> StatusRow | None:
        if self.packed is not None:
            return row_said(self.packed.row(key, stem), key, stem)
        return row_inside(self._folder(key) / f"{stem}.npz", key)

    def _writable(self, path: Path) -> Path:
        """Refuse to write into a packed store."""
        if self.packed is not None:
            raise DataError(
                f"{self.folder} is packed, so nothing can be added to it. Unpack it, and name the "
                f"new folder: traitscope features unpack {self.folder} --to FOLDER"
            )
        return path

    def summed(self, key: str, row: StatusRow) -> StatusRow:
        """Give a row that was read from its file the checksum that a file cannot hold itself."""
        if row.status != OK or row.sha256:
            return row
        return replace(row, sha256=checksum(self.path(key, row.clip, row.file)))

    def _folder(self, key: str) -> Path:
        if not _KEY.fullmatch(key):  # keys are also read from checkpoints
            raise DataError(f"{key!r} is not the key of a feature, such as faces-1f3a9c20d4e7.")
        return self.folder / key


def _read_fingerprint(path: Path) -> dict[str, Any]:
    advice = f"Delete {path.parent}, and prepare again."
    try:
        tree = json.loads(_files.regular(path).read_text(encoding="utf-8"))
    except PermissionError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}. Give this user the right to."
        ) from error
    except (ValueError, OSError, RecursionError) as error:
        tree = str(error)
    if not isinstance(tree, dict) or not isinstance(tree.get("config", {}), dict):
        raise DataError(
            f"{path} is damaged ({str(tree)[:200]}), so it is not known what is in its folder. "
            f"{advice}"
        )
    return tree


@contextmanager
def _saying_full(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        cure = "Make room" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "Make it writable"
        raise TraitscopeError(
            f"Cannot write {path}: {error.strerror or error}. {cure}, or name another folder with "
            f"--store; then run the same command again, finished clips are kept."
        ) from error
