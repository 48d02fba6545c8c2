"""Worker processes that a task may kill: tasks in, results out as they come, one retry each.

``concurrent.futures`` ends the whole pool when one worker dies, without saying which task did it.
Here each worker has its own pipe, so a death is one task's: that task is tried once more, in a
fresh worker, while the others go on. Workers are spawned, because threads and locks of the
decoders must not be forked; they do not run the caller's script again, and they end when it does.
"""

import errno
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import ModuleType
from typing import Any, Protocol

from traitscope.errors import TraitscopeError, lacks_memory
from traitscope.media import cores, threads_of_children, told_to_children

TRIES = 2  # of a task that kills its worker: memory may have been short because of the others
_STARTS = 3  # of workers that die before they are ready: more would be the same again
_ENOMEM = errno.ENOMEM  # exit code of a worker
OUT_OF_MEMORY = "out of memory"
_PATIENCE_SECONDS = 5.0
_UNSTARTED = (
    "Worker processes end before they have started ({how}). Is there enough memory? With workers=0 "
    "(--workers 0) the work is done in this process."
)

_MEMORY = {"trim_threshold": 64 * 2**20, "mmap_threshold": 32 * 2**20, "hugetlb": 1}
"""How glibc gives memory to a worker. What pictures free is kept for the next ones, each some
megabytes: giving it back and asking for it again costs a page fault per 4 kB, some 2 % of its time.
Large pages where the system has them: dlib's points jump about in 100 MB, and take a third longer
without."""


@dataclass(frozen=True)
class Crash:
    """A task killed its worker each time.

    Attributes:
        how: "signal 9", "exit code 1" or "out of memory", of the last worker.
    """

    how: str


class Agenda:
    """What is still to be done, and how often each task has ended its worker.

    Args:
        count: of tasks.
        tries: how often a task may end its worker before it is given up.
        advice: what is wrong and what to do where workers do not even start; with ``{how}``.
    """

    def __init__(self, count: int, tries: int, advice: str) -> None:
        self.waiting = deque(range(count))
        self._tries, self._advice = tries, advice
        self._deaths: Counter[int | None] = Counter()

    def started(self) -> None:
        """A worker has started: workers can."""
        self._deaths[None] = 0

    def lost(self, task: int | None, how: str) -> Iterator[tuple[int, Crash]]:
        """Put a task whose worker has ended where it is tried again, or give it up as a Crash.

        Args:
            task: None where the worker had not started yet.
            how: it ended.

        Raises:
            TraitscopeError: workers do not start.
        """
        self._deaths[task] += 1
        if task is None and self._deaths[None] == _STARTS:
            raise TraitscopeError(self._advice.format(how=how))
        if task is not None and self._deaths[task] < self._tries:
            self.waiting.append(task)  # last: memory may be short while the others run
        elif task is not None:
            yield task, Crash(how)


class Run(Protocol):
    """A pool: `run`, or one that has its workers elsewhere (`ray_pool`)."""

    def __call__(
        self, work: Callable[[Any], Any], tasks: Sequence[Any], *, workers: int, tries: int
    ) -> Generator[tuple[int, Any], None, None]:
        """Do the tasks; see `run`."""
        ...


@dataclass
class _Worker:
    process: Any
    connection: Connection
    task: int | None = None


