"""Head rotation as OpenFace writes it: radians about x (right), y (down) and z (away).

The convention is R = Rx(pitch) Ry(yaw) Rz(roll) with right-handed axes as the camera sees them, so
pitch is positive looking down, yaw when the nose points to the left of the image, and roll when the
head leans clockwise in the image. Checked against a table written by OpenFace.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating[Any]]


def to_angles(rotation: Matrix) -> tuple[float, float, float]:
    """Turn a rotation matrix (3, 3) into pitch Rx, yaw Ry, roll Rz in radians."""
    return (
        float(np.arctan2(-rotation[1, 2], rotation[2, 2])),
        # Rounding may take the sine a little beyond 1.
        float(np.arcsin(np.clip(rotation[0, 2], -1.0, 1.0))),
        float(np.arctan2(-rotation[0, 1], rotation[0, 0])),
    )


def to_matrix(pitch: float, yaw: float, roll: float) -> NDArray[np.float64]:
    """Turn pitch, yaw and roll in radians into a rotation matrix (3, 3)."""
    cx, cy, cz = np.cos([pitch, yaw, roll])
    sx, sy, sz = np.sin([pitch, yaw, roll])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    matrix: NDArray[np.float64] = about_x @ about_y @ about_z
    return matrix


def from_y_up(rotation: Matrix) -> Matrix:
    """Change the axes from MediaPipe's (y up, z towards the camera) to OpenFace's."""
    flip = np.array([1.0, -1.0, -1.0])
    return np.asarray(rotation * flip[:, None] * flip[None, :])
