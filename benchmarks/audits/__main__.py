"""Simulate audits where the truth is known: how often they speak, and how often they should.

Fairness: 800 clips of 400 people with three attributes and five traits, which differ between the
groups of people. Perturbation: 12 clips of a model that correlates .4 with labels.
"""

import argparse
from collections.abc import Callable
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import figure
from traitscope.audit.fairness import LEVEL, MINIMUM
from traitscope.audit.gaps import correct, group_terms, outside
from traitscope.audit.shifts import Yardsticks, measure_shifts
from traitscope.statistics.intervals import holm
from traitscope.statistics.resampling import FEWEST_CLUSTERS, by_cluster, estimate

Array = NDArray[np.float64]

PEOPLE, CLIPS, TARGETS = 400, 2, 5
MIDDLE = 0.5
GAPS = np.array([[0.06, 0.0], [-0.05, 0.03], [0.04, 0.0], [0.0, -0.05], [0.03, 0.02]])
"""What the second gender and the third origin add to the true traits (targets, attributes)."""
SAMPLE, SPLIT = 12, 1000
LABEL_SD, CORRELATION = 0.14, 0.4


def main() -> None:
    """Print one row per system and per change."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audits", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--short", action="store_true", help="40 repetitions: to see that it runs.")
    options = parser.parse_args()
    repetitions = 40 if options.short else options.repetitions
    print(f"fairness: {PEOPLE * CLIPS} clips of {PEOPLE} people, 5 traits")
    heads = ("residual", "clear", "found", "follows", "found")
    print(f"{'system':<44}{'runs':>6}" + "".join(f"{head:>10}" for head in heads))
    for name, system, gap, bias in systems():
        # power needs fewer digits than a share that must stay below 5 %
        runs = max(1, repetitions // 4) if bias else repetitions
        shares = np.mean([fairness(system, gap, bias, seed) for seed in range(runs)], axis=0)
        cells = [f"{share:10.1%}" for share in shares]
        if bias:
            figure(f"planted bias found: {name}", shares[2], unit="%")
        else:
            figure(f"speaks without cause: {name}", shares[1], most=0.05, unit="%")
            cells[2] = cells[4] = f"{'-':>10}"
        print(f"{name:<44}{runs:6}{''.join(cells)}", flush=True)
    print(f"\nperturbation: {repetitions} runs, {SAMPLE} clips, 5 traits")
    print(f"{'change':<44}{'interval':>9}{'any':>8}{'all':>8}")
    for name, (width, change) in changes().items():
        flags = np.array([perturbation(width, change, seed) for seed in range(repetitions)])
        before, now = flags[:, 0], flags[:, 1]
        shares = (before.any(axis=1).mean(), now.any(axis=1).mean(), now.all(axis=1).mean())
        print(f"{name:<44}{shares[0]:9.1%}{shares[1]:8.1%}{shares[2]:8.1%}", flush=True)


def systems() -> list[tuple[str, Callable[..., Array], float, float]]:
    """Name, predictions of (true traits, generator), size of the labels' gaps, planted bias."""
    constant = shrunken(0.0, 0.0)
    honest, right = shrunken(0.25, 0.04), shrunken(1.0, 0.06)
    return [
        ("constant", constant, 1.0, 0.0),
        ("constant, rounded differently per clip", shrunken(0.0, 1e-4), 1.0, 0.0),
        ("shrunken to .25", honest, 1.0, 0.0),
        ("shrunken to .25, labels without gaps", honest, 0.0, 0.0),
        ("shrunken to .6", shrunken(0.6, 0.05), 1.0, 0.0),
        ("not shrunken", right, 1.0, 0.0),
        ("noise", shrunken(0.0, 0.06), 1.0, 0.0),
        ("shrunken, +.03, labels without gaps", honest, 0.0, 0.03),
        ("shrunken, +.05, labels without gaps", honest, 0.0, 0.05),
        ("shrunken, -.05 against a gap of .06", honest, 1.0, -0.05),
        ("shrunken, +.05 on top of a gap of .06", honest, 1.0, 0.05),
        ("shrunken, +.08 on top of a gap of .06", honest, 1.0, 0.08),
        ("not shrunken, +.05 on top of a gap of .06", right, 1.0, 0.05),
    ]


def shrunken(slope: float, error: float) -> Callable[..., Array]:
    """A system that treats all alike; half of the variance of its errors is the person's."""

    def predict(true: Array, rng: np.random.Generator) -> Array:
        half = error / np.sqrt(2)
        own = np.repeat(rng.normal(0, half, (PEOPLE, TARGETS)), CLIPS, axis=0)
        return 0.01 + MIDDLE + slope * (true - MIDDLE) + own + rng.normal(0, half, true.shape)

    return predict


