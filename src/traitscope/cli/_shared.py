"""What verbs share: messages on stderr, results on stdout, progress of long work."""

import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from traitscope.errors import ConfigError

if TYPE_CHECKING:  # types imports NumPy, which listing the verbs must not wait for
    from traitscope.types import Hook

# A log of a night has some thousand lines then, and a person at a pipe does not doubt that it
# works.
LINE_SECONDS = 10.0
"""Where progress is told in lines: from one to the next."""
_SHORT, _HEADER = 11, 8
"""Letters of a cell, and of a line of its header, that are kept together in a narrow terminal."""
PIPE_WIDTH = 1000
"""Columns where no terminal limits them: a row stays one line, for ``grep`` and other programs."""


def messages() -> Console:
    """The console for everything that is not the result."""
    return Console(stderr=True, soft_wrap=True, highlight=False)


def say(message: str) -> None:
    """Write one message for a person."""
    messages().print(message, markup=False)


def write_json(value: Any) -> None:
    """Write a result as JSON on stdout."""
    # NaN is refused: what is undefined is null with a reason, and JSON has no NaN.
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def refuse_missing(systems: Iterable[Path]) -> None:
    """Say that a run is not there before it is asked for an evaluation."""
    for path in systems:
        # Reading it would complain of a file inside, and the name was misspelt.
        if not path.exists():
            raise ConfigError(
                f"There is no {path}. Name a run that traitscope evaluate has scored, or a file of "
                f"its own."
            )


def warn_unfinished(run: Path) -> None:
    """Say that a network is the best of a training that was stopped."""
    if (run / "state.ckpt").is_file() and not (run / "metrics.json").is_file():
        say(
            f"warning: the training of {run} was stopped; this is its best epoch until then. Go "
            f"on with it: traitscope train ... --to {run} --resume"
        )


def log_to_stderr() -> None:
    """Show the library's log messages to the person at the terminal."""
    handler = _Saying()
    handler.addFilter(_once())
    # Once, however many verbs a program calls: each message would come twice.
    logger = logging.getLogger("traitscope")
    if not logger.handlers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


class _Saying(logging.Handler):
    """Say each log message on one line, however long: pipes and narrow terminals wrap it."""

    def emit(self, record: logging.LogRecord) -> None:
        say(self.format(record))


class _Rate(ProgressColumn):
    """Items per second."""

    def render(self, task: Task) -> Text:
        return Text(rate(task.speed) if task.speed else "")


def _once() -> Callable[[logging.LogRecord], bool]:
    """Let each message through once: a backend is named once, not for every feature."""
    seen: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        return message not in seen and not seen.add(message)  # type: ignore[func-returns-value]

    return is_new


@contextmanager
def progress(title: str) -> "Iterator[Hook]":
    """Show how far long work is, with the time left; yields ``hook(done, total, name)``.

    A terminal gets a bar, a pipe or a log file a line at once and now and then. Work that has
    nothing to do shows neither.
    """
    if not messages().is_terminal:
        yield told_in_lines(title)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[name]}", markup=False),
    )
    # It starts with the first item: work that has nothing to do, or fails at once, shows no bar.
    bar = Progress(*columns, console=messages())
    task = bar.add_task(title, total=None, name="")

    def hook(done: int, total: int, name: str) -> None:
        bar.start()
        bar.update(task, completed=done, total=total, name=name)

    try:
        yield hook
    # Also when it fails: the terminal would stay without its cursor.
    finally:
        if bar.live.is_started:
            bar.stop()


def told_in_lines(title: str, clock: Callable[[], float] = time.monotonic) -> "Hook":
    """A hook that says the first item, the last one, and where work is every ten seconds."""
    begun: tuple[float, int] | None = None
    said = 0.0

    def hook(done: int, total: int, name: str) -> None:
        nonlocal begun, said
        now = clock()
        start, before = begun = begun or (now, done)
        # The last line is always said: a log then tells how long it took, whatever came before.
        if done >= total:
            say(f"{title}: {done} of {total} in {duration(now - start)}")
        elif now == start or now - said >= LINE_SECONDS:
            said = now
            # What was there before the first call took no time, so it says nothing of the pace.
            pace = (now - start) / (done - before) if done > before else 0.0
            left = (
                f", {rate(1 / pace)}, about {duration(pace * (total - done))} left" if pace else ""
            )
            say(f"{title}: {done} of {total}{left}" + (f" ({name})" if name else ""))

    return hook


def rate(per_second: float) -> str:
    """Write a rate for people: of long recordings there is less than one in ten seconds."""
    return f"{per_second:.1f}/s" if per_second >= 0.1 else f"{60 * per_second:.1f}/min"


def duration(seconds: float) -> str:
    """Write a time for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    # Minutes up to an hour and a half: "1.2 h" is harder to plan with than "72 min".
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def write_table(header: list[str], rows: list[list[Any]], *, title: str | None = None) -> None:
    """Write a table as the result, on stdout; in a narrow terminal words are folded, never cut."""
    console = Console(
        file=sys.stdout, width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False
    )
    table = _table(header, rows)
    # Measured as if there were room: Rich would already have cut it to the terminal.
    wide = console.options.update(width=PIPE_WIDTH, max_width=PIPE_WIDTH)
    if console.measure(table, options=wide).maximum > console.width:
        table = _table(header, [[_in_two_lines(cell) for cell in row] for row in rows])
        table.padding = (0, 0, 0, 0)  # the box leaves one column between
        _keep_short_cells(table, header, rows)
    if title:
        console.print(title, markup=False, style="italic")
    console.print(table)


def _table(header: list[str], rows: list[list[Any]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in header:
        # Names come from files, and a bracket in one must not be taken for a style.
        table.add_column(escape(name), overflow="fold")
    for row in rows:
        table.add_row(*[escape(str(cell)) for cell in row])
    return table


def _keep_short_cells(table: Table, header: list[str], rows: list[list[Any]]) -> None:
    """Let numbers and words of a status stay whole; long names, and headers, give way to them."""
    for place, column in enumerate(table.columns):
        cells = [_in_two_lines(row[place]).split("\n") for row in rows]
        longest = max((len(line) for lines in cells for line in lines), default=0)
        if longest <= _SHORT:
            column.width = max(longest, min(len(header[place]), _HEADER))


def _in_two_lines(cell: Any) -> str:
    """A number above what stands in brackets behind it."""
    return re.sub(r" (?=[\[(])", "\n", str(cell), count=1)
