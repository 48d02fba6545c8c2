"""A reader of pickles that runs nothing: bytes -> dicts, lists, text and numbers.

Python's own unpickler calls whatever a file names. This is a small machine instead that knows only
the instructions for data; the standard library's ``pickletools`` tells what stands behind each. Two
names are understood, because the labels of First Impressions hold them: a NumPy scalar, read as the
number it is, and its dtype. Any other name is refused before anything is made of it; nothing is
imported and nothing from the file is called. Time and memory are bounded by the length of the file,
and so are the size and the depth of what comes out.

Text that Python 2 wrote as bytes is read as Latin-1, one character per byte.
"""

import codecs
import pickletools
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from traitscope.errors import DataError
from traitscope.files import check_regular

LARGEST_BYTES = 64 * 1024 * 1024
"""Longer files are refused: the labels of ten thousand clips take a few megabytes."""

_LONGEST_NUMBER = 64
"""Characters of a number that is written out; 17 digits say all there is to a float."""
_WIDEST_INTEGER = 128
"""Bits. Python converts integers of any length, in a time that grows with its square."""
_DEEPEST = 20
"""Dicts, lists and tuples inside each other; labels have two, target and clip."""
_FREE, _BYTES_EACH = 1000, 4
"""A file may ask for so many dicts, lists, tuples and kept values, and one more per 4 bytes: an
empty dict is written in one byte and takes 64. First Impressions has one per 13 bytes."""

_HOLDERS = frozenset({dict, list, tuple})
_PLAIN = frozenset({str, bytes, int, float, bool, type(None)})
_FORMATS = {
    **{"f2": "e", "f4": "f", "f8": "d", "b1": "?"},
    **{"i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q"},
}
"""Code of a NumPy dtype -> that of ``struct``."""
_HIGHEST_PROTOCOL = 5


def read_pickle(path: Path) -> Any:
    """Read a file of data; nothing in it can run.

    Raises:
        DataError: it is no pickle, ends too early, or holds anything but data.
    """
    check_regular(path, largest=2**62)  # a device would never end
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
    machine = _Machine(BytesIO(data), len(data))
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
    except (ValueError, TypeError, OverflowError, struct.error) as error:
        raise DataError(
            f"{where} is not a readable pickle (at byte {machine.start}: {error}). Copy or "
            f"download it again."
        ) from None


class _RefusedError(Exception):
    """Something that is not data."""


class _TruncatedError(Exception):
    """The bytes end before the pickle does."""


@dataclass
class _DType:
    """What is known of a dtype: the code of its numbers, and their byte order."""

    code: str
    order: Literal["<", ">"] = "<"


@dataclass
class _Machine:
    """The stack, marks and memory of one file.

    Attributes:
        stream: the file.
        size: its length in bytes.
        start: where the present instruction began.
        stack: values made so far.
        marks: heights of the stack that were marked.
        memory: values kept under a number.
        made: dicts, lists, tuples, marks and kept values so far.
    """

    stream: BytesIO
    size: int
    start: int = 0
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memory: dict[int, Any] = field(default_factory=dict)
    made: int = 0

    def run(self) -> Any:
        stream, known = self.stream, _INSTRUCTIONS
        while True:
            self.start = stream.tell()
            code = stream.read(1)
            if code == b".":
                return _checked(self.pop(), self.size)
            if not code:
                raise _TruncatedError
            if code not in known:
                raise _RefusedError(f"the instruction {code!r}")
            read, instruction = known[code]
            try:
                argument = read(stream) if read else None
            except ValueError as error:
                # Nothing can follow what goes up to the last byte, not even the end of the pickle.
                raise _TruncatedError if stream.tell() >= self.size else error from None
            instruction(self, argument)

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def top(self) -> Any:
        # What lies below the mark belongs to whatever will end it, and is out of reach until then.
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise ValueError("a value is missing")
        return self.stack[-1]

    def pop(self) -> Any:
        value = self.top()
        del self.stack[-1]
        return value

    def pop_last(self, count: int) -> list[Any]:
        """So many values, the last one last."""
        return [self.pop() for _ in range(count)][::-1]

    def pop_marked(self) -> list[Any]:
        """Everything above the last mark."""
        if not self.marks:
            raise ValueError("a mark is missing")
        height = self.marks.pop()
        values = self.stack[height:]
        del self.stack[height:]
        return values

    def mark(self) -> None:
        self.count()
        self.marks.append(len(self.stack))

    def make(self, value: dict[Any, Any] | list[Any] | tuple[Any, ...]) -> None:
        self.count()
        self.stack.append(value)

    def keep(self, index: int) -> None:
        self.count()
        self.memory[index] = self.top()

    def kept(self, index: int) -> Any:
        if index not in self.memory:
            raise ValueError(f"no value was kept under {index}")
        return self.memory[index]

    def count(self) -> None:
        self.made += 1
        if self.made > _FREE + self.size // _BYTES_EACH:
            raise _RefusedError(
                f"{self.made} dicts, lists and kept values, too many for its {self.size} bytes"
            )


