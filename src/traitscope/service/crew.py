"""Threads that take jobs from the line and have lanes score them."""

import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from traitscope.service.bench import Order, Task
from traitscope.service.jobs import Job, Jobs, discard
from traitscope.service.lanes import FAILURES, Failure, Lane

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.5
"""Between two looks whether to end."""
_STAGES: dict[Task, dict[str, tuple[float, float]]] = {
    "scores": {
        "decoding": (0.0, 0.8),
        "sound": (0.8, 0.1),
        "scoring": (0.9, 0.05),
        "pictures": (0.95, 0.05),
    },
    "explanation": {
        "decoding": (0.0, 0.5),
        "sound": (0.5, 0.05),
        "scoring": (0.55, 0.05),
        "explaining": (0.6, 0.4),
    },
}
"""Stage of an order -> where in the whole it begins, and how much of it it is."""

Outcome = Callable[[Job], None]
"""Called with each job that has ended, for the metrics."""


class Crew:
    """Lanes at work.

    Attributes:
        cards: what the runs are, once it has started.
    """

    def __init__(self, jobs: Jobs, lanes: Sequence[Lane], *, ended: Outcome) -> None:
        self._jobs, self._lanes, self._ended = jobs, lanes, ended
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sweeper: threading.Thread | None = None
        self.cards: list[dict[str, Any]] = []

    def start(self) -> None:
        """Start all lanes, then the threads.

        Raises:
            TraitscopeError: a run, a package or a file is not as it should be.
        """
        try:
            # One after the other: the second finds in memory what the first had to read.
            for lane in self._lanes:
                self.cards = lane.start()
        except BaseException:
            self.close()
            raise
        for lane in self._lanes:
            thread = threading.Thread(target=self._work, args=(lane,), daemon=True)
            thread.start()
            self._threads.append(thread)
        self._sweeper = threading.Thread(target=self._sweep, daemon=True)
        self._sweeper.start()

    def close(self) -> None:
        """End the threads after the jobs that they are at, and the lanes."""
        self._closing.set()
        self._jobs.wake()
        for thread in (*self._threads, *filter(None, [self._sweeper])):
            thread.join()
        for lane in self._lanes:
            lane.close()

    @property
    def is_alive(self) -> bool:
        """Whether somebody takes jobs."""
        return any(thread.is_alive() for thread in self._threads)

    def _work(self, lane: Lane) -> None:
        while not self._closing.is_set():
            job = self._jobs.take(_LOOK_SECONDS)
            if job is None:
                continue
            try:
                self._do(lane, job)
            # A fault here would leave the job running for ever, and the line without a thread.
            except Exception:
                _log.exception("A job failed.")
                self._jobs.finish(job, failure=_internal(job))
            self._ended(job)
            if job.stopped:
                discard(job)

    def _sweep(self) -> None:
        # By nobody who scores: the busier they are, the more there is to be swept.
        while not self._closing.wait(_LOOK_SECONDS):
            self._jobs.sweep()

    def _do(self, lane: Lane, job: Job) -> None:
        failure: Failure | None = None
        for number, model in enumerate(job.models):
            order = Order(model, job.path, job.name, job.words, job.task)
            progress = partial(self._progress, job, number)
            answer = lane.do(order, progress=progress, stopped=lambda: self._gives_up(job))
            if isinstance(answer, Failure):
                failure = answer
                break
            job.results.append(answer)
        self._jobs.finish(job, failure=failure or _unanswered(job))

    def _gives_up(self, job: Job) -> bool:
        return job.stopped or self._closing.is_set()

    def _progress(self, job: Job, number: int, stage: str, share: float) -> None:
        begins, part = _STAGES[job.task].get(stage, (0.0, 0.0))
        self._jobs.progress(job, stage, (number + begins + part * share) / len(job.models))


def _unanswered(job: Job) -> Failure | None:
    """Why no model could score the recording, or explain its scores, where none could."""
    clips = [clip for result in job.results for clip in _clips(result)]
    if any(clip["status"] == "ok" for clip in clips):
        return None
    # All models read the same file: the first says what is wrong with it.
    return Failure(clips[0]["status"], clips[0]["reason"]) if clips else _internal(job)


def _clips(result: dict[str, Any]) -> list[dict[str, Any]]:
    """What has a status: each person in a recording, or the evidence."""
    clips: list[dict[str, Any]] = result.get("prediction", {"clips": [result]})["clips"]
    return clips


def _internal(job: Job) -> Failure:
    return Failure("internal", FAILURES["internal"].format(name=job.name))
