"""What lies in the folders of runs beside their reports: training logs and audits."""

from collections.abc import Sequence
from pathlib import Path

from traitscope.audit.findings import Audit, read_audits
from traitscope.evaluation.report import Report
from traitscope.training.history import read_history


def histories_of(
    runs: Sequence[Path], reports: Sequence[Report]
) -> dict[str, list[dict[str, str]]]:
    """Read ``history.csv`` of each run folder that has one.

    Args:
        runs: run folders, or files that no training belongs to.
        reports: the reports of these runs, in the same order.

    Returns:
        Report name -> one dict per epoch, as ``write_report`` and ``export`` take them.

    Raises:
        DataError: a log is damaged.
    """
    histories = {}
    for run, report in zip(runs, reports, strict=True):
        path = Path(run) / "history.csv"
        # A report.json given by itself has no training beside it, which is no fault.
        if path.is_file():
            histories[report.name] = read_history(path)
    return histories


def audits_of(
    runs: Sequence[Path], reports: Sequence[Report], *, split: str = "test"
) -> dict[str, list[Audit]]:
    """Read the audits beside each report.

    Args:
        runs: run folders, or files of reports.
        reports: the reports of these, in the same order.
        split: which evaluation of the runs.

    Returns:
        Report name -> its audits, as ``write_report`` and ``export`` take them.

    Raises:
        DataError: an audit is damaged or of another version.
    """
    audits = {}
    for run, report in zip(map(Path, runs), reports, strict=True):
        # A run keeps audits by split; anyone else's lie beside the report.
        folder = run / "evaluation" / split if run.is_dir() else run.parent
        # A folder with a report alone has no evaluation of its own.
        folder = folder if folder.is_dir() else run
        mine = read_audits(folder)
        if mine:
            audits[report.name] = mine
    return audits
