"""Check the clustered intervals: seconds against a limit, coverage and false differences.

``python -m benchmarks.intervals`` prints both tables; ``--repetitions 0`` the seconds alone.
``results.md`` has what was measured.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the limit is for one core

from argparse import ArgumentParser
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.intervals.simulation import CLUSTERS, WORLDS, simulate
from traitscope.statistics.intervals import cluster, compare, intervals
from traitscope.statistics.rank_intervals import spearman_intervals

CLIPS, TARGETS, SOURCES = 2000, 5, 1455
REPETITIONS, RESAMPLES = 2000, 1000


def main() -> None:
    """Print one line per task, then one per world and metric."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--world", choices=list(WORLDS), help="One world alone.")
    options = parser.parse_args()
    if options.world is None:
        measure_seconds()
    if options.repetitions:
        worlds = [options.world] if options.world else list(WORLDS)
        measure_coverage(worlds, options.repetitions)


def measure_seconds() -> None:
    """Time the intervals of a First Impressions test set."""
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


def measure_coverage(worlds: list[str], repetitions: int) -> None:
    """Count how often intervals hold the truth, and tests find a difference that is not there."""
    print(f"\n{repetitions} repetitions, {CLUSTERS} clusters, {RESAMPLES} resamples, macro scores")
    print(f"{'clusters are':<32}{'metric':<9}{'covered (.93-.97)':>19}{'false (.04-.06)':>17}")
    for world in worlds:
        found = simulate(world, repetitions=repetitions, resamples=RESAMPLES)
        for metric, covered, false in found:
            print(f"{world:<32}{metric:<9}{covered:>19.3f}{false:>17.3f}", flush=True)


if __name__ == "__main__":
    main()
