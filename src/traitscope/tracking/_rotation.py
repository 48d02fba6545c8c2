"""Head rotation as OpenFace writes it: radians about x (right), y (down) and z (away).

The convention is R = Rx(pitch) Ry(yaw) Rz(roll) with right-handed axes as the camera sees them, so
pitch is positive looking down, yaw when the nose points to the left of the image, and roll when the
head leans clockwise in the image. Checked against a table written by OpenFace.
"""

from math import asin, atan2, cos, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating[Any]]


def to_angles(rotation: Matrix) -> tuple[float, float, float]:
    """Turn a rotation matrix (3, 3) into pitch Rx, yaw Ry, roll Rz in radians."""
    return (
        atan2(-rotation[1, 2], rotation[2, 2]),
        # Rounding may take the sine a little beyond 1.
        asin(min(max(float(rotation[0, 2]), -1.0), 1.0)),
        atan2(-rotation[0, 1], rotation[0, 0]),
    )


def to_matrix(pitch: float, yaw: float, roll: float) -> NDArray[np.float64]:
    """Turn pitch, yaw and roll in radians into a rotation matrix (3, 3)."""
    cx, cy, cz = cos(pitch), cos(yaw), cos(roll)
    sx, sy, sz = sin(pitch), sin(yaw), sin(roll)
    # The product of the three, written out: every face of every picture comes here.
    return np.array(
        [
            [cy * cz, -cy * sz, sy],
            [cx * sz + sx * sy * cz, cx * cz - sx * sy * sz, -sx * cy],
            [sx * sz - cx * sy * cz, sx * cz + cx * sy * sz, cx * cy],
        ]
    )


def from_y_up(rotation: Matrix) -> Matrix:
    """Change the axes from MediaPipe's (y up, z towards the camera) to OpenFace's."""
    flip = np.array([1.0, -1.0, -1.0])
    return np.asarray(rotation * flip[:, None] * flip[None, :])
