"""The few kinds of error a user can fix: what is wrong, the value, what to do now."""

import errno
import reprlib
from collections.abc import Sequence
from typing import Any

_CV2_NO_MEMORY = -4
"""OpenCV's StsNoMem."""
_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")
"""How PyTorch on CPUs (Linux, Windows) and GPUs, and libraries in C++ say it, in lower case."""


class TraitscopeError(Exception):
    """Tell the user what is wrong, with which value, and what to do; the CLI exits with 2."""


class ConfigError(TraitscopeError):
    """Report settings that are unknown, misspelt, contradictory or out of bounds."""


class DataError(TraitscopeError):
    """Report annotations, predictions or stored features that cannot be used."""


class ClipError(TraitscopeError):
    """Report one clip that cannot be used; at the per-clip boundary it becomes a status row.

    Attributes:
        status: the word for ``status.csv``: ``undecodable``, ``no_video``, ``no_audio``,
            ``silent``, ``no_face``, ``missing`` ...
        notes: what was noticed in the clip before, or instead; see `traitscope.notes`.
    """

    def __init__(self, message: str, *, status: str, notes: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.notes = tuple(notes)

    def again(self, notes: Sequence[str] = ()) -> "ClipError":
        """A new one: an exception that is raised twice carries the traceback of both.

        Args:
            notes: of the clip, beside its own.
        """
        both = dict.fromkeys((*notes, *self.notes))
        return ClipError(str(self), status=self.status, notes=tuple(both))

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive the way home from a worker process."""
        # Exceptions are pickled with what they were called with by position, and status is no such.
        return (_clip_error, (str(self), self.status, self.notes))


def _clip_error(message: str, status: str, notes: Sequence[str] = ()) -> ClipError:
    return ClipError(message, status=status, notes=notes)


class MissingError(TraitscopeError):
    """Report an optional package, model file or system library that is not there."""


def lacks_memory(error: BaseException) -> bool:
    """Whether an exception says that memory was refused.

    Python, NumPy, PyAV and Arrow raise a MemoryError. Others have words of their own, and are known
    by these: they are not imported for it.
    """
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    kind = f"{type(error).__module__.partition('.')[0]}.{type(error).__name__}"
    if kind == "torch.OutOfMemoryError":
        return True
    if kind == "cv2.error":
        return getattr(error, "code", None) == _CV2_NO_MEMORY
    # Not in other errors, where these words may be a file name or a cell.
    words = str(error).lower() if isinstance(error, RuntimeError) else ""
    return any(sign in words for sign in _NO_MEMORY)


def shown(value: object, longest: int = 200) -> str:
    """Write a value for a message, cut where it is long: what a file holds may be huge."""
    short = reprlib.Repr()  # cuts before it writes out: a tree of a file may be huge
    short.maxstring = short.maxother = longest
    text = repr(value) if isinstance(value, str) and len(value) < longest else short.repr(value)
    return text if len(text) <= longest + 2 else f"{text[:longest]} ..."


def counted(number: int, one: str, several: str = "") -> str:
    """Write a number with its noun: "1 person", "2 people", "3 clips"."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def some(names: Sequence[str], shown: int = 10) -> str:
    """Join the first names for a message, and count the rest."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
