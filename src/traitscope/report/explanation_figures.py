"""The pictures of an explanation: numbers in, SVG, bars and marked pictures out.

Blue raises a score and orange lowers it, as in audits; the depth of a colour is relative to the
strongest of its row.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from traitscope.analysis.deletion import SHARES, Deletion
from traitscope.analysis.evidence import Explanation, Strip
from traitscope.analysis.parts import GRID, Part
from traitscope.report import svg

WIDE, HIGH = 1000, 34
"""Units of a strip below a video; as wide as the video, whatever its length."""
PICTURES = 3
"""Key pictures of a trait: as many as stand beside each other on a phone."""
_SIDE = 176  # pixels of a key picture
_PLUS, _MINUS = (0, 114, 178), (213, 94, 0)  # RGB of Okabe and Ito's blue and vermilion


@dataclass(frozen=True)
class Bar:
    """A bar to the right (it raises the score) or to the left.

    Attributes:
        name: of what, as people read it.
        own: its name for programs.
        text: the number.
        width: in percent of half the row.
        plus: whether it raises the score.
    """

    name: str
    own: str
    text: str
    width: float
    plus: bool


@dataclass(frozen=True)
class Shown:
    """A picture with its evidence over it.

    Attributes:
        source: as a data URI.
        seconds: when.
        text: what it adds.
    """

    source: Markup
    seconds: float
    text: str


def bars(values: Mapping[str, float], *, named: Callable[[str], str] = str) -> tuple[Bar, ...]:
    """Bars of some numbers, the longest fills half a row.

    Args:
        values: by name.
        named: turns a name into one that people read.
    """
    longest = max((abs(v) for v in values.values()), default=0.0) or 1.0
    return tuple(
        Bar(named(name), name, signed(value), round(100 * abs(value) / longest, 1), value >= 0)
        for name, value in sorted(values.items(), key=lambda item: -abs(item[1]))
    )


def signed(value: float) -> str:
    """A number with its sign, as it is read."""
    return f"{value:+.3f}".replace("-", "−")


def strip(one: Strip, place: int, seconds: float, *, label: str) -> Markup:
    """Seconds of one stream as a row of colours, with a line that follows the video."""
    values = one.values[:, place]
    strongest = float(np.abs(values).max(initial=0.0)) or 1.0
    scale = WIDE / max(seconds, 1e-6)
    boxes = []
    for start, end, value in zip(one.start, one.end, values, strict=True):
        kind, depth = ("plus" if value >= 0 else "minus"), abs(float(value)) / strongest
        boxes.append(
            f'<rect class="c {kind}" x="{start * scale:.1f}" y="0" '
            f'width="{max(1.0, (end - start) * scale):.1f}" height="{HIGH}" '
            f'fill-opacity="{depth:.2f}"><title>{start:.1f} to {end:.1f} s: '
            f"{escape(signed(float(value)))}</title></rect>"
        )
    return Markup(
        f'<svg class="strip" viewBox="0 0 {WIDE} {HIGH}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}" data-seconds="{seconds:.3f}">'
        f'<rect class="floor" width="{WIDE}" height="{HIGH}"/>{"".join(boxes)}'
        f'<path class="now" d="M0 0V{HIGH}"/></svg>'
    )


def marked(parts: Sequence[Part], values: NDArray[np.float64], stream: str) -> Markup:
    """The words of a clip, coloured by what they add."""
    mine = [(p.name, float(v)) for p, v in zip(parts, values, strict=True) if p.stream == stream]
    strongest = max((abs(v) for _, v in mine), default=0.0) or 1.0
    return Markup(" ").join(
        Markup('<mark class="{}" style="--d:{:.0f}%" title="{}">{}</mark>').format(
            "plus" if value >= 0 else "minus", 70 * abs(value) / strongest, signed(value), name
        )
        for name, value in mine
    )


def key_pictures(e: Explanation, place: int) -> tuple[Shown, ...]:
    """The pictures that hold a score where it is most, with their cells coloured."""
    sign = float(e.deletion.towards[place])
    shown: list[tuple[float, Shown]] = []
    for stream, pictures in e.pictures.items():
        cells: dict[float, NDArray[np.float64]] = {}
        for part, values in zip(e.parts, e.values, strict=True):
            if part.stream == stream and part.cell is not None and part.start is not None:
                grid = cells.setdefault(part.start, np.zeros((GRID, GRID)))
                grid[part.cell] += values[place]
        # A stretch is shown by its first picture: of a few pictures each has one.
        starts = np.array(list(cells))
        strongest = max((float(np.abs(g).max()) for g in cells.values()), default=0.0) or 1.0
        for number, grid in enumerate(cells.values()):
            last = starts[number + 1] if number + 1 < len(starts) else np.inf
            inside = [p for p in pictures if starts[number] <= p[0] < last]
            if not inside:
                continue
            second, jpeg = inside[len(inside) // 2]
            total = float(grid.sum())
            source = _overlaid(jpeg, grid / strongest)
            shown.append((sign * total, Shown(source, second, signed(total))))
    shown.sort(key=lambda one: -one[0])
    return tuple(one for _, one in shown[:PICTURES])


def deletion_curve(test: Deletion, place: int) -> Markup:
    """The score as more and more is deleted: by evidence, and at random with its spread."""
    across = [0.0, *SHARES, 1.0]
    whole, empty = float(test.whole[place]), float(test.empty[place])
    mine = [whole, *test.evidence[:, place].tolist(), empty]
    ends = np.quantile(test.random[:, :, place], (0.025, 0.5, 0.975), axis=0)
    low, middle, high = ([whole, *one.tolist(), empty] for one in ends)
    every = [*mine, *low, *high]
    room = 0.05 * (max(every) - min(every)) or 0.01
    axes = svg.Axes((0.0, 1.0), (min(every) - room, max(every) + room))
    around = [
        f"{x} {y}"
        for x, y in zip(
            axes.across([*across, *across[::-1]]), axes.up([*high, *low[::-1]]), strict=True
        )
    ]
    parts = [
        svg.frame(axes, "share of the input that is deleted", "score"),
        f'<polygon class="spread" points="{" ".join(around)}"/>',
        svg.line(axes, across, middle, "base"),
        svg.line(axes, across, mine, "model"),
    ]
    return svg.picture(parts, "Score as evidence is deleted, against random parts")


def _overlaid(jpeg: bytes, cells: NDArray[Any]) -> Markup:
    """A picture with each cell tinted by its value in [-1, 1], as a data URI."""
    import cv2

    image: Any = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    scale = _SIDE / max(image.shape[:2])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    smooth = cv2.resize(cells.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    # Faint everywhere but where the evidence is: the face must stay to be seen.
    depth = (0.65 * np.clip(np.abs(smooth), 0, 1))[..., None]
    tint = np.where(smooth[..., None] >= 0, np.array(_PLUS), np.array(_MINUS))
    grey = image.mean(axis=2, keepdims=True)
    mixed = np.clip(grey * (1 - depth) + tint * depth, 0, 255).astype(np.uint8)
    coded = cv2.imencode(".jpg", mixed[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    return Markup(f"data:image/jpeg;base64,{b64encode(coded.tobytes()).decode()}")