def _checked(result: Any, most: int) -> Any:
    """Refuse what is no data, is too deep, or has more values than the file has bytes.

    A list inside itself, or a pair of a pair of a pair ... is short to write and endless to read.
    """
    level: list[Any] = [[result]]
    values = 0
    for _ in range(_DEEPEST + 1):
        below: list[Any] = []
        for holder in level:
            values += len(holder)  # before they are looked at: that, too, takes its time
            if values > most:
                raise _RefusedError(f"more values than its {most} bytes can hold")
            for item in holder.values() if type(holder) is dict else holder:
                if type(item) in _HOLDERS:
                    below.append(item)
                elif type(item) not in _PLAIN:
                    raise _RefusedError("a NumPy name or dtype as a value")
        if not below:
            return result
        level = below
    raise _RefusedError(f"values more than {_DEEPEST} deep inside each other")


def _dict(m: _Machine, items: list[Any]) -> None:
    m.make({})
    _fill(m, items)


def _fill(m: _Machine, items: list[Any]) -> None:
    target = m.top()
    if type(target) is not dict or len(items) % 2:
        raise ValueError("pairs belong into a dict")
    for key, value in zip(items[::2], items[1::2], strict=True):
        # To hash a tuple of tuples is to walk all of it: sixty pairs of pairs would never end.
        if type(key) not in (str, int):
            raise _RefusedError(f"a dict key of the type {type(key).__name__}")
        target[key] = value


def _append(m: _Machine, items: list[Any]) -> None:
    if type(m.top()) is not list:
        raise ValueError("items belong into a list")
    m.top().extend(items)


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
    # Python 2 wrote bytes as text, which is read as Latin-1: back to what it was.
    raw = data.encode("latin-1") if isinstance(data, str) else data
    number: float | int | bool = struct.unpack(dtype.order + _FORMATS[dtype.code], raw)[0]
    return number


def _build(m: _Machine) -> None:
    state, dtype = m.pop(), m.top()
    if not isinstance(dtype, _DType) or type(state) is not tuple or len(state) < 2:
        raise _RefusedError("the state of an object")
    # The state begins with a version and the byte order; the rest is of records and their fields.
    order = state[1]
    if type(order) is not str or order not in ("<", ">", "|", "="):
        raise ValueError("an unknown byte order")
    dtype.order = ">" if order == ">" else "<"


_UNDERSTOOD: dict[str, Callable[..., Any]] = {
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy.dtype": _dtype,
}
"""Name in a file -> what is made of its arguments here; NumPy's own functions are never called."""


def _name(module: Any, name: Any) -> Callable[..., Any]:
    if type(module) is not str or type(name) is not str:
        raise _RefusedError("a name that is not text")
    full = f"{module}.{name}"
    if full not in _UNDERSTOOD:
        raise _RefusedError(f"the global {full[:100]!r}")
    return _UNDERSTOOD[full]


def _reduce(function: Any, arguments: Any) -> Any:
    # A function comes onto the stack by its name alone, so it is one of ours.
    if not callable(function) or type(arguments) is not tuple:
        raise _RefusedError("a call")
    return function(*arguments)


def _protocol(number: int) -> None:
    if number > _HIGHEST_PROTOCOL:
        raise ValueError(f"the pickle protocol {number} is not known")