def fairness(
    system: Callable[..., Array], gap: float, bias: float, seed: int
) -> tuple[bool, bool, bool, bool, bool]:
    """Whether one run has a residual gap that holds, and of both tests a false gap and the planted.

    The planted bias is in the first trait of the second gender, and counts as found when that
    group or the other half is clear; a false gap is one in another trait.
    """
    rng = np.random.default_rng(seed)
    traits, people = attributes(rng)
    own = MIDDLE + gap * traits @ GAPS.T + rng.normal(0, 0.1, (PEOPLE, TARGETS))
    true = np.repeat(own, CLIPS, axis=0)
    labels = true + rng.normal(0, 0.1, true.shape)
    predicted = system(true, rng)
    predicted[:, 0] += bias * np.repeat(traits[:, 0], CLIPS)
    clusters = np.repeat(np.arange(PEOPLE), CLIPS)
    tested: list[list[tuple[Array, bool]]] = [[], []]
    plain = []
    for given in people:
        member = members(given)
        enough = member.sum(axis=0) * CLIPS >= max(MINIMUM, CLIPS * FEWEST_CLUSTERS)
        repeated = np.repeat(member, CLIPS, axis=0)
        sums = group_terms(
            repeated, labels, predicted, constant=np.full(TARGETS, MIDDLE), shift=MIDDLE
        )
        halves = member.shape[1] == 2
        for family, left in zip(tested, outside(sums, clusters, shift=MIDDLE), strict=True):
            assert left is not None
            family.append((left.p[enough], halves))
        rows = slice(0, 1) if halves else enough
        plain.append(residual_p(repeated, predicted - labels, clusters)[rows].ravel())
    before = bool((holm(np.concatenate(plain)) < LEVEL).any())
    return before, *held(tested[0], bool(bias)), *held(tested[1], bool(bias))


def held(tested: list[tuple[Array, bool]], is_planted: bool) -> tuple[bool, bool]:
    """Whether a false gap holds after correction, and the planted one."""
    holds = [p < LEVEL for p in correct(tested)[0]]
    false = any(bool(h[:, 1:].any() if is_planted else h.any()) for h in holds)
    return false, bool(holds[0][:, 0].any())


def attributes(rng: np.random.Generator) -> tuple[Array, list[NDArray[np.str_]]]:
    """Who has which gap (people, attributes), and groups: gender, origin, age and pairs."""
    gender = rng.choice(2, PEOPLE, p=(0.55, 0.45))
    origin = rng.choice(3, PEOPLE, p=(0.6, 0.25, 0.15))
    single = [value.astype(str) for value in (gender, origin, rng.choice(3, PEOPLE))]
    pairs = [np.char.add(np.char.add(a, "/"), b) for a, b in combinations(single, 2)]
    return np.column_stack([gender == 1, origin == 2]).astype(float), [*single, *pairs]


def members(given: NDArray[np.str_]) -> Array:
    """Values of one attribute as (people, groups), 1 for those inside."""
    return (given[:, None] == np.unique(given)).astype(float)


def residual_p(member: Array, residual: Array, clusters: NDArray[np.intp]) -> Array:
    """P of residual gaps (groups, targets) by themselves, as it was once."""
    terms = np.concatenate([np.ones_like(residual[:, :1]), residual], axis=1)
    sums = by_cluster(member[:, :, None] * terms[:, None], clusters)

    def statistic(own: Array) -> Array:
        rest = own.sum(axis=-2, keepdims=True) - own
        gap = own[..., 1:] / own[..., :1] - rest[..., 1:] / rest[..., :1]
        return gap.reshape(*own.shape[:-2], -1)

    return estimate(sums, statistic, resamples=0).p.reshape(member.shape[1], -1)


def changes() -> dict[str, tuple[float, Callable[..., Array]]]:
    """How far scores are spread, and what a change of the recording does to them."""
    return {
        "none": (1.0, lambda s, sd, rng: s),
        "none, decoded with noise of .1 sd": (1.0, lambda s, sd, rng: s + noise(s, 0.1 * sd, rng)),
        "none, of a constant with rounding": (1e-6, lambda s, sd, rng: s + noise(s, 1e-7, rng)),
        "every clip gets another's score": (1.0, lambda s, sd, rng: np.roll(s, 1, axis=0)),
        "scores turned around their mean": (1.0, lambda s, sd, rng: 1 - s),
        "all scores higher by one sd": (1.0, lambda s, sd, rng: s + sd),
        "all scores higher by .2 sd": (1.0, lambda s, sd, rng: s + 0.2 * sd),
    }


def noise(scores: Array, sd: float, rng: np.random.Generator) -> Array:
    """Noise in the shape of scores."""
    return rng.normal(0, sd, scores.shape)


def perturbation(width: float, change: Callable[..., Array], seed: int) -> list[list[bool]]:
    """Which traits of one run are beyond the own interval, and which are flagged at all."""
    rng = np.random.default_rng(seed)
    sd = CORRELATION * LABEL_SD
    predicted = rng.normal(MIDDLE, width * sd, (SPLIT, TARGETS))
    half = np.full(TARGETS, 1.96 * LABEL_SD * np.sqrt(1 - CORRELATION**2))
    before = predicted[:SAMPLE]
    found = measure_shifts(
        before,
        change(before, sd, rng),
        np.arange(SAMPLE),
        names=[str(place) for place in range(TARGETS)],
        yardsticks=Yardsticks(half, predicted),
    )
    reasons = [found[name].reasons for name in found]
    return [["interval" in r for r in reasons], [bool(r) for r in reasons]]


if __name__ == "__main__":
    main()
