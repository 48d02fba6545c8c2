"""A file of text -> how it is written, and which of its rows do not fit the header.

Every row is looked at once before anything is read: parsers of speed do not tell a row that is
longer than its header, and move its cells to other columns. Separators are counted in bulk, so that
millions of rows cost a fraction of their parsing; ``csv`` looks at odd quotes.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import DataError
from traitscope.sheets._kinds import unicode_of
from traitscope.sheets.cells import is_decimal_comma

_PIECE_BYTES = 1 << 22
_ROW_BYTES = 1 << 24
_SNIFFED_BYTES = 1 << 16
_BLANK = b" \t\r"
_MANY = 1000  # rows whose numbers are kept
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_LIKE_EXCEL = re.compile(r"\s*\"?sep=(.)\"?\s*", re.IGNORECASE)

Places = NDArray[np.intp]


@dataclass
class Rows:
    """The rows below a header.

    Attributes:
        count: rows with at least one letter or separator in them.
        hollow: which of these hold nothing, from 0.
        long: which hold more cells than the header.
        long_numbers: numbers of the first of these, as a spreadsheet counts them.
        short: how many hold fewer cells than the header.
        widest: cells of the row with most of them.
    """

    count: int = 0
    hollow: list[int] = field(default_factory=list)
    long: list[int] = field(default_factory=list)
    long_numbers: list[int] = field(default_factory=list)
    short: int = 0
    widest: int = 0


@dataclass(frozen=True)
class Lines:
    """How a file of text is written.

    Attributes:
        path: the file.
        header: cells of its header as they stand there.
        separator: comma, semicolon, tab or bar.
        encoding: of what ``body`` gives.
        decimal: mark of decimals in most of its numbers.
        start: bytes before the first row.
        rows: the rows.
        data: the text as UTF-8 with usual ends of lines, where the file is written otherwise.
    """

    path: Path
    header: tuple[str, ...]
    separator: str
    encoding: str
    decimal: str
    start: int
    rows: Rows
    data: bytes | None

    def body(self) -> BinaryIO:
        """Open the file at its first row."""
        file = _open(self.path, self.data)
        file.seek(self.start)
        return file

    def before(self) -> bytes:
        """What stands before the first row."""
        with _open(self.path, self.data) as file:
            return file.read(self.start)


def preceded(first: bytes, file: BinaryIO) -> BinaryIO:
    """A file with some bytes before its own."""
    return io.BufferedReader(_Preceded(first, file))


class _Preceded(io.RawIOBase):
    """A file with some bytes before its own."""

    def __init__(self, first: bytes, file: BinaryIO) -> None:
        self._first, self._file = first, file

    def readable(self) -> bool:
        """Yes: it is there to be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what comes next; 0 at the end."""
        piece = self._first[: len(buffer)] or self._file.read(len(buffer))
        self._first = self._first[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)


def look_at(path: Path, start: bytes) -> Lines:
    """Look at every row of a table once.

    Args:
        path: the file.
        start: its first bytes.

    Raises:
        DataError: it has no rows, or its quotes do not match.
    """
    data = _rewritten(path, start)
    with _open(path, data) as file:
        text, number = _header(file, path)
        begin = file.tell()
        # The first rows alone tell the mark of decimals; names of columns may hold any comma.
        sniffed = file.read(_SNIFFED_BYTES)
        file.seek(begin)
        excel = _LIKE_EXCEL.fullmatch(text)
        if excel:  # Excel's own way to say the separator, above the header
            text, more = _header(file, path)
            number, begin = number + more, file.tell()
        separator = excel[1] if excel else _separator(text)
        encoding = _encoding(file)
        header = _cells(text, separator, path)
        file.seek(begin)
        rows = _rows(file, separator, len(header), number, encoding, path)
    if rows.count <= len(rows.hollow) or not any(cell.strip() for cell in header):
        raise DataError(f"{path} has no rows. It needs a line of column names, then the rows.")
    decimal = _decimal(sniffed, separator)
    return Lines(path, tuple(header), separator, encoding, decimal, begin, rows, data)


def _open(path: Path, data: bytes | None) -> BinaryIO:
    return path.open("rb") if data is None else io.BytesIO(data)


def _rewritten(path: Path, start: bytes) -> bytes | None:
    """Text of two bytes a letter, or with the line ends of old Macs, as usual text."""
    wide = unicode_of(start)
    if not wide and (b"\n" in start or b"\r" not in start):
        return None
    # In memory: such files are rare and small, and bytes are counted in usual lines only.
    try:
        text = path.read_bytes().decode(wide or "utf-8-sig")
    except UnicodeDecodeError as error:
        if wide:
            raise DataError(
                f"{path} is not readable as text: {error}. Save it as UTF-8."
            ) from error
        text = path.read_bytes().decode("cp1252", errors="replace")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").encode()


def _header(file: BinaryIO, path: Path) -> tuple[str, int]:
    """The first line that holds something, and how many lines it took."""
    number = 0
    while line := file.readline(_ROW_BYTES):
        number += 1
        line = line.removeprefix(codecs.BOM_UTF8)
        while (
            line.count(b'"') % 2 and len(line) < _ROW_BYTES and (more := file.readline(_ROW_BYTES))
        ):
            line += more  # a name with an end of line in it
        if line.strip():
            try:
                return line.decode(), number
            except UnicodeDecodeError:
                return line.decode("cp1252", errors="replace"), number
    raise DataError(f"{path} has no rows: it is empty. Write it again.")


def _separator(text: str) -> str:
    # Names in quotes may hold separators. Of equal counts the first wins, the comma.
    return max(",;\t|", key=_QUOTED.sub("", text).count)


def _cells(text: str, separator: str, path: Path) -> list[str]:
    try:
        lines = csv.reader([text], delimiter=separator, skipinitialspace=True, strict=True)
        return next(iter(lines))
    except csv.Error as error:
        raise DataError(f"{path} is not readable as CSV: its header has {error}.") from error


def _encoding(file: BinaryIO) -> str:
    """UTF-8 if all of the file is that, else Windows' Western one, or that of old Unix."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    try:
        while piece := file.read(_PIECE_BYTES):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        file.seek(0)
        while piece := file.read(_PIECE_BYTES):
            if any(byte in piece for byte in b"\x81\x8d\x8f\x90\x9d"):
                return "latin-1"  # letters that Windows does not have
        return "cp1252"
    return "utf-8"


