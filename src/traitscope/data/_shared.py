"""Memory that processes share: a size in, a file mapped into memory out, gone when nobody maps it.

A file and not ``multiprocessing.shared_memory``: that has a process of its own to clean up, which
also removes memory that others still use, and leaves it behind when the script is killed.
"""

import os
import tempfile
from contextlib import suppress
from mmap import mmap
from pathlib import Path

from traitscope.errors import TraitscopeError

_MEMORY = Path("/dev/shm")  # a file system in memory, on Linux
_SPARE = 64 << 20  # bytes left to others


def make(size: int, *, sparse: bool = False) -> tuple[Path, mmap]:
    """Make memory of a size, filled with zeros.

    Args:
        size: in bytes.
        sparse: it is filled little by little, and never to the end perhaps.

    Returns:
        Its file, for others to `join`, and the memory.

    Raises:
        TraitscopeError: there is not enough room for it.
    """
    handle, name = tempfile.mkstemp(prefix="traitscope-", dir=_folder(size))
    try:
        os.ftruncate(handle, size)
        if not sparse and hasattr(os, "posix_fallocate"):
            # Without it the first write beyond what is there would end the process, unsaid.
            os.posix_fallocate(handle, 0, size)
        return Path(name), mmap(handle, size)
    except OSError as error:
        Path(name).unlink()
        raise TraitscopeError(
            f"No room for {size >> 20} MB in {Path(name).parent}: {error.strerror}. Make room, or "
            f"set fewer workers or smaller batches."
        ) from error
    finally:
        os.close(handle)


def join(path: Path) -> mmap:
    """Map what another process has made."""
    with path.open("r+b") as file:
        return mmap(file.fileno(), 0)


def forget(path: Path) -> None:
    """Take the name away: the memory lasts as long as somebody maps it, however they end."""
    with suppress(OSError):  # Windows keeps it until the last one has ended
        path.unlink()


def _folder(size: int) -> str | None:
    """Where to: in memory if there is room, which containers often limit; else on the disk."""
    if _MEMORY.is_dir() and hasattr(os, "statvfs"):
        stat = os.statvfs(_MEMORY)
        if stat.f_bavail * stat.f_frsize > size + _SPARE:
            return str(_MEMORY)
    return None
