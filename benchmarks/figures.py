"""The figures of a benchmark that go into the one table of ``make bench``.

A benchmark prints its own tables for whoever runs it alone. What is worth comparing between
machines (a ratio of two things measured in the same run, a count of faults) it also tells here,
and ``python -m benchmarks`` collects it.
"""

import json
import os
from pathlib import Path

FILE = "TRAITSCOPE_BENCHMARK_FIGURES"
"""Environment variable with the file that collects; without it nothing is kept."""


def figure(
    what: str,
    value: float,
    *,
    least: float | None = None,
    most: float | None = None,
    unit: str = "x",
) -> None:
    """Keep one figure.

    Args:
        what: in words, with what it is compared.
        value: as measured.
        least: a limit from below, if there is one.
        most: a limit from above.
        unit: ``x`` for a ratio, ``%`` for a share between 0 and 1, else a word.
    """
    path = os.environ.get(FILE)
    if path is None:
        return
    line = {"what": what, "value": float(value), "least": least, "most": most, "unit": unit}
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
