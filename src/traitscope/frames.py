"""One picture of a clip with its time; what is looked at of it becomes RGB, and nothing else."""

from dataclasses import dataclass
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

    def part(self, window: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """Its pixels from left, top to right, bottom (exclusive), RGB."""

    def through(self, matrix: Matrix, size: tuple[int, int], *, framed: bool) -> NDArray[np.uint8]:
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
        self, matrix: Matrix, size: tuple[int, int], *, framed: bool = False
    ) -> NDArray[np.uint8]:
        """What is seen through an affine matrix (2, 3) at a width and height, RGB.

        Pixels are interpolated between neighbours and not averaged, as networks of faces were
        taught: where a picture is made much smaller, fine patterns shimmer.

        Args:
            matrix: from pixels of the picture to those of the result.
            size: width and height of the result.
            framed: whether it is black beyond the picture; else its edges go on, which an
                impression does not take for something that is shown.
        """
        if not isinstance(self.picture, np.ndarray):
            return self.picture.through(matrix, size, framed=framed)
        # Here, because every room imports this file, and few of them look at pictures.
        import cv2

        border = cv2.BORDER_CONSTANT if framed else cv2.BORDER_REPLICATE
        look = cv2.warpAffine(self.picture, matrix, size, borderMode=border)
        return np.asarray(look, dtype=np.uint8)
