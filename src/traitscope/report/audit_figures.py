"""The figures of audits: forests, heats and curves in, captioned SVG panels out."""

from collections.abc import Callable, Sequence

import numpy as np
from markupsafe import escape

from traitscope.audit.findings import Audit
from traitscope.audit.shifts import MOST_SPREAD
from traitscope.report import svg
from traitscope.report.audit_drawings import (
    Curves,
    Forest,
    Heat,
    Mark,
    curves,
    forests,
    heats,
)
from traitscope.report.content import number
from traitscope.report.figures import Panel

# In units of the box of `svg`. A digit at its 27 units of type is _LETTER wide, and _LETTERS of a
# row's 23 units fill what _LABELS leaves to the left.
_ROW = 44
_LINE = 22
_LABELS = 318
_LETTERS = 28
_LETTER = 15
_CELL = 88


def audit_panels(audit: Audit) -> list[Panel]:
    """The figures of one audit."""
    return [
        *(_forest(forest) for forest in forests(audit) if forest.rows),
        *(_heat(heat) for heat in heats(audit)),
        *(_curves(one) for one in curves(audit) if one.series),
    ]


def _forest(forest: Forest) -> Panel:
    """Marks with intervals down the side, against a dashed reference."""
    lines = max(len(marks) for _, marks in forest.rows)
    row_height = _ROW + _LINE * (lines - 1)
    height = svg.TOP + row_height * len(forest.rows) + svg.BOTTOM
    bottom, right = height - svg.BOTTOM, svg.WIDTH - svg.RIGHT
    marks = [mark for _, marks in forest.rows for mark in marks]
    ends = [v for m in marks for v in (m.value, m.low, m.high) if v is not None]
    # The reference stays in sight where all values lie on one side of it.
    low, high = _padded([*ends, forest.reference])

    def at(value: float) -> int:
        return round(_LABELS + (value - low) / (high - low) * (right - _LABELS))

    parts = []
    ticks = _fitting(low, high, right - _LABELS)
    for value, text in zip(ticks, svg.written(ticks), strict=True):
        parts.append(f'<path class="g" d="M{at(value)} {svg.TOP}V{bottom}"/>')
        parts.append(f'<text x="{at(value)}" y="{bottom + 32}" text-anchor="middle">{text}</text>')
    for place, (label, mine) in enumerate(forest.rows):
        y = svg.TOP + row_height * place + row_height // 2
        # SVG breaks no lines: a long name is cut, and stands in full under the pointer.
        short = label if len(label) <= _LETTERS else label[: _LETTERS - 1] + "…"
        parts.append(
            f'<text class="n" x="{_LABELS - 10}" y="{y + 8}" text-anchor="end">{escape(short)}'
            f"<title>{escape(label)}</title></text>"
        )
        # Before the marks: what is drawn later lies on top.
        parts += _range(mine, at, (y - row_height // 2 + 4, row_height - 8), forest.reference)
        for line, mark in enumerate(mine):
            parts += _mark(mark, at, y + round(_LINE * (line - (len(mine) - 1) / 2)))
    parts.append(
        f'<path class="l ref" d="M{at(forest.reference)} {svg.TOP}V{bottom}"/>'
        f'<text class="t" x="{(_LABELS + right) // 2}" y="{height - 8}" text-anchor="middle">'
        f"{escape(forest.across)}</text>"
    )
    words = "; ".join(_row_words(label, mine) for label, mine in forest.rows)
    label = f"{forest.title}, {forest.across}: {words}"
    return Panel(forest.title, svg.picture(parts, label, height=height), tuple(forest.keys))


def _range(
    marks: Sequence[Mark], at: Callable[[float], int], box: tuple[int, int], reference: float
) -> list[str]:
    """The range between the reference and the labels, where shrunken predictions lie."""
    ends = [sorted((at(m.value), at(reference))) for m in marks if m.kind == "labels"]
    top, tall = box
    return [
        f'<rect class="h labels" x="{left}" y="{top}" width="{right - left}" height="{tall}" '
        f'fill-opacity=".3"/>'
        for left, right in ends
    ]


def _mark(mark: Mark, at: Callable[[float], int], y: int) -> list[str]:
    """A value, round, square (labels) or on its corner (residuals), on its interval."""
    x, parts = at(mark.value), []
    if mark.low is not None and mark.high is not None:
        parts.append(f'<path class="l {mark.kind}" d="M{at(mark.low)} {y}H{at(mark.high)}"/>')
    shape = {
        "labels": f"M{x - 8} {y - 8}h16v16h-16z",
        "residual": f"M{x} {y - 10}l10 10l-10 10l-10-10z",
    }.get(mark.kind)
    if shape:
        return [*parts, f'<path class="d {mark.kind}" d="{shape}"/>']
    return [*parts, f'<circle class="d {mark.kind}" cx="{x}" cy="{y}" r="9"/>']


def _row_words(label: str, marks: Sequence[Mark]) -> str:
    if len(marks) == 1:
        return f"{label} {number(marks[0].value, 3)}"
    names = {"model": "predictions", "clear": "predictions, clearly beyond,"}
    values = (f"{names.get(m.kind, m.kind)} {number(m.value, 3)}" for m in marks)
    return f"{label}: {', '.join(values)}"


def _heat(heat: Heat) -> Panel:
    """A square of numbers, darker where the correlation is stronger."""
    parts = []
    height = svg.TOP + _CELL * (len(heat.names) + 1)
    for row, (name, values) in enumerate(zip(heat.names, heat.values, strict=True)):
        y = svg.TOP + _CELL * row
        parts.append(
            f'<text class="t" x="{_CELL}" y="{y + 54}" text-anchor="end">{escape(name)}</text>'
        )
        x = 2 * _CELL + _CELL * row - _CELL // 2
        parts.append(
            f'<text class="t" x="{x + 12}" y="{svg.TOP + _CELL * len(heat.names) + 40}" '
            f'text-anchor="middle">{escape(name)}</text>'
        )
        for column, value in enumerate(values):
            left = _CELL + 12 + _CELL * column
            # How strong it is; the sign is in the colour.
            strength = 0.0 if value is None else min(1.0, abs(value))
            kind = "minus" if value is not None and value < 0 else "plus"
            shown = "–" if value is None else number(value, 2)
            # From here on the cell is too dark for dark digits, as in print (`audit_plots`).
            dark = " on" if strength > 0.6 else ""
            parts.append(
                f'<rect class="c {kind}" x="{left}" y="{y}" width="{_CELL - 4}" '
                f'height="{_CELL - 4}" rx="6" fill-opacity="{strength:.2f}"/>'
                f'<text class="v{dark}" x="{left + _CELL // 2 - 2}" y="{y + 52}" '
                f'text-anchor="middle">{shown}</text>'
            )
    # The square mirrors itself: read aloud, each pair comes once.
    words = "; ".join(
        f"{heat.names[i]}{heat.names[j]} {'undefined' if v is None else number(v, 2)}"
        for i, row in enumerate(heat.values)
        for j, v in enumerate(row)
        if i < j
    )
    return Panel(heat.title, svg.picture(parts, f"{heat.title}: {words}", height=height))


def _curves(one: Curves) -> Panel:
    """Shifts over steps, between the edges of half an sd of the predictions."""
    xs = [x for _, steps, _, _ in one.series for x in steps]
    ys = [abs(y) for _, _, moved, _ in one.series for y in moved]
    # The edges stay in sight where nothing moves, and up and down are of one size.
    reach = max(1.15 * MOST_SPREAD, 1.08 * max(ys))
    axes = svg.Axes(_padded(xs), (-reach, reach))
    parts = [svg.frame(axes, one.across, "shift / sd of predictions")]
    edge = np.array(axes.x)
    for side in (-1, 1):
        parts.append(svg.line(axes, edge, np.full(2, side * MOST_SPREAD), "ref"))
    words = []
    keys = [("ref", f"{MOST_SPREAD:g} sd of predictions; large dots are flagged")]
    for place, (label, steps, moved, flagged) in enumerate(one.series):
        # page.css has six kinds of lines; a seventh target looks like the first.
        kind = f"s{place % 6}"
        parts.append(svg.line(axes, steps, moved, kind))
        across, up = axes.across(steps).tolist(), axes.up(moved).tolist()
        parts += [
            f'<circle class="d {kind}" cx="{x}" cy="{y}" r="{12 if far else 6}"/>'
            for x, y, far in zip(across, up, flagged, strict=True)
        ]
        keys.append((kind, label))
        beyond = [f"{step:g}" for step, far in zip(steps, flagged, strict=True) if far]
        words.append(
            f"{label} flagged at {', '.join(beyond)}" if beyond else f"{label} not flagged"
        )
    label = f"{one.title} in {one.across}: {'; '.join(words)}"
    return Panel(one.title, svg.picture(parts, label), tuple(keys))


def _fitting(low: float, high: float, room: int) -> list[float]:
    """As many round numbers as have room for their labels side by side."""
    # From many to few: the first that fits shows the most.
    choices = [svg.ticks(low, high, count) for count in (6, 5, 4, 3, 2)]
    return next(
        (c for c in choices if sum(_LETTER * (len(t) + 1) for t in svg.written(c)) <= room),
        choices[-1],
    )


def _padded(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    # Values that are all alike would make axes without a length, by which places are divided.
    pad = 0.05 * (high - low) or 0.5
    return low - pad, high + pad
