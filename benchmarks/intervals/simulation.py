"""Made-up corpora in, how often intervals hold the truth and tests see what is not there out.

Each world has 60 clusters of unequal size whose clips are alike in labels and in errors; 5 % of
95 % intervals should miss the truth, and 5 % of comparisons of two equally good systems should
find a difference at p < .05.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from traitscope.data.protocols import cluster_numbers
from traitscope.statistics.intervals import cluster, compare, intervals
from traitscope.statistics.metrics import MACRO, Array, score
from traitscope.types import Clip

METRICS = ("skill", "ccc", "pearson")
CLUSTERS, TARGETS, SEEDS = 60, 2, 5
_LARGE = 20_000  # clusters that stand for all there are
_MANY = 40  # seeds that do
_MIDDLE = np.full(TARGETS, 0.5)


@dataclass(frozen=True)
class Drawn:
    """One sample: labels and the groups of its clips (clips,), with what is tied to a group."""

    clips: list[Clip] | None
    groups: NDArray[np.intp]
    level: Array
    target: Array


Draw = Callable[[np.random.Generator, int], Drawn]


def by_source(rng: np.random.Generator, groups: int) -> Drawn:
    """One to six clips of each source; no subjects."""
    owner = np.repeat(np.arange(groups), _sizes(rng, groups))
    return _drawn(rng, owner, lambda i, g: Clip(f"c{i}", source=f"s{g}"))


def by_subject(rng: np.random.Generator, groups: int) -> Drawn:
    """One to six clips of each person; no sources."""
    owner = np.repeat(np.arange(groups), _sizes(rng, groups))
    return _drawn(rng, owner, lambda i, g: Clip(f"c{i}", subject=f"p{g}"))


def crossed(rng: np.random.Generator, groups: int) -> Drawn:
    """Two people of a group, each in both of its sources, with one to six clips of a group."""
    owner = np.repeat(np.arange(groups), _sizes(rng, groups))

    def clip(i: int, g: int) -> Clip:
        return Clip(f"c{i}", source=f"s{2 * g + i % 2}", subject=f"p{2 * g + i // 2 % 2}")

    return _drawn(rng, owner, clip)


WORLDS: dict[str, tuple[Draw, int]] = {
    "sources": (by_source, 1),
    "subjects only": (by_subject, 1),
    "sources and subjects crossed": (crossed, 1),
    f"sources and {SEEDS} seeds": (by_source, SEEDS),
}
"""Name -> how clips are drawn, and with how many seeds a system is trained."""


def simulate(
    world: str, *, repetitions: int, resamples: int, clusters: int = CLUSTERS, seed: int = 1
) -> Iterator[tuple[str, float, float]]:
    """Yield metric, share of intervals that hold the truth, share of false differences."""
    draw, seeds = WORLDS[world]
    truth = _truth(draw, seeds)
    held, false = Counter[str](), Counter[str]()
    names = tuple(map(str, range(TARGETS)))
    rng = np.random.default_rng(seed)
    for repetition in range(repetitions):
        drawn = draw(rng, clusters)
        assert drawn.clips is not None
        tied = [str(number) for number in cluster_numbers(drawn.clips)]
        one, two = (
            cluster(drawn.target, _system(rng, drawn, seeds, seeds > 1), tied, constant=_MIDDLE)
            for _ in range(2)
        )
        how = {"metrics": METRICS, "resamples": resamples, "seed": repetition}
        for metric, ends in intervals(one, **how).items():  # type: ignore[arg-type]
            held[metric] += bool(ends[-1, 0] <= truth[metric] <= ends[-1, 1])
        for found in compare(one, two, names=names, **how):  # type: ignore[arg-type]
            if found.target == MACRO:
                false[found.metric] += found.p is not None and found.p < 0.05
    for metric in METRICS:
        yield metric, held[metric] / repetitions, false[metric] / repetitions


def _sizes(rng: np.random.Generator, groups: int) -> NDArray[np.int64]:
    return rng.choice([1, 2, 3, 4, 6], groups, p=[0.3, 0.25, 0.2, 0.15, 0.1])


def _drawn(
    rng: np.random.Generator, owner: NDArray[np.intp], clip: Callable[[int, int], Clip]
) -> Drawn:
    groups = int(owner.max()) + 1
    level = rng.normal(0, 0.12, (groups, TARGETS))
    target = 0.5 + level[owner] + rng.normal(0, 0.09, (len(owner), TARGETS))
    clips = [clip(i, int(g)) for i, g in enumerate(owner)] if groups < _LARGE else None
    return Drawn(clips, owner, level, target)


def _system(rng: np.random.Generator, drawn: Drawn, seeds: int, varies: bool) -> Array:
    """Predictions (seeds, clips, targets) that know half of a group's level.

    What a system gets wrong about a group is the same for all its seeds; how much each seed
    learned, and its noise, is its own.
    """
    bias = rng.normal(0, 0.07, drawn.level.shape)
    learned = 0.5 + varies * rng.normal(0, 0.06, seeds)
    known = 0.5 + learned[:, None, None] * drawn.level + bias
    noise = rng.normal(0, 0.04, (seeds, *drawn.target.shape))
    predicted: Array = known[:, drawn.groups] + noise
    return predicted


def _truth(draw: Draw, seeds: int) -> dict[str, float]:
    """Macro scores over all clusters, and all seeds where there are several."""
    rng = np.random.default_rng(0)
    drawn = draw(rng, _LARGE)
    scores: dict[str, list[float]] = {metric: [] for metric in METRICS}
    for _ in range(_MANY if seeds > 1 else 1):
        # one seed at a time: forty of so many clips do not fit in memory
        predicted = _system(rng, drawn, 1, seeds > 1)[0]
        for metric, column in product(METRICS, range(TARGETS)):
            cells = drawn.target[:, column], predicted[:, column]
            value = score(metric, *cells, constant=_MIDDLE[column]).value
            assert value is not None
            scores[metric].append(value)
    return {metric: float(np.mean(values)) for metric, values in scores.items()}
