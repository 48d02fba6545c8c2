"""Text that others wrote, on its way into CSV, Markdown and LaTeX: it stays text there.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula, and runs it.
Clip ids and reasons come from file names, so they may begin so: such a cell gets an apostrophe in
front, which spreadsheets read as "this is text". `plain` takes it away again.
"""

import math
import re
from typing import Any

# At least one letter more: a sign that stands alone is text for spreadsheets, too.
_FORMULA = re.compile(r"'*[=+\-@\t\r].", re.DOTALL)
_GUARDED = re.compile(r"''*[=+\-@\t\r].", re.DOTALL)
_MARKDOWN = re.compile(r"([\\`*_|<>\[\]~#])")
# A line that begins so would become an item of a list.
_LIST = re.compile(r"^(\d*)([-+.)])(?= )")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "²": "$^2$",
    "ρ": r"$\rho$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "–": "--",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}


def cell(value: Any) -> Any:
    """A value as a cell of CSV: text that would be a formula gets an apostrophe in front.

    Numbers stay numbers, also those that are written out already.
    """
    if not isinstance(value, str) or not _FORMULA.match(value) or _is_number(value):
        return value
    return f"'{value}"


def plain(text: str) -> str:
    """What `cell` was given, for the text of a cell that it made."""
    return text[1:] if _GUARDED.match(text) else text


def markdown(text: str) -> str:
    """Text for a line, a list or a table of Markdown, without markup."""
    return _LIST.sub(r"\1\\\2", _MARKDOWN.sub(r"\\\1", " ".join(text.split())))


def latex(text: str) -> str:
    """Text for a line or a table of LaTeX, without commands."""
    return "".join(_LATEX.get(mark, mark) for mark in " ".join(text.split()))


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) or text.strip("+-").isalpha()  # -inf, -nan
    except ValueError:
        return False
