"""A face -> the affine matrix that puts its eyes where they belong in a square picture of it.

The eyes are level, their distance a fixed share of the square, and the framing that of dlib's chip.
Faces without landmarks (Haar) give their padded box instead.
"""

import numpy as np
from numpy.typing import NDArray

from traitscope.types import Face, FloatArray

_EYE_SHARE = 0.525
_EYE_HEIGHT = 0.221
"""In dlib's mean face: eye distance and height of the eyes, as shares of the unpadded chip."""

_EYES = {
    6: (np.array([0]), np.array([1])),
    68: (np.arange(36, 42), np.arange(42, 48)),
    478: (np.array([33, 133]), np.array([362, 263])),
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
    one, other = eyes
    # The eyes alone decide: mouth and nose move with speech.
    across = other - one
    # Eyes that fall onto each other, as of a head seen from the side, must not divide by zero.
    scale = size * _EYE_SHARE / whole / max(float(np.hypot(*across)), 1e-6)
    angle = np.arctan2(across[1], across[0])
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]])
    target = np.array([size / 2, size * (padding + _EYE_HEIGHT) / whole])
    return np.hstack([turn, (target - turn @ ((one + other) / 2))[:, None]])


def eye_centres(landmarks: FloatArray) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Centres of the eyes left and right in the picture, (2,) each; None without landmarks."""
    groups = _EYES.get(len(landmarks))
    if groups is None:
        return None
    points = np.asarray(landmarks, dtype=np.float64)[:, :2]
    return points[groups[0]].mean(axis=0), points[groups[1]].mean(axis=0)
