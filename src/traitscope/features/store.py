"""Features on disk: streams and their fingerprints in, the same streams out, all or nothing.

``store/<key>/<clip>.npz`` with ``fingerprint.json`` and ``status.csv`` beside them. The key is
the hash of what made the features, so that features of another recipe are another folder.
"""

import csv
import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import DataError, TraitscopeError
from traitscope.files import remove_drafts, replacing, write_json
from traitscope.types import Stream, check_clip_id

FINGERPRINT = "fingerprint.json"
STATUS = "status.csv"
OK = "ok"
_KEY = re.compile(r"[A-Za-z0-9_][\w.-]*", re.ASCII)
_MANY_ROWS = 4096
_LONGEST_NAME = 200  # bytes; file systems stop at 255, and the suffix needs room
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError, TypeError, OSError),
    RuntimeError,  # encrypted, or packed in a way that zipfile does not know
)


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
    """

    clip: str
    status: str = OK
    reason: str = ""
    rows: int = 0
    coverage: float = 0.0
    media_bytes: int = 0
    span: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", " ".join(self.reason.split()))


_COLUMNS = tuple(field.name for field in fields(StatusRow))


@dataclass(frozen=True)
class Store:
    """A folder of features.

    Attributes:
        folder: made when the first stream is written.
    """

    folder: Path

    def path(self, key: str, clip_id: str) -> Path:
        """Where the stream of a clip is, or would be."""
        return self._folder(key) / f"{file_name(clip_id)}.npz"

    def add(self, key: str, fingerprint: Mapping[str, Any]) -> None:
        """Make the folder of a key, and write down what its features are made of.

        Raises:
            DataError: the folder is there and belongs to other features.
        """
        path = self._folder(key) / FINGERPRINT
        fresh = json.loads(json.dumps(fingerprint))
        if path.exists():
            if _read_fingerprint(path) != fresh:
                raise DataError(
                    f"{path} is of other features than {key} stands for. Was it edited? Delete "
                    f"the folder {path.parent}, and prepare again."
                )
            return
        with _saying_full(path):
            write_json(path, fresh)

    def fingerprints(self) -> dict[str, dict[str, Any]]:
        """What the stored features are made of, by key."""
        paths = sorted(self.folder.glob(f"*/{FINGERPRINT}"))
        return {path.parent.name: _read_fingerprint(path) for path in paths}

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
        self, key: str, clip_id: str, stream: Stream, *, media_bytes: int = 0, span: str = ""
    ) -> StatusRow:
        """Write the stream of a clip, all or nothing, and return its status row.

        Raises:
            TraitscopeError: the disk is full, or the folder cannot be written.
        """
        row = StatusRow(
            clip=clip_id,
            rows=len(stream.time),
            coverage=round(stream.coverage, 6),
            media_bytes=media_bytes,
            span=span,
        )
        arrays = {**_arrays(stream), "row": np.array(json.dumps(asdict(row)))}
        path = self.path(key, clip_id)
        with (
            _saying_full(path),
            replacing(path) as draft,
            draft.open("wb") as file,
            zipfile.ZipFile(file, "w") as archive,
        ):
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, array, allow_pickle=False)
            if stream.images is not None:
                with archive.open("jpeg.npy", "w", force_zip64=True) as entry:
                    _write_bytes(entry, stream.images, int(arrays["offset"][-1]))
        return row

    def read(self, key: str, clip_id: str) -> Stream:
        """Read the stream of a clip.

        Raises:
            DataError: it is not there, or its file is damaged.
        """
        arrays = _read_arrays(self.path(key, clip_id), clip_id)
        with _naming(self.path(key, clip_id)):
            images = None
            if "jpeg" in arrays:
                data, offset = arrays["jpeg"].tobytes(), arrays["offset"].tolist()
                images = tuple(data[a:b] for a, b in pairwise(offset))
            time = _from_grid(arrays["grid"]) if "grid" in arrays else arrays["time"]
            return Stream(
                time=time,
                values=arrays.get("values"),
                images=images,
                valid=arrays.get("valid"),
                columns=tuple(arrays["columns"].tolist()),
                info=json.loads(str(arrays["info"])),
            )

    def discard(self, key: str, clip_id: str) -> None:
        """Remove the stream of a clip, if it is there."""
        self.path(key, clip_id).unlink(missing_ok=True)

    def record(self, key: str, row: StatusRow) -> None:
        """Append the status of one clip; only the process that runs the preparation does it."""
        path = self._folder(key) / STATUS
        text = _as_csv([row], header=not path.exists())
        with _saying_full(path), path.open("ab") as file:
            file.write(text)

    def statuses(self, key: str) -> dict[str, StatusRow]:
        """What became of each clip, by id: what is on disk decides.

        A stream that lost its row, because the run was killed, gets the row back; a row that
        lost its stream is dropped. Damaged streams without a row are as if they were not there.
        """
        folder = self._folder(key)
        rows = {row.clip: row for row in _read_status(folder / STATUS)}
        by_file = {f"{file_name(clip)}.npz": clip for clip in rows}
        stored = {path.name for path in folder.glob("*.npz")}
        for name in stored:
            clip = by_file.get(name)
            if clip is None or rows[clip].status != OK:
                kept = _row_inside(folder / name)
                if kept is not None:
                    rows[kept.clip] = kept
        return {
            clip: row
            for clip, row in sorted(rows.items())
            if row.status != OK or f"{file_name(clip)}.npz" in stored
        }

    def settle(self, key: str) -> None:
        """Rewrite ``status.csv`` sorted, one row per clip, and remove what killed runs left."""
        folder = self._folder(key)
        rows = _as_csv(self.statuses(key).values(), header=True)
        with _saying_full(folder / STATUS), replacing(folder / STATUS) as draft:
            draft.write_bytes(rows)
        remove_drafts(folder)

    def size_bytes(self, key: str) -> int:
        """Size of the stored streams of a key."""
        return sum(path.stat().st_size for path in self._folder(key).glob("*.npz"))

    def _folder(self, key: str) -> Path:
        if not _KEY.fullmatch(key):  # keys are also read from checkpoints
            raise DataError(f"{key!r} is not the key of a feature, such as faces-1f3a9c20d4e7.")
        return self.folder / key


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
    if clip_id == clip_id.lower() and len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(clip_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{name[: _LONGEST_NAME - 17]}~{digest}"


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
        if np.array_equal(_from_grid(grid), time):
            return {"grid": grid}
    return {"time": time, "valid": stream.mask}


def _from_grid(grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Times (rows,) from the first, rows per second, and the number of rows."""
    return np.asarray(grid[0] + np.arange(int(grid[2])) / grid[1])