def _decimal(start: bytes, separator: str) -> str:
    """The mark of decimals: a comma where the first rows have numbers with one."""
    # Commas between cells leave none for decimals.
    if separator == ",":
        return "."
    text = start.decode("latin-1").replace('"', "")
    cells = (cell for line in text.splitlines() for cell in line.split(separator))
    return "," if any(map(is_decimal_comma, cells)) else "."


def _rows(
    file: BinaryIO, separator: str, width: int, number: int, encoding: str, path: Path
) -> Rows:
    """Count the separators of each row in large pieces; odd quotes are left to ``csv``."""
    # | rest | piece ...................... |
    # | row | row | row | row | row | begun |     which is the rest in front of the next piece
    rows, rest, first, begin, more = Rows(), b"", number, file.tell(), True
    while more:
        piece = file.read(_PIECE_BYTES)
        more = bool(piece)
        text = rest + (piece or (b"\n" if rest and rest[-1:] != b"\n" else b""))
        letters = np.frombuffer(text, np.uint8)
        quotes = np.flatnonzero(letters == ord('"'))
        ends = _outside(np.flatnonzero(letters == 10), quotes)
        whole = int(ends[-1]) + 1 if len(ends) else 0
        quotes = quotes[quotes < whole]
        # A row that does not end may be a quote that is never closed.
        odd = not _are_plain(letters[:whole], quotes, separator) or len(text) > _ROW_BYTES + whole
        if odd or not (more or whole == len(text)):
            # All rows again, from the first one: what was counted before the odd quote is dropped.
            file.seek(begin)
            return _by_csv(file, separator, width, first, encoding, path)
        rest = text[whole:]
        if whole:
            commas = _outside(np.flatnonzero(letters[:whole] == ord(separator)), quotes)
            _count(letters, commas, ends, number, (separator, width), rows)
            number += len(ends)
    return rows


