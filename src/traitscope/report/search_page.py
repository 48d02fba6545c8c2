"""The page of a search: its trials in, one file that needs no network out.

What a search found on validation is flattered by the search itself, and the page says so before it
shows a number.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from traitscope.files import write_text
from traitscope.report.svg import Axes, frame, line, picture

_WIDE, _HIGH, _SIDE, _HEAD, _FOOT = 1280, 560, 110, 96, 50
"""Units of the parallel axes: width, height, room beside, above (two rows of names), and below."""
_STAGGERED = 4  # axes beyond which names stand in two rows, so that long ones do not meet


@dataclass(frozen=True)
class Axis:
    """One searched setting: its key, its space in words, and marks as (place, text)."""

    key: str
    space: str
    marks: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Row:
    """One trial.

    Attributes:
        number: of the trial.
        status: ``finished``, ``stopped``, ``failed`` or ``running``.
        score: None where there is none.
        curve: score after each epoch.
        places: of its settings on the axes (0 to 1).
        values: its settings in words.
        reason: of a failure.
    """

    number: int
    status: str
    score: float | None
    curve: tuple[float | None, ...]
    places: tuple[float, ...]
    values: tuple[str, ...]
    reason: str = ""

    @property
    def shown(self) -> str:
        """The score in words."""
        return "" if self.score is None else f"{self.score:.4f}".replace("-", "−")


@dataclass(frozen=True)
class SearchView:
    """A search, ready for the page.

    Attributes:
        name: what was trained.
        metric: that decided.
        lower_is_better: of that metric.
        axes: what was searched.
        rows: all trials, in order.
        best: number of the best.
        importance: setting -> share of the variance of scores, largest first; may be empty.
        train: the command that trains the best.
    """

    name: str
    metric: str
    lower_is_better: bool
    axes: tuple[Axis, ...]
    rows: tuple[Row, ...]
    best: int
    importance: tuple[tuple[str, float], ...]
    train: str

    @property
    def scored(self) -> list[Row]:
        """Trials with a score."""
        return [row for row in self.rows if row.score is not None]

    @property
    def winner(self) -> Row:
        """The best trial."""
        return next(row for row in self.rows if row.number == self.best)

    def count(self, status: str) -> int:
        """How many trials ended so."""
        return sum(row.status == status for row in self.rows)


def write_search_page(view: SearchView, path: Path) -> Path:
    """Write the page; returns its path."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.from_string(_asset("search.html")).render(
        view=view,
        style=Markup(_asset("page.css")),
        over_trials=_over_trials(view),
        curves=_curves(view),
        parallel=_parallel(view),
        ranked=sorted(
            view.rows,
            key=lambda row: (row.score is None, _worth(view, row), row.number),
        ),
    )
    return write_text(path, text)


def _asset(name: str) -> str:
    return files("traitscope.report").joinpath(name).read_text(encoding="utf-8")


