"""One picture of a clip with its time; what is looked at of it becomes RGB, and nothing else."""

from dataclasses import dataclass
from math import ceil, floor, hypot
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
"""(2, 3) affine."""


class Picture(Protocol):
    """A picture of which only what is looked at is turned into RGB."""

    size: tuple[int, int]
    """Width and height."""

    @property
    def image(self) -> NDArray[np.uint8]:
        """The whole picture, (height, width, 3) RGB."""

    @property
    def grey(self) -> NDArray[np.uint8]:
        """How bright it is, (height, width), black 0 and white 255."""

    def part(self, window: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """Its pixels from left, top to right, bottom (exclusive), RGB."""

    def through(
        self, matrix: Matrix, size: tuple[int, int], *, framed: bool, averaged: bool
    ) -> NDArray[np.uint8]:
        """What is seen through an affine matrix (2, 3) at a width and height, RGB."""


@dataclass(frozen=True)
class Frame:
    """One decoded picture: seconds from the start of its clip, and the picture itself.

    Attributes:
        time: seconds.
        picture: RGB (height, width, 3) uint8, or a picture that becomes RGB when looked at.
    """

    time: float
    picture: NDArray[np.uint8] | Picture

    @property
    def image(self) -> NDArray[np.uint8]:
        """The whole picture, (height, width, 3) RGB uint8."""
        return self.picture if isinstance(self.picture, np.ndarray) else self.picture.image

    @property
    def grey(self) -> NDArray[np.uint8]:
        """How bright the whole picture is, (height, width) uint8, black 0 and white 255."""
        if not isinstance(self.picture, np.ndarray):
            return self.picture.grey
        # Here, because every room imports this file, and few of them look at pictures.
        import cv2

        return np.asarray(cv2.cvtColor(self.picture, cv2.COLOR_RGB2GRAY), dtype=np.uint8)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        if isinstance(self.picture, np.ndarray):
            return self.picture.shape[1], self.picture.shape[0]
        return self.picture.size

    def part(self, window: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """The pixels from left, top to right, bottom (exclusive), which lie in the picture."""
        if isinstance(self.picture, np.ndarray):
            left, top, right, bottom = window
            return self.picture[top:bottom, left:right]
        return self.picture.part(window)

    def through(
        self,
        matrix: Matrix,
        size: tuple[int, int],
        *,
        framed: bool = False,
        averaged: bool = False,
    ) -> NDArray[np.uint8]:
        """What is seen through an affine matrix (2, 3) at a width and height, RGB.

        Args:
            matrix: from pixels of the picture to those of the result.
            size: width and height of the result.
            framed: whether it is black beyond the picture; else its edges go on, which an
                impression does not take for something that is shown.
            averaged: whether pixels are averaged where the picture is made smaller than half, as
                for people and networks of objects; else they are interpolated between neighbours
                alone, as networks of faces were taught, and fine patterns shimmer.
        """
        if not isinstance(self.picture, np.ndarray):
            return self.picture.through(matrix, size, framed=framed, averaged=averaged)
        return warped(self.picture, matrix, size, beyond=0 if framed else None, averaged=averaged)


def warped(
    plane: NDArray[np.uint8],
    matrix: Matrix,
    size: tuple[int, int],
    *,
    beyond: int | None,
    averaged: bool,
) -> NDArray[np.uint8]:
    """What is seen of a picture, or a plane of it, through an affine matrix.

    Args:
        plane: (height, width) or (height, width, colours).
        matrix: from its pixels to those of the result.
        size: width and height of the result.
        beyond: level beyond its edges; None lets the edges go on.
        averaged: as of `Frame.through`.
    """
    import cv2

    if averaged and (shrink := int(1 / max(hypot(*matrix[0, :2].tolist()), 1e-9))) > 1:
        plane, matrix = _averaged(plane, matrix, size, shrink)
    border = cv2.BORDER_REPLICATE if beyond is None else cv2.BORDER_CONSTANT
    look = cv2.warpAffine(plane, matrix, size, borderMode=border, borderValue=beyond or 0)
    return np.asarray(look, dtype=np.uint8)


def _averaged(
    plane: NDArray[np.uint8], matrix: Matrix, size: tuple[int, int], shrink: int
) -> tuple[NDArray[np.uint8], Matrix]:
    """The part that is seen, averaged over so many pixels a side, and the matrix for its pixels."""
    import cv2

    left, top, right, bottom = _seen(matrix, size, (plane.shape[1], plane.shape[0]))
    part = plane[top:bottom, left:right]
    height, width = (max(1, side // shrink) for side in part.shape[:2])
    ratio = np.array([part.shape[1] / width, part.shape[0] / height])
    small = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
    # Each pixel is now the mean of `ratio`, whose middle lies (ratio - 1) / 2 further on: without
    # it what is seen would shift by half a pixel or more.
    corner = np.array([left, top]) + (ratio - 1) / 2
    turn = matrix[:, :2]
    moved = np.column_stack([turn * ratio, matrix[:, 2] + turn @ corner])
    return np.asarray(small, dtype=np.uint8), moved


def _seen(
    matrix: Matrix, size: tuple[int, int], whole: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The part of a picture that is seen through a matrix: left, top, right, bottom."""
    import cv2

    ends = []
    for (across, down, start), length in zip(
        cv2.invertAffineTransform(matrix).tolist(), whole, strict=True
    ):
        x, y = size[0] * across, size[1] * down
        corners = (start, start + x, start + y, start + x + y)
        # Two pixels more are for interpolation; what is seen may reach beyond the picture.
        low = min(max(floor(min(corners)) - 2, 0), length - 1)
        ends.append((low, min(max(ceil(max(corners)) + 2, low + 1), length)))
    (left, right), (top, bottom) = ends
    return left, top, right, bottom
