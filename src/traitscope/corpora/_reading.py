"""A CSV or Parquet file -> a table of text, as spreadsheets write them."""

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitscope.corpora._faults import Faults
from traitscope.errors import DataError


@dataclass(frozen=True)
class Table:
    """A table as text: rows of column -> cell.

    Attributes:
        path: the file.
        columns: their names, in order.
        rows: cells without spaces around them; cells that a short row lacks are absent.
        decimal_comma: numbers may be written 0,5.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    decimal_comma: bool = False


def read_table(path: Path, faults: Faults) -> Table:
    """Read a table; the separator (``,`` ``;`` or tab) is the one its first line uses most.

    Args:
        path: a CSV or Parquet file.
        faults: told of columns and rows that cannot be right.

    Raises:
        DataError: it is no table, or has no rows.
    """
    if path.suffix.lower() == ".parquet":
        return _read_parquet(path, faults)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}). In Excel, save it "
            f"as 'CSV UTF-8'."
        ) from error
    lines = text.splitlines()
    header = lines[0] if lines else ""
    separator = max(",;\t", key=header.count)
    try:
        reader = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise DataError(f"{path} is not readable as CSV: {error}.") from error
    return _as_table(path, reader, faults, decimal_comma=separator != ",")


def _as_table(path: Path, lines: list[list[str]], faults: Faults, *, decimal_comma: bool) -> Table:
    filled = [(n, line) for n, line in enumerate(lines, 1) if any(cell.strip() for cell in line)]
    if len(filled) < 2:
        raise DataError(f"{path} has no rows. It needs a line of column names, then the clips.")
    columns = tuple(cell.strip() for cell in filled[0][1])
    for name in sorted({name for name in columns if columns.count(name) > 1 and name}):
        faults.add(f"the column {name!r} is there twice: rename or remove one")
    rows = []
    for number, line in filled[1:]:
        if any(cell.strip() for cell in line[len(columns) :]):
            faults.add(
                "more cells than columns (put cells that hold the separator in double quotes)",
                f"row {number}",
            )
            continue
        rows.append({name: cell.strip() for name, cell in zip(columns, line, strict=False)})
    return Table(path, columns, tuple(rows), decimal_comma)


def _read_parquet(path: Path, faults: Faults) -> Table:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(path).read()
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} is not readable as Parquet: {error}") from error
    names = table.column_names
    lines = [[_as_text(row[name]) for name in names] for row in table.to_pylist()]
    return _as_table(path, [names, *lines], faults, decimal_comma=False)


def _as_text(value: Any) -> str:
    """A Parquet cell as a CSV cell: nothing for null and NaN, whole floats as integers."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
