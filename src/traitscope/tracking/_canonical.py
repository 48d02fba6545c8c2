"""A mean face in the iBUG 68-point order, and the head pose that fits it to points in a picture.

Unit: distance between the eye centres; axes as OpenFace's (x right, y down, z away). x and y are
the mean of dlib's points on three adults, turned to the front with MediaPipe's rotation and made
symmetric; z is MediaPipe's. So both backends mean the same by "straight ahead", to a few degrees.
"""

from math import hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from traitscope.tracking._rotation import Matrix, to_matrix

FACE = np.array(
    [
        (-1.096, 0.106, 0.735),
        (-1.082, 0.367, 0.962),
        (-1.052, 0.653, 0.964),
        (-1.002, 0.951, 0.821),
        (-0.900, 1.228, 0.662),
        (-0.740, 1.472, 0.491),
        (-0.533, 1.678, 0.234),
        (-0.288, 1.835, 0.037),
        (0.000, 1.876, 0.008),
        (0.288, 1.835, 0.037),
        (0.533, 1.678, 0.234),
        (0.740, 1.472, 0.491),
        (0.900, 1.228, 0.662),
        (1.002, 0.951, 0.821),
        (1.052, 0.653, 0.964),
        (1.082, 0.367, 0.962),
        (1.096, 0.106, 0.735),
        (-0.901, -0.237, 0.312),
        (-0.781, -0.360, -0.023),
        (-0.582, -0.411, -0.133),
        (-0.375, -0.389, -0.230),
        (-0.179, -0.312, -0.277),
        (0.179, -0.312, -0.277),
        (0.375, -0.389, -0.230),
        (0.582, -0.411, -0.133),
        (0.781, -0.360, -0.023),
        (0.901, -0.237, 0.312),
        (0.000, -0.076, -0.258),
        (0.000, 0.114, -0.412),
        (0.000, 0.305, -0.599),
        (0.000, 0.491, -0.639),
        (-0.229, 0.654, -0.294),
        (-0.116, 0.682, -0.332),
        (0.000, 0.710, -0.358),
        (0.116, 0.682, -0.332),
        (0.229, 0.654, -0.294),
        (-0.687, 0.009, 0.092),
        (-0.572, -0.057, -0.022),
        (-0.432, -0.062, -0.052),
        (-0.304, 0.007, 0.006),
        (-0.432, 0.049, -0.027),
        (-0.572, 0.054, 0.003),
        (0.304, 0.007, 0.006),
        (0.432, -0.062, -0.052),
        (0.572, -0.057, -0.022),
        (0.687, 0.009, 0.092),
        (0.572, 0.054, 0.003),
        (0.432, 0.049, -0.027),
        (-0.433, 1.076, -0.015),
        (-0.278, 0.981, -0.268),
        (-0.116, 0.926, -0.331),
        (0.000, 0.956, -0.343),
        (0.116, 0.926, -0.331),
        (0.278, 0.981, -0.268),
        (0.433, 1.076, -0.015),
        (0.284, 1.228, -0.199),
        (0.125, 1.288, -0.245),
        (0.000, 1.297, -0.253),
        (-0.125, 1.288, -0.245),
        (-0.284, 1.228, -0.199),
        (-0.371, 1.075, -0.044),
        (-0.118, 1.038, -0.244),
        (0.000, 1.049, -0.257),
        (0.118, 1.038, -0.244),
        (0.371, 1.075, -0.044),
        (0.119, 1.123, -0.214),
        (0.000, 1.137, -0.227),
        (-0.119, 1.123, -0.214),
    ],
    dtype=np.float64,
)
"""(68, 3) the mean face."""

RIGID = np.array([27, 28, 29, 30, 31, 33, 35, 36, 39, 42, 45])
"""Points that speech and expression hardly move: nose and eye corners."""

_RIGID_MIDDLE = FACE[RIGID].mean(axis=0)
_SPREAD = FACE[RIGID] - _RIGID_MIDDLE

_MIDDLE_OF_RIGID = np.bincount(RIGID, minlength=len(FACE)) / len(RIGID)
_EYES = np.array([np.bincount(range(eye, eye + 6), minlength=len(FACE)) / 6 for eye in (36, 42)])
"""Shares of the 68 points in means, which as products take a quarter of the time."""

_FROM_THE_SIDE = 1e-9
"""Of the cosine of the angle to the camera."""


def fit_rotation(points: Matrix, *, width: int, height: int) -> NDArray[np.float64]:
    """Find the head rotation that puts the mean face on points in a picture.

    Args:
        points: (68, 2) in pixels.
        width: of the picture, in pixels.
        height: of the picture, in pixels.

    Returns:
        (3, 3) rotation with OpenFace's axes; the focal length is taken as the longer side.
    """
    focal = float(max(width, height))
    centre = np.array([width, height]) / 2
    camera = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]])
    right, left = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    distance = focal / max(1.0, float(np.linalg.norm(left - right)))
    # starting in front of the camera keeps the fit away from the mirrored solution behind it
    position = np.array([*(((left + right) / 2 - centre) * distance / focal), distance])
    _, vector, _ = cv2.solvePnP(
        FACE[RIGID],
        np.asarray(points, dtype=np.float64)[RIGID],
        camera,
        np.zeros(4),
        np.zeros((3, 1)),
        position.reshape(3, 1),
        useExtrinsicGuess=True,
        flags=cv2.SOLVEPNP_ITERATIVE,
    )
    return np.asarray(cv2.Rodrigues(vector)[0], dtype=np.float64)


def _turned_back(turn: NDArray[np.float64]) -> NDArray[np.float64]:
    """From x and y of a turned face to those of the face: the inverse of ``turn[:, :2]``."""
    (a, b, _), (c, d, _) = turn.tolist()
    size = a * d - b * c
    # Exactly from the side there is none; the pseudoinverse takes ten times as long.
    if abs(size) < _FROM_THE_SIDE:
        return np.asarray(np.linalg.pinv(turn[:, :2]), dtype=np.float64)
    return np.array([[d / size, -b / size], [-c / size, a / size]])


def to_front(points: Matrix, rotation: tuple[float, float, float]) -> NDArray[np.float64]:
    """Show points as if the head looked straight into the camera, with the mean face's depth.

    Args:
        points: (68, 2) in pixels.
        rotation: pitch, yaw, roll in radians.

    Returns:
        (68, 2) from the middle of the eyes, in units of the distance between their centres.
    """
    turn = to_matrix(*rotation)[:2]
    seen = np.asarray(points, dtype=np.float64)
    # Of the rigid points, about their middle: what a fit of size and place needs.
    spread = _SPREAD @ turn.T
    scale = max(float(np.vdot(spread, seen[RIGID]) / np.vdot(spread, spread)), 1e-6)
    origin = _MIDDLE_OF_RIGID @ seen - scale * (turn @ _RIGID_MIDDLE)
    flat = (seen - origin) / scale - FACE[:, 2:] * turn[:, 2]
    front = flat @ _turned_back(turn).T
    right, left = _EYES @ front
    distance = max(hypot(*(left - right).tolist()), 1e-6)
    return np.asarray((front - (right + left) / 2) / distance)
