"""A table and more columns -> the same table with them, every cell as it was."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from traitscope.files import replacing
from traitscope.sheets.reading import Sheet


def append_columns(
    sheet: Sheet, to: Path, names: Sequence[str], cells: Sequence[Sequence[str]]
) -> None:
    """Write a table again with further columns; the new file appears whole or not at all.

    Args:
        sheet: a table of text; rows that hold nothing are left out, other cells stay to the letter.
        to: the new file, in UTF-8.
        names: of the new columns.
        cells: one row of cells per row that ``Sheet.read`` gives.
    """
    lines = sheet.lines
    assert lines is not None, "only text can be written again as it was"
    mark, comma = lines.separator, lines.decimal == ","
    with (
        replacing(to) as draft,
        draft.open("w", newline="", encoding="utf-8") as file,
        io.TextIOWrapper(lines.body(), lines.encoding, newline="") as body,
    ):
        writer = csv.writer(file, delimiter=mark, lineterminator="\n")
        # csv has one rule of spaces for all rows, and without it a quote after spaces is a letter.
        spaced = any(re.search(rf'{mark} +"', line) for line in body)
        body.seek(lines.start)
        above = lines.before().decode(lines.encoding).removeprefix("\ufeff")
        # The last one, because a line that tells the separator may stand above the names.
        head = list(_rows(io.StringIO(above, newline=""), mark, spaced))[-1]
        writer.writerow([*head, *names])
        for row, more in zip(_rows(body, mark, spaced), cells, strict=True):
            # A row that ends early is filled up, or the new cells would stand under other names.
            rest = [""] * (len(lines.header) - len(row))
            # As the table writes its own numbers.
            written = [cell.replace(".", ",") for cell in more] if comma else more
            writer.writerow([*row, *rest, *written])


def _rows(text: Iterable[str], separator: str, spaced: bool) -> Iterator[list[str]]:
    """Rows that hold something; spaces before cells are kept where no quote comes after them."""
    rows = csv.reader(text, delimiter=separator, skipinitialspace=spaced)
    return (row for row in rows if any(cell.strip() for cell in row))