def _line(stream: BytesIO) -> bytes:
    text = stream.readline()
    if text[-1:] != b"\n":
        raise ValueError("a line without an end")
    return text[:-1]


def _quoted(stream: BytesIO) -> str:
    """Text of Python 2 in quotes; pickletools takes ASCII only."""
    text = _line(stream).strip()
    if len(text) < 2 or text[0] != text[-1] or text[:1] not in (b"'", b'"'):
        raise ValueError("text without quotes")
    return codecs.escape_decode(text[1:-1])[0].decode("latin-1")


def _digits(stream: BytesIO) -> bytes:
    text = stream.readline().rstrip()
    if len(text) > _LONGEST_NUMBER:
        raise _RefusedError(f"a number of {len(text)} characters")
    return text


def _whole(stream: BytesIO) -> int:
    """A number as text; 00 and 01 are False and True."""
    text = _digits(stream)
    return text == b"01" if text in (b"00", b"01") else int(text.rstrip(b"L"))


def _long(stream: BytesIO) -> int:
    number: int = pickletools.read_long1(stream)
    if number.bit_length() > _WIDEST_INTEGER:
        raise _RefusedError(f"an integer of {number.bit_length()} bits")
    return number


_READERS: dict[str, Callable[[BytesIO], Any]] = {
    **{"INT": _whole, "LONG": _whole, "PUT": _whole, "GET": _whole, "LONG1": _long},
    "FLOAT": lambda stream: float(_digits(stream)),
    "STRING": _quoted,
    "GLOBAL": lambda stream: [_line(stream).decode("latin-1") for _ in range(2)],
}
"""Where pickletools would read numbers of any length, or ASCII alone."""

_PUSHED = (
    *("INT", "LONG", "LONG1", "FLOAT", "BININT", "BININT1", "BININT2", "BINFLOAT"),
    *("STRING", "SHORT_BINSTRING", "BINSTRING", "BINBYTES", "SHORT_BINBYTES"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
)
"""Instructions that are their value."""

_BEHAVIOURS: dict[str, Callable[[_Machine, Any], Any]] = {
    **dict.fromkeys(_PUSHED, _Machine.push),
    "PROTO": lambda m, number: _protocol(number),
    "FRAME": lambda m, length: None,
    "MARK": lambda m, _: m.mark(),
    "POP": lambda m, _: m.pop(),
    "POP_MARK": lambda m, _: m.pop_marked(),
    "DUP": lambda m, _: m.push(m.top()),
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    "EMPTY_DICT": lambda m, _: m.make({}),
    "DICT": lambda m, _: _dict(m, m.pop_marked()),
    "SETITEM": lambda m, _: _fill(m, m.pop_last(2)),
    "SETITEMS": lambda m, _: _fill(m, m.pop_marked()),
    "EMPTY_LIST": lambda m, _: m.make([]),
    "LIST": lambda m, _: m.make(m.pop_marked()),
    "APPEND": lambda m, _: _append(m, m.pop_last(1)),
    "APPENDS": lambda m, _: _append(m, m.pop_marked()),
    # Not counted: Python has one empty tuple, which takes no memory.
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "TUPLE": lambda m, _: m.make(tuple(m.pop_marked())),
    "TUPLE1": lambda m, _: m.make(tuple(m.pop_last(1))),
    "TUPLE2": lambda m, _: m.make(tuple(m.pop_last(2))),
    "TUPLE3": lambda m, _: m.make(tuple(m.pop_last(3))),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.keep),
    "MEMOIZE": lambda m, _: m.keep(len(m.memory)),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda m, index: m.push(m.kept(index))),
    "GLOBAL": lambda m, names: m.push(_name(*names)),
    "STACK_GLOBAL": lambda m, _: m.push(_name(*m.pop_last(2))),
    "REDUCE": lambda m, _: m.push(_reduce(*m.pop_last(2))),
    "BUILD": lambda m, _: _build(m),
}

_INSTRUCTIONS = {
    opcode.code.encode("latin-1"): (
        _READERS.get(opcode.name, opcode.arg.reader if opcode.arg else None),
        _BEHAVIOURS[opcode.name],
    )
    for opcode in pickletools.opcodes
    if opcode.name in _BEHAVIOURS
}
"""Byte -> how its argument is read, and what is done with it."""
