"""Time the clustered intervals of a First Impressions test set: seconds against the limit."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the limit is for one core

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from traitscope.statistics.intervals import cluster, compare, intervals, spearman_intervals

CLIPS, TARGETS, SOURCES = 2000, 5, 1455


def main() -> None:
    """Print one line per task."""
    rng = np.random.default_rng(0)
    target = rng.normal(0.5, 0.15, (CLIPS, TARGETS)).clip(0, 1)
    first = (target + rng.normal(0, 0.1, target.shape)).clip(0, 1)
    second = (target + rng.normal(0, 0.1, target.shape)).clip(0, 1)
    owners = np.concatenate([np.arange(SOURCES), rng.integers(0, SOURCES, CLIPS - SOURCES)])
    source = [f"source{number}" for number in owners]
    names = [f"target{number}" for number in range(TARGETS)]
    extra: dict[str, Any] = {"constant": target.mean(axis=0), "span": np.ones(TARGETS)}
    one, two = (cluster(target, p, source, **extra) for p in (first, second))
    tasks: list[tuple[str, float, Callable[[], Any]]] = [
        ("9 metrics, 10 000 resamples", 2.0, lambda: intervals(one)),
        ("comparison of two systems", 4.0, lambda: compare(one, two, names=names)),
        ("Spearman, 1000 resamples", 2.0, lambda: spearman_intervals(target, first, source)),
    ]
    print(f"{CLIPS} clips x {TARGETS} targets, {SOURCES} sources, one core")
    print(f"{'task':<32}{'seconds':>9}{'limit':>8}")
    for name, limit, task in tasks:
        start = perf_counter()
        task()
        print(f"{name:<32}{perf_counter() - start:>9.2f}{limit:>8.1f}")


if __name__ == "__main__":
    main()
