"""Jobs: what was asked, how far it is, and what came of it; a bounded line of those that wait.

Everything lives in memory: a server that ends forgets its jobs, and says of their ids what it says
of any that it does not know (``docs/decisions/0053-jobs-live-in-memory.md``). Threads that score
and the loop that answers meet here, under one lock.
"""

import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from traitscope.service.bench import Task
from traitscope.service.lanes import FAILURES, Failure

State = Literal["queued", "running", "done", "failed"]
Step = tuple[State, str, float]
FINISHED = frozenset({"done", "failed"})


class FullError(Exception):
    """There is no room in the line; ``seconds`` until there may be."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"the line is full; try again in {seconds} s")
        self.seconds = seconds


class ReusedError(Exception):
    """An idempotency key came again, with something else or while the first is still coming."""


@dataclass(eq=False)
class Job:
    """One recording on its way to its answers.

    Attributes:
        models: names of the runs that score it, in order.
        name: what the client called the recording.
        words: what is said in it, where the client sent that.
        path: of the recording; None for words, and once it is deleted.
        client: whose it is.
        task: what is asked of the runs.
        digest: of the recording, by which the same one is known when it is sent again.
        explains: the job whose scores this one explains; None for one that scores.
        explanations: model -> the job that was asked to explain its scores.
        results: of each model that has answered, in the shape of `answers.Result`, or of evidence.
        failure: why there is none.
        stage, share: what is done now, and how much of it.
        steps: state, stage and share of each stage so far, as it was left; the last is still on.
    """

    models: tuple[str, ...]
    name: str
    words: str | None
    path: Path | None
    client: str
    task: Task = "scores"
    digest: str = ""
    explains: str | None = None
    explanations: dict[str, str] = field(default_factory=dict)
    id: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    state: State = "queued"
    stage: str = "waiting"
    share: float = 0.0
    results: list[dict[str, Any]] = field(default_factory=list)
    failure: Failure | None = None
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    arrived: float = field(default_factory=time.monotonic)
    finished: float | None = None
    stopped: bool = False
    fetched: bool = False
    steps: list[Step] = field(default_factory=lambda: [("queued", "waiting", 0.0)])

    @property
    def is_finished(self) -> bool:
        """Whether nothing of it will change any more."""
        return self.state in FINISHED


Listener = Callable[[], None]


class Jobs:
    """All jobs of a server.

    Attributes:
        draining: no new ones are taken.
    """

    def __init__(
        self,
        *,
        waiting: int,
        kept: int,
        answer_seconds: float,
        media_seconds: float = 0.0,
        explained: int = 100,
    ) -> None:
        self._most_waiting = waiting
        self._most_kept: dict[Task, int] = {"scores": kept, "explanation": explained}
        self._answer_seconds, self._media_seconds = answer_seconds, media_seconds
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._line: deque[Job] = deque()
        self._keys: dict[tuple[str, str], tuple[str, str | None]] = {}
        self._listeners: dict[str, set[Listener]] = {}
        self._change = threading.Condition()
        self._pace = 5.0  # seconds of a job, as the last ones took
        self.draining = False

    # -- the line ------------------------------------------------------------------------------

    def check_room(self, places: int = 1) -> None:
        """Refuse what would not find a place, before it is received.

        Raises:
            FullError: the line is full, or the server is about to stop.
        """
        with self._change:
            if self.draining or len(self._line) + places > self._most_waiting:
                raise FullError(self._wait_seconds())

    def add(self, *jobs: Job) -> Job:
        """Put jobs at the end of the line, all of them or none; the first one is given back.

        Raises:
            FullError: others were faster.
        """
        with self._change:
            self.check_room(len(jobs))
            for job in jobs:
                self._jobs[job.id] = job
                of = self._jobs.get(job.explains or "")
                if of is not None:
                    of.explanations.update(dict.fromkeys(job.models, job.id))
                self._line.append(job)
            self._change.notify(len(jobs))
        return jobs[0]

    def take(self, seconds: float) -> Job | None:
        """The job that has waited longest; None if none comes within the time."""
        with self._change:
            if not self._line:
                self._change.wait(seconds)
            if not self._line:
                return None
            job = self._line.popleft()
            self._set(job, state="running", stage="starting")
            return job

    def wake(self) -> None:
        """Let those who wait for a job look up."""
        with self._change:
            self._change.notify_all()

    def place_of(self, job: Job) -> int:
        """How many jobs are before it, and 0 once its turn has come."""
        with self._change:
            return self._line.index(job) if job in self._line else 0

    # -- what becomes of a job -----------------------------------------------------------------

    def progress(self, job: Job, stage: str, share: float) -> None:
        """Note how far a job is; ``share`` is of the whole job."""
        with self._change:
            self._set(job, stage=stage, share=share)

    def finish(self, job: Job, *, failure: Failure | None = None) -> None:
        """End a job: done, or failed where there is a reason."""
        with self._change:
            job.finished = time.monotonic()
            self._pace += 0.2 * (job.finished - job.arrived - self._pace)
            # The reason first: whoever sees that it has failed looks for it at once.
            job.failure = job.failure or failure
            self._set(job, state="failed" if failure else "done", stage="finished", share=1.0)
        # One who explains has a recording of its own: it asks nothing of it again.
        if not self._media_seconds or job.task == "explanation":
            discard(job)

    def find(self, job_id: str) -> Job | None:
        """The job of an id; None for one that never was, or is forgotten."""
        with self._change:
            return self._jobs.get(job_id)

    def explanation(self, job: Job, models: Sequence[str] = ()) -> Job | None:
        """The job that explains some models' scores of a job; without models, the last asked for.

        None where there is none, or where they were asked for apart.
        """
        with self._change:
            asked = list(job.explanations.values())
            ids = {job.explanations.get(name) for name in models} or set(asked[-1:])
            return self._jobs.get(ids.pop() or "") if len(ids) == 1 else None

    def forget(self, job: Job) -> None:
        """Take a job back: its process is told to stop, its recording and its answer go.

        What explains it goes with it.
        """
        for job_id in set(job.explanations.values()):
            explanation = self.find(job_id)
            if explanation is not None:
                self.forget(explanation)
        with self._change:
            job.stopped = True
            if job in self._line:
                self._line.remove(job)
            self._jobs.pop(job.id, None)
            self._keys = {key: held for key, held in self._keys.items() if held[1] != job.id}
            if not job.is_finished:
                job.failure = Failure("cancelled", FAILURES["cancelled"])
                self._set(job, state="failed", stage="finished", share=1.0)
        discard(job)

    def sweep(self) -> None:
        """Forget answers that are old or too many, and delete recordings whose time is up."""
        now = time.monotonic()
        with self._change:
            ended = [job for job in self._jobs.values() if job.finished is not None]
            old = {job.id for job in ended if now - (job.finished or now) > self._answer_seconds}
            for task, most in self._most_kept.items():
                same = [job.id for job in ended if job.task == task]
                old |= set(same[: max(0, len(same) - most)])
        for job in ended:
            if job.id in old:
                self.forget(job)
            elif job.path and now - (job.finished or now) > self._media_seconds:
                discard(job)

    # -- keys of clients -----------------------------------------------------------------------

    def reserve(self, client: str, key: str) -> Job | None:
        """Hold a client's idempotency key while its recording comes; the job of before, if any.

        Raises:
            ReusedError: the same key is being received.
        """
        with self._change:
            if (client, key) not in self._keys:
                self._keys[client, key] = ("", None)
                return None
            job_id = self._keys[client, key][1]
            if job_id is None:
                raise ReusedError("A request with this key is still coming in.")
            return self._jobs.get(job_id)

    def settle(self, client: str, key: str, job: Job, digest: str) -> None:
        """Say which job a reserved key has led to, and what was sent."""
        with self._change:
            self._keys[client, key] = (digest, job.id)

    def release(self, client: str, key: str) -> None:
        """Give up a reserved key that led to no job."""
        with self._change:
            if self._keys.get((client, key), ("", ""))[1] is None:
                del self._keys[client, key]

    def check_same(self, client: str, key: str, digest: str) -> None:
        """Refuse a key that came with something else before.

        Raises:
            ReusedError: it did.
        """
        with self._change:
            if self._keys.get((client, key), (digest, None))[0] != digest:
                raise ReusedError("This key came with another recording or other models before.")

    # -- who waits for news --------------------------------------------------------------------

    def listen(self, job: Job, listener: Listener) -> Callable[[], None]:
        """Call back, from any thread, whenever a job changes; returns how to stop that."""
        with self._change:
            self._listeners.setdefault(job.id, set()).add(listener)

        def stop() -> None:
            with self._change:
                listeners = self._listeners.get(job.id, set())
                listeners.discard(listener)
                if not listeners:
                    self._listeners.pop(job.id, None)

        return stop

    @property
    def waiting(self) -> int:
        """Jobs in the line."""
        with self._change:
            return len(self._line)

    @property
    def unfinished(self) -> int:
        """Jobs that wait or run."""
        with self._change:
            return sum(not job.is_finished for job in self._jobs.values())

    @property
    def unfetched(self) -> int:
        """Jobs that nobody has fetched the end of."""
        with self._change:
            return sum(not (job.is_finished and job.fetched) for job in self._jobs.values())

    def _set(self, job: Job, **changes: Any) -> None:
        # A job that was taken back stays so, whatever its process still says.
        if job.is_finished:
            return
        for name, value in changes.items():
            setattr(job, name, value)
        # A stage may end before anybody has looked: whoever looks then hears of it all the same.
        if not job.is_finished:
            begun = len(job.steps) - (job.steps[-1][1] == job.stage)
            job.steps[begun:] = [(job.state, job.stage, job.share)]
        for listener in tuple(self._listeners.get(job.id, ())):
            listener()

    def _wait_seconds(self) -> int:
        """When a place may be free: as long as one job takes, within reason."""
        return round(min(max(self._pace, 1.0), 60.0))


def discard(job: Job) -> None:
    """Delete the recording of a job."""
    path, job.path = job.path, None
    if path is not None:
        path.unlink(missing_ok=True)
