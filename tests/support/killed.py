"""Trainings that die by ``kill -9``: a process of their own that gets it at a chosen moment."""

import signal
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, signal, sys
from traitscope.training import loop, stages
from traitscope.training.fitting import train

moment, stage, epoch, workers, folder, name, *settings = sys.argv[1:]
at = int(stage), int(epoch)

def dying(kind, method, *, after):
    inner = getattr(kind, method)
    def outer(self, *given):
        module = self if isinstance(self, loop.Loop) else given[1]
        here = (module.index, module.current_epoch) == at
        if moment == "batch" and here and given[1] != 1:
            here = False
        if here and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = inner(self, *given)
        if here:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(kind, method, outer)

if __name__ == "__main__":
    if moment == "batch":  # in the middle of an epoch
        dying(loop.Loop, "training_step", after=True)
    elif moment == "recorded":  # the epoch is in history.csv and not yet in the state
        dying(stages._Saving, "on_train_epoch_end", after=False)
    else:  # the state is written, and the kept weights are not
        dying(loop.Loop, "keep", after=False)
    train(name, settings, to=folder, accelerator="cpu", workers=int(workers))
"""
"""Nothing of it is mended on the way out: no handler, no ``finally``."""


def train_and_die(
    name: str,
    settings: list[str],
    *,
    to: Path,
    moment: str,
    stage: int = 0,
    epoch: int = 0,
    workers: int = 0,
) -> None:
    """Train until a moment: ``batch``, ``recorded`` or ``saved``, of an epoch of a stage."""
    program = to.parent / "dying.py"
    program.write_text(PROGRAM)
    words = [moment, stage, epoch, workers, to, name, *settings]
    told = to.parent / "dying.txt"
    with told.open("w") as file:  # no pipe: orphaned readers would hold it open
        done = subprocess.run(
            [sys.executable, program, *map(str, words)], stdout=file, stderr=file, check=False
        )
    assert done.returncode == -signal.SIGKILL, told.read_text()
