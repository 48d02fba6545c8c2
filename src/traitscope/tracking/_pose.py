"""478 points of a face in a picture -> how the head is turned, by a fit of MediaPipe's face.

The points carry their own depth, so the fit needs no search: points are put where a camera would
have seen them, and the rotation that lays the face on them follows from a singular value
decomposition (weighted Procrustes; Umeyama 1991). How far away the face is shows in how large it
comes out, once from the points as they are and once with the perspective of that distance.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from traitscope.tracking._networks import Geometry
from traitscope.tracking._rotation import from_y_up, to_angles
from traitscope.types import FloatArray

_VIEW = np.radians(63)
"""Angle of view from top to bottom that MediaPipe supposes of a camera."""


_TO_US = np.array((1.0, 1.0, -1.0))
"""Depth grows away from us, the face's z towards us."""

_OF_THE_FACE = 468
"""Points before those of the irises, which the known face has not."""


class Pose:
    """Fit a known face to points."""

    def __init__(self, geometry: Geometry) -> None:
        self._used = np.flatnonzero(geometry.weights)
        weights = geometry.weights[self._used]
        shares = weights / weights.sum()
        face = geometry.points[self._used]
        face = face - shares @ face
        self._weighted = face * shares[:, None]
        self._extent = float((self._weighted * face).sum())

    def rotation(self, points: FloatArray, size: tuple[int, int]) -> tuple[float, float, float]:
        """Pitch, yaw, roll in radians, with OpenFace's axes.

        Args:
            points: (478, 3) in pixels, z in the scale of x.
            size: width and height of the picture, which tell where its middle is.
        """
        depth = float(points[:_OF_THE_FACE, 2].mean())
        width, height = size
        # one unit is the distance of a picture plane on which the whole height is seen
        unit = height / (2 * np.tan(_VIEW / 2))
        plane = points[self._used] - np.array((width / 2, height / 2, depth))
        # Pictures count y downwards; the face is modelled with y upwards.
        plane *= np.array((1, -1, 1)) / unit
        # First as if far away, where perspective is nothing: how large the face is tells how far.
        scale = self._fit(plane * _TO_US)[1]
        # Then with the perspective of that distance, which corrects the size by a few percent.
        scale *= self._fit(_unprojected(plane, scale))[1]
        return to_angles(from_y_up(self._fit(_unprojected(plane, scale))[0]))

    def _fit(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """Rotation (3, 3) and scale that lay the face on points (n, 3)."""
        # The middle of the points plays no part: the weighted face adds up to nothing.
        # OpenCV's: of nine numbers NumPy's takes five times as long.
        sizes, left, right = cv2.SVDecomp(points.T @ self._weighted)
        # a reflection would fit a mirrored face better; heads only turn
        turn = left @ right
        if cv2.determinant(turn) < 0:
            left[:, 2] *= -1
            sizes[2] *= -1
            turn = left @ right
        # Sizes of the decomposition add up to the scale, so that nothing is turned twice.
        return turn, float(sizes.sum()) / self._extent


def _unprojected(plane: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """Points (n, 3) of a picture plane, where a face of this scale has them: y up, z to us."""
    away = (plane[:, 2:] + 1) / scale
    return np.hstack([plane[:, :2] * away, -away])
