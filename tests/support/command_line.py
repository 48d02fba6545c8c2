"""Command lines typed in this process: a Python of their own costs seconds and shows no more."""

import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

from traitscope.cli import main


def type_in(*words: object) -> subprocess.CompletedProcess[str]:
    """Run a command line; its exit code and what it wrote, as a process would give them."""
    typed, before = [str(word) for word in words], sys.argv
    out, err = StringIO(), StringIO()
    code = 0
    sys.argv = ["traitscope", *typed]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main(typed)
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        sys.argv = before
    return subprocess.CompletedProcess(typed, code, out.getvalue(), err.getvalue())
