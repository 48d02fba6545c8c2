"""Many systems on one corpus, in order: ranks with paired tests, what each costs, what failed.

In: reports of systems, their paired comparison and their costs. Out: the first section of the page
that `write_report` makes of the same reports. Scores are those on sources that no system was
fitted on, where the corpus has them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from traitscope.evaluation.comparison import Comparison
from traitscope.evaluation.report import Report
from traitscope.report import svg
from traitscope.report.content import Cell, Row, finite
from traitscope.statistics.metrics import MACRO

ALIKE = 0.05
"""Corrected p of a paired difference, from which on two systems are not told apart."""


@dataclass(frozen=True)
class Cost:
    """What one system took, on the machine that it ran on.

    Attributes:
        train_seconds: of training alone, all seeds and stages.
        parameters: numbers that it holds.
        flops: of scoring one clip, from stored features; None for what is no network.
        latency_ms: of the same, the median of several.
        peak_mib: memory of its process at most.
    """

    train_seconds: float
    parameters: int
    flops: int | None
    latency_ms: float
    peak_mib: float


@dataclass(frozen=True)
class Standing:
    """One system of a suite.

    Attributes:
        name: of the system.
        report: what it scored.
        cost: what it took; None for predictions of somebody else.
    """

    name: str
    report: Report
    cost: Cost | None = None


@dataclass(frozen=True)
class Place:
    """One line of the table of ranks."""

    rank: int
    name: str
    accuracy: Cell
    skill: Cell
    ccc: Cell
    alike: str
    cost: tuple[str, ...]


def standings(
    title: str,
    systems: Sequence[Standing],
    comparison: Comparison | None,
    failures: Mapping[str, str],
) -> Markup:
    """Lay out the section of ranks, costs and failures.

    Args:
        title: of the suite.
        systems: those that have scores.
        comparison: their paired differences in ``ccc``; None for a single system.
        failures: system -> why it has no scores.
    """
    part, ordered = _ordered(systems)
    groups = _groups([one.name for one in ordered], comparison)
    places = [_place(rank, one, part, groups) for rank, one in enumerate(ordered, start=1)]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    # Everything from data is escaped here; the page takes the section as it is.
    return Markup(
        environment.from_string(
            files("traitscope.report").joinpath("standings.html").read_text(encoding="utf-8")
        ).render(
            title=title,
            part=ordered[0].report.parts[part].title if ordered else "",
            places=places,
            ranks=_ranks(ordered, part, groups) if ordered else "",
            costs=_costs(ordered, part),
            comparison=comparison,
            failures=sorted(failures.items()),
        )
    )


def letters(groups: Sequence[Sequence[str]], name: str) -> str:
    """Letters of the groups a system belongs to: two that share one are not told apart."""
    return "".join(chr(ord("a") + at % 26) for at, group in enumerate(groups) if name in group)


def _ordered(systems: Sequence[Standing]) -> tuple[str, list[Standing]]:
    """The part that all have and that says most, and the systems from best to worst in it."""
    keys = [key for key in (systems[0].report.parts if systems else ()) if _scored(systems, key)]
    # The last part is the strictest: sources that nobody was fitted on.
    part = keys[-1] if keys else "all"

    def score(one: Standing) -> float:
        value = finite(one.report.parts[part].model.macro("ccc").value)
        return -np.inf if value is None else value

    return part, sorted(systems, key=score, reverse=True)


def _scored(systems: Sequence[Standing], key: str) -> bool:
    parts = [one.report.parts.get(key) for one in systems]
    return all(part is not None and bool(part.rows) for part in parts)


def _groups(names: Sequence[str], comparison: Comparison | None) -> list[list[str]]:
    """Runs of neighbours none of whose pairs differ clearly; none within another."""
    if comparison is None:
        return [list(names)]
    clear = {
        frozenset((each.first, each.second))
        for each in comparison.differences
        if each.metric == "ccc" and each.target == MACRO
        # Without a p there are too few people to tell any two apart.
        if each.p_holm is not None and each.p_holm < ALIKE
    }
    groups: list[list[str]] = []
    last = 0
    for start in range(len(names)):
        end = start + 1
        while end < len(names) and not any(
            frozenset((names[end], names[other])) in clear for other in range(start, end)
        ):
            end += 1
        if end > last:  # else it lies within the group before
            groups.append(list(names[start:end]))
            last = end
    return groups


def _place(rank: int, one: Standing, part: str, groups: Sequence[Sequence[str]]) -> Place:
    scored = one.report.parts[part].model
    row = Row(one.name, "model", scored.metrics)
    cells = {key: row.cell(key, MACRO) for key in ("accuracy", "skill", "ccc")}
    return Place(rank, one.name, **cells, alike=letters(groups, one.name), cost=_words(one.cost))


def _words(cost: Cost | None) -> tuple[str, ...]:
    """Training time, parameters, FLOPs, latency and memory, as people read them."""
    if cost is None:
        return ("–",) * 5
    return (
        _seconds(cost.train_seconds),
        _short(cost.parameters),
        "–" if cost.flops is None else _short(cost.flops),
        f"{cost.latency_ms:.1f} ms" if cost.latency_ms < 100 else f"{cost.latency_ms:.0f} ms",
        f"{cost.peak_mib:.0f} MiB",
    )


def _seconds(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _short(count: float) -> str:
    """1234567 -> 1.23 M."""
    for size, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return f"{count:.0f}"


def _ranks(systems: Sequence[Standing], part: str, groups: Sequence[Sequence[str]]) -> Markup:
    """A line per system with score and interval; bars join those that are not told apart."""
    scores = [one.report.parts[part].model.macro("ccc") for one in systems]
    ends = [v for s in scores for x in (s.value, s.low, s.high) if (v := finite(x)) is not None]
    low, high = min([0.0, *ends]), max([0.1, *ends])
    left, right, step = 230, svg.WIDTH - 20 - 14 * len(groups), 34
    height = step * len(systems) + 60

    def across(value: float) -> int:
        return round(left + (value - low) / (high - low) * (right - left))

    parts = []
    for value in svg.ticks(low, high):
        x = across(value)
        parts.append(f'<path class="g" d="M{x} 10V{height - 44}"/>')
        parts.append(f'<text x="{x}" y="{height - 12}" text-anchor="middle">{value:g}</text>')
    for at, (one, score) in enumerate(zip(systems, scores, strict=True)):
        y = 26 + step * at
        parts.append(
            f'<text class="n" x="{left - 14}" y="{y + 8}" text-anchor="end">'
            f"{escape(_cut(one.name))}</text>"
        )
        middle = finite(score.value)
        if middle is None:
            continue
        sides = finite(score.low), finite(score.high)
        if sides[0] is not None and sides[1] is not None:
            parts.append(f'<path class="l" d="M{across(sides[0])} {y}H{across(sides[1])}"/>')
        parts.append(f'<circle class="d" cx="{across(middle)}" cy="{y}" r="9"/>')
    for at, group in enumerate(groups):
        if len(group) > 1:
            first = [one.name for one in systems].index(group[0])
            x, top = right + 18 + 14 * at, 26 + step * first
            bottom = top + step * (len(group) - 1)
            parts.append(f'<path class="l model" d="M{x} {top - 8}V{bottom + 8}"/>')
    label = f"CCC of {len(systems)} systems with intervals, best first"
    return svg.picture(parts, label, height=height)


def _cut(name: str, longest: int = 18) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _costs(systems: Sequence[Standing], part: str) -> Markup:
    """CCC over training time; each system is its rank."""
    shown = [
        (rank, np.log10(max(one.cost.train_seconds, 0.1)), value)
        for rank, one in enumerate(systems, start=1)
        if one.cost is not None
        and (value := finite(one.report.parts[part].model.macro("ccc").value)) is not None
    ]
    if len(shown) < 2:
        return Markup("")
    xs, ys = [x for _, x, _ in shown], [y for _, _, y in shown]
    room = 0.08 * (max(ys) - min(ys) or 1)
    axes = svg.Axes(
        (float(np.floor(min(xs))), float(np.ceil(max(xs) + 1e-9))), (min(ys) - room, max(ys) + room)
    )
    parts = [svg.frame(axes, "training time, log10 of seconds", "CCC")]
    for rank, x, y in shown:
        at = f'x="{axes.across(x)}" y="{int(axes.up(y)) + 9}"'
        parts.append(f'<text class="v" {at} text-anchor="middle">{rank}</text>')
    return svg.picture(parts, "CCC over training time; numbers are ranks")
