"""A reader of pickles that runs nothing: bytes -> dicts, lists, text and numbers.

Python's own unpickler calls whatever a file names. This is a small machine instead that knows only
the instructions for data. Two names are understood, because the labels of First Impressions hold
them: a NumPy scalar, read as the number it is, and its dtype. Any other name is refused before
anything is made of it; nothing is imported and nothing from the file is called. Time and memory
are bounded by the length of the file.

Text that Python 2 wrote as bytes is read as Latin-1, one character per byte.
"""

import codecs
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from traitscope.errors import DataError

LARGEST_BYTES = 256 * 1024 * 1024
"""Longer files are refused: the labels of ten thousand clips take a few megabytes."""

_SCALARS = {"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"}
_DTYPES = {"numpy.dtype"}
_FORMATS = {
    **{"f2": "e", "f4": "f", "f8": "d", "b1": "?"},
    **{"i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q"},
}
_HIGHEST_PROTOCOL = 5


def read_pickle(path: Path) -> Any:
    """Read a file of data; nothing in it can run.

    Raises:
        DataError: it is no pickle, ends too early, or holds anything but data.
    """
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        raise DataError(
            f"{path} has {size} bytes; label files have at most {LARGEST_BYTES}. Is it another "
            f"file?"
        )
    return unpickle(path.read_bytes(), where=str(path))


def unpickle(data: bytes, *, where: str) -> Any:
    """Read a pickle of data; ``where`` names it in errors.

    Raises:
        DataError: it is no pickle, ends too early, or holds anything but data.
    """
    machine = _Machine(data)
    try:
        return machine.run()
    except _RefusedError as error:
        raise DataError(
            f"{where} is refused: at byte {machine.start} it asks for {error}, and label files "
            f"hold only text and numbers. Nothing of it was run. Get the file from its publisher "
            f"again, and do not open this one with pickle."
        ) from None
    except _TruncatedError:
        raise DataError(
            f"{where} ends in the middle, after {len(data)} bytes. Copy or download it again."
        ) from None
    except (IndexError, KeyError, ValueError, TypeError, OverflowError, struct.error) as error:
        raise DataError(
            f"{where} is not a readable pickle (at byte {machine.start}: {error}). Copy or "
            f"download it again."
        ) from None


class _RefusedError(Exception):
    """Something that is not data."""


class _TruncatedError(Exception):
    """The bytes end before the pickle does."""


@dataclass(frozen=True)
class _Name:
    """A name the file mentions: not imported, never called."""

    full: str


@dataclass
class _DType:
    """What is known of a dtype: the code of its numbers, and their byte order."""

    code: str
    order: str = "<"


@dataclass
class _Machine:
    """The stack, marks and memory of one file.

    Attributes:
        data: the file.
        at: where to read next.
        start: where the present instruction began.
        stack: values made so far.
        marks: heights of the stack that were marked.
        memory: values kept under a number.
    """

    data: bytes
    at: int = 0
    start: int = 0
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memory: dict[int, Any] = field(default_factory=dict)

    def run(self) -> Any:
        data, known = self.data, _INSTRUCTIONS
        while True:
            self.start = self.at
            if self.at >= len(data):
                raise _TruncatedError
            code = data[self.at]
            self.at += 1
            if code == ord("."):
                return self.pop()
            instruction = known.get(code)
            if instruction is None:
                raise _RefusedError(f"the instruction {bytes([code])!r}")
            instruction(self)

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise ValueError("a value is missing")
        return self.stack.pop()

    def pop_marked(self) -> list[Any]:
        """Everything above the last mark."""
        if not self.marks:
            raise ValueError("a mark is missing")
        height = self.marks.pop()
        values = self.stack[height:]
        del self.stack[height:]
        return values

    def take(self, count: int) -> bytes:
        piece = self.data[self.at : self.at + count]
        if count < 0 or len(piece) < count:
            raise _TruncatedError
        self.at += count
        return piece

    def line(self) -> bytes:
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise _TruncatedError
        piece = self.data[self.at : end]
        self.at = end + 1
        return piece

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def counted(self, layout: str) -> bytes:
        """Bytes with their number in front."""
        return self.take(self.number(layout))


def _fill(target: Any, items: list[Any]) -> None:
    if type(target) is not dict or len(items) % 2:
        raise ValueError("pairs belong into a dict")
    for key, value in zip(items[::2], items[1::2], strict=True):
        if type(key) not in (str, int):
            raise _RefusedError(f"a dict key of the type {type(key).__name__}")
        target[key] = value


def _set_item(m: _Machine) -> None:
    value, key = m.pop(), m.pop()
    _fill(m.stack[-1], [key, value])


def _set_items(m: _Machine) -> None:
    items = m.pop_marked()
    _fill(m.stack[-1], items)


def _dict(m: _Machine) -> None:
    items, made = m.pop_marked(), dict[Any, Any]()
    _fill(made, items)
    m.push(made)


def _append(m: _Machine, items: list[Any]) -> None:
    if type(m.stack[-1]) is not list:
        raise ValueError("items belong into a list")
    m.stack[-1].extend(items)


def _name(m: _Machine, module: Any, name: Any) -> None:
    if type(module) is not str or type(name) is not str:
        raise _RefusedError("a name that is not text")
    full = f"{module}.{name}"
    if full not in _SCALARS | _DTYPES:
        raise _RefusedError(f"the global {full[:100]!r}")
    m.push(_Name(full))


