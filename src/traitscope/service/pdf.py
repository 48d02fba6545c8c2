"""Views of a recording -> a PDF to keep or to print: a page per run and person."""

import io
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from traitscope.service.views import View

_PAPER = (8.27, 11.69)  # inches of A4
_LETTERS = 96  # in a line of text
_INK, _QUIET, _MODEL, _SOFT = "#1a1c1f", "#5a616b", "#0072b2", "#eceff3"
_MOST_NOTES = 8


def write_pdf(views: Sequence[View]) -> bytes:
    """Draw a PDF of all views."""
    from matplotlib.backends.backend_pdf import PdfPages
    from matplotlib.figure import Figure

    content = io.BytesIO()
    facts = {"Title": "Traits of a recording", "Creator": "traitscope"}
    with PdfPages(content, metadata=facts) as pages:
        for view in views:
            figure = Figure(figsize=_PAPER)
            _draw(figure, view)
            pages.savefig(figure)
    return content.getvalue()


def _draw(figure: Any, view: View) -> None:
    at = 0.95
    at = _write(figure, at, [f"{view.name}"], size=17, weight="bold")
    at = _write(figure, at, [f"{view.kind} by {view.model}"], size=10, colour=_QUIET)
    words = [view.note, f"Not for {'; '.join(view.not_for)}."] if view.not_for else [view.note]
    at = _write(figure, at - 0.01, words, size=10)
    if not view.rows:
        _write(figure, at - 0.02, [f"{view.status}. {view.reason}"], size=11)
        return
    if view.warnings:
        at = _write(figure, at - 0.01, ["Reasons to doubt it:", *view.warnings], size=10)
    at = _bars(figure, at - 0.02, view)
    if view.tracks:
        at = _lines(figure, at - 0.02, view)
    notes = [*view.notes[:_MOST_NOTES], *(f"{key}: {value}" for key, value in view.facts)]
    _write(figure, at - 0.02, [view.covers, *notes] if view.covers else notes, size=8.5)


def _write(figure: Any, at: float, lines: Sequence[str], *, size: float, **look: str) -> float:
    """Write paragraphs from a height downwards; the height below them."""
    letters = int(_LETTERS * 10 / size)
    weight, colour = look.get("weight", "normal"), look.get("colour", _INK)
    for line in (part for text in lines for part in wrap(text, letters) or [""]):
        figure.text(
            0.08, at, line, size=size, va="top", color=colour, weight=weight, parse_math=False
        )
        at -= size * 1.45 / 72 / _PAPER[1]
    return at


def _bars(figure: Any, at: float, view: View) -> float:
    """A bar per trait, with its interval."""
    height = 0.042 * len(view.rows)
    axes = figure.add_axes((0.36, at - height, 0.3, height))
    axes.set(xlim=(0, 400), ylim=(len(view.rows), 0))
    axes.set_axis_off()
    for place, row in enumerate(view.rows):
        middle = place + 0.5
        axes.barh(middle, 400, height=0.22, color=_SOFT)
        if row.band:
            axes.barh(middle, row.band[1], left=row.band[0], height=0.36, color=_MODEL, alpha=0.3)
        axes.plot([row.at, row.at], [middle - 0.25, middle + 0.25], color=_MODEL, linewidth=2.5)
        up = at - height * middle / len(view.rows)
        look: dict[str, Any] = {"va": "center", "color": _INK, "parse_math": False}
        figure.text(0.08, up, row.label, size=9.5, **look)
        figure.text(0.31, up, row.text, size=10, weight="bold", **look)
        figure.text(
            0.68, up, "\n".join(filter(None, [row.interval, row.percentile])), size=8, **look
        )
    return at - height


def _lines(figure: Any, at: float, view: View) -> float:
    """A line per trait along the recording."""
    step = 0.042
    for place, track in enumerate(view.tracks):
        axes = figure.add_axes((0.36, at - step * (place + 1) + 0.005, 0.56, step - 0.01))
        points = [
            part.split() for part in track.path.replace("h1", "").replace("L", "M").split("M")
        ]
        pairs = [(float(x), float(y)) for x, y in (p for p in points if p)]
        axes.plot([x for x, _ in pairs], [y for _, y in pairs], color=_MODEL, linewidth=1.5)
        axes.set(xlim=(0, 1000), ylim=(60, 0), xticks=[], yticks=[], facecolor=_SOFT)
        for side in axes.spines.values():
            side.set_visible(False)
        up = at - step * (place + 0.5)
        figure.text(0.08, up, track.label, size=9, va="center", color=_INK, parse_math=False)
        figure.text(0.34, up, track.words, size=7.5, va="center", ha="right", color=_QUIET)
    end = at - step * len(view.tracks)
    figure.text(0.36, end - 0.004, "0 s", size=8, va="top", color=_QUIET)
    figure.text(
        0.92, end - 0.004, f"{view.seconds:.0f} s", size=8, va="top", ha="right", color=_QUIET
    )
    return end - 0.02
