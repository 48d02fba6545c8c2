"""Pictures of a clip -> whether one continues the shot of the picture before it."""

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from traitscope.types import Frame

_SIDE = 16
"""Cells across and down: coarse enough that a talking, nodding head changes little."""

_CONTINUES = 0.6
"""Pictures that correlate less are two shots."""


class Cuts:
    """Notice the cuts of one clip, by how alike coarse pictures are."""

    def __init__(self) -> None:
        self._last: NDArray[np.float64] | None = None
        self._size, self._cells = (0, 0), np.empty((2, 3))

    def see(self, frame: Frame) -> bool:
        """Tell whether a shot begins with this picture; the first picture begins none."""
        if frame.size != self._size:
            self._size, self._cells = frame.size, _cells(*frame.size)
        # No averaging: a cut changes nearly all of 256 single pixels, noise hardly any.
        now = pattern(frame.through(self._cells, (_SIDE, _SIDE)))
        before, self._last = self._last, now
        return before is not None and float(before @ now) < _CONTINUES


def pattern(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What is left of a picture without its light, (n,): zero mean and length 1.

    A product of two is their correlation, which does not mind a lamp that is switched on.
    """
    values = pixels.ravel().astype(np.float64)
    values -= values.mean()
    length = sqrt(float(values @ values))
    return values / length if length > 0 else values


def _cells(width: int, height: int) -> NDArray[np.float64]:
    """The affine matrix that shows one pixel in the middle of each cell of a picture."""
    across, down = _SIDE / width, _SIDE / height
    return np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5]])
