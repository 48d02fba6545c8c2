"""Compact pictures: numbers in, inline SVG out, coloured by the page's CSS classes.

Coordinates are whole units of a 640 x 460 box, about half a pixel each on the page: 2000 points
take 20 kB. All text is escaped.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import ArrayLike, NDArray

WIDTH, HEIGHT = 640, 460
# Left and below, numbers and a title have room at the 27 units of type that page.css gives them.
LEFT, RIGHT, TOP, BOTTOM = 118, 16, 14, 84
# Within a path dots do not add up, between paths they do: six shades of density, at most.
CHUNKS = 6


@dataclass(frozen=True)
class Axes:
    """A plotting area: the ranges of data that its sides stand for."""

    x: tuple[float, float]
    y: tuple[float, float]

    def across(self, values: ArrayLike) -> NDArray[np.int64]:
        """Horizontal units of x values (any shape)."""
        share = (np.asarray(values, dtype=float) - self.x[0]) / (self.x[1] - self.x[0])
        return np.rint(LEFT + share * (WIDTH - LEFT - RIGHT)).astype(np.int64)

    def up(self, values: ArrayLike) -> NDArray[np.int64]:
        """Vertical units of y values (any shape)."""
        share = (np.asarray(values, dtype=float) - self.y[0]) / (self.y[1] - self.y[0])
        # SVG counts downwards.
        return np.rint(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)).astype(np.int64)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers between two ends, about ``count`` of them."""
    raw = (high - low) / max(count, 1)
    # 1, 2, 2.5 or 5 times a power of ten: what people count in
    size = 10.0 ** np.floor(np.log10(raw))
    step = next(size * m for m in (1, 2, 2.5, 5, 10) if size * m >= raw * 0.999)
    first = np.ceil(low / step - 1e-9) * step
    # Steps add up to 0.30000000000000004 and to -0.0, which nobody wants to read.
    return [float(round(v, 10)) + 0.0 for v in np.arange(first, high + step * 1e-6, step)]


def written(values: Sequence[float]) -> list[str]:
    """Ticks as text with as many decimals as the finest of them, and a real minus sign."""
    digits = max((len(f"{v:g}".partition(".")[2]) for v in values), default=0)
    # Powers have no decimals in common.
    if any("e" in f"{v:g}" for v in values):
        return [f"{v:g}".replace("-", "−") for v in values]
    return [f"{v:.{digits}f}".replace("-", "−") for v in values]


def frame(axes: Axes, x_title: str, y_title: str, *, percent: bool = False) -> str:
    """Grid, ticks and titles of both axes."""
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    across, up = ticks(*axes.x), ticks(*axes.y, count=4)
    for value, shown in zip(across, written(across), strict=True):
        at = int(axes.across(value))
        parts.append(f'<path class="g" d="M{at} {TOP}V{bottom}"/>')
        parts.append(f'<text x="{at}" y="{bottom + 36}" text-anchor="middle">{shown}</text>')
    for value, plain in zip(up, written(up), strict=True):
        at = int(axes.up(value))
        shown = f"{value:.0%}" if percent else plain
        parts.append(f'<path class="g" d="M{LEFT} {at}H{right}"/>')
        parts.append(f'<text x="{LEFT - 9}" y="{at + 9}" text-anchor="end">{shown}</text>')
    middle = (LEFT + right) // 2
    parts.append(f'<path class="ax" d="M{LEFT} {TOP}V{bottom}H{right}"/>')
    parts.append(
        f'<text class="t" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{escape(x_title)}</text>"
    )
    centre = (TOP + bottom) // 2
    parts.append(
        f'<text class="t" transform="translate(28 {centre}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_title)}</text>"
    )
    return "".join(parts)


def dots(axes: Axes, x: ArrayLike, y: ArrayLike) -> str:
    """Points (n,) as a few paths of round-capped dots, so that overlap shows as density."""
    across, up = axes.across(x), axes.up(y)
    chunks = zip(np.array_split(across, CHUNKS), np.array_split(up, CHUNKS), strict=True)
    # a line without length and with round caps is a dot, in a fifth of a circle's characters
    paths = (
        "".join(f"M{a} {b}h0" for a, b in zip(xs.tolist(), ys.tolist(), strict=True))
        for xs, ys in chunks
        if len(xs)
    )
    return "".join(f'<path class="p" d="{d}"/>' for d in paths)


def line(axes: Axes, x: ArrayLike, y: ArrayLike, kind: str) -> str:
    """A polyline through points (n,), clipped to the plotting area; ``kind`` is its CSS class."""
    # The page lets pictures overflow, so a line that leaves its axes would cross the text around.
    xs = np.clip(axes.across(x), LEFT, WIDTH - RIGHT)
    ys = np.clip(axes.up(y), TOP, HEIGHT - BOTTOM)
    points = " ".join(f"{a} {b}" for a, b in zip(xs.tolist(), ys.tolist(), strict=True))
    return f'<polyline class="l {kind}" points="{points}"/>'


def steps(axes: Axes, edges: ArrayLike, counts: ArrayLike, kind: str) -> str:
    """A histogram's outline: edges (n + 1,), counts (n,); ``kind`` is its CSS class."""
    xs, ys = axes.across(edges).tolist(), axes.up(counts).tolist()
    # the last edge falls back to the base, which closes the outline
    base = int(axes.up(axes.y[0]))
    path = "".join(f"H{a}V{b}" for a, b in zip(xs, [*ys, base], strict=True))
    return f'<path class="h {kind}" d="M{xs[0]} {base}{path}"/>'


def picture(parts: Sequence[str], label: str, *, hover: str = "", height: int = HEIGHT) -> Markup:
    """Close the SVG; ``label`` says in words what it shows."""
    body = "".join(parts)
    # Escaped where the parts were made: the template must not do it once more.
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}"{hover}>'
        f"{body}</svg>"
    )
