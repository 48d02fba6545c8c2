"""When to look again for faces that the first look at a whole picture missed, and where.

A first look sees faces from about a tenth of the picture on. Smaller ones are looked for only where
it found nothing, at once in a clip and then more and more seldom: clips of near faces cost what
they did, and four seconds without a face twice as much. A face once found is looked for around its
last place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from traitscope.tracking._boxes import Box, overlap, resized

SMALLEST_SHARE = 1 / 24
"""Of the longer side of a picture: the smallest face that a second look must find."""

_FIRST_WAIT, _LONGEST_WAIT = 4, 16
"""Empty looks until the next second look; doubled each time, up to the longest."""

_TURNINGS = 2
"""Second looks of a clip at which the picture is turned as well: a camera that lay, lies on."""

_FACE_IN_TILE = 0.125
"""What a face of the smallest size takes of a tile's side; detectors see it from 0.1 on."""

SMALLEST_PIXELS = 24
"""In smaller faces there is nothing to fit a mesh to."""

_OVERLAP = 0.1
"""Of the picture's longer side: a larger face would have been found by the first look."""

_AWAY = 3
"""Looks at its last place after which a face is given up there."""

SAME_FACE = 0.3
"""Boxes that share more of their union are one face."""

Window = tuple[int, int, int, int]
"""Left, top, right, bottom of a part of a picture."""


class Schedule:
    """Tell at which of the empty looks of a clip a second one is paid for."""

    def __init__(self) -> None:
        self._left, self._wait = 0, _FIRST_WAIT
        self._turnings = _TURNINGS

    @property
    def may_be_turned(self) -> bool:
        """Whether the clip has shown no face yet, and has hardly been turned to see one."""
        return self._turnings >= 0

    def due(self) -> bool:
        """Whether to look again, at a look that found nothing."""
        if self._left > 0:
            self._left -= 1
            return False
        # Waits double: an empty room is looked at closely once in a while, not at each picture.
        self._left, self._wait = self._wait - 1, min(2 * self._wait, _LONGEST_WAIT)
        self._turnings -= 1
        return True

    def saw(self) -> None:
        """A face was found: if it goes, it is looked for again after the first wait."""
        self._left = self._wait = _FIRST_WAIT
        self._turnings = 0


@dataclass(frozen=True)
class _Place:
    box: Box
    size: tuple[int, int]
    away: int = 0


class Places:
    """Where the faces of a clip were last."""

    def __init__(self) -> None:
        self._places: list[_Place] = []

    def without(self, boxes: Sequence[Box], size: tuple[int, int]) -> list[Box]:
        """Last places of the faces that are none of these, in pixels of a picture of this size."""
        known = [resized(place.box, place.size, size) for place in self._places]
        return [box for box in known if not any(overlap(box, other) > 0 for other in boxes)]

    def update(self, boxes: Sequence[Box], size: tuple[int, int]) -> None:
        """Take the places of a picture; those that are now empty are kept for a few looks."""
        missed = [
            _Place(resized(place.box, place.size, size), size, place.away + 1)
            for place in self._places
            if place.away + 1 < _AWAY
        ]
        # A place that a face has moved into is that face's now.
        empty = [p for p in missed if not any(overlap(p.box, other) > 0 for other in boxes)]
        self._places = [*(_Place(box, size) for box in boxes), *empty]


def tiles(width: int, height: int) -> list[Window]:
    """Overlapping squares that cover a picture, each small enough to show its smallest faces."""
    longer = max(width, height)
    # Tiles are made so that the smallest face is as large in them as the detector needs.
    side = round(max(SMALLEST_PIXELS, longer * SMALLEST_SHARE) / _FACE_IN_TILE)
    stride = max(1, side - round(_OVERLAP * longer))
    starts = [
        sorted({max(0, min(start, length - side)) for start in range(0, length, stride)})
        for length in (height, width)
    ]
    return [
        (left, top, min(left + side, width), min(top + side, height))
        for top, left in product(*starts)
    ]


def around(box: Box, width: int, height: int, *, room: float) -> Window:
    """The part of a picture with a face in its middle, cut where the picture ends.

    Args:
        box: of the face.
        width: of the picture.
        height: of the picture.
        room: around the face on each side, in widths of the face.
    """
    left, top, right, bottom = box
    margin = room * (right - left)
    x = max(0, min(int(left - margin), width - 1))
    y = max(0, min(int(top - margin), height - 1))
    x_end = max(x + 1, min(int(right + margin), width))
    y_end = max(y + 1, min(int(bottom + margin), height))
    return x, y, x_end, y_end