def _outside(places: Places, quotes: Places) -> Places:
    """Those places that are not between quotes."""
    # An even number of quotes stands before what is outside.
    return places[np.searchsorted(quotes, places) % 2 == 0] if len(quotes) else places


def _are_plain(letters: NDArray[np.uint8], quotes: Places, separator: str) -> bool:
    """Tell quotes that all stand around cells, or twice within one."""
    if not len(quotes):
        return True
    if len(quotes) % 2:
        return False
    # Two quotes within a cell end it and begin it again, so that pairs stay pairs.
    opening, closing = quotes[0::2], quotes[1::2]
    ends = [ord(separator), 10, 13]
    twice = closing[:-1] + 1 == opening[1:]
    closed = np.isin(letters[closing + 1], ends)
    closed[:-1] |= twice
    before = np.where(opening > 0, letters[opening - 1], 10)
    opened = np.isin(before, ends)
    opened[1:] |= twice
    # Spaces before a quote are usual; any other letter makes it a quote within a word.
    for place in opening[~opened & (before == 32)]:
        start = int(place) - 1
        while start >= 0 and letters[start] == 32:
            start -= 1
        if start >= 0 and letters[start] not in ends:
            return False
    return bool(closed.all() and (opened | (before == 32)).all())


def _count(
    letters: NDArray[np.uint8],
    commas: Places,
    ends: Places,
    number: int,
    shape: tuple[str, int],
    rows: Rows,
) -> None:
    """Note the cells of whole rows, by where their separators and ends are."""
    separator, width = shape
    starts = np.concatenate([[0], ends[:-1] + 1])
    counts = np.diff(np.searchsorted(commas, ends), prepend=0)
    # Nearly all rows begin with a letter and are done; the few others are looked at one by one.
    blank = _BLANK + separator.encode()
    hollow = np.isin(letters[starts], np.frombuffer(blank + b'"\n', np.uint8))
    for place in np.flatnonzero(hollow):
        row = letters[starts[place] : ends[place]].tobytes()
        hollow[place] = not row.strip(blank + b'"\n') and _holds_nothing(row, separator)
    kept = np.flatnonzero(~hollow | (counts > 0) | (letters[starts] == ord('"')))
    _note(rows, counts[kept] + 1, hollow[kept], kept + number + 1, width)


def _holds_nothing(row: bytes, separator: str) -> bool:
    text = io.StringIO(row.decode("latin-1"), newline="")
    cells = csv.reader(text, delimiter=separator, skipinitialspace=True)
    return not any(cell.strip() for line in cells for cell in line)


def _note(
    rows: Rows,
    cells: Places,
    hollow: NDArray[np.bool_],
    numbers: Places,
    width: int,
) -> None:
    long = np.flatnonzero((cells > width) & ~hollow)
    rows.hollow += (np.flatnonzero(hollow) + rows.count).tolist()
    rows.long += (long + rows.count).tolist()
    rows.long_numbers += numbers[long].tolist()[: _MANY - len(rows.long_numbers)]
    rows.short += int(np.count_nonzero((cells < width) & ~hollow))
    rows.widest = max(rows.widest, int(cells.max(initial=0)))
    rows.count += len(cells)


def _by_csv(
    file: BinaryIO, separator: str, width: int, number: int, encoding: str, path: Path
) -> Rows:
    """Count cells where quotes hide separators and ends of lines."""
    last = [""]

    def lines(text: io.TextIOWrapper) -> Iterator[str]:
        while line := text.readline(_ROW_BYTES):
            last[0] = line
            yield line

    seen: list[tuple[int, bool, int]] = []
    text = io.TextIOWrapper(file, encoding, newline="")
    reader = csv.reader(lines(text), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        for count, row in enumerate(reader, number + 1):
            if row and (row != [""] or last[0].strip()):
                seen.append((len(row), not any(map(str.strip, row)), count))
    except csv.Error as error:
        raise DataError(
            f"{path} is not readable as CSV near line {number + reader.line_num}: {error}. Quotes "
            f"do not match there."
        ) from error
    finally:
        # A wrapper that goes closes its file, which is the caller's.
        text.detach()
    rows = Rows()
    cells, hollow, numbers = np.array(seen or [(0, False, 0)]).T
    if seen:
        _note(rows, cells, hollow > 0, numbers, width)
    return rows
