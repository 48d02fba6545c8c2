"""How often the clips of a split were scored with a run: ``scorings.csv`` in its folder.

A test that is looked at again and again, with changes in between, becomes selection data.
"""

import csv
import logging
from datetime import UTC, datetime
from pathlib import Path

SCORINGS = "scorings.csv"
_COLUMNS = ("time", "split", "corpus")
log = logging.getLogger(__name__)


def count_scoring(run: Path, split: str, corpus: str) -> int:
    """Note that a split is scored; returns how often it was, this time included."""
    path = run / SCORINGS
    row = (datetime.now(UTC).isoformat(timespec="seconds"), split, corpus)
    try:
        new = not path.is_file()
        # One short line at the end: evaluations that run at the same time do not meet.
        with path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([_COLUMNS, row] if new else [row])
        with path.open(newline="", encoding="utf-8") as file:
            return sum(row[1:3] == [split, corpus] for row in csv.reader(file))
    except (OSError, ValueError, csv.Error) as error:
        # A run that others share may not be written to; a damaged count is no reason not to score.
        why = getattr(error, "strerror", None) or str(error)
        log.warning("cannot note in %s that %s was scored: %s", path, split, why)
        return 1
