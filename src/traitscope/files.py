"""Files appear whole or not at all; JSON and CSV; no run is written over another.

In: what to write, and where. Out: files that a reader finds old or new and never half written, also
where the disk is full, a person presses Ctrl-C or the machine stops.
"""

import csv
import hashlib
import io
import json
import os
import platform
import re
import secrets
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from traitscope.errors import ConfigError, DataError, shown
from traitscope.escaping import cell, plain

_TRIES, _WAIT_SECONDS = 30, 0.1
"""Workers end within a second of whoever started them."""

LARGEST_BYTES = 32 * 2**20
"""Of a text or JSON file that is read whole: the largest reports have a few megabytes."""


def refuse_used(folder: Path, *, otherwise: str = ".") -> None:
    """Never write a second run over a first; ``otherwise`` ends the advice.

    Raises:
        ConfigError: the folder holds something.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already. Choose another folder with --to{otherwise}")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of a draft to write; at the end it takes the place of the file, if all is well.

    The folder is made. Of an exception nothing is left, and the file stays as it was. A draft has a
    name of its own, so that processes and machines that share a folder do not meet; its suffix is
    ``.tmp``, and a writer that goes by suffixes has to be told the format.
    """
    if path.exists() and not path.is_file():  # a pipe or a device, such as /dev/stdout
        yield path
        return
    place = Path(os.path.realpath(path))  # a link stays a link
    place.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place: a rename is one step only within a file system.
    draft = place.parent / f".{_machine()}-{os.getpid()}-{secrets.token_hex(6)}.tmp"
    try:
        yield draft
        draft.replace(place)
    except OSError as error:
        if error.filename != str(draft):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # the name people know
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Work in a folder while nobody else does; it is made, and goes again if it stays empty.

    The lock is one of the system, which ends with the process however that ends. Windows and some
    network drives have none, and there none is kept.

    Raises:
        ConfigError: another process is at work there.
    """
    if folder.is_file():
        refuse_used(folder)
    fresh = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    handle = _lock(folder) if os.name == "posix" else None
    try:
        yield
    finally:
        if fresh:
            with suppress(OSError):  # what has been written stays
                folder.rmdir()
        if handle is not None:
            os.close(handle)


def _lock(folder: Path) -> int:
    """Open and lock a folder; whoever is about to end there is waited for."""
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    for left in reversed(range(_TRIES)):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if not left:
                os.close(handle)
                raise ConfigError(
                    f"Another process is at work in {folder}. Wait until it has ended, stop it, or "
                    f"choose another folder with --to."
                ) from None
            time.sleep(_WAIT_SECONDS)
        except OSError:  # a drive that cannot lock
            break
    return handle


def remove_drafts(folder: Path) -> None:
    """Remove what killed processes of this machine left in a folder; others may be at work."""
    import psutil

    for draft in folder.glob(f".{_machine()}-*.tmp"):
        # Names are .MACHINE-PROCESS-RANDOM.tmp, see `replacing`.
        process = int(draft.name.split("-")[-2])
        if not psutil.pid_exists(process):
            draft.unlink(missing_ok=True)


def checksum(path: Path) -> str:
    """The sha256 of a file, read a piece at a time."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str) -> Path:
    """Write a text file; returns its path."""
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")
    return path


def write_json(path: Path, tree: Any) -> None:
    """Write JSON that stays readable."""
    write_text(path, json.dumps(tree, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> Path:
    """Write a table as the rows come, text that could be a formula as text; returns its path."""
    with replacing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(map(cell, header))
        writer.writerows(map(cell, row) for row in rows)
    return path


def read_csv(
    path: Path, columns: Sequence[str], *, damaged: str, largest: int = 8 * LARGEST_BYTES
) -> list[dict[str, str]]:
    """Read a table that `write_csv` wrote, text as it was given.

    Args:
        path: of the file.
        columns: what it must have, in any order; others are read, too.
        damaged: what to do when it cannot be read.
        largest: bytes it may have.

    Raises:
        FileNotFoundError: there is nothing.
        DataError: it is damaged: no text, other columns, a row that is cut.
    """
    try:
        text = io.StringIO(read_bytes(path, largest=largest).decode("utf-8"), newline="")
        header, *rows = csv.reader(text, strict=True)
    except FileNotFoundError:
        raise
    except (ValueError, OSError, csv.Error) as error:  # an empty file has no header to unpack
        raise DataError(f"{path} is damaged ({error}). {damaged}") from error
    if lacking := [name for name in columns if name not in header]:
        raise DataError(f"{path} is damaged (it has no column {lacking[0]!r}). {damaged}")
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            why = f"row {number} has {len(row)} cells, not {len(header)}"
            raise DataError(f"{path} is damaged ({why}). {damaged}")
    names = [plain(name) for name in header]
    return [dict(zip(names, map(plain, row), strict=True)) for row in rows]


def check_regular(path: Path, *, largest: int = LARGEST_BYTES) -> None:
    """Refuse what is no plain file of a sane size, before anything is read of it.

    A pipe or a device may stand where a file of a run should, and would never end.

    Raises:
        FileNotFoundError: there is nothing.
        DataError: it is a folder, a pipe or a device, or larger than ``largest`` bytes.
    """
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise DataError(f"{path} is no plain file. Put the file itself there.")
    if facts.st_size > largest:
        raise DataError(
            f"{path} has {facts.st_size / 2**20:.0f} MB; {largest / 2**20:.0f} MB is the most for "
            f"such a file. It is not what it should be: bring it back from a copy."
        )


def read_bytes(path: Path, *, largest: int = LARGEST_BYTES) -> bytes:
    """Read a plain file that is not larger than a limit, see `check_regular`."""
    check_regular(path, largest=largest)
    with path.open("rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:  # some files of the system say that they are empty
        raise DataError(f"{path} is larger than {largest / 2**20:.0f} MB.")
    return content


def read_json(
    path: Path,
    *,
    root: type = object,
    missing: str = "Make it again, or name another place.",
    damaged: str = "Make it again, or bring it back from a copy.",
) -> Any:
    """Read a JSON file; NaN and infinity are no JSON.

    Args:
        path: of the file.
        root: what it must hold: dict, list ...
        missing: what to do when it is not there; only the caller knows what makes it.
        damaged: what to do when it cannot be read.

    Raises:
        DataError: it is missing or damaged.
    """
    try:
        tree = json.loads(read_bytes(path).decode("utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing. {missing}") from error
    except (ValueError, OSError, RecursionError) as error:
        raise DataError(f"{path} is damaged ({error}). {damaged}") from error
    if not isinstance(tree, root):
        raise DataError(f"{path} is damaged (it holds {shown(tree, 40)}). {damaged}")
    return tree


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _machine() -> str:
    """This machine's name, short and plain: a folder may be shared by several."""
    return re.sub(r"[^A-Za-z0-9]", "", platform.node())[:40] or "here"
