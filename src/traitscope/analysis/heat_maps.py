"""Correlation tables as labelled heat maps: the result of ``correlate_signals`` in, PNGs out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from traitscope.analysis.correlations import LEVEL, METHODS, STATISTICS
from traitscope.analysis.naming import readable
from traitscope.plotting import save

DPI = 200
_COLOURS = "PuOr"  # orange is below zero, as in the audits; told apart with any colour vision
_TITLES = {"pearson": "Pearson's r", "spearman": "Spearman's ρ"}


def draw(result: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw one picture per method: signals down, targets across, mean and sd side by side.

    Framed bold numbers hold after correction; a circular table says so in red.

    Args:
        result: of ``correlate_signals``.
        folder: of ``signals-traits-pearson.png`` and ``signals-traits-spearman.png``.
    """
    return [_picture(result, method, folder / f"signals-traits-{method}.png") for method in METHODS]


def _picture(result: Mapping[str, Any], method: str, path: Path) -> Path:
    signals = list(dict.fromkeys(row["signal"] for row in result["rows"]))
    targets = [target["label"] for target in result["targets"]]
    # Inches of a cell, twice over for mean and sd, and room for names of signals and the scale.
    size = (2 * (0.86 * len(targets)) + 4.4, 0.3 * len(signals) + 3.1)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(STATISTICS), sharey=True, squeeze=False)[0]
    # One scale for both panels, the same to both sides: a colour means one number.
    reach = max((abs(row[method]["value"] or 0.0) for row in result["rows"]), default=0.0)
    # Stretched over less, noise would be drawn in the darkest colours.
    reach = max(0.3, reach)
    image: Any = None
    for axes, statistic in zip(panels, STATISTICS, strict=True):
        image = _panel(axes, result, method, statistic, reach)
        axes.set_xticks(range(len(targets)), targets, rotation=40, ha="right", fontsize=8)
        axes.set_yticks(range(len(signals)), [readable(s) for s in signals], fontsize=8)
        axes.set_title(f"{statistic} per clip", fontsize=9, loc="left")
    figure.colorbar(image, ax=panels, shrink=0.6, label=_TITLES[method])
    against = result["against"]
    figure.suptitle(
        f"Signals against {result['kind'].replace('_', '-')} traits ({against}): "
        f"{result['corpus']}\n{result['clips']} clips in {result['clusters']} clusters; framed: "
        f"holds at a false discovery rate of {LEVEL:.0%} over {result['family']} tests",
        fontsize=9,
    )
    if result["circular"]:
        figure.supxlabel(
            "CIRCULAR: these predictions are computed from these signals; this shows the model, "
            "not people.",
            fontsize=10,
            color="#B00000",
            fontweight="bold",
        )
    return save(figure, path, dpi=DPI)


def _panel(axes: Axes, result: Mapping[str, Any], method: str, statistic: str, reach: float) -> Any:
    signals = list(dict.fromkeys(row["signal"] for row in result["rows"]))
    names = [target["name"] for target in result["targets"]]
    values = np.full((len(signals), len(names)), np.nan)
    holds = np.zeros(values.shape, dtype=bool)
    for row in result["rows"]:
        if row["statistic"] == statistic and row[method]["value"] is not None:
            place = signals.index(row["signal"]), names.index(row["target"])
            values[place] = row[method]["value"]
            holds[place] = row[method]["q"] is not None and row[method]["q"] <= LEVEL
    # Undefined cells stay grey: white is a correlation of 0.
    axes.set_facecolor("#E8E8E8")
    image = axes.imshow(values, cmap=_COLOURS, vmin=-reach, vmax=reach, aspect="auto")
    for row, column in np.ndindex(*values.shape):
        _cell(axes, row, column, float(values[row, column]), bool(holds[row, column]), reach)
    axes.tick_params(length=0)
    return image


def _cell(axes: Axes, row: int, column: int, value: float, holds: bool, reach: float) -> None:
    if np.isnan(value):
        axes.text(column, row, "–", ha="center", va="center", fontsize=7, color="#555555")
        return
    # The 0 before the point only takes room, and a minus before 0.00 would claim a direction.
    text = f"{value + 0.0:.2f}".replace("-0.00", "0.00").replace("-", "−").replace("0.", ".", 1)
    axes.text(
        column,
        row,
        text,
        ha="center",
        va="center",
        fontsize=7.5 if holds else 7,
        fontweight="bold" if holds else "normal",
        color="white" if _is_dark(value / reach) else "#111111",
    )
    if holds:
        box = Rectangle(
            (column - 0.47, row - 0.44), 0.94, 0.88, fill=False, edgecolor="black", linewidth=1.2
        )
        axes.add_patch(box)


def _is_dark(share: float) -> bool:
    """Whether the colour of a value, as a share of the scale (-1 to 1), asks for light text."""
    # How bright primaries look, by ITU-R BT.601: green most, blue least.
    red, green, blue, _ = colormaps[_COLOURS](0.5 + share / 2)
    return bool(0.299 * red + 0.587 * green + 0.114 * blue < 0.5)
