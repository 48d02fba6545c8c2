"""A table of other people's -> its columns, as text or as numbers, in whole or in parts."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from traitscope.errors import DataError, some
from traitscope.escaping import plain
from traitscope.files import check_regular
from traitscope.sheets._kinds import LOOKED_AT_BYTES, is_parquet
from traitscope.sheets._lines import Lines, look_at, preceded
from traitscope.sheets._parquet import check_cells, parquet_columns, parquet_names
from traitscope.sheets.cells import NO_NUMBER, as_numbers, is_unnamed, same_name

if TYPE_CHECKING:
    import pandas as pd

Tell = Callable[[str, str], None]
"""What is told of a fault: its kind, and where it is."""

LARGEST_BYTES = 2**35
"""Of a table; a hundred hours of OpenFace rows take ten billion."""

SUFFIXES = (".csv", ".tsv", ".parquet")
"""Usual ones of tables; what a file is, its bytes say."""

_LONG = "more cells than columns (put cells that hold the separator in double quotes)"
_WHY_LONG = (
    "Does a separator end each row, are there decimal commas, or names of rows without a header?"
)
_LOOKED_AT_ROWS = 1000
_MANY_COLUMNS = 200  # of numbers, which are then read apart from the text
_MISSING = sorted({form for word in NO_NUMBER for form in (word, word.upper(), word.title())})
_MISSING += ["NaN", "-NaN", "<NA>"]


@dataclass(frozen=True)
class Sheet:
    """A table that was looked at, not read yet.

    Attributes:
        path: the file.
        columns: names of its columns, in order; those without a name are left out.
        decimal_comma: numbers may be written 0,5.
        notes: what was noticed: a column without a name, rows that are short, the encoding.
        lines: how it is written; None for Parquet.
        places: column -> its place in the file.
    """

    path: Path
    columns: tuple[str, ...]
    decimal_comma: bool
    notes: tuple[str, ...]
    lines: Lines | None = field(repr=False)
    places: Mapping[str, int] = field(repr=False)

    def read(
        self, texts: Iterable[str] | None = None, numbers: Mapping[str, Any] | None = None
    ) -> "pd.DataFrame":
        """Read columns.

        Args:
            texts: columns to read as text, without spaces around it, "" where there is none; all
                that are not numbers when left out.
            numbers: column -> NumPy type; NaN where there is no number.

        Returns:
            The columns in the order of the file, a row for each row that holds something.

        Raises:
            DataError: a column of numbers holds something else.
        """
        numbers = dict(numbers or {})
        texts = [n for n in self.columns if n not in numbers] if texts is None else list(texts)
        if self.lines is None:
            return self._of_parquet(texts, numbers)
        (whole,) = self._parts(texts, numbers, None)
        return whole

    def parts(self, texts: Sequence[str], rows: int) -> "Iterator[pd.DataFrame]":
        """Read columns as text, some rows at a time."""
        if self.lines is None:
            yield self._of_parquet(list(texts), {})
        else:
            yield from self._parts(texts, {}, rows)

    def _parts(
        self, texts: Sequence[str], numbers: Mapping[str, Any], rows: int | None
    ) -> "Iterator[pd.DataFrame]":

        assert self.lines is not None
        wanted = len({*texts, *numbers})
        # Before anything is read: numbers take more room here than in the file.
        check_cells(self.path, wanted * (rows or self.lines.rows.count))
        left_out = {*self.lines.rows.hollow, *self.lines.rows.long}
        count = 0
        parts = _parse(self.lines, self._wanted(texts, numbers), numbers, self.places, rows)
        with _as_csv(self.path):
            for part in parts:
                count += len(part)
                yield self._cleaned(part, texts, numbers, left_out)
        # Where pandas sees other rows than were counted, cells would go to other clips.
        if count != self.lines.rows.count:
            raise DataError(
                f"{self.path} is not readable as CSV: {self.lines.rows.count} rows, but {count} "
                f"when its quotes are followed. Quotes do not match somewhere."
            )

    def _wanted(self, texts: Iterable[str], numbers: Mapping[str, Any]) -> list[str]:
        wanted = {*texts, *numbers}
        # Without any column pandas counts no rows.
        return sorted(wanted, key=self.places.__getitem__) or [self.columns[0]]

    def _cleaned(
        self,
        part: "pd.DataFrame",
        texts: Sequence[str],
        numbers: Mapping[str, Any],
        left_out: set[int],
    ) -> "pd.DataFrame":
        names = {place: name for name, place in self.places.items()}
        part = part.rename(columns=names)
        if left_out:
            part = part[~part.index.isin(left_out)].reset_index(drop=True)
        changed: dict[str, Any] = {n: _text(part[n]) for n in texts}
        changed |= _numbers({n: part[n] for n in numbers if not _is_number(part[n])}, numbers, self)
        return part.assign(**changed)[self._wanted(texts, numbers)]

    def _of_parquet(self, texts: Sequence[str], numbers: Mapping[str, Any]) -> "pd.DataFrame":
        import pandas as pd

        wanted = self._wanted(texts, numbers)
        columns = parquet_columns(self.path, [self.places[name] for name in wanted])
        arrow = dict(zip(wanted, columns, strict=True))
        plain = {n: arrow[n].to_pandas() for n in numbers}
        bare = {n: column for n, column in plain.items() if not _is_number(column)}
        changed: dict[str, Any] = {
            n: c.astype(numbers[n]) for n, c in plain.items() if n not in bare
        }
        written = {n: pd.Series([_as_text(v) for v in c], dtype=str) for n, c in bare.items()}
        changed |= _numbers(written, numbers, self)
        for name in texts:
            cells = [_as_text(value).strip() for value in arrow[name].to_pylist()]
            changed[name] = pd.Series(cells, dtype=str)
        return pd.DataFrame({name: changed[name] for name in wanted if name in changed})


@dataclass(frozen=True)
class Table:
    """All of a small table, as text.

    Attributes:
        path: the file.
        columns: names of its columns, in order.
        rows: column -> cell, without spaces around it, "" where there is none.
        decimal_comma: numbers may be written 0,5.
        notes: what was noticed.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    decimal_comma: bool = False
    notes: tuple[str, ...] = ()


