"""Progress in a notebook: a hook that draws a bar below the cell, and none anywhere else."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from traitscope.types import Hook

_SECONDS = 0.2  # between two pictures of the bar: a notebook sends each over a network


@contextmanager
def progress(what: str) -> "Iterator[Hook | None]":
    """Give a hook that shows ``what`` is done in a notebook; None where nobody looks.

    A script that wants progress gives its own hook: a library does not print.
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None or not hasattr(shell, "kernel"):  # a terminal, or no IPython at all
        yield None
        return
    from IPython.display import HTML, display

    handle: Any = display(HTML(""), display_id=True)
    last = 0.0

    def hook(done: int, total: int, name: str) -> None:
        nonlocal last
        if done < total and time.monotonic() - last < _SECONDS:
            return
        last = time.monotonic()
        handle.update(HTML(bar(done, total, what, name)))

    yield hook


def bar(done: int, total: int, what: str, name: str) -> str:
    """A bar as HTML."""
    news = f" &middot; {escape(name)}" if name else ""
    return f'<progress value="{done}" max="{max(1, total)}"></progress> {done}/{total} {what}{news}'
