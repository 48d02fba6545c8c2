"""Size and time of a large report: 2000 clips x 5 targets x 6 runs, against the limits.

Run with ``python -m benchmarks.report`` from the repository.
"""

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import figure
from tests.report.sample import make_audits, make_history, make_report, read
from traitscope.audit.findings import from_json

LIMIT_MB = 8.0
LIMIT_SECONDS = 20.0


def main() -> int:
    """Print one line per output; 1 if the page is over a limit."""
    reports = [
        read(make_report(f"runs/{name}", clips=2000, seed=i)) for i, name in enumerate("abcdef")
    ]
    histories = {report.name: make_history(100) for report in reports}
    audits = {
        report.name: [
            from_json(tree, where="the sample") for tree in make_audits(report.name, clips=2000)
        ]
        for report in reports
    }
    beside = {"histories": histories, "audits": audits}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        from traitscope.report import (
            export,  # its imports count
            write_report,  # its imports count
        )

        page = write_report(reports, Path(folder) / "page.html", **beside)
        page_seconds = time.perf_counter() - start
        page_mb = page.stat().st_size / 1e6
        start = time.perf_counter()
        files = export(reports, Path(folder) / "files", **beside)
        files_seconds = time.perf_counter() - start
        files_mb = sum(path.stat().st_size for path in files) / 1e6
    figure("page of 2000 clips x 5 targets x 6 runs", page_mb, most=LIMIT_MB, unit="MB")
    figure("writing it", page_seconds, most=LIMIT_SECONDS, unit="s")
    print(f"{'2000 clips x 5 targets x 6 runs':34}{'MB':>8}{'limit':>8}{'s':>8}{'limit':>8}")
    print(f"{'page':34}{page_mb:8.2f}{LIMIT_MB:8.1f}{page_seconds:8.2f}{LIMIT_SECONDS:8.1f}")
    print(f"{f'export, {len(files)} files':34}{files_mb:8.2f}{'-':>8}{files_seconds:8.2f}{'-':>8}")
    return int(page_mb > LIMIT_MB or page_seconds > LIMIT_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
