"""What became of each clip: rows of ``status.csv``, and the same row inside each stream's file."""

import csv
import hashlib
import io
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

from traitscope.errors import DataError
from traitscope.escaping import cell
from traitscope.escaping import plain as unescaped
from traitscope.features import _stream_files as _files
from traitscope.notes import parted
from traitscope.types import check_clip_id

OK = "ok"
FILE = re.compile(r"[\w.%~-]+(\+[0-9a-f]{8})?", re.ASCII)
"""Name of a stream's file: that of the clip, and a hash where several clips have the id."""

_LONGEST_NAME = 200  # bytes; file systems stop at 255, and the suffix needs room


@dataclass(frozen=True)
class StatusRow:
    """What became of one clip; a row of ``status.csv``.

    Attributes:
        clip: its id.
        status: ``ok``, or a word such as ``no_face``, ``undecodable``, ``missing``, ``crashed``.
        reason: what went wrong, in one line.
        rows: rows of the stream.
        coverage: share of the rows that are there.
        media_bytes: size of what was read, to notice another clip of the same name.
        span: its checksum, and the part that was read, in seconds, to notice another.
        notes: what was noticed, as one cell; empty in stores of before. See `noted`.
        media: path of what was read.
        corpora: whose clip it is: the names of corpora and a checksum of their labels of the clip,
            ``small#1f3a9c20; table:clips.csv#``. Empty in stores of before.
        file: of the stream, without suffix, where it is not the plain one.
        sha256: of the stream's file.
    """

    clip: str
    status: str = OK
    reason: str = ""
    rows: int = 0
    coverage: float = 0.0
    media_bytes: int = 0
    span: str = ""
    notes: str = ""
    # Where a row comes from is no part of what became of the clip: it does not count in ==.
    media: str = field(default="", compare=False)
    corpora: str = field(default="", compare=False)
    file: str = field(default="", compare=False)
    sha256: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", " ".join(self.reason.split()))

    @property
    def noted(self) -> tuple[str, ...]:
        """The notes, apart."""
        return parted(self.notes)

    @property
    def stem(self) -> str:
        """Name of the stream's file, without its suffix."""
        return self.file or file_name(self.clip)

    @property
    def recorded(self) -> dict[str, str]:
        """Name of each corpus it was made or found right for -> checksum of the clip's labels."""
        entries = [entry.rpartition("#") for entry in self.corpora.split("; ") if entry]
        return {name: labels for name, _, labels in entries}


COLUMNS = tuple(column.name for column in fields(StatusRow))


def described(row: StatusRow) -> str:
    """What a stream was made of, for a message."""
    what = f"{row.media or 'media'} ({row.media_bytes} bytes)" if row.media_bytes else row.media
    whose = " and ".join(row.recorded) or "a corpus that was not recorded"
    return f"{what} in {whose}" if what else whose


def file_name(clip_id: str) -> str:
    """Turn a clip id into a file name: another id is another file, on every file system.

    Plain ids stay readable: ``a b`` becomes ``a%20b``. Capitals and long names get a hash
    besides, because some file systems do not tell capitals apart, and all have a longest name.
    """
    check_clip_id(clip_id)
    # errors: ids that come from file names of unknown encoding hold lone surrogates
    name = quote(clip_id, safe="", errors="surrogatepass").replace("~", "%7E")
    if name[0] in "-.":  # not an option, not a hidden file
        name = f"%{ord(name[0]):02X}{name[1:]}"
    # A plain name can be read, and is what nearly every clip has.
    if clip_id == clip_id.lower() and len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(clip_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{name[: _LONGEST_NAME - 17]}~{digest}"


def row_inside(path: Path, key: str) -> StatusRow | None:
    """The status row that was written into a stream's file; None if it is damaged or another's."""
    return row_said(_files.read_row(path), key, path.stem)


def row_said(said: dict[str, Any] | None, key: str, stem: str) -> StatusRow | None:
    """The status row of what a stream's file says of itself; None if it is of another."""
    if said is None or said.pop("key", key) != key:
        return None
    plain = _plain_name(said.get("clip"))
    # In the row the plain name is left out: most rows have it, and it can be made from the id.
    if said.setdefault("file", plain) == plain:
        said["file"] = ""
    row = _as_row(said)
    return row if row is not None and row.stem == stem else None


def _plain_name(clip_id: Any) -> str:
    """The file name of an id that was read somewhere; nothing for what can be none."""
    try:
        return file_name(clip_id)
    except (DataError, TypeError, AttributeError):
        return ""


def as_csv(rows: Iterable[StatusRow], *, header: bool) -> bytes:
    """Lines of a status file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(COLUMNS)
    writer.writerows([cell(getattr(row, name)) for name in COLUMNS] for row in rows)
    return text.getvalue().encode("utf-8", "surrogatepass")


def header_of(path: Path) -> tuple[str, ...] | None:
    """Names of the columns of a status file; None where there is none."""
    try:
        with path.open("rb") as file:
            first = file.readline(1000)
    except FileNotFoundError:
        return None
    return tuple(first.decode("utf-8", "replace").strip().split(",")) if first else None


@dataclass(frozen=True, eq=False)
class Noted:
    """The rows of a status file, with what they were read from.

    Attributes:
        rows: in order; one that a killed run cut short is left out.
        data: the whole file.
    """

    rows: tuple[StatusRow, ...] = ()
    data: bytes = b""

    def says(self, rows: Sequence[StatusRow]) -> bool:
        """Whether the file holds just these rows, its own, and nothing else."""
        titled = self.data.startswith(",".join(COLUMNS).encode() + b"\n")
        lines = self.data.count(b"\n") - titled
        same = len(rows) == len(self.rows) == lines and self.data.endswith(b"\n")
        return titled and same and all(map(operator.is_, rows, self.rows))


def read_status(path: Path, before: Noted | None = None) -> Noted:
    """Rows of a status file.

    Args:
        path: the file.
        before: what was read of it before: an unchanged file is not taken apart again.

    Raises:
        DataError: it is no table of text.
    """
    try:
        with _files.naming(path):
            data = _files.regular(path).read_bytes()
    except FileNotFoundError:
        return Noted()
    if before is not None and before.data == data:
        return before
    try:
        lines = list(csv.reader(io.StringIO(data.decode("utf-8", "surrogatepass"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} is damaged ({error}). Delete it, and prepare again: rows of finished "
            f"clips are read from their own files."
        ) from error
    # Stores of before, and of later, have other columns: they are known by their names.
    names = lines[0] if lines and lines[0][:2] == list(COLUMNS[:2]) else list(COLUMNS)
    return Noted(tuple(row for line in lines if (row := _parse(names, line)) is not None), data)


def _parse(names: Sequence[str], line: Sequence[str]) -> StatusRow | None:
    return (
        _as_row(dict(zip(names, map(unescaped, line), strict=True)))
        if len(line) == len(names)
        else None
    )


def _as_row(values: Mapping[str, Any]) -> StatusRow | None:
    """A row of what was read; None for the header, a damaged row, or an id that can be none."""
    kinds = {"rows": int, "coverage": float, "media_bytes": int}
    try:
        known = {name: kinds.get(name, str)(values[name]) for name in COLUMNS if name in values}
        row = StatusRow(**known)
    except (ValueError, TypeError, OverflowError):
        return None
    plain = _plain_name(row.clip)
    if not plain or (
        row.file and (not FILE.fullmatch(row.file) or row.file.partition("+")[0] != plain)
    ):
        return None
    return row
