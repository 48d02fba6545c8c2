"""The figures of audits for print: one PNG per audit, as on the page."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from traitscope.audit.findings import Audit, Leakage
from traitscope.audit.shifts import MOST_SPREAD
from traitscope.plotting import BLUE, GREY, RED, plain, save
from traitscope.report.audit_drawings import Curves, Forest, Heat, bars, curves, forests
from traitscope.report.audit_drawings import heats as heats_of
from traitscope.report.audits import TITLES
from traitscope.report.content import number

LINES = (
    (BLUE, "-", "o"),
    (RED, (0, (6, 2)), "s"),
    ("#009E73", (0, (1, 1.5)), "^"),
    ("#B5638F", (0, (6, 2, 1, 2)), "D"),
    ("#B57D00", (0, (3, 2)), "v"),
    (GREY, "-", "x"),
)
"""Colour, dashes and mark of each target: told apart without colour too."""
MARKS = {
    "labels": (GREY, "s"),
    "model": (BLUE, "o"),
    "clear": (RED, "o"),
    "residual": ("#009E73", "D"),
}
"""Colour and shape of each kind of mark in a forest."""


def audit_figure(audit: Audit, path: Path) -> list[Path]:
    """Draw the figures of an audit side by side; nothing when it has none."""
    drawn: list[Any] = [*(f for f in forests(audit) if f.rows), *heats_of(audit)]
    drawn += [one for one in curves(audit) if one.series]
    if isinstance(audit, Leakage):
        drawn.append(bars(audit))
    if not drawn:
        return []
    wide = min(3, len(drawn))
    rows = -(-len(drawn) // wide)
    # Forests grow with their rows; heats and curves fill whatever height there is.
    tallest = max((len(f.rows) for f in drawn if isinstance(f, Forest)), default=0)
    lines = max((len(m) for f in drawn if isinstance(f, Forest) for _, m in f.rows), default=1)
    size = (4.6 * wide, max(3.1, (0.16 + 0.12 * lines) * tallest + 1.2) * rows + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, wide, squeeze=False).ravel()
    # The last row may have more places than drawings; they are blanked below.
    for axes, one in zip(grid, drawn, strict=False):
        _draw(axes, one)
    for axes in grid[len(drawn) :]:
        axes.set_axis_off()
    kind = audit.kind.replace("_", "-")
    where = f"{audit.name}, {kind} traits in {audit.corpus}, {audit.split}"
    figure.suptitle(f"{TITLES[audit.audit]}: {where}", fontsize=10)
    return [save(figure, path)]


def _draw(axes: Axes, one: Any) -> None:
    if isinstance(one, Forest):
        _forest(axes, one)
    elif isinstance(one, Heat):
        _heat(axes, one)
    elif isinstance(one, Curves):
        _curves(axes, one)
    else:
        # Matplotlib counts bars from below, tables from above.
        names = [name for name, _ in reversed(one)]
        drawn = axes.barh(names, [100 * share for _, share in reversed(one)], color=BLUE)
        axes.bar_label(drawn, fmt="%.1f %%", padding=3, fontsize=8)
        # Beyond 100 is room for what is written behind a full bar.
        axes.set(xlim=(0, 118), xticks=range(0, 101, 20), xlabel="% of scored clips")
        plain(axes)


def _forest(axes: Axes, forest: Forest) -> None:
    names = dict(forest.keys)
    for place, (_, marks) in enumerate(reversed(forest.rows)):
        for line, mark in enumerate(marks):
            y = place + 0.25 * ((len(marks) - 1) / 2 - line)
            colour, shape = MARKS[mark.kind]
            if mark.kind == "labels":  # where predictions lie that are drawn to the mean
                axes.barh(place, mark.value - forest.reference, 0.8, color="#E3E9F0", zorder=0)
            if mark.low is not None and mark.high is not None:
                axes.plot([mark.low, mark.high], [y, y], color=colour, linewidth=1.6)
            # Named once: each further mark with a label would be a line of the legend.
            name = names.pop(mark.kind, None)
            axes.plot([mark.value], [y], shape, color=colour, markersize=5, label=name)
    axes.axvline(forest.reference, color="black", linestyle="--", linewidth=0.9)
    axes.set_yticks(range(len(forest.rows)), [row[0] for row in reversed(forest.rows)])
    keyed = len(forest.keys) > 1
    # room for the legend, which would cover marks elsewhere
    axes.set_ylim(-1.5 if keyed else -0.6, len(forest.rows) - 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(forest.across, fontsize=9)
    axes.set_title(forest.title, fontsize=10, fontweight="bold", loc="left")
    if keyed:
        axes.legend(framealpha=0.8, edgecolor="none", fontsize=6, ncols=2, loc="lower center")
    plain(axes)


def _heat(axes: Axes, heat: Heat) -> None:
    values = np.array([[np.nan if v is None else v for v in row] for row in heat.values])
    axes.imshow(values, cmap="PuOr", vmin=-1, vmax=1)
    for row, column in np.ndindex(*values.shape):
        value = values[row, column]
        shown = "–" if np.isnan(value) else number(float(value), 2)
        colour = "white" if abs(value) > 0.6 else "black"
        axes.text(column, row, shown, ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(len(heat.names)), heat.names)
    axes.set_yticks(range(len(heat.names)), heat.names)
    axes.set_title(heat.title, fontsize=10, fontweight="bold", loc="left")


def _curves(axes: Axes, one: Curves) -> None:
    edges = (-MOST_SPREAD, MOST_SPREAD)
    axes.axhspan(*edges, color="#E3E9F0", label=f"{MOST_SPREAD:g} sd of predictions")
    for edge in edges:
        axes.axhline(edge, color="black", linestyle="--", linewidth=0.8)
    # Three rounds: with more targets than kinds of lines they repeat, where zip would drop some.
    for (colour, dashes, mark), (label, steps, moved, flagged) in zip(
        LINES * 3, one.series, strict=False
    ):
        axes.plot(steps, moved, color=colour, linestyle=dashes, marker=mark, ms=3, label=label)
        far = [(x, y) for x, y, beyond in zip(steps, moved, flagged, strict=True) if beyond]
        if far:
            axes.plot(*zip(*far, strict=True), mark, color=colour, ms=8)
    axes.set_xlabel(one.across, fontsize=9)
    axes.set_ylabel("mean shift / sd of predictions", fontsize=9)
    axes.set_title(one.title, fontsize=10, fontweight="bold", loc="left")
    # Below: inside, the line at the edge of the band would strike its words through.
    axes.legend(frameon=False, fontsize=6, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    plain(axes)