def read_table(path: Path, *, fold: Iterable[str] = (), tell: Tell | None = None) -> Table:
    """Read all of a small table; see ``open_sheet``.

    Raises:
        DataError: it is missing, no table, or has faults that nobody is told of.
    """
    sheet = open_sheet(path, fold=fold, tell=tell)
    frame = sheet.read()[list(sheet.columns)]
    cells = zip(*(frame[name].tolist() for name in sheet.columns), strict=True)
    rows = tuple(dict(zip(sheet.columns, row, strict=True)) for row in cells)
    return Table(path, sheet.columns, rows, sheet.decimal_comma, sheet.notes)


def open_sheet(
    path: Path, *, fold: Iterable[str] = (), unnamed: bool = False, tell: Tell | None = None
) -> Sheet:
    """Look at a table: what it is, how it is written, and whether its rows fit its header.

    Args:
        path: a CSV or TSV file (comma, semicolon, tab or bar; UTF-8, 16 or 32, or Windows' Western)
            or Parquet.
        fold: names that a column may also write in other letter case; it is called so then.
        unnamed: call columns without a name ``column 1`` ... instead of leaving them out.
        tell: is told of rows longer than the header, which are then left out, and of columns
            that are there twice; without it they are errors.

    Raises:
        DataError: it is missing, no table, or has faults; says which rows and what to do.
    """
    try:
        check_regular(path, largest=LARGEST_BYTES)
        with path.open("rb") as file:
            start = file.read(LOOKED_AT_BYTES)
        parquet = is_parquet(start, path)
        lines = None if parquet else look_at(path, start)
        header = parquet_names(path) if lines is None else lines.header
    except FileNotFoundError as error:
        raise DataError(f"There is no file {path}. Check its name and folder.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    notes: list[str] = []
    names = _names(header, fold)
    bare = [place for place, name in enumerate(names) if is_unnamed(name)]
    for place in bare:
        names[place] = f"column {place + 1}" if unnamed else ""
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if name in places:
            fault = f"the column {name!r} is there twice: rename or remove one"
            _complain(path, tell, fault, "")
        elif name:
            places[name] = place
    if not places:
        raise DataError(f"{path} has no names of columns in its first line. Write them there.")
    for number in lines.rows.long_numbers if lines and tell else ():
        _complain(path, tell, _LONG, f"row {number}")
    if lines and lines.rows.long and not tell:
        where = some([f"row {n}" for n in lines.rows.long_numbers], 5)
        raise DataError(f"{path}: {_LONG}: {where}; {len(lines.rows.long)} in all. {_WHY_LONG}")
    if lines is not None:
        notes += _notes(lines, [] if unnamed else bare)
    elif bare and not unnamed:
        notes.append(_unnamed_note(bare))
    decimal_comma = lines is not None and lines.separator != ","
    return Sheet(path, tuple(places), decimal_comma, tuple(notes), lines, places)


@contextmanager
def _as_csv(path: Path) -> Iterator[None]:
    """Say of what pandas cannot read that it is no CSV."""
    import pandas as pd

    try:
        yield
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not readable as CSV: {error}") from error


def _text(column: "pd.Series") -> "pd.Series":
    """Cells without spaces around them, and without the apostrophe that guards against formulas."""
    stripped = column.fillna("").str.strip()
    guarded = stripped.str.startswith("'")
    return stripped.mask(guarded, stripped.map(plain)) if guarded.any() else stripped


def _complain(path: Path, tell: Tell | None, fault: str, where: str) -> None:
    if tell is None:
        raise DataError(f"{path}: {fault}{where and ': ' + where}.")
    tell(fault, where)


def _names(header: Sequence[str], fold: Iterable[str]) -> list[str]:
    """Names without spaces and in composed letters; those to fold in their usual letter case."""
    names = [plain(same_name(name)) for name in header]
    folded = [name.casefold() for name in names]
    for name in fold:
        # Names that differ in letter case alone are not to be told apart: both stay as they are.
        if name not in names and folded.count(name.casefold()) == 1:
            names[folded.index(name.casefold())] = name
    return names


def _notes(lines: Lines, bare: Sequence[int]) -> Iterator[str]:
    if lines.encoding != "utf-8":
        yield f"{lines.path.name} is not UTF-8; it was read as Windows' Western letters."
    if lines.rows.short:
        yield f"{lines.rows.short} rows of {lines.path.name} end early; what they lack is missing."
    if bare:
        parts = _parse(lines, bare, {}, dict(zip(bare, bare, strict=True)), _LOOKED_AT_ROWS)
        with _as_csv(lines.path):
            first = next(parts)
        held = [place for place in bare if first[place].fillna("").str.strip().any()]
        if held:
            yield _unnamed_note(held)


def _unnamed_note(places: Sequence[int]) -> str:
    which = ", ".join(str(place + 1) for place in places)
    return f"Without a name, so left out: column {which} (an index of pandas?)."


def _parse(
    lines: Lines,
    wanted: Sequence[Any],
    numbers: Mapping[str, Any],
    places: Mapping[Any, int],
    rows: int | None,
) -> "Iterator[pd.DataFrame]":
    """Read columns by place; those of numbers as text where they hold other things as well."""
    import pandas as pd

    width = min(len(lines.header), lines.rows.widest)

    def parser(types: Mapping[int, Any]) -> "Iterator[pd.DataFrame]":
        # places beyond the longest row are not there for pandas
        present: Any = {place: kind for place, kind in types.items() if place < width}
        missing: Any = {place: _MISSING for place, kind in present.items() if kind is not str}
        missing = _MISSING if len(missing) == len(present) else missing  # which is much faster
        with lines.body() as file:
            settings: Any = {
                "sep": lines.separator,
                "decimal": lines.decimal,
                "encoding": lines.encoding,
                "header": None,
                "names": range(width),
                "usecols": sorted(present) or [0],
                "index_col": False,
                "dtype": present or {0: str},
                "keep_default_na": False,
                "na_values": missing,
                "skipinitialspace": True,
            }
            if rows is None:
                yield _widened(pd.read_csv(file, **settings), types)
                return
            # One whole row before the others: where all of the first part end early, pandas would
            # refuse columns that only later rows have.
            whole_row = (lines.separator * (width - 1) + "\n").encode()
            begun = preceded(whole_row, file)
            for number, part in enumerate(pd.read_csv(begun, chunksize=rows, **settings)):
                part.index -= 1
                yield _widened(part if number else part.iloc[1:], types)

    types = {places[name]: numbers.get(name, str) for name in wanted}
    # Parts are read as text, since pandas would choose a type for each by itself.
    if rows is not None or not numbers:
        yield from parser(dict.fromkeys(types, str))
        return
    words = {place: kind for place, kind in types.items() if kind is str}
    others = {place: kind for place, kind in types.items() if kind is not str}
    apart = [words, others] if words and len(others) > _MANY_COLUMNS else [types]
    try:
        yield pd.concat([next(iter(parser(each))) for each in apart], axis=1)
    except ValueError:  # a cell of the columns of numbers is none, or is written in other ways
        yield next(iter(parser(dict.fromkeys(types, str))))


def _widened(part: "pd.DataFrame", types: Mapping[int, Any]) -> "pd.DataFrame":
    """Add columns that no row reaches."""
    absent = {place: "" if kind is str else np.nan for place, kind in types.items()}
    lacking = [place for place in absent if place not in part]
    for place in lacking:
        part[place] = absent[place]
    return part


def _is_number(column: "pd.Series[Any]") -> bool:
    return bool(np.issubdtype(np.dtype(getattr(column.dtype, "type", object)), np.number))


def _numbers(
    written: Mapping[str, "pd.Series[str]"], types: Mapping[str, Any], sheet: Sheet
) -> dict[str, Any]:
    """Numbers of columns of text; what is none is an error that names all columns."""
    read, bad, example = {}, [], ""
    for name, cells in written.items():
        values, wrong = as_numbers(cells, decimal_comma=sheet.decimal_comma)
        read[name] = values.astype(types[name])
        if wrong.any():
            bad.append(name)
            example = example or str(cells[wrong].iloc[0])
    if bad:
        raise DataError(
            f"{sheet.path} has columns that are not numbers: {some(bad)} (such as {example!r}). "
            f"Mend them, or leave them out."
        )
    return read


def _as_text(value: Any) -> str:
    """A Parquet cell as a CSV cell: nothing for null and NaN, whole floats as integers."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    # Whole numbers with a gap among them are floats for pandas: an id 7 would become 7.0.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
