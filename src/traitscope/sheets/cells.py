"""What stands in a cell or a header -> numbers, names; what means nothing."""

import re
import unicodedata
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

NOTHING = frozenset({"", "nan", "na", "n/a", "null", "#n/a", "<na>"})
"""Ways to write that there is nothing, in small letters."""

NO_NUMBER = NOTHING | {
    *("-nan", "+nan", "nan(ind)", "-nan(ind)", "nan(snan)", "-nan(snan)", "#nv"),
    *("1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan", "1.#snan", "-1.#snan", "#num!", "#div/0!"),
}
"""Ways to write that there is no number: those of Windows' C library and of spreadsheets too."""

_DECIMAL_COMMA = r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?"
_INFINITE = re.compile(r"([+-]?)1\.#INF\d*", re.IGNORECASE)
_UNNAMED = re.compile(r"|Unnamed: \d+(_level_\d+)?|__index_level_\d+__")


def as_numbers(
    cells: "pd.Series[str]", *, decimal_comma: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Read a column of text as numbers.

    Args:
        cells: (rows,) text.
        decimal_comma: numbers may be written 0,5.

    Returns:
        (rows,) numbers, NaN where there is none; and (rows,) True where the text is none.
    """
    import pandas as pd

    text = cells.astype(str).str.strip()
    nothing = text.str.lower().isin(NO_NUMBER)
    if decimal_comma:
        written = text.str.fullmatch(_DECIMAL_COMMA)
        text = text.where(~written, text.str.replace(",", ".", regex=False))
    # Python's parser of numbers takes 1_0 for 10, as in code; in a table it is an id or a slip.
    text = text.where(~text.str.contains("_", regex=False), "no number")
    text = text.str.replace(_INFINITE.pattern, r"\1inf", regex=True, case=False)
    numbers = pd.to_numeric(text.mask(nothing), errors="coerce")
    values = np.asarray(numbers.to_numpy(dtype=np.float64, na_value=np.nan))
    return values, np.asarray(np.isnan(values) & ~nothing.to_numpy(dtype=bool))


def same_name(text: str) -> str:
    """A name in the form in which equal ones are equal: composed letters, no spaces around it.

    macOS writes the names of files decomposed ("u" and two dots), spreadsheets composed ("ü").
    """
    return unicodedata.normalize("NFC", text).strip()


def is_unnamed(name: str) -> bool:
    """Tell a header that names nothing, such as that of an index of pandas."""
    return bool(_UNNAMED.fullmatch(name))


def is_decimal_comma(cell: str) -> bool:
    """Tell a number with a decimal comma."""
    return bool(re.fullmatch(_DECIMAL_COMMA, cell.strip()))
