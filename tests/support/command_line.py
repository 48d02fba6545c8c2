"""Command lines typed in this process: a Python of their own costs seconds and shows no more."""

import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from traitscope.cli import main

Done = subprocess.CompletedProcess[str]


def type_in(*words: object, cwd: Path | None = None) -> Done:
    """Run a command line; its exit code and what it wrote, as a process would give them."""
    typed, before = [str(word) for word in words], sys.argv
    out, err = StringIO(), StringIO()
    code = 0
    sys.argv = ["traitscope", *typed]
    try:
        with redirect_stdout(out), redirect_stderr(err), chdir(cwd or Path.cwd()):
            main(typed)
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        sys.argv = before
    return subprocess.CompletedProcess(typed, code, out.getvalue(), err.getvalue())


def in_a_process(*words: object, cwd: Path | None = None) -> Done:
    """The same in a fresh process, for what only that shows: nothing is kept from before."""
    code = "from traitscope.cli import main; main()"
    paths = [str(cwd or ""), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
    )
