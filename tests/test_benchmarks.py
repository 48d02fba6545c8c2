"""Every benchmark can be started: a table that nobody can make again shows nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_every_part_of_every_benchmark_can_be_imported() -> None:
    files = sorted((ROOT / "benchmarks").glob("**/*.py"))
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    assert len(names) > 40
    imports = "\n".join(f"import {name}" for name in names)
    done = subprocess.run([sys.executable, "-c", imports], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
