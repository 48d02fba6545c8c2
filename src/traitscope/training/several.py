"""Several trainings of one system, one after the other or side by side; finished ones stay.

In: what trains one, and the members of a run. Out: a folder for each. Side by side each has a
process with its share of the cores, which ends with this one, however this one ends.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

from traitscope.errors import ConfigError, TraitscopeError
from traitscope.features import pool
from traitscope.runs.members import Member
from traitscope.training.history import read_history
from traitscope.types import Hook

Fit = Callable[[Member, Hook | None], None]
_SECONDS = 2.0  # between two looks at what the processes have recorded


@dataclass(frozen=True)
class _Work:
    """Trains one member; sent to each process."""

    fit: Fit

    def __call__(self, member: Member) -> None:
        _end_with_parent()
        self.fit(member, None)


def train_members(
    todo: Sequence[Member], fit: Fit, folder: Path, *, parallel: int, hook: Hook | None
) -> None:
    """Train the members of a run that are not finished.

    Args:
        todo: these, in order.
        fit: trains one; must be picklable where ``parallel`` is above 1.
        folder: of the run.
        parallel: how many at the same time.
        hook: called as hook(done epochs, epochs, news), of one training or of all side by side.

    Raises:
        TraitscopeError: one of them cannot be trained, or its process was killed.
    """
    if parallel < 2 or len(todo) < 2:
        for member in todo:
            fit(member, hook)
        return
    with _looking(todo, folder, hook):
        for place, result in pool.run(_Work(fit), todo, workers=parallel, tries=1):
            if isinstance(result, pool.Crash):
                raise TraitscopeError(
                    f"The training of {folder / todo[place].name} was ended ({result.how}). With "
                    f"less --parallel there is more memory for each; the others are kept, and "
                    f"--resume goes on."
                )


def check_parallel(parallel: int, *, workers: int, devices: int, ray: str | None) -> None:
    """Refuse processes of trainings that may not start any, and a cluster with nothing to do."""
    if ray is not None and devices < 2:
        raise ConfigError(
            f"--ray {ray} is for several devices that share each batch. Say how many, such as "
            f"--devices 2; trainings side by side go with --parallel on one machine."
        )
    if parallel > 1 and (workers or devices > 1):
        raise ConfigError(
            f"--parallel {parallel} excludes --workers {workers} and --devices {devices}: "
            f"trainings side by side read for themselves, on one device each. Leave out one or the "
            f"other."
        )


@contextmanager
def _looking(todo: Sequence[Member], folder: Path, hook: Hook | None) -> Iterator[None]:
    """Tell how far all are, from what they record; their processes need no way to say it."""
    total = sum(stage.epochs for member in todo for stage in member.config.stages)
    over = threading.Event()

    def look() -> None:
        while hook and total and not over.wait(_SECONDS):
            logs = [folder / member.name / "history.csv" for member in todo]
            done = sum(len(read_history(log)) for log in logs if log.is_file())
            hook(done, total, f"{len(todo)} trainings")

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _end_with_parent() -> None:
    """End this process when the one that started it is gone: two would write into one folder."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)  # files appear whole, so that nothing is half written

    threading.Thread(target=watch, daemon=True).start()
