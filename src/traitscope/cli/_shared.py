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
_WHOLE = 18
"""Letters of a word that are kept together in a narrow terminal: "conscientiousness" has 17."""
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


def write_table(
    header: list[str], rows: list[list[Any]], *, title: str | None = None, keys: int = 1
) -> None:
    """Write a table as the result, on stdout; in a narrow terminal words are folded, never cut.

    What does not fit even so goes on in another table below, which begins with the same columns.

    Args:
        header: names of the columns.
        rows: their cells.
        title: a line above it.
        keys: so many columns say which row it is.
    """
    console = Console(
        file=sys.stdout, width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False
    )
    if title:
        console.print(title, markup=False, style="italic")
    table = _table(header, rows)
    # Measured as if there were room: Rich would already have cut it to the terminal.
    wide = console.options.update(width=PIPE_WIDTH, max_width=PIPE_WIDTH)
    if console.measure(table, options=wide).maximum <= console.width:
        console.print(table)
        return
    rows = [[_in_two_lines(cell) for cell in row] for row in rows]
    for places in _columns_that_fit(header, rows, keys, console.width):
        part = _table(
            [header[place] for place in places], [[row[place] for place in places] for row in rows]
        )
        part.padding = (0, 0, 0, 0)  # the box leaves one column between
        for column, width in zip(
            part.columns, _widths(header, rows, places, console.width), strict=True
        ):
            column.width = width
        console.print(part)


def _columns_that_fit(
    header: list[str], rows: list[list[str]], keys: int, width: int
) -> Iterator[list[int]]:
    """Deal the columns out to tables that are not wider than so many letters."""
    # A column between each two, and one at either end.
    least = [_least_width(header, rows, place) + 1 for place in range(len(header))]
    first = list(range(min(keys, len(header))))
    places = list(first)
    for place in range(len(first), len(header)):
        # One that is alone beside the keys folds: a table of keys alone tells nothing.
        if sum(least[each] for each in [*places, place]) >= width and places != first:
            yield places
            places = list(first)
        places.append(place)
    yield places


def _widths(header: list[str], rows: list[list[str]], places: list[int], width: int) -> list[int]:
    """What each column gets: its least, and room that is left to who has to fold most."""
    # Not left to Rich, which takes letters from words so that others need no second line.
    widths = [_least_width(header, rows, place) for place in places]
    cells = [[header[place], *(row[place] for row in rows)] for place in places]
    words = [
        max((len(word) for cell in column for word in cell.split()), default=0) for column in cells
    ]
    lines = [max(len(line) for cell in column for line in cell.split("\n")) for column in cells]
    spare = width - sum(widths) - len(widths) - 1
    # Long words first, from the left: a name that is to be typed stands in the first column.
    for place, longest in enumerate(words):
        more = min(max(spare, 0), longest - widths[place])
        widths[place] += more
        spare -= more
    for _ in range(spare):
        lacking = [want - have for want, have in zip(lines, widths, strict=True)]
        if max(lacking) > 0:
            widths[lacking.index(max(lacking))] += 1
    return widths


def _least_width(header: list[str], rows: list[list[str]], place: int) -> int:
    """The letters that stay together in a column: numbers and words do, names of files do not."""
    cells = [header[place], *(row[place] for row in rows)]
    return max(min(len(word), _WHOLE) for cell in cells for word in (cell.split() or [""]))


def _table(header: list[str], rows: list[list[Any]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in header:
        # Names come from files, and a bracket in one must not be taken for a style.
        table.add_column(escape(name), overflow="fold")
    for row in rows:
        table.add_row(*[escape(str(cell)) for cell in row])
    return table


def _in_two_lines(cell: Any) -> str:
    """A number above what stands in brackets behind it."""
    return re.sub(r" (?=[\[(])", "\n", str(cell), count=1)