def _reduce(m: _Machine) -> None:
    arguments, name = m.pop(), m.pop()
    if not isinstance(name, _Name) or type(arguments) is not tuple:
        raise _RefusedError("a call")
    m.push(_dtype(*arguments) if name.full in _DTYPES else _scalar(*arguments))


def _dtype(code: Any, *_: Any) -> _DType:
    """``numpy.dtype("f8", False, True)``; its byte order follows with BUILD."""
    if type(code) is not str or code not in _FORMATS:
        shown = repr(code[:20]) if type(code) is str else type(code).__name__
        raise _RefusedError(f"the NumPy dtype {shown}")
    return _DType(code)


def _scalar(dtype: Any, data: Any) -> float | int | bool:
    """``numpy.core.multiarray.scalar(dtype, bytes)`` as the number it is."""
    if not isinstance(dtype, _DType):
        raise _RefusedError("a NumPy scalar without a dtype")
    if type(data) not in (str, bytes):
        raise ValueError("a NumPy scalar without bytes")
    raw = data.encode("latin-1") if isinstance(data, str) else data
    number: float | int | bool = struct.unpack(dtype.order + _FORMATS[dtype.code], raw)[0]
    return number


def _build(m: _Machine) -> None:
    state = m.pop()
    if not isinstance(m.stack[-1], _DType) or type(state) is not tuple:
        raise _RefusedError("the state of an object")
    order = state[1]
    if type(order) is not str or order not in ("<", ">", "|", "="):
        raise ValueError("an unknown byte order")
    m.stack[-1].order = ">" if order == ">" else "<"


def _quoted(m: _Machine) -> None:
    text = m.line().strip()
    if len(text) < 2 or text[0] != text[-1] or text[:1] not in (b"'", b'"'):
        raise ValueError("text without quotes")
    m.push(codecs.escape_decode(text[1:-1])[0].decode("latin-1"))


def _whole(m: _Machine) -> None:
    text = m.line()
    m.push(text == b"01" if text in (b"00", b"01") else int(text))


def _put(m: _Machine, index: int) -> None:
    m.memory[index] = m.stack[-1]


def _protocol(m: _Machine) -> None:
    number = m.number("<B")
    if number > _HIGHEST_PROTOCOL:
        raise ValueError(f"the pickle protocol {number} is not known")


def _tuple(m: _Machine, size: int) -> None:
    values = [m.pop() for _ in range(size)]
    m.push(tuple(reversed(values)))


_INSTRUCTIONS: dict[int, Callable[[_Machine], Any]] = {
    ord(code): instruction
    for code, instruction in {
        "\x80": _protocol,
        "\x95": lambda m: m.take(8),  # length of a frame: not needed here
        "(": lambda m: m.marks.append(len(m.stack)),
        "0": lambda m: m.pop(),
        "1": lambda m: m.pop_marked(),
        "2": lambda m: m.push(m.stack[-1]),
        # numbers
        "N": lambda m: m.push(None),
        "\x88": lambda m: m.push(True),
        "\x89": lambda m: m.push(False),
        "I": _whole,
        "L": lambda m: m.push(int(m.line().rstrip(b"L"))),
        "F": lambda m: m.push(float(m.line())),
        "J": lambda m: m.push(m.number("<i")),
        "K": lambda m: m.push(m.number("<B")),
        "M": lambda m: m.push(m.number("<H")),
        "G": lambda m: m.push(m.number(">d")),
        "\x8a": lambda m: m.push(int.from_bytes(m.counted("<B"), "little", signed=True)),
        # text
        "S": _quoted,
        "V": lambda m: m.push(m.line().decode("raw-unicode-escape")),
        "U": lambda m: m.push(m.counted("<B").decode("latin-1")),
        "T": lambda m: m.push(m.counted("<i").decode("latin-1")),
        "X": lambda m: m.push(m.counted("<I").decode("utf-8", "surrogatepass")),
        "\x8c": lambda m: m.push(m.counted("<B").decode("utf-8", "surrogatepass")),
        "\x8d": lambda m: m.push(m.counted("<Q").decode("utf-8", "surrogatepass")),
        "B": lambda m: m.push(m.counted("<I")),
        "C": lambda m: m.push(m.counted("<B")),
        # dicts, lists and tuples
        "}": lambda m: m.push({}),
        "d": _dict,
        "s": _set_item,
        "u": _set_items,
        "]": lambda m: m.push([]),
        "l": lambda m: m.push(m.pop_marked()),
        "a": lambda m: _append(m, [m.pop()]),
        "e": lambda m: _append(m, m.pop_marked()),
        ")": lambda m: m.push(()),
        "t": lambda m: m.push(tuple(m.pop_marked())),
        "\x85": lambda m: _tuple(m, 1),
        "\x86": lambda m: _tuple(m, 2),
        "\x87": lambda m: _tuple(m, 3),
        # memory
        "p": lambda m: _put(m, int(m.line())),
        "q": lambda m: _put(m, m.number("<B")),
        "r": lambda m: _put(m, m.number("<I")),
        "\x94": lambda m: _put(m, len(m.memory)),
        "g": lambda m: m.push(m.memory[int(m.line())]),
        "h": lambda m: m.push(m.memory[m.number("<B")]),
        "j": lambda m: m.push(m.memory[m.number("<I")]),
        # names
        "c": lambda m: _name(m, m.line().decode("latin-1"), m.line().decode("latin-1")),
        "\x93": lambda m: _name(m, *reversed((m.pop(), m.pop()))),
        "R": _reduce,
        "b": _build,
    }.items()
}
