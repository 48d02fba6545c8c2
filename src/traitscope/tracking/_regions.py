"""Where in a picture a network looks: a turned square around a face, and the way back from it."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from traitscope.frames import Matrix
from traitscope.tracking._boxes import Box, box_of
from traitscope.tracking._networks import Seen
from traitscope.types import FloatArray, Frame

_ROOM_OF_SEEN = 1.5
"""Side of the square by that of the box that the detector gives, as MediaPipe's graph has it."""

_ROOM_OF_POINTS = 1.4
"""By that of the box around the points: the same square, to a few percent, so that it makes no
difference to the points how a face was found (1.5 doubles what they differ by)."""

_EYES = (33, 263)
"""Outer corners of the eyes: the line between them is level in the square."""

_MOVED = 0.15
"""Of the side: how far a face may lie from the middle, or be larger or smaller than supposed,
before it is looked at again where it is: networks were taught on faces in the middle."""


class Region(NamedTuple):
    """A square around a face, in pixels of the picture; the angle in radians, clockwise."""

    x: float
    y: float
    side: float
    angle: float

    @property
    def box(self) -> Box:
        """The upright square with the same centre and side."""
        half = self.side / 2
        return self.x - half, self.y - half, self.x + half, self.y + half

    def matrix(self, side: int) -> Matrix:
        """From pixels of the picture to those of the square shown with so many pixels a side."""
        scale = side / self.side
        cos, sin = scale * np.cos(self.angle), scale * np.sin(self.angle)
        turn = np.array([[cos, sin], [-sin, cos]])
        centre = side / 2 - turn @ (self.x, self.y)
        return np.column_stack([turn, centre])


def of_points(points: FloatArray) -> Region:
    """The region of the points (478, 2 or more) of a face in pixels of the picture."""
    left, top, right, bottom = box_of(points)
    across, down = points[_EYES[1], :2] - points[_EYES[0], :2]
    side = _ROOM_OF_POINTS * max(right - left, bottom - top)
    return Region((left + right) / 2, (top + bottom) / 2, side, float(np.arctan2(down, across)))


def of_seen(seen: Seen) -> Region:
    """The region of a face that the detector found, in the pixels that it is given in."""
    left, top, right, bottom = seen.box
    across, down = seen.points[1] - seen.points[0]
    side = _ROOM_OF_SEEN * max(right - left, bottom - top)
    return Region((left + right) / 2, (top + bottom) / 2, side, float(np.arctan2(down, across)))


def shown(frame: Frame, region: Region, side: int) -> NDArray[np.uint8]:
    """What a frame shows in a region, (side, side, 3) RGB; black where the picture has ended."""
    return frame.through(region.matrix(side), (side, side), framed=True)


def to_picture(points: FloatArray, region: Region, side: int) -> NDArray[np.float64]:
    """Points (n, 2) in pixels of a shown region -> in pixels of the picture."""
    inverse = cv2.invertAffineTransform(region.matrix(side))
    return np.asarray(points @ inverse[:, :2].T + inverse[:, 2])


def back(inner: Region, outer: Region, side: int) -> Region:
    """A region in pixels of a shown region -> in pixels of the picture."""
    ((x, y),) = to_picture(np.array([(inner.x, inner.y)]), outer, side)
    # Squares keep their shape when turned, so angles simply add up.
    angle = inner.angle + outer.angle
    return Region(float(x), float(y), inner.side * outer.side / side, angle)


def letterbox(window: tuple[int, int, int, int]) -> Region:
    """The smallest upright region that shows a whole window (left, top, right, bottom)."""
    left, top, right, bottom = window
    side = max(right - left, bottom - top)
    return Region((left + right) / 2, (top + bottom) / 2, float(side), 0.0)


def moved(before: Region, now: Region) -> bool:
    """Whether a face is so far from where it was looked for that it should be looked at again."""
    # Growth counts as a ratio: half as large is as far off as twice as large.
    shift = float(np.hypot(now.x - before.x, now.y - before.y)) / max(now.side, 1e-6)
    growth = abs(float(np.log(max(now.side, 1e-6) / max(before.side, 1e-6))))
    return max(shift, growth) > _MOVED
