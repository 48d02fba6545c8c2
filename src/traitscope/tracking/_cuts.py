"""Pictures of a clip -> whether one continues the shot of the picture before it."""

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

    def see(self, frame: Frame) -> bool:
        """Tell whether a shot begins with this picture; the first picture begins none."""
        width, height = frame.size
        # one pixel in the middle of each cell
        scale = np.array([[_SIDE / width, 0, 0], [0, _SIDE / height, 0]])
        scale[:, 2] = scale[:, :2] @ (0.5, 0.5) - 0.5
        # No averaging: a cut changes nearly all of 256 single pixels, noise hardly any.
        values = frame.through(scale, (_SIDE, _SIDE)).ravel().astype(np.float64)
        # A correlation does not mind a lamp that is switched on, which is no cut.
        values -= values.mean()
        length = float(np.linalg.norm(values))
        values = values / length if length > 0 else values
        before, self._last = self._last, values
        return before is not None and float(before @ values) < _CONTINUES
