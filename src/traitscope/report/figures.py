"""The figures of a report: points and histories in, captioned SVG panels out.

Per trait the four panels of the pascalmi evaluation figure: scatter, residuals, label and
prediction histograms, and the error distribution against the constant's and the look-up's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from traitscope.evaluation.report import Points, Report, TargetFacts
from traitscope.report import svg
from traitscope.report.content import METRICS, finite, number, target_label

# Clocks and counters, and scores whose curve looks like that of one which is drawn.
NOT_DRAWN = {"epoch", "step", "stage", "seconds", "time", "lr", "mse", "rmse", "spearman", "cosine"}
Numbers = NDArray[np.float64]
Curves = dict[str, dict[str, tuple[list[float], list[float]]]]


@dataclass(frozen=True)
class Panel:
    """A picture with its caption; ``keys`` are (CSS class, text) pairs of its legend."""

    title: str
    picture: Markup
    keys: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Trait:
    """The scored clips of one target.

    Attributes:
        label: the target as people read it.
        true: labels (clips,).
        predicted: predictions (clips,).
        baselines: name -> predictions (clips,) of the constant and the look-up.
        scale: the range that axes show.
        dropped: places of clips in the report that lack a label or a prediction.
    """

    label: str
    true: Numbers
    predicted: Numbers
    baselines: Mapping[str, Numbers]
    scale: tuple[float, float]
    dropped: tuple[int, ...] = ()


def read_traits(report: Report) -> list[Trait]:
    """The points of a report, target by target; empty when it has none."""
    points = report.points
    traits = [
        _trait(facts, points)
        for facts in report.corpus.targets
        if facts.name in points.true and facts.name in points.predicted
    ]
    return [trait for trait in traits if len(trait.true)]


def panels(trait: Trait, name: str) -> list[Panel]:
    """The four panels of one target; ``name`` is the system that predicted."""
    return [_scatter(trait, name), _residuals(trait), _histograms(trait), _errors(trait, name)]


def history_panels(rows: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """One panel per metric over epochs, training and validation together."""
    return [_curve(metric, sides) for metric, sides in read_history(rows).items()]


def read_history(rows: Sequence[Mapping[str, Any]]) -> Curves:
    """Sort what was logged per epoch into curves: metric -> side -> (epochs, values).

    Numbers may be text, as ``csv`` reads them. Epochs that start again (a second stage) are
    counted on.
    """
    epochs = [_logged(row.get("epoch")) for row in rows]
    # a second stage starts again at 0: its epochs are counted on, or curves would run back
    known = [epoch for epoch in epochs if epoch is not None]
    if len(known) < len(rows) or any(b <= a for a, b in pairwise(known)):
        known = [float(i) for i in range(len(rows))]
    curves: Curves = {}
    for epoch, row in zip(known, rows, strict=True):
        for key, text in row.items():
            side, metric = _side(key)
            value = _logged(text)
            if metric not in NOT_DRAWN and value is not None:
                xs, ys = curves.setdefault(metric, {}).setdefault(side, ([], []))
                xs.append(epoch)
                ys.append(value)
    return curves


def _logged(value: Any) -> float | None:
    try:
        return finite(float(value))
    except (TypeError, ValueError):
        return None


def error_shares(errors: Numbers, grid: Numbers) -> Numbers:
    """Share of absolute errors (clips,) that are at most each value of a grid (n,)."""
    return np.searchsorted(np.sort(errors), grid, side="right") / max(len(errors), 1)


def bins(trait: Trait, count: int = 30) -> Numbers:
    """Edges (count + 1,) of the histograms of a target."""
    return np.linspace(*trait.scale, count + 1)


def error_grid(trait: Trait, count: int = 80) -> Numbers:
    """Absolute errors (count,) at which error distributions are drawn, up to the 99.5 % point."""
    errors = [np.abs(trait.predicted - trait.true)]
    errors += [np.abs(values - trait.true) for values in trait.baselines.values()]
    # one outlier must not press all curves against the left edge
    end = float(np.nanquantile(np.concatenate(errors), 0.995)) or 1.0
    return np.linspace(0, end, count)


def _trait(facts: TargetFacts, points: Points) -> Trait:
    name = facts.name
    true, predicted = _numbers(points.true[name]), _numbers(points.predicted[name])
    keep = np.isfinite(true) & np.isfinite(predicted)
    baselines = {}
    for role, columns in points.baselines.items():
        if role in {"constant", "lookup"} and name in columns:
            label = "constant" if role == "constant" else "look-up"
            baselines[label] = _numbers(columns[name])[keep]
    # Without a constant the scored labels' own mean stands in, and is named as what it is: it knows
    # the answers.
    if "constant" not in baselines and keep.any():
        centre = np.full(int(keep.sum()), true[keep].mean())
        baselines = {"mean of these labels": centre, **baselines}
    shown = np.concatenate([true[keep], predicted[keep]])
    ends = [end for end in (facts.low, facts.high) if end is not None]
    # The declared range is always in sight, and so is a score beyond it.
    scale = _scale(np.concatenate([shown, ends]), padded=not ends)
    dropped = tuple(np.flatnonzero(~keep).tolist())
    return Trait(target_label(facts), true[keep], predicted[keep], baselines, scale, dropped)


def _numbers(values: Sequence[float | None]) -> Numbers:
    return np.asarray([np.nan if v is None else v for v in values], dtype=np.float64)


def _scale(values: Numbers, *, padded: bool) -> tuple[float, float]:
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    # A declared range ends where it says. Values alone get room around, and one value a width.
    pad = (0.04 * (high - low) if padded else 0.0) or (0.5 if high == low else 0.0)
    return low - pad, high + pad


def _hover(trait: Trait, axes: svg.Axes, names: str) -> str:
    # page.js works back from a place in the picture to the numbers, by these ends of the axes.
    ends = ",".join(f"{v:.6g}" for v in (*axes.x, *axes.y))
    # It looks names up among all clips of the report, also those that are not drawn.
    dropped = ",".join(map(str, trait.dropped))
    box = f"{svg.LEFT},{svg.TOP},{svg.WIDTH - svg.RIGHT},{svg.HEIGHT - svg.BOTTOM}"
    return (
        f' class="hover" data-ends="{ends}" data-box="{box}" data-names="{names}"'
        f' data-dropped="{dropped}"'
    )


def _slope(x: Numbers, y: Numbers) -> tuple[float, float] | None:
    """Slope and intercept of the least-squares line, None when x does not vary."""
    if len(x) < 3 or float(np.ptp(x)) < 1e-9:  # a line through two points says nothing
        return None
    slope, intercept = np.polyfit(x, y, 1)
    return float(slope), float(intercept)


def _scatter(trait: Trait, name: str) -> Panel:
    # One scale for both sides, so that the diagonal is where predictions are right.
    axes = svg.Axes(trait.scale, trait.scale)
    parts = [svg.frame(axes, "true", "predicted"), svg.dots(axes, trait.true, trait.predicted)]
    parts.append(svg.line(axes, trait.scale, trait.scale, "ref"))
    keys: tuple[tuple[str, str], ...] = (("ref", "perfect"),)
    fit = _slope(trait.true, trait.predicted)
    if fit is not None:
        # Drawn as far as labels reach: beyond, nothing is known of the line.
        ends = np.array([trait.true.min(), trait.true.max()])
        parts.append(svg.line(axes, ends, fit[0] * ends + fit[1], "fit"))
        keys = (*keys, ("fit", f"fitted line, slope {number(fit[0], 2)}"))
    label = f"{trait.label}, {name}: predicted against true score of {len(trait.true)} clips"
    hover = _hover(trait, axes, "true,predicted")
    return Panel("Predicted against true", svg.picture(parts, label, hover=hover), keys)


def _residuals(trait: Trait) -> Panel:
    residuals = trait.predicted - trait.true
    # symmetric, so that bias shows as distance from the middle
    reach = float(np.abs(residuals).max()) * 1.05 or 1.0
    axes = svg.Axes(trait.scale, (-reach, reach))
    parts = [
        svg.frame(axes, "predicted", "predicted − true"),
        svg.dots(axes, trait.predicted, residuals),
        svg.line(axes, trait.scale, (0, 0), "ref"),
    ]
    mean = number(float(residuals.mean()), 3)
    label = f"{trait.label}: residual against prediction; mean residual {mean}"
    hover = _hover(trait, axes, "predicted,residual")
    keys = (("ref", f"no error; mean residual {mean}"),)
    return Panel("Residuals", svg.picture(parts, label, hover=hover), keys)


def _histograms(trait: Trait) -> Panel:
    edges = bins(trait)
    true = np.histogram(trait.true, edges)[0]
    predicted = np.histogram(trait.predicted, edges)[0]
    axes = svg.Axes(trait.scale, (0, max(int(true.max()), int(predicted.max()), 1) * 1.06))
    parts = [
        svg.frame(axes, "score", "clips"),
        svg.steps(axes, edges, true, "labels"),
        svg.steps(axes, edges, predicted, "scores"),
    ]
    sds = number(float(trait.true.std()), 3), number(float(trait.predicted.std()), 3)
    label = f"{trait.label}: histograms; sd of labels {sds[0]}, of predictions {sds[1]}"
    keys = (("labels", f"labels, sd {sds[0]}"), ("scores", f"predictions, sd {sds[1]}"))
    return Panel("Labels and predictions", svg.picture(parts, label), keys)


def _errors(trait: Trait, name: str) -> Panel:
    grid = error_grid(trait)
    axes = svg.Axes((0.0, float(grid[-1])), (0.0, 1.0))
    parts = [svg.frame(axes, "absolute error", "share of clips", percent=True)]
    keys, words = [], []
    # The model last, so that it lies on top; its key comes first.
    drawn = [*trait.baselines.items(), (name, trait.predicted)]
    for system, values in drawn:
        errors = np.abs(values - trait.true)
        finite_errors = errors[np.isfinite(errors)]
        # By identity: a run may be called "constant".
        kind = {"look-up": "lookup"}.get(system, "model" if values is trait.predicted else "base")
        parts.append(svg.line(axes, grid, error_shares(finite_errors, grid), kind))
        middle = number(float(np.median(finite_errors)), 3) if len(finite_errors) else "undefined"
        keys.append((kind, system))
        words.append(f"{system} {middle}")
    label = f"{trait.label}: share of clips below each absolute error; median of {', '.join(words)}"
    return Panel("Absolute errors", svg.picture(parts, label), tuple(reversed(keys)))


def _side(key: str) -> tuple[str, str]:
    # Loggers differ: train_loss, val_loss and val/loss are sides of one curve.
    for prefix, side in (
        ("train", "training"),
        ("validation", "validation"),
        ("val", "validation"),
    ):
        for mark in ("_", "/"):
            if key.startswith(prefix + mark):
                return side, key[len(prefix) + 1 :]
    return "training", key


def _curve(metric: str, sides: Mapping[str, tuple[list[float], list[float]]]) -> Panel:
    xs = np.array([x for side in sides.values() for x in side[0]])
    ys = np.array([y for side in sides.values() for y in side[1]])
    # One epoch alone would have no width.
    x_end = float(xs.max()) if xs.max() > xs.min() else float(xs.min()) + 1
    axes = svg.Axes((float(xs.min()), x_end), _scale(ys, padded=True))
    label = METRICS[metric].label if metric in METRICS else metric
    parts = [svg.frame(axes, "epoch", label)]
    kinds = {"training": "base", "validation": "model"}
    for side, (x, y) in sides.items():
        parts.append(svg.line(axes, x, y, kinds[side]))
    last = ", ".join(f"{side} ends at {y[-1]:.4g}" for side, (_, y) in sides.items())
    keys = tuple((kinds[side], side) for side in sides)
    return Panel(label, svg.picture(parts, f"{label} over epochs: {last}"), keys)
