"""Points of the face -> the action units that their geometry shows; the rest stays unmeasured.

Lengths are taken on the points turned to the front, in units of the distance between the eyes, so
that size and (roughly) pose of the head do not matter. Neutral values of dlib's 68 points are those
of the mean face, of the mesh's those of three people.

Which lengths stand for which unit is that of Tian, Kanade and Cohn (2001, "Recognizing action units
for facial expression analysis"): heights of the brows, width of the lips, height of their corners
against their middle, the gap between them, and the height of the lower eyelid.
"""

import numpy as np
from numpy.typing import NDArray

from traitscope.extract.landmarks import TO_68
from traitscope.tracking import to_front
from traitscope.types import Face

PROVENANCE = {
    "AU01_r": "dlib geometry: height of the inner brows",
    "AU02_r": "dlib geometry: height of the outer brows",
    "AU04_r": "dlib geometry: lowering of the inner brows",
    "AU12_r": "dlib geometry: mouth width, lift of its corners and of the upper lip",
    "AU25_r": "dlib geometry: gap between the lips",
    "AU26_r": "dlib geometry: nose to chin",
    "AU45_r": "dlib geometry: eye aspect ratio, against the open eyes of the clip",
    "pose_Rx": "dlib points fitted by a mean face",
    "pose_Ry": "dlib points fitted by a mean face",
    "pose_Rz": "dlib points fitted by a mean face",
}

OF_THE_MESH = {
    "AU01_r": "height of the inner brows",
    "AU02_r": "height of the outer brows",
    "AU06_r": "height of the lower eyelids",
    "AU15_r": "corners of the mouth below its middle",
    "AU20_r": "mouth width, less what a smile lifts",
    "AU25_r": "gap between the lips",
}
"""What `of_the_mesh` measures."""

_BROW = 0.05
"""Eye distances by which brows move for one step of intensity."""

_OPEN_EYES = 80
"""Percentile of the eye aspect ratio over a clip that counts as open eyes."""


def measure(face: Face) -> dict[str, float]:
    """Read the action units 0-5 of one face; AU45_r is the eye aspect ratio until `settle`.

    Neutral is 1 rather than 0 where a movement has two directions, so that neither is cut off.
    """
    points = to_front(face.landmarks, face.rotation or (0.0, 0.0, 0.0))
    inner, outer = _brows(points)
    # Corners against the nose, not the lips: an open mouth moves the lips.
    width = points[54, 0] - points[48, 0]
    corners = points[33, 1] - points[[48, 54], 1].mean()
    lip = points[51, 1] - points[33, 1]
    gap = _gap(points)
    drop = points[[8, 57], 1].mean() - points[33, 1]
    # a smile widens the mouth, lifts its corners (that an open mouth pulls down) and the lip
    smile = (width - 0.79) / 0.25 + (corners + 0.4 + 0.3 * gap) / 0.25 + (0.285 - lip) / 0.2
    return {
        "AU01_r": _intensity(1 + (inner - 0.34) / _BROW),
        "AU02_r": _intensity(1 + (outer - 0.34) / _BROW),
        "AU04_r": _intensity(1 - (inner - 0.34) / _BROW),
        "AU12_r": _intensity(1 + 1.2 * smile),
        "AU25_r": _intensity(5 * gap / 0.4),
        "AU26_r": _intensity(1 + 4 * (drop - 0.88) / 0.4),
        "AU45_r": _eye_aspect(points),
    }


def of_the_mesh(face: Face) -> dict[str, float]:
    """Read the action units 0-5 of a face of 478 points that their geometry shows.

    Against OpenFace on real footage the brows' heights agreed with r = .50 and .60, blendshapes
    with .23 and .14; the others are units whose blendshapes hardly leave 0 (AU06, AU15, AU20), and
    the gap between the lips, which is what AU25 means.
    """
    points = to_front(face.landmarks[TO_68, :2], face.rotation or (0.0, 0.0, 0.0))
    inner, outer = _brows(points)
    # A raised cheek lifts the lower lid; the upper one moves with the gaze.
    lids = points[[40, 41, 46, 47], 1].mean()
    width = points[54, 0] - points[48, 0]
    gap = _gap(points)
    # Positive when corners hang, negative when they are lifted.
    sunk = points[[48, 54], 1].mean() - points[[62, 66], 1].mean()
    return {
        # the mesh has the inner ends of the brows a little higher than dlib does
        "AU01_r": _intensity(1 + (inner - 0.365) / _BROW),
        "AU02_r": _intensity(1 + (outer - 0.34) / _BROW),
        "AU06_r": _intensity((0.06 - lids) / 0.01),
        "AU15_r": _intensity(sunk / 0.04),
        "AU20_r": _intensity((width - 0.79 - max(-sunk, 0.0)) / 0.06),
        "AU25_r": _intensity(5 * gap / 0.4),
    }


def _brows(points: NDArray[np.float64]) -> tuple[float, float]:
    """Heights of the inner and outer brows above the eyes; the middle counts as both."""
    return -points[19:25, 1].mean(), -points[[17, 18, 19, 24, 25, 26], 1].mean()


def _gap(points: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(points[[61, 62, 63]] - points[[67, 66, 65]], axis=1).mean())


def settle(aspect: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn eye aspect ratios of a clip (rows,) into blink intensities 0-5; NaN stays NaN.

    Eyes differ from person to person, so a blink is measured against the clip's own open eyes.
    """
    if not np.isfinite(aspect).any():
        return aspect
    # The 80th percentile is open eyes even of somebody who blinks a quarter of the time.
    opened = max(float(np.nanpercentile(aspect, _OPEN_EYES)), 1e-3)
    return np.clip(5.0 * (1.0 - aspect / opened) / 0.6, 0.0, 5.0)


def _eye_aspect(points: NDArray[np.float64]) -> float:
    """Mean height of the eyes over their width."""

    def aspect(first: int) -> float:
        eye = points[first : first + 6]
        height = np.linalg.norm(eye[1] - eye[5]) + np.linalg.norm(eye[2] - eye[4])
        return float(height / 2 / max(float(np.linalg.norm(eye[0] - eye[3])), 1e-6))

    return (aspect(36) + aspect(42)) / 2


def _intensity(value: float) -> float:
    return float(np.clip(value, 0.0, 5.0))
