"""How many processors may be used: those of this process, of them its share, and its children's."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_NAMES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def use_threads(stream: Any) -> None:
    """Let the decoder use the processors of this process, up to what short clips profit from."""
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = min(4, own_cores())


def own_cores() -> int:
    """Processors that are this process's share, by OMP_NUM_THREADS as for libraries of arrays."""
    share = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores(), int(share)) if share.isdecimal() else cores())


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
    with told_to_children(dict.fromkeys(_NAMES, str(count))):
        yield


@contextmanager
def told_to_children(values: Mapping[str, str]) -> Iterator[None]:
    """Start processes with these variables in their environment, unless the user said."""
    ours = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)