def _write_bytes(entry: IO[bytes], pieces: Iterable[bytes], length: int) -> None:
    """Write pieces as one array of bytes, one after another: they need not fit in memory."""
    shape = {"descr": "|u1", "fortran_order": False, "shape": (length,)}
    np.lib.format.write_array_header_1_0(entry, shape)
    for piece in pieces:
        entry.write(piece)


def _read_arrays(path: Path, clip_id: str) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file, _naming(path):
            return _unpack(file)
    except FileNotFoundError as error:
        raise DataError(
            f"No {path.parent.name} features for clip {clip_id!r}. Make them with: "
            f"traitscope prepare CORPUS --store {path.parent.parent}"
        ) from error


def _unpack(file: IO[bytes]) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(file) as archive:
        arrays = {}
        for name in archive.namelist():
            with archive.open(name) as entry:
                array = np.lib.format.read_array(entry, allow_pickle=False)
                if entry.read(1):  # reaching the end is what checks the sum of the entry
                    raise ValueError(f"{name} is longer than it says")
            arrays[name.removesuffix(".npy")] = array
    return arrays


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file, and the cure, when its content turns out to be damaged."""
    try:
        yield
    except _DAMAGED as error:
        raise DataError(
            f"{path} is damaged ({error}). Delete it, and run the same 'traitscope prepare' "
            f"again: it makes only what is not there."
        ) from error


def _row_inside(path: Path) -> StatusRow | None:
    """The status row that was written into a stream's file; None if the file is damaged."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("row.npy") as entry:
            text = str(np.lib.format.read_array(entry, allow_pickle=False))
        return StatusRow(**json.loads(text))
    except (*_DAMAGED, OSError):
        return None


def _read_fingerprint(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        tree = str(error)
    if not isinstance(tree, dict):
        raise DataError(
            f"{path} is damaged ({tree}), so it is not known what is in its folder. Delete "
            f"{path.parent}, and prepare again."
        )
    return tree


def _as_csv(rows: Iterable[StatusRow], *, header: bool) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(_COLUMNS)
    writer.writerows([getattr(row, name) for name in _COLUMNS] for row in rows)
    return text.getvalue().encode("utf-8", "surrogatepass")


def _read_status(path: Path) -> Iterator[StatusRow]:
    """Rows of a status file, in order; a row that a killed run cut short is left out."""
    try:
        text = path.read_bytes().decode("utf-8", "surrogatepass")
        rows = map(_parse, csv.reader(io.StringIO(text)))
        yield from [row for row in rows if row is not None]
    except FileNotFoundError:
        return
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} is damaged ({error}). Delete it, and prepare again: rows of finished "
            f"clips are read from their own files."
        ) from error


def _parse(line: list[str]) -> StatusRow | None:
    if len(line) != len(_COLUMNS):
        return None
    clip, status, reason, rows, coverage, media_bytes, span = line
    try:
        return StatusRow(clip, status, reason, int(rows), float(coverage), int(media_bytes), span)
    except ValueError:  # the header, or a damaged row
        return None


@contextmanager
def _saying_full(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TraitscopeError(
            f"Cannot write {path}: {error.strerror or error}. Make room, or name another folder "
            f"with --store; then run the same command again, finished clips are kept."
        ) from error
