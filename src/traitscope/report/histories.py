"""What training logged: run folders in, rows per epoch by report name out."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def histories_of(
    runs: Sequence[Path], reports: Sequence[Mapping[str, Any]]
) -> dict[str, list[dict[str, str]]]:
    """Read ``history.csv`` of each run folder that has one.

    Args:
        runs: run folders, or files that no training belongs to.
        reports: the reports of these runs, in the same order.

    Returns:
        Report name -> one dict per epoch, as ``write_report`` and ``export`` take them.
    """
    found = {}
    for run, report in zip(runs, reports, strict=True):
        path = Path(run) / "history.csv"
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                found[str(report.get("name") or "report")] = list(csv.DictReader(file))
    return found
