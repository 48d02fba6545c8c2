"""Views of a recording -> a PDF to keep or to print: a page per run and person."""

import io
from base64 import b64decode
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from traitscope.service.views import View

_PAPER = (8.27, 11.69)  # inches of A4
_LETTERS = 96  # in a line of text
_LEFT, _BARS, _RIGHT = 0.08, 0.46, 0.92
"""Where names, bars and lines begin, and where the page ends: the longest name of a trait is that
of neuroticism with its direction."""
_FOOT = (
    "A model's guess, with its uncertainty; not for decisions about people, not for ranking them."
)
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
        at = _write(figure, at - 0.015, ["Reasons to doubt it"], size=11, weight="bold")
        at = _write(figure, at, view.warnings, size=10)
    at = _bars(figure, at - 0.02, view)
    if view.faces:
        at = _faces(figure, at - 0.015, view)
    if view.tracks:
        at = _write(figure, at - 0.015, ["Timeline"], size=11, weight="bold")
        at = _lines(figure, at - 0.005, view)
    at = _write(figure, at - 0.015, ["What it rests on"], size=11, weight="bold")
    facts = ", ".join(f"{key} {value}" for key, value in view.facts)
    _write(figure, at, [*view.notes[:_MOST_NOTES], facts], size=8.5)
    _write(figure, 0.04, [_FOOT], size=8, colour=_QUIET)


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
    ends = {"size": 8, "va": "top", "color": _QUIET}
    figure.text(_BARS, at, view.low, **ends)
    figure.text(_BARS + 0.24, at, view.high, ha="right", **ends)
    at -= 0.015
    height = 0.036 * len(view.rows)
    axes = figure.add_axes((_BARS, at - height, 0.24, height))
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
        figure.text(_LEFT, up, row.label, size=10, **look)
        figure.text(_BARS - 0.02, up, row.text, size=10, weight="bold", ha="right", **look)
        placed = row.percentile.replace("of them", "of training labels")
        beside = "\n".join(filter(None, [row.interval, placed]))
        figure.text(_BARS + 0.26, up, beside, size=7.5, **look)
    return _write(figure, at - height - 0.008, [view.covers], size=8.5, colour=_QUIET)


def _faces(figure: Any, at: float, view: View) -> float:
    """The faces that were looked at, in a row."""
    at = _write(figure, at, ["The face that was looked at"], size=11, weight="bold") - 0.005
    from matplotlib.image import imread

    wide = 0.1
    high = wide * _PAPER[0] / _PAPER[1]
    for place, face in enumerate(view.faces):
        left = _LEFT + place * (wide + 0.02)
        axes = figure.add_axes((left, at - high, wide, high))
        axes.imshow(imread(io.BytesIO(b64decode(face.picture)), format="jpg"))
        axes.set_axis_off()
        figure.text(left, at - high - 0.004, face.words, size=7.5, va="top", color=_QUIET)
    return at - high - 0.016


def _lines(figure: Any, at: float, view: View) -> float:
    """A line per trait along the recording."""
    step, across = 0.036, _RIGHT - _BARS
    for place, track in enumerate(view.tracks):
        axes = figure.add_axes((_BARS, at - step * (place + 1) + 0.005, across, step - 0.008))
        points = [
            part.split() for part in track.path.replace("h1", "").replace("L", "M").split("M")
        ]
        pairs = [(float(x), float(y)) for x, y in (p for p in points if p)]
        axes.plot([x for x, _ in pairs], [y for _, y in pairs], color=_MODEL, linewidth=1.5)
        axes.set(xlim=(0, 1000), ylim=(60, 0), xticks=[], yticks=[], facecolor=_SOFT)
        for side in axes.spines.values():
            side.set_visible(False)
        up = at - step * (place + 0.5)
        figure.text(_LEFT, up, track.label, size=10, va="center", color=_INK, parse_math=False)
        figure.text(_BARS - 0.02, up, track.words, size=7.5, va="center", ha="right", color=_QUIET)
    end = at - step * len(view.tracks)
    look = {"size": 8, "va": "top", "color": _QUIET}
    figure.text(_BARS, end - 0.002, "0 s", **look)
    figure.text(_RIGHT, end - 0.002, f"{view.seconds:.0f} s", ha="right", **look)
    return end - 0.016
