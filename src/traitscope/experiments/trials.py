"""The trials of a search, each an ordinary run folder, and what is known of them.

In: what all trials share, and the settings of one. Out: its run, and its curve of scores. All that
a search knows stands in the folders of its trials, so that whoever reads them can go on::

    search/
      search.yaml        what is searched, how often, by which score
      trials/
        000.json         settings of the first trial, and how it ended
        000/             its run: history.csv, state.ckpt, model.safetensors ...
      best.yaml          the recipe of the best, when the search is over
"""

import math
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from traitscope.errors import DataError, TraitscopeError
from traitscope.experiments.spaces import overrides
from traitscope.files import read_json, write_json
from traitscope.training.fitting import train
from traitscope.training.history import epochs as read_epochs

Metric = Literal["ccc", "mae", "mse", "r2"]
LOWER_IS_BETTER = frozenset({"mae", "mse"})
Status = Literal["running", "finished", "stopped", "failed"]
WORST = -1e9
"""Standing of a trial without a score: below all others, and a number, which Ray wants."""
ENDED = "its process ended"
"""Reason of a trial that was killed from outside: unlike one that failed, it may be tried again."""
_NAME = "{:03d}"


@dataclass(frozen=True)
class Job:
    """What all trials of a search share; sent to each process that trains one.

    Attributes:
        name: recipe, model, YAML file or dotted path.
        settings: ``key=value`` of every trial.
        folder: of the search.
        metric: macro score on validation that trials are compared by.
        accelerator: where.
        streams: dotted paths of extractors from outside.
    """

    name: str
    settings: tuple[str, ...]
    folder: Path
    metric: Metric = "ccc"
    accelerator: str = "auto"
    streams: tuple[str, ...] = ()

    def run(self, number: int) -> Path:
        """The run folder of a trial."""
        return self.folder / "trials" / _NAME.format(number)

    def note(self, number: int) -> Path:
        """Where the settings of a trial stand, and how it ended."""
        return self.run(number).with_suffix(".json")

    def standing(self, score: float | None) -> float:
        """A score as a number of which more is better."""
        if score is None or not math.isfinite(score):
            return WORST
        return -score if self.metric in LOWER_IS_BETTER else score


@dataclass(frozen=True)
class Trial:
    """What is known of one trial.

    Attributes:
        number: from 0, in the order of their beginning.
        settings: what was drawn for it.
        status: ``stopped`` for one that others had left behind.
        curve: score on validation after each epoch; None where it is undefined.
        score: of the weights that were kept, or the best so far.
        reason: of a failure.
    """

    number: int
    settings: dict[str, Any]
    status: Status
    curve: tuple[float | None, ...] = ()
    score: float | None = None
    reason: str = ""
    standings: tuple[float, ...] = field(default=(), repr=False)

    @property
    def epochs(self) -> int:
        """How many epochs it was trained."""
        return len(self.curve)


def begin_trial(job: Job, number: int, settings: dict[str, Any]) -> None:
    """Note what a trial is before it begins."""
    write_json(job.note(number), {"settings": settings, "status": "running", "reason": ""})


def end_trial(job: Job, number: int, status: Status, reason: str = "") -> None:
    """Note how a trial ended."""
    tree = _note(job, number)
    write_json(job.note(number), {**tree, "status": status, "reason": reason})


def read_trial(job: Job, number: int) -> Trial:
    """Read what the folder of a trial tells; it may be at work.

    Raises:
        DataError: a file is damaged.
    """
    tree, run = _note(job, number), job.run(number)
    status: Status = tree["status"]
    if _is_finished(run) and status == "running":  # killed before that was noted
        status = "finished"
    values = curve(run, job.metric)
    standings = tuple(max(map(job.standing, values[: n + 1])) for n in range(len(values)))
    best = max(values, key=job.standing, default=None)
    score = (
        read_json(run / "metrics.json")["validation"].get(job.metric)
        if status == "finished"
        else best
    )
    return Trial(number, tree["settings"], status, values, score, tree["reason"], standings)


def read_trials(job: Job) -> list[Trial]:
    """All trials that have begun, in order."""
    notes = sorted((job.folder / "trials").glob("*.json"))
    return [read_trial(job, int(note.stem)) for note in notes if note.stem.isdecimal()]


def best_trial(job: Job, trials: Iterable[Trial]) -> Trial | None:
    """The finished trial with the best score: one that was stopped is no result."""
    done = [each for each in trials if each.status == "finished" and each.score is not None]
    return max(done, key=lambda each: (job.standing(each.score), -each.number), default=None)


def curve(run: Path, metric: str) -> tuple[float | None, ...]:
    """The score on validation after each epoch that a run has recorded."""
    path = run / "history.csv"
    if not path.is_file():
        return ()
    values = [row.get(f"validation_{metric}") for row in read_epochs(path)]
    return tuple(None if v is None or not math.isfinite(v) else float(v) for v in values)


def train_trial(job: Job, number: int, report: Callable[[int, float], None]) -> None:
    """Train a trial, or what is left of it, and report each epoch as it is saved.

    Args:
        job: the search.
        number: which trial; its settings stand beside its folder.
        report: called with the number of epochs and the standing so far; it may not return.

    Raises:
        Exception: the trial cannot be trained with its settings; that is noted, too.
    """
    run, settings = job.run(number), _note(job, number)["settings"]
    reported = 0

    def tell(*_: object) -> None:
        nonlocal reported
        standings = read_trial(job, number).standings
        for place in range(reported, len(standings)):
            reported = place + 1
            report(reported, standings[place])

    # Epochs of before are told again: whoever compares trials may have been killed, too.
    tell()
    if not _is_finished(run):
        begun = (run / "run.yaml").is_file()
        if not begun:  # killed before there was anything to go on with
            shutil.rmtree(run, ignore_errors=True)
        try:
            train(
                job.name,
                [*job.settings, *overrides(settings)],
                to=run,
                resume=begun,
                accelerator=job.accelerator,
                streams=job.streams,
                hook=tell,
            )
        # The border of a trial, as that of a clip is one: what it raises is its own failure.
        except Exception as error:
            kind = "" if isinstance(error, TraitscopeError) else f"{type(error).__name__}: "
            end_trial(job, number, "failed", f"{kind}{error}")
            raise
    # A model that is fitted in one step has no epochs.
    report(reported + 1, job.standing(read_trial(job, number).score))


def _is_finished(run: Path) -> bool:
    return (run / "metrics.json").is_file()  # written last


def _note(job: Job, number: int) -> dict[str, Any]:
    path = job.note(number)
    cure = f"Delete it and {job.run(number)}: with --resume that trial is made again."
    tree: dict[str, Any] = read_json(path, root=dict, damaged=cure)
    known = isinstance(tree.get("settings"), dict) and tree.get("status") in get_args(Status)
    if not known or not isinstance(tree.get("reason"), str):
        raise DataError(f"{path} is damaged (settings, status or reason are missing). {cure}")
    return tree
