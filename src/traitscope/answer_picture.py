"""Scores, how sure, and when -> a small picture as SVG, for a notebook."""

from collections.abc import Mapping
from html import escape

import numpy as np
from numpy.typing import NDArray

_ROW, _NAMES, _BAR, _GAP, _COURSE = 26, 190, 220, 60, 160
"""Pixels: height of a row, width of the names, of the scale, beside it, and of the windows."""
_BLUE = "#0072b2"


def drawn(
    scores: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float, float]],
    courses: Mapping[str, NDArray[np.float64]],
) -> str:
    """The scores of a clip as a picture: a dot with its interval, and the windows beside it.

    All stand on one scale: 0 to 1 where everything fits, else from the least to the most.

    Args:
        scores: target -> value; one at least.
        intervals: target -> its ends and its level, where they are known.
        courses: target -> (windows,) scores along the recording, NaN where there is none.
    """
    ends = [end for low, high, _ in intervals.values() for end in (low, high)]
    values = np.concatenate([[*scores.values(), *ends], *courses.values()])
    values = values[np.isfinite(values)]
    low, high = (0.0, 1.0) if values.min() >= 0 and values.max() <= 1 else _ends(values)
    share = (high - low) or 1.0

    def across(value: float) -> float:
        return _NAMES + _BAR * (value - low) / share

    parts = []
    for row, (name, score) in enumerate(scores.items()):
        middle = _ROW * row + _ROW / 2
        parts += [_words(0, middle, name), _line(_NAMES, _NAMES + _BAR, middle, "#8883", 6)]
        if name in intervals:
            begin, end, _ = intervals[name]
            parts.append(_line(across(begin), across(end), middle, f"{_BLUE}66", 6))
        parts.append(f'<circle cx="{across(score):.1f}" cy="{middle}" r="5" fill="{_BLUE}"/>')
        parts.append(_words(_NAMES + _BAR + 12, middle, f"{score:.3g}"))
        if name in courses:
            parts.append(_course((np.asarray(courses[name]) - low) / share, middle))
    foot = _ROW * len(scores) + 10
    parts += [_words(_NAMES, foot, f"{low:.3g}"), _words(_NAMES + _BAR - 20, foot, f"{high:.3g}")]
    if courses:
        parts.append(_words(_NAMES + _BAR + _GAP, foot, "along the recording"))
    size = f'width="{_NAMES + _BAR + _GAP + _COURSE}" height="{foot + 12}"'
    style = 'font-family="sans-serif" font-size="12" fill="currentColor"'
    drawing = "".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size} {style}>{drawing}</svg>'


def _ends(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _words(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y + 4:.1f}">{escape(text)}</text>'


def _line(x: float, to: float, y: float, colour: str, width: int) -> str:
    ends = f'x1="{x:.1f}" x2="{to:.1f}" y1="{y}" y2="{y}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}" stroke-linecap="round"/>'


def _course(shares: NDArray[np.float64], middle: float) -> str:
    """The windows as a line; where one has no score it is interrupted."""
    x = _NAMES + _BAR + _GAP + _COURSE * (np.arange(len(shares)) + 0.5) / len(shares)
    y = middle + (0.5 - shares) * (_ROW - 6)
    pieces = np.split(np.arange(len(shares)), np.flatnonzero(~np.isfinite(shares)))
    lines = [[place for place in piece.tolist() if np.isfinite(shares[place])] for piece in pieces]
    return "".join(
        f'<polyline points="{" ".join(f"{x[n]:.1f},{y[n]:.1f}" for n in line)}" '
        f'fill="none" stroke="{_BLUE}" stroke-width="1.5"/>'
        for line in lines
        if line
    )
