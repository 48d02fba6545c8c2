"""Programs under test that are sent Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

INTERRUPTED = 130
COMMAND = "import sys; from traitscope.cli import main; main(sys.argv[1:])"


def hear_interrupts() -> None:
    """As ``preexec_fn``: hear Ctrl-C, though a shell may have started the suite deaf to it.

    Jobs that a script sends to the background ignore the interrupt, and so do their children.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupt(words: Sequence[object], *, when: Callable[[], bool], cwd: Path) -> str:
    """Type a command line, and Ctrl-C when its time has come; gives what it said on stderr.

    As a terminal does, all processes of the group hear it. None may be left then, and the exit
    code is that of a program that was interrupted, without a traceback.

    Args:
        words: after ``traitscope``.
        when: true from some moment on at which the command still has to be at work.
        cwd: the folder it begins in.
    """
    path = cwd / "said.txt"
    with path.open("w") as file:  # no pipe: who is left over would hold it open
        command = [sys.executable, "-c", COMMAND, *map(str, words)]
        process = subprocess.Popen(
            command,
            cwd=cwd,
            stdout=file,
            stderr=file,
            start_new_session=True,
            preexec_fn=hear_interrupts,
        )
    family = [psutil.Process(process.pid)]
    try:
        while not when() and process.poll() is None:
            time.sleep(0.05)
        assert process.poll() is None, path.read_text()
        family += family[0].children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        code = process.wait()
        _, alive = psutil.wait_procs(family[1:])
    finally:
        for one in family:  # whatever the outcome, nothing of ours stays
            if one.is_running() and one.pid != os.getpid():
                one.kill()
        process.wait()
    said = path.read_text()
    assert code == INTERRUPTED, said
    assert "Traceback" not in said, said
    assert not alive, [(one, said) for one in alive]
    return said
