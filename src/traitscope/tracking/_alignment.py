"""A face -> the affine matrix that puts its eyes where they belong in a square picture of it.

The eyes are level, their distance a fixed share of the square, and the framing that of dlib's chip.
Faces without landmarks (Haar) give their padded box instead.
"""

from math import atan2, cos, hypot, sin

import numpy as np
from numpy.typing import NDArray

from traitscope.types import Face, FloatArray

_EYE_SHARE = 0.525
_EYE_HEIGHT = 0.221
"""In dlib's mean face: eye distance and height of the eyes, as shares of the unpadded chip."""

_EYES = {
    5: ((2, 3), (0, 1)),
    6: ((0,), (1,)),
    68: (tuple(range(36, 42)), tuple(range(42, 48))),
    478: ((33, 133), (362, 263)),
}
"""Points whose means are the eye centres (left and right in the picture), by landmark count."""


def alignment(face: Face, *, size: float, padding: float) -> NDArray[np.float64]:
    """Find the affine matrix (2, 3) from picture to chip."""
    whole = 1 + 2 * padding
    eyes = eye_centres(face.landmarks)
    if eyes is None:
        left, top, right, bottom = face.box
        side = max(right - left, bottom - top) * whole
        scale = size / max(side, 1e-6)
        middle = np.array([(left + right) / 2, (top + bottom) / 2])
        return np.array(
            [
                [scale, 0, size / 2 - scale * middle[0]],
                [0, scale, size / 2 - scale * middle[1]],
            ]
        )
    (x, y), (other_x, other_y) = (eye.tolist() for eye in eyes)
    # The eyes alone decide: mouth and nose move with speech.
    across, down = other_x - x, other_y - y
    # Eyes that fall onto each other, as of a head seen from the side, must not divide by zero.
    scale = size * _EYE_SHARE / whole / max(hypot(across, down), 1e-6)
    angle = atan2(down, across)
    c, s = scale * cos(angle), scale * sin(angle)
    # Between the eyes, in the picture, and where that belongs.
    x, y = (x + other_x) / 2, (y + other_y) / 2
    right, low = size / 2, size * (padding + _EYE_HEIGHT) / whole
    return np.array([[c, s, right - c * x - s * y], [-s, c, low + s * x - c * y]])


def eye_centres(landmarks: FloatArray) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Centres of the eyes left and right in the picture, (2,) each; None without landmarks."""
    groups = _EYES.get(len(landmarks))
    if groups is None:
        return None
    # As Python's numbers: of so few, each of NumPy's steps takes as long as all of these.
    one, other = (landmarks[list(group), :2].tolist() for group in groups)
    return _middle(one), _middle(other)


def _middle(points: list[list[float]]) -> NDArray[np.float64]:
    across, down = zip(*points, strict=True)
    return np.array([sum(across) / len(points), sum(down) / len(points)])
