"""Clips and what is to be done with them -> results as they come, here or in worker processes.

Some clips may be worth doing together (an encoder computes many at a time). They are then one task
of a worker, and only where that task ends it are they done again one by one:

    a b c | d e f | g      three tasks
            d e f          ends its worker: d, e and f are tried alone
              e            ends it twice: a Crash for e, results for all others
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from traitscope.errors import ClipError, lacks_memory
from traitscope.features import pool
from traitscope.features._jobs import out_of_memory
from traitscope.media import cores
from traitscope.types import Clip

Work = Callable[[Sequence[Any]], Sequence[Any]]
"""Does some tasks together, and gives a result for each."""

_ROUNDS = 2
"""Groups that a worker gets at least, so that none is idle while another has much to do."""

_WORTH_A_PROCESS = 8
"""Media per process from which it pays to start some: one takes as long as several clips."""


Crew = tuple[pool.Run, int]
"""A pool, and how many workers it is to have."""


@contextmanager
def crew_of(ray: str | None, given: int | None, workers: int) -> Iterator[Crew]:
    """Who works, and how many: processes of this machine, or actors of a Ray cluster.

    Args:
        ray: address of the cluster; None for this machine.
        given: how many workers the user asked for, if any; of a cluster one per core otherwise.
        workers: how many there are on this machine.
    """
    if ray is None:
        yield pool.run, workers
        return
    from traitscope.features.ray_pool import ray_workers

    with ray_workers(ray, given, why="Working on a cluster") as crew:
        yield crew


def deal(
    work: Work,
    tasks: Sequence[Any],
    *,
    workers: int,
    together: int = 1,
    run: pool.Run = pool.run,
) -> Generator[tuple[int, Any], None, None]:
    """Do tasks, some at a time; yield (place, result) as they come.

    Args:
        work: picklable where there are workers, to which it is sent once.
        tasks: likewise; each is sent when its turn comes.
        workers: processes; 0 to work in this one.
        together: how many tasks are worth doing at once.
        run: the pool that has the workers.

    Yields:
        The place of a task and its result, or a Crash or MemoryError; see `failure_of`.
    """
    groups = _groups(len(tasks), workers=workers, together=together)
    in_groups = len(groups) < len(tasks)
    tries = 1 if in_groups else pool.TRIES  # the second one is alone
    alone: list[range] = []
    with closing(_done(work, _chosen(tasks, groups), workers, tries=tries, run=run)) as done:
        # Kept for the end: memory may be short only while the others work.
        for number, results in done:
            group = groups[number]
            if in_groups and _is_lost(results):
                alone += [range(place, place + 1) for place in group]
            else:
                yield from _each(group, results)
    once_more = _chosen(tasks, alone)
    with closing(_done(work, once_more, workers, tries=pool.TRIES, run=run)) as done:
        for number, results in done:
            yield from _each(alone[number], results)


def failure_of(clip: Clip, result: Any) -> ClipError | None:
    """Why there is no result of a clip, in words; None if there is one."""
    if isinstance(result, MemoryError) or is_short_of_memory(result):
        return out_of_memory(clip)
    if isinstance(result, pool.Crash):
        return ClipError(
            f"The worker process ended twice on this clip ({result.how}): short of memory, or a "
            f"fault in a decoder. Re-encode the clip or leave it out.",
            status="crashed",
        )
    return None


def is_short_of_memory(result: Any) -> bool:
    """Whether a worker lacked memory for a task each time."""
    return bool(result == pool.Crash(pool.OUT_OF_MEMORY))


def processes_for(clips: int) -> int:
    """How many processes to start for media that are to be read; 0 where they are too few."""
    # With one processor a second process would only wait for the first, and load all twice.
    return cores() if cores() > 1 and clips >= _WORTH_A_PROCESS * cores() else 0


def _groups(count: int, *, workers: int, together: int) -> list[range]:
    # Alone there is nobody to share with, so a group is as large as it is worth.
    step = together if not workers else min(together, count // (_ROUNDS * workers))
    step = max(1, step)
    return [range(first, min(first + step, count)) for first in range(0, count, step)]


def _is_lost(results: Any) -> bool:
    return isinstance(results, pool.Crash | MemoryError)


def _each(group: range, results: Any) -> Iterator[tuple[int, Any]]:
    for number, place in enumerate(group):
        yield place, results if _is_lost(results) else results[number]


def _chosen(tasks: Sequence[Any], groups: Sequence[range]) -> list[list[Any]]:
    return [[tasks[place] for place in group] for group in groups]


def _done(
    work: Work, groups: Sequence[Sequence[Any]], workers: int, *, tries: int, run: pool.Run
) -> Generator[tuple[int, Any], None, None]:
    """Do the tasks of each group together; closing it ends the workers."""
    if workers:
        with closing(run(work, groups, workers=workers, tries=tries)) as done:
            yield from done
        return
    # Without workers nothing can be caught but memory: what crashes ends this process too.
    for number, some in enumerate(groups):
        try:
            results: Any = work(some)
        except Exception as error:
            if not lacks_memory(error):
                raise
            results = MemoryError(str(error))
        yield number, results
