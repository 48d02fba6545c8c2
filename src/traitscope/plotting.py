"""Labels and predictions -> scatter and residual panels, as reports and training draw them."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from traitscope.files import replacing
from traitscope.types import Target

# Of Okabe and Ito's palette, which people tell apart who do not see red and green.
BLUE, RED, GREY, LIGHT = "#0072B2", "#D55E00", "#555555", "#C3C9D2"
DPI = 200

Numbers = NDArray[np.float64]


def scatter(axes: Axes, true: Numbers, predicted: Numbers, scale: tuple[float, float]) -> None:
    """Predictions (clips,) against labels (clips,), and the line of perfect ones."""
    axes.plot(true, predicted, ".", color=BLUE, mew=0, **_dot(len(true)))
    axes.plot(scale, scale, "--", color="black", linewidth=0.9)
    axes.set(xlabel="true", ylabel="predicted", xlim=scale, ylim=scale)


def residuals(axes: Axes, true: Numbers, predicted: Numbers, scale: tuple[float, float]) -> None:
    """Errors against predictions (clips,), and the line of none."""
    axes.plot(predicted, predicted - true, ".", color=BLUE, mew=0, **_dot(len(true)))
    axes.axhline(0, color="black", linestyle="--", linewidth=0.9)
    axes.set(xlabel="predicted", ylabel="predicted − true", xlim=scale)


def _dot(clips: int) -> dict[str, Any]:
    """Size and opacity: a few clips are to be seen, thousands to show where they are dense."""
    return {"markersize": 8, "alpha": 0.6} if clips < 300 else {"markersize": 4, "alpha": 0.35}


def title(axes: Axes, text: str) -> None:
    """Name the target of a row of panels."""
    axes.set_title(text, fontsize=10, fontweight="bold", loc="left")


def plain(axes: Axes) -> None:
    """Grid behind, small ticks, no frame on the right and above."""
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def save(figure: Figure, path: Path, *, dpi: int = DPI) -> Path:
    """Write a figure for print; a letter that the font lacks is drawn as a box, without a word."""
    # Whatever backend the user has: no window is opened, and none is needed.
    FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        with replacing(path) as draft:
            # A draft ends in .tmp, so the format is that of the name it will get.
            figure.savefig(draft, dpi=dpi, format=path.suffix.removeprefix(".") or "png")
    return path


def plot_epoch(
    labels: Numbers, predictions: Numbers, targets: Sequence[Target], heading: str, path: Path
) -> Path:
    """Draw scatter and residuals of every target as one PNG.

    Args:
        labels: (clips, targets), NaN where one is missing.
        predictions: (clips, targets).
        targets: their names and ranges.
        heading: above the figure.
        path: of the file; its folder is made.
    """
    figure = Figure(figsize=(2.7 * len(targets) + 0.6, 5.4), layout="constrained")
    grid = figure.subplots(2, len(targets), squeeze=False)
    for column, target in enumerate(targets):
        known = np.isfinite(labels[:, column])
        pair = labels[known, column], predictions[known, column]
        ends = [end for end in (target.low, target.high) if end is not None]
        # A target without labels or range is drawn as well, on some scale.
        shown = np.concatenate([*pair, ends, [] if known.any() or ends else [0.0, 1.0]])
        scale = float(shown.min()), float(shown.max())
        scatter(grid[0, column], *pair, scale)
        residuals(grid[1, column], *pair, scale)
        title(grid[0, column], target.label)
        for axes in grid[:, column]:
            plain(axes)
    figure.suptitle(heading, fontsize=11)
    return save(figure, path, dpi=100)
