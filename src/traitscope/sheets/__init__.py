"""Tables of other people's -> columns as text or numbers: the one reader of CSV, TSV and Parquet.

``open_sheet`` looks at every row once: what the bytes are, which separator, encoding and decimal
mark, whether rows fit their header. ``Sheet.read`` then gives columns; ``read_table`` all of a
small table. ``append_columns`` writes a
table again with more columns, ``same_name`` tells names that only look different.
"""

from traitscope.sheets.cells import NO_NUMBER, NOTHING, as_numbers, same_name
from traitscope.sheets.copying import append_columns
from traitscope.sheets.reading import SUFFIXES, Sheet, Table, open_sheet, read_table

__all__ = [
    "NOTHING",
    "NO_NUMBER",
    "SUFFIXES",
    "Sheet",
    "Table",
    "append_columns",
    "as_numbers",
    "open_sheet",
    "read_table",
    "same_name",
]
