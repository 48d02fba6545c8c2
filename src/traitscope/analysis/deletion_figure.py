"""The deletion test over a split -> one picture: agreement with the labels as evidence goes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from traitscope.plotting import BLUE, GREY, plain, save, title


def draw(result: Mapping[str, Any], path: Path) -> Path:
    """Draw both curves of every target, the strongest evidence first and random parts.

    Args:
        result: of ``measure_explanations``.
        path: of the PNG.
    """
    rows = result["rows"]
    figure = Figure(figsize=(2.5 * len(rows) + 0.6, 3.3), layout="constrained")
    panels = figure.subplots(1, len(rows), sharey=True, squeeze=False)[0]
    for axes, row in zip(panels, rows, strict=True):
        for name, colour, style in (("random", GREY, "--"), ("evidence", BLUE, "-")):
            curve = row["curves"][name]
            axes.plot(result["shares"], curve, style, color=colour, linewidth=1.6, label=name)
        axes.axhline(0, color="black", linewidth=0.7)
        axes.set(xlabel="share deleted")
        lost = row["lost"]
        number = "undefined" if lost["value"] is None else f"{lost['value']:+.3f}"
        if lost["low"] is not None:
            number += f" [{lost['low']:+.3f}, {lost['high']:+.3f}]"
        title(axes, result["labels"].get(row["target"], row["target"]))
        axes.text(0.98, 0.97, number, transform=axes.transAxes, ha="right", va="top", fontsize=7)
        plain(axes)
    panels[0].set(ylabel="slope of scores over labels")
    panels[0].legend(fontsize=8, loc="lower left")
    figure.suptitle(
        f"{result['run']} ({result['model']}), {result['clips']} clips of {result['split']}: "
        f"evidence is {result['verdict']}",
        fontsize=9,
    )
    return save(figure, path)
