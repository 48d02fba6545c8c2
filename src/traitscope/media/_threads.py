"""How many processors may be used: those of this process, of them its share, and its children's."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_NAMES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def use_threads(stream: Any) -> None:
    """Let the decoder use the processors of this process, up to what short clips profit from.

    OMP_NUM_THREADS says how many are its share, as it does for libraries of arrays.
    """
    stream.thread_type = "AUTO"
    share = os.environ.get("OMP_NUM_THREADS", "")
    count = min(4, cores(), int(share) if share.isdecimal() else 4)
    stream.codec_context.thread_count = max(1, count)


def cores() -> int:
    """Processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@contextmanager
def threads_of_children(count: int) -> Iterator[None]:
    """Start processes whose libraries of arrays use so many threads, unless the user said.

    They read it when they are loaded, which may be before the first line of ours runs there; those
    of this process are loaded and stay as they are.
    """
    ours = {name: str(count) for name in _NAMES if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)
