"""Check the clustered intervals: seconds against a limit, coverage and false differences.

``python -m benchmarks.intervals`` prints both tables, ``--short`` with few repetitions;
``--repetitions 0`` the seconds alone.
``results.md`` has what was measured.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the limit is for one core

from argparse import ArgumentParser
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.figures import figure
from benchmarks.intervals.simulation import CLUSTERS, WORLDS, simulate
from traitscope.statistics.intervals import cluster, compare, intervals
from traitscope.statistics.rank_intervals import spearman_intervals

CLIPS, TARGETS, SOURCES = 2000, 5, 1455
REPETITIONS, RESAMPLES, PART = 2000, 1000, 250


def main() -> None:
    """Print one line per task, then one per world and metric."""
    parser = ArgumentParser(prog="python -m benchmarks.intervals", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--world", choices=list(WORLDS), help="One world alone.")
    parser.add_argument(
        "--short", action="store_true", help="100 repetitions: to see that it runs."
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=max(1, len(os.sched_getaffinity(0))),
        help="Worlds at once.",
    )
    options = parser.parse_args()
    if options.world is None:
        measure_seconds()
    repetitions = 100 if options.short else options.repetitions
    if repetitions:
        worlds = [options.world] if options.world else list(WORLDS)
        measure_coverage(worlds, repetitions, options.processes)


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
        seconds = perf_counter() - start
        figure(name, seconds, most=limit, unit="s")
        print(f"{name:<32}{seconds:>9.2f}{limit:>8.1f}")


def measure_coverage(worlds: list[str], repetitions: int, processes: int) -> None:
    """Count how often intervals hold the truth, and tests find a difference that is not there."""
    print(f"\n{repetitions} repetitions, {CLUSTERS} clusters, {RESAMPLES} resamples, macro scores")
    print(f"{'clusters are':<32}{'metric':<9}{'covered (.93-.97)':>19}{'false (.04-.06)':>17}")
    # parts with random numbers of their own, dealt to all cores: seeds take three times as long
    parts = [
        (w, min(PART, repetitions - n), n) for w in worlds for n in range(0, repetitions, PART)
    ]
    with ProcessPoolExecutor(processes) as pool:
        counted = list(pool.map(_part, parts))
    for world in worlds:
        mine = [(part, rows) for part, rows in zip(parts, counted, strict=True) if part[0] == world]
        for place, (metric, *_) in enumerate(mine[0][1]):
            shares = [
                sum(part[1] * rows[place][column] for part, rows in mine) / repetitions
                for column in (1, 2)
            ]
            figure(f"{world}, {metric}: truth inside of 95 %", shares[0], least=0.93, most=0.97)
            print(f"{world:<32}{metric:<9}{shares[0]:>19.3f}{shares[1]:>17.3f}", flush=True)


def _part(part: tuple[str, int, int]) -> list[tuple[str, float, float]]:
    """A part of one world: name, repetitions and where its random numbers begin."""
    world, repetitions, first = part
    return list(simulate(world, repetitions=repetitions, resamples=RESAMPLES, seed=1 + first))


if __name__ == "__main__":
    main()
