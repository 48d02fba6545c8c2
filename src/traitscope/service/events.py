"""News of a job for whoever waits: until its end, or as they come (server-sent events)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from traitscope.service.answers import job_tree
from traitscope.service.jobs import Job, Jobs, Step

_BEAT_SECONDS = 10.0
"""Between two signs of life: proxies close what is silent."""


class News:
    """Changes of one job, as the loop sees them; the threads that score call from theirs."""

    def __init__(self, job: Job, jobs: Jobs) -> None:
        loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()

        def tell() -> None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(self._changed.set)

        self._stop = jobs.listen(job, tell)

    async def wait(self, seconds: float) -> bool:
        """Whether something changed within the time."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)
        changed = self._changed.is_set()
        self._changed.clear()
        return changed

    def close(self) -> None:
        """Want no more news."""
        self._stop()


async def until_finished(job: Job, jobs: Jobs, seconds: float) -> None:
    """Wait until a job has ended, at most so long."""
    news = News(job, jobs)
    try:
        async with asyncio.timeout(seconds):
            while not job.is_finished:
                await news.wait(_BEAT_SECONDS)
    except TimeoutError:
        return
    finally:
        news.close()


async def stream(job: Job, jobs: Jobs, root: str) -> AsyncIterator[bytes]:
    """The events of a job: ``progress`` for each stage and share, at last ``done`` or ``failed``.

    Each stage comes at least once, also one that was over before anybody asked.
    """
    news = News(job, jobs)
    first = 0
    try:
        while True:
            finished, tree = job.is_finished, brief(job, jobs, root)
            steps = job.steps[first:]
            for step in steps:
                yield _event("progress", _as_it_was(tree, step))
            if finished:
                break
            first += len(steps) - 1  # the last one may go on
            if not await news.wait(_BEAT_SECONDS):
                yield b": still there\n\n"
        yield _event(job.state, tree)
    finally:
        news.close()


def brief(job: Job, jobs: Jobs, root: str) -> dict[str, Any]:
    """A job without its results, which are fetched once."""
    tree = job_tree(job, jobs, root)
    del tree["results"], tree["explanations"]
    return tree


def _as_it_was(tree: dict[str, Any], step: Step) -> dict[str, Any]:
    state, stage, share = step
    progress = {**tree["progress"], "stage": stage, "share": round(share, 3)}
    return {**tree, "state": state, "progress": progress, "problem": None}


def _event(name: str, tree: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(tree)}\n\n".encode()
