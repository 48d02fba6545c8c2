"""Time and disk of a preparation, from a few of its clips: nothing is kept."""

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from traitscope.features.store import OK, StatusRow, Store

Rows = Sequence[tuple[str, StatusRow]]


@dataclass(frozen=True)
class Forecast:
    """What a preparation would take.

    Attributes:
        clips: in the corpus.
        waiting: clips that have something to do.
        finished: clips that have nothing to do.
        missing: clips whose media is not there.
        sampled: ids of the clips that were tried.
        failed: what the tried clips lack and why, such as "faces: no_face", by id.
        clip_seconds: mean time of one clip in one process.
        seconds: of the whole, with so many workers; the lower and the upper end of a range.
        size_bytes: key -> what the waiting clips would add.
        workers: processes.
    """

    clips: int
    waiting: int
    finished: int
    missing: int
    sampled: tuple[str, ...]
    failed: Mapping[str, str]
    clip_seconds: float
    seconds: tuple[float, float]
    size_bytes: Mapping[str, int]
    workers: int


def try_clips(
    work: Callable[[Store, int], Rows],
    counts: tuple[int, int, int, int],
    *,
    keys: Sequence[str],
    samples: int,
    workers: int,
) -> Forecast:
    """Work on a few of the waiting clips, spread over the corpus, in a store that is thrown away.

    Args:
        work: does the task of a place, writing into a store.
        counts: clips, waiting, finished, missing.
        keys: of the features.
        samples: how many clips; one more is tried first, untimed, to warm up.
        workers: processes that the preparation would have.
    """
    waiting = counts[1]
    # Spread over the corpus: clips of one source lie together, and are as long as each other.
    places = np.unique(np.linspace(0, waiting - 1, min(samples, waiting)).astype(int)).tolist()
    taken: list[float] = []
    rows: list[tuple[str, StatusRow]] = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        # Untimed: opening trackers belongs to the start, which is once per process.
        if places:
            work(store, places[0])
        for place in places:
            started = time.perf_counter()
            rows += work(store, place)
            taken.append(time.perf_counter() - started)
        share = waiting / max(1, len(places))
        sizes = {key: round(store.size_bytes(key) * share) for key in keys}
    # The mean and not the median: long clips are rare, and take a good part of the whole.
    mean = statistics.fmean(taken) if taken else 0.0
    doubt = statistics.stdev(taken) / len(taken) ** 0.5 if len(taken) > 1 else mean / 2
    # Two standard errors; of one clip nothing is known, so half its time stands for one.
    whole = waiting / max(1, min(workers, max(1, waiting)))
    # Not less than if all others were as short as the shortest: with one long clip among those
    # tried, two errors below the mean may be nothing at all.
    least = (sum(taken) + min(taken, default=0.0) * (waiting - len(taken))) / max(1, waiting)
    return Forecast(
        clips=counts[0],
        waiting=waiting,
        finished=counts[2],
        missing=counts[3],
        sampled=tuple(dict.fromkeys(row.clip for _, row in rows)),
        failed=_failures(rows),
        clip_seconds=mean,
        seconds=(whole * max(min(least, mean), mean - 2 * doubt), whole * (mean + 2 * doubt)),
        size_bytes=sizes,
        workers=workers,
    )


def _failures(rows: Rows) -> dict[str, str]:
    lacking_of: dict[str, list[str]] = {}
    for key, row in rows:
        if row.status != OK:
            lacking_of.setdefault(row.clip, []).append(f"{key.rpartition('-')[0]}: {row.status}")
    return {clip: ", ".join(lacking) for clip, lacking in lacking_of.items()}