def _worth(view: SearchView, row: Row) -> float:
    score = math.inf if row.score is None else row.score
    return score if view.lower_is_better else -score


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Ends of an axis around values, with some room."""
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or max(abs(high) * 0.1, 0.01)
    return low - room, high + room


def _over_trials(view: SearchView) -> Markup:
    """Score of each trial in the order of their beginning, and the best finished one so far."""
    rows = view.scored
    scores = [float(row.score or 0.0) for row in rows]
    axes = Axes((-0.5, max(1, len(view.rows) - 1) + 0.5), _span(scores))
    done = [row for row in rows if row.status == "finished"]
    rest = [row for row in rows if row.status != "finished"]
    parts = [frame(axes, "trial", f"validation {view.metric}")]
    parts.append(
        "".join(
            f'<circle class="st" cx="{int(axes.across(row.number))}" '
            f'cy="{int(axes.up(row.score or 0.0))}" r="8"/>'
            for row in rest
        )
    )
    choose = min if view.lower_is_better else max
    steps: list[tuple[float, float]] = []
    for place, row in enumerate(done):
        best = choose(float(each.score or 0.0) for each in done[: place + 1])
        steps += [(row.number, steps[-1][1] if steps else best), (row.number, best)]
    if steps:
        steps.append((len(view.rows) - 1, steps[-1][1]))
        parts.append(line(axes, [x for x, _ in steps], [y for _, y in steps], "fit"))
    parts.append(
        "".join(
            f'<circle class="end {"fit" if row.number == view.best else "mine"}" '
            f'cx="{int(axes.across(row.number))}" cy="{int(axes.up(row.score or 0.0))}" r="9"/>'
            for row in done
        )
    )
    return picture(parts, f"validation {view.metric} of {len(rows)} trials in order")


def _curves(view: SearchView) -> Markup | None:
    """Score of each trial after each epoch: where the bad ones were stopped."""
    curves = {
        row.number: [(epoch, v) for epoch, v in enumerate(row.curve, 1) if v is not None]
        for row in view.rows
    }
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return None
    last = max(epoch for epoch, _ in points)
    axes = Axes((0.0, float(max(2, last))), _span([value for _, value in points]))
    parts = [frame(axes, "epochs", f"validation {view.metric}")]
    # The best is drawn last, above the others.
    for row in sorted(view.rows, key=lambda row: row.number == view.best):
        kind = "fit" if row.number == view.best else "mine" if row.status == "finished" else "left"
        if curve := curves[row.number]:
            xs, ys = zip(*curve, strict=True)
            parts.append(line(axes, xs, ys, kind))
            parts.append(
                f'<circle class="end {kind}" cx="{int(axes.across(xs[-1]))}" '
                f'cy="{int(axes.up(ys[-1]))}" r="6"/>'
            )
    return picture(parts, f"validation {view.metric} of each trial by epoch")


def _parallel(view: SearchView) -> Markup:
    """Each trial as a line over one axis per setting, and the score as the last axis."""
    rows = view.scored
    low, high = _span([float(row.score or 0.0) for row in rows])
    count = len(view.axes) + 1
    across = [_SIDE + round(place * (_WIDE - 2 * _SIDE) / (count - 1)) for place in range(count)]

    def up(share: float) -> int:
        return round(_HIGH - _FOOT - share * (_HIGH - _HEAD - _FOOT))

    parts = []
    marks = [axis.marks for axis in view.axes]
    scores = [low + (high - low) * share for share in (0.0, 0.5, 1.0)]
    marks.append(
        tuple((s, f"{v:.3f}".replace("-", "−")) for s, v in zip((0, 0.5, 1), scores, strict=True))
    )
    keys = [*(axis.key for axis in view.axes), f"validation {view.metric}"]
    for place, (x, key) in enumerate(zip(across, keys, strict=True)):
        y = 34 + (36 if count > _STAGGERED and place % 2 else 0)
        parts.append(f'<text class="t" x="{x}" y="{y}" text-anchor="middle">{escape(key)}</text>')
        parts.append(f'<path class="ax" d="M{x} {up(0)}V{up(1)}"/>')
    order = sorted(rows, key=lambda row: (row.number == view.best, -_worth(view, row)))
    for row in order:
        kind = "fit" if row.number == view.best else "mine" if row.status == "finished" else "left"
        share = (float(row.score or 0.0) - low) / (high - low)
        ys = [up(each) for each in (*row.places, share)]
        points = " ".join(f"{x} {y}" for x, y in zip(across, ys, strict=True))
        told = f"trial {row.number}, {row.status}: {view.metric} {row.shown}"
        parts.append(
            f'<polyline class="l {kind}" points="{points}"><title>{escape(told)}</title></polyline>'
        )
    # Marks come last: lines must not cross what they mean.
    for x, texts in zip(across, marks, strict=True):
        for share, text in texts:
            parts.append(
                f'<text class="m" x="{x + 10}" y="{up(share) + 6}">{escape(_cut(text))}</text>'
            )
    body = "".join(parts)
    label = f"settings and score of {len(rows)} trials, a line for each"
    return Markup(
        f'<svg class="parallel" viewBox="0 0 {_WIDE} {_HIGH}" role="img" '
        f'aria-label="{escape(label)}">{body}</svg>'
    )


def _cut(text: str) -> str:
    return text if len(text) <= 16 else f"{text[:15]}…"
