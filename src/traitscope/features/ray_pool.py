"""Actors of a Ray cluster that a task may kill: the interface of `pool`, on many machines.

An actor keeps what its work keeps (an open tracker, a loaded model) from task to task. One that
dies loses its task only: that is tried once more, in a fresh actor, while the others go on. What is
written goes straight from there into a folder that all machines see; rows alone come back.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from types import ModuleType
from typing import Any

from traitscope.errors import TraitscopeError, lacks_memory
from traitscope.features.pool import OUT_OF_MEMORY, TRIES, Agenda, Crash, Run, traced
from traitscope.ray_cluster import open_cluster

_UNSTARTED = (
    "Actors end before they have started ({how}). Is traitscope installed on every machine of the "
    "cluster, in this version, and is there enough memory?"
)


@contextmanager
def ray_workers(address: str, workers: int | None, *, why: str) -> Iterator[tuple[Run, int]]:
    """Give a pool on a Ray cluster, and how many actors it is to have.

    Args:
        address: ``HOST:PORT`` or ``auto`` of a running cluster; ``local`` starts one here.
        workers: actors; one per core of the cluster by default.
        why: what needs Ray, for the message where it is not installed.

    Raises:
        MissingError: Ray is not installed.
        ConfigError: there is no cluster at the address.
    """
    with open_cluster(address, why=why, cpus=workers) as ray:
        count = int(ray.cluster_resources().get("CPU", 1)) if workers is None else workers
        yield partial(_run, ray), max(1, count)


class _Worker:
    """What an actor is: some work, and its answers."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        import cv2

        cv2.setNumThreads(1)  # others are told by Ray, in the environment
        self.work = work

    def ready(self) -> None:
        """Answer when it has started."""

    def do(self, task: Any) -> Any:
        """Do a task; what it raises goes home as a value, and is raised there."""
        try:
            return self.work(task)
        except TraitscopeError as error:
            return error
        except Exception as error:
            return Crash(OUT_OF_MEMORY) if lacks_memory(error) else traced("an actor")


def _run(
    ray: ModuleType,
    work: Callable[[Any], Any],
    tasks: Sequence[Any],
    *,
    workers: int,
    tries: int = TRIES,
) -> Generator[tuple[int, Any], None, None]:
    """Do the tasks in actors; arguments, results and errors as of `pool.run`."""
    actors = _Actors(ray, work, tasks, tries)
    try:
        for _ in range(min(workers, len(tasks))):
            actors.start()
        while actors.at_work:
            yield from actors.step()
    finally:
        actors.end()


class _Actors:
    """The actors, what each is doing, and what is still to be done."""

    def __init__(
        self, ray: ModuleType, work: Callable[[Any], Any], tasks: Sequence[Any], tries: int
    ) -> None:
        self.ray = ray
        self.tasks = tasks
        self.agenda = Agenda(len(tasks), tries, _UNSTARTED)
        self.at_work: dict[Any, tuple[Any, int | None]] = {}
        # Kept to the end: a Ctrl-C that comes while Ray takes a handle apart would be lost.
        self._ended: list[Any] = []
        # Sent once, to wherever an actor starts.
        self._work = ray.put(work)
        self._kind = ray.remote(_Worker)

    def start(self) -> None:
        how = {"num_cpus": 1, "max_restarts": 0, "scheduling_strategy": "SPREAD"}
        actor = self._kind.options(**how).remote(self._work)
        self.at_work[actor.ready.remote()] = actor, None

    def step(self) -> Iterator[tuple[int, Any]]:
        """Wait until one has answered or died, and pass on what has come."""
        for answered in self.ray.wait(list(self.at_work), num_returns=1)[0]:
            actor, task = self.at_work.pop(answered)
            try:
                answer = self.ray.get(answered)
            except self.ray.exceptions.RayError as error:
                yield from self._bury(actor, task, type(error).__name__)
                continue
            if isinstance(answer, Crash):
                yield from self._bury(actor, task, answer.how)
                continue
            if isinstance(answer, Exception):
                raise answer
            self._assign(actor)
            if task is None:
                self.agenda.started()
            else:
                yield task, answer

    def end(self) -> None:
        for actor, _ in self.at_work.values():
            self._kill(actor)

    def _assign(self, actor: Any) -> None:
        if not self.agenda.waiting:
            self._kill(actor)
            return
        task = self.agenda.waiting.popleft()
        self.at_work[actor.do.remote(self.tasks[task])] = actor, task

    def _bury(self, actor: Any, task: int | None, how: str) -> Iterator[tuple[int, Crash]]:
        self._kill(actor)
        yield from self.agenda.lost(task, how)
        if self.agenda.waiting:
            self.start()

    def _kill(self, actor: Any) -> None:
        self._ended.append(actor)
        with suppress(self.ray.exceptions.RayError, ValueError):
            self.ray.kill(actor)