def run(
    work: Callable[[Any], Any], tasks: Sequence[Any], *, workers: int, tries: int = TRIES
) -> Generator[tuple[int, Any], None, None]:
    """Do the tasks in spawned processes; yield (place in tasks, result or Crash) as they finish.

    Args:
        work: sent to each worker once, when it starts; must be picklable.
        tasks: sent one at a time; must be picklable.
        workers: how many processes.
        tries: how often a task may kill its worker before it is given up.

    Raises:
        Exception: what the work raised; the other workers are ended.
        TraitscopeError: workers cannot be started.
    """
    pool = _Pool(work, tasks, threads=max(1, cores() // workers), tries=tries)
    try:
        for _ in range(min(workers, len(tasks))):
            pool.start()
        while pool.has_work():
            yield from pool.step()
    finally:
        pool.end()


class _Pool:
    """The workers, what each is doing, and what is still to be done."""

    def __init__(
        self, work: Callable[[Any], Any], tasks: Sequence[Any], *, threads: int, tries: int
    ) -> None:
        self.work = work
        self.tasks = tasks
        self.threads = threads
        self.agenda = Agenda(len(tasks), tries, _UNSTARTED)
        self.workers: list[_Worker] = []

    def has_work(self) -> bool:
        return bool(self.agenda.waiting) or any(worker.task is not None for worker in self.workers)

    def start(self) -> None:
        process, connection = spawn(_serve, self.work, self.threads, threads=self.threads)
        self.workers.append(_Worker(process, connection))

    def step(self) -> Iterator[tuple[int, Any]]:
        """Wait until something happens, and pass on what has come."""
        ready = wait([worker.connection for worker in self.workers])
        for worker in [w for w in self.workers if w.connection in ready]:
            task, worker.task = worker.task, None
            try:
                answer = worker.connection.recv()
            except (EOFError, OSError):
                yield from self._bury(worker, task)
                continue
            if isinstance(answer, Exception):
                raise answer
            self._assign(worker)
            if task is None:
                self.agenda.started()
            else:
                yield task, answer

    def end(self) -> None:
        for worker in self.workers:
            worker.process.terminate()
        for worker in self.workers:
            worker.process.join(_PATIENCE_SECONDS)
            if worker.process.exitcode is None:
                worker.process.kill()
            worker.connection.close()

    def _assign(self, worker: _Worker) -> None:
        if self.agenda.waiting:
            worker.task = self.agenda.waiting.popleft()
            with suppress(OSError):  # it has just died: the next step sees that
                worker.connection.send(self.tasks[worker.task])

    def _bury(self, worker: _Worker, task: int | None) -> Iterator[tuple[int, Crash]]:
        self.workers.remove(worker)
        worker.connection.close()
        yield from self.agenda.lost(task, how_it_ended(worker.process))
        if self.agenda.waiting:
            self.start()


def spawn(
    target: Callable[..., None], *args: Any, threads: int, daemon: bool = True
) -> tuple[Any, Connection]:
    """Start a process that runs ``target(connection, *args)``, and nothing of the caller's script.

    Args:
        target: a function of a module; it begins with `settle_in`.
        args: of it; must be picklable.
        threads: how many its libraries of arrays use, unless the user said.
        daemon: whether it ends with this process by itself, and may then start none of its own.

    Returns:
        The process, and our end of its pipe, which ends when it does.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *args), daemon=daemon)
    with _without_main(), _without_interrupts(), threads_of_children(threads), memory_of_children():
        process.start()
    theirs.close()  # so that the end of the worker is the end of the pipe
    return process, ours


def settle_in(threads: int) -> None:
    """Make a fresh process a worker: quiet, deaf to Ctrl-C, with its share of the processors."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _end_with_parent()
    _use_threads(threads)
    os.dup2(2, 1)  # libraries that print must not write into the result


def _end_with_parent() -> None:
    """End this process when whoever started it is gone, also in the middle of a task.

    The end of a pipe is seen only between tasks: after ``kill -9`` a worker would train for hours
    that nobody waits for, in the folder in which the same command, typed again, trains as well.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def how_it_ended(process: Any) -> str:
    """Say how a process ended: "signal 9", "exit code 1" or "out of memory"."""
    process.join()
    code = process.exitcode
    if code == _ENOMEM:
        return OUT_OF_MEMORY
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _serve(connection: Connection, work: Callable[[Any], Any], threads: int) -> None:
    """What a worker does until it is told to end, or whoever started it is gone."""
    settle_in(threads)
    with suppress(EOFError, OSError):
        connection.send(None)
        while True:
            connection.send(_answer(work, connection.recv()))


def _answer(work: Callable[[Any], Any], task: Any) -> Any:
    """Do one task; what it raises goes home as a value, and is raised there."""
    try:
        return work(task)
    except TraitscopeError as error:
        return error
    except Exception as error:
        if lacks_memory(error):  # to be tried once more, when the others have finished
            os._exit(_ENOMEM)
        return traced("a worker process")


def traced(where: str) -> RuntimeError:
    """What a fault of ours is at home: the exception at hand, and where it was raised."""
    return RuntimeError(f"in {where}:\n{traceback.format_exc()}")


def _use_threads(count: int) -> None:
    """Keep OpenCV to this worker's share of the processors; others were told in time."""
    import cv2

    cv2.setNumThreads(count)


def memory_of_children() -> AbstractContextManager[None]:
    """Start processes to which glibc gives memory as `_MEMORY` says, unless the user said.

    It is read when a process begins, before the first line of ours; other C libraries do not care.
    """
    said = ":".join(f"glibc.malloc.{name}={value}" for name, value in _MEMORY.items())
    return told_to_children({"GLIBC_TUNABLES": said})


@contextmanager
def _without_main() -> Iterator[None]:
    """Start processes that do not import the caller's script.

    A spawned process runs the script again, up to ``if __name__ == "__main__"``: a script
    without that line would start workers in its workers, and one that imports much would import
    it in each. Nothing that is sent to the workers is defined there.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach, not even while they import."""
    if not hasattr(signal, "pthread_sigmask"):
        yield  # Windows: until the worker ignores it, Ctrl-C ends it with a traceback
        return
    from multiprocessing.resource_tracker import ensure_running

    ensure_running()  # or its own start would lift the block in between
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
