"""The figures of a report for print: PNG at 200 dpi, black text on white, Okabe-Ito colours."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from traitscope.evaluation.report import Report
from traitscope.plotting import BLUE, GREY, LIGHT, RED, plain, residuals, save, scatter, title
from traitscope.report import figures, tables
from traitscope.report.content import SYSTEMS, Group, Part, Row, kind_of

# Told apart without colour: papers are printed in grey.
MARKS = {"model": "o", "constant": "|", "lookup": "s", "lookup_shrunk": "D", "metadata": "^"}


def comparison(group: Group, part: Part, path: Path) -> Path:
    """Dots with 95 % intervals: systems down, accuracy and CCC, macro and per trait across."""
    shown: tuple[str, ...] = ("accuracy", "ccc")
    keys = [key for key in shown if key in part.metrics] or list(part.metrics[:1])
    size = (2.1 * len(group.labels) + 1.6, (0.32 * len(part.rows) + 0.9) * len(keys) + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    # Traits of one metric share a scale, metrics do not.
    grid = figure.subplots(len(keys), len(group.labels), sharey=True, sharex="row", squeeze=False)
    for key, line in zip(keys, grid, strict=True):
        for (target, label), axes in zip(group.labels.items(), line, strict=True):
            for place, row in enumerate(reversed(part.rows)):
                _dot(axes, place, row, key, target)
            axes.set_title(label, fontsize=9)
            axes.set_xlabel(tables.metric(key).label, fontsize=9)
            axes.set_yticks(range(len(part.rows)), [row.label for row in reversed(part.rows)])
            plain(axes)
    # The title of a part begins with its split.
    figure.suptitle(f"{group.kind[0]} in {group.corpus.name}: {part.title}", fontsize=10)
    return save(figure, path)


def traits(report: Report, path: Path) -> list[Path]:
    """Four panels per target, as on the page; nothing when the report has no points."""
    drawn = figures.read_traits(report)
    if not drawn:
        return []
    name = report.name
    figure = Figure(figsize=(13, 2.7 * len(drawn) + 0.4), layout="constrained")
    grid = figure.subplots(len(drawn), 4, squeeze=False)
    for trait, line in zip(drawn, grid, strict=True):
        scatter(line[0], trait.true, trait.predicted, trait.scale)
        residuals(line[1], trait.true, trait.predicted, trait.scale)
        title(line[0], trait.label)
        _histograms(line[2], trait)
        _errors(line[3], trait, name)
        for axes in line:
            plain(axes)
    what = kind_of(report.corpus)[0]
    figure.suptitle(f"{name}: {what} in {report.corpus.name}, {report.split}", fontsize=11)
    return [save(figure, path)]


def history(rows: Sequence[Mapping[str, Any]], name: str, path: Path) -> list[Path]:
    """Metrics over epochs, training dashed; nothing when there is no history."""
    curves = figures.read_history(rows)
    if not curves:
        return []
    figure = Figure(figsize=(3.6 * len(curves), 2.9), layout="constrained")
    for axes, (metric, sides) in zip(
        figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True
    ):
        for side, (x, y) in sides.items():
            style = ("-", BLUE) if side == "validation" else ("--", GREY)
            axes.plot(x, y, style[0], color=style[1], label=side)
        axes.set(xlabel="epoch", ylabel=tables.metric(metric).label)
        axes.legend(frameon=False, fontsize=8)
        plain(axes)
    figure.suptitle(name, fontsize=11)
    return [save(figure, path)]


def _dot(axes: Axes, place: int, row: Row, key: str, target: str) -> None:
    cell = row.cell(key, target)
    if cell.value is None:
        # A row without a dot would look forgotten. Across, the place is a share of the panel (its
        # transform), since the scale may not be known.
        axes.text(
            0.5,
            place,
            "undefined",
            fontsize=7,
            color=GREY,
            ha="center",
            va="center",
            style="italic",
            transform=axes.get_yaxis_transform(),
        )
        return
    colour = BLUE if row.role in SYSTEMS else RED if "lookup" in row.role else GREY
    if cell.low is not None and cell.high is not None:
        axes.plot([cell.low, cell.high], [place, place], color=colour, linewidth=1.6)
    size = 9 if row.role == "constant" else 5  # its mark is a thin line
    axes.plot([cell.value], [place], MARKS.get(row.role, "x"), color=colour, markersize=size)


def _histograms(axes: Axes, trait: figures.Trait) -> None:
    edges = figures.bins(trait)
    axes.stairs(np.histogram(trait.true, edges)[0], edges, fill=True, color=LIGHT, label="labels")
    axes.stairs(
        np.histogram(trait.predicted, edges)[0],
        edges,
        color=BLUE,
        linewidth=1.5,
        label="predictions",
    )
    axes.set(xlabel="score", ylabel="clips")
    # There are no half clips.
    axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.legend(frameon=False, fontsize=8)


def _errors(axes: Axes, trait: figures.Trait, name: str) -> None:
    grid = figures.error_grid(trait)
    for system, values in {name: trait.predicted, **trait.baselines}.items():
        errors = np.abs(values - trait.true)
        shares = figures.error_shares(errors[np.isfinite(errors)], grid)
        style = {name: ("-", BLUE), "look-up": (":", RED)}.get(system, ("--", GREY))
        axes.plot(grid, 100 * shares, style[0], color=style[1], linewidth=1.6, label=system)
    # A curve along 100 % would be half hidden by the edge.
    axes.set(xlabel="absolute error", ylabel="% of clips", ylim=(0, 102), xlim=(0, grid[-1]))
    axes.legend(frameon=False, fontsize=8, loc="lower right")
