"""A target and seeds -> how often it was read, how often refused, and every other failure."""

import resource
import signal
import tempfile
import traceback
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import FrameType

import numpy as np

from benchmarks.endurance.mutating import mutate
from benchmarks.endurance.targets import TARGETS
from traitscope.errors import TraitscopeError

SEEDS = 20
"""Cases of a task."""

_MEMORY_BYTES = 8 * 2**30  # of addresses, of which libraries and their threads take a half

CASE_SECONDS = 30
"""A case that takes longer has hung."""


@dataclass
class Found:
    """What came of some cases.

    Attributes:
        outcomes: "read", or the kind of error and its status -> how many cases.
        crashes: (seed, file, what happened), for all that is no error of ours.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    crashes: list[tuple[int, str, str]] = field(default_factory=list)


def attack(name: str, seeds: range) -> Found:
    """Damage a file of a target in another way for each seed, and read it."""
    found = Found()
    for seed in seeds:
        file = ""
        try:
            with _damaged(name, seed) as (folder, path), _in_time():
                file = path.name
                TARGETS[name].read(folder, path)
            found.outcomes["read"] += 1
        except TraitscopeError as error:
            status = getattr(error, "status", "")
            found.outcomes[f"{type(error).__name__} {status}".strip()] += 1
        except Exception:
            found.crashes.append((seed, file, traceback.format_exc(limit=-4)))
    return found


def bounded(task: tuple[str, int]) -> Found:
    """Do the cases from a seed on, in a process of its own that may die of them."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    name, first = task
    return attack(name, range(first, first + SEEDS))


@contextmanager
def _damaged(name: str, seed: int) -> Iterator[tuple[Path, Path]]:
    """A folder of sound files but one, which is made whole again afterwards."""
    folder, files = _sound_files(name)
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    path = files[int(rng.integers(0, len(files)))]
    before = path.read_bytes()
    path.write_bytes(mutate(before, rng, head=TARGETS[name].head))
    try:
        yield Path(folder.name), path
    finally:
        path.write_bytes(before)


@lru_cache
def _sound_files(name: str) -> tuple["tempfile.TemporaryDirectory[str]", list[Path]]:
    folder = tempfile.TemporaryDirectory()
    return folder, TARGETS[name].make(Path(folder.name))


@contextmanager
def _in_time() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"more than {CASE_SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(CASE_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
