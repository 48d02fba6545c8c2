"""Points of the face -> the action units that their geometry shows; the rest stays unmeasured.

Lengths are taken on the points turned to the front, in units of the distance between the eyes, so
that size and (roughly) pose of the head do not matter. Neutral values of dlib's 68 points are those
of the mean face, of the mesh's those of three people.

Which lengths stand for which unit is that of Tian, Kanade and Cohn (2001, "Recognizing action units
for facial expression analysis"): heights of the brows, width of the lips, height of their corners
against their middle, the gap between them, and the height of the lower eyelid.
"""

from collections.abc import Sequence
from math import hypot

import numpy as np
from numpy.typing import NDArray

from traitscope.extract.landmarks import TO_68
from traitscope.tracking import to_front
from traitscope.types import Face, FloatArray

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
    x, y = _front(face.landmarks, face)
    inner, outer = _brows(y)
    # Corners against the nose, not the lips: an open mouth moves the lips.
    width = x[54] - x[48]
    corners = y[33] - _mean(y, 48, 54)
    lip = y[51] - y[33]
    gap = _gap(x, y)
    drop = _mean(y, 8, 57) - y[33]
    # a smile widens the mouth, lifts its corners (that an open mouth pulls down) and the lip
    smile = (width - 0.79) / 0.25 + (corners + 0.4 + 0.3 * gap) / 0.25 + (0.285 - lip) / 0.2
    return {
        "AU01_r": _intensity(1 + (inner - 0.34) / _BROW),
        "AU02_r": _intensity(1 + (outer - 0.34) / _BROW),
        "AU04_r": _intensity(1 - (inner - 0.34) / _BROW),
        "AU12_r": _intensity(1 + 1.2 * smile),
        "AU25_r": _intensity(5 * gap / 0.4),
        "AU26_r": _intensity(1 + 4 * (drop - 0.88) / 0.4),
        "AU45_r": (_eye_aspect(x, y, 36) + _eye_aspect(x, y, 42)) / 2,
    }


def of_the_mesh(face: Face) -> dict[str, float]:
    """Read the action units 0-5 of a face of 478 points that their geometry shows.

    Against OpenFace on real footage the brows' heights agreed with r = .50 and .60, blendshapes
    with .23 and .14; the others are units whose blendshapes hardly leave 0 (AU06, AU15, AU20), and
    the gap between the lips, which is what AU25 means.
    """
    x, y = _front(face.landmarks[TO_68, :2], face)
    inner, outer = _brows(y)
    # A raised cheek lifts the lower lid; the upper one moves with the gaze.
    lids = _mean(y, 40, 41, 46, 47)
    width = x[54] - x[48]
    gap = _gap(x, y)
    # Positive when corners hang, negative when they are lifted.
    sunk = _mean(y, 48, 54) - _mean(y, 62, 66)
    return {
        # the mesh has the inner ends of the brows a little higher than dlib does
        "AU01_r": _intensity(1 + (inner - 0.365) / _BROW),
        "AU02_r": _intensity(1 + (outer - 0.34) / _BROW),
        "AU06_r": _intensity((0.06 - lids) / 0.01),
        "AU15_r": _intensity(sunk / 0.04),
        "AU20_r": _intensity((width - 0.79 - max(-sunk, 0.0)) / 0.06),
        "AU25_r": _intensity(5 * gap / 0.4),
    }


def _front(points: FloatArray, face: Face) -> tuple[list[float], list[float]]:
    """X and y of 68 points as if the head looked straight ahead.

    As Python's numbers: of a few at a time NumPy's calls take ten times as long as the sums.
    """
    x, y = to_front(points, face.rotation or (0.0, 0.0, 0.0)).T.tolist()
    return x, y


def _mean(values: Sequence[float], *places: int) -> float:
    return sum(values[place] for place in places) / len(places)


def _brows(y: Sequence[float]) -> tuple[float, float]:
    """Heights of the inner and outer brows above the eyes; the middle counts as both."""
    return -_mean(y, 19, 20, 21, 22, 23, 24), -_mean(y, 17, 18, 19, 24, 25, 26)


def _gap(x: Sequence[float], y: Sequence[float]) -> float:
    """Mean distance of the inner points of the lips."""
    return sum(hypot(x[a] - x[b], y[a] - y[b]) for a, b in ((61, 67), (62, 66), (63, 65))) / 3


def settle(aspect: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn eye aspect ratios of a clip (rows,) into blink intensities 0-5; NaN stays NaN.

    Eyes differ from person to person, so a blink is measured against the clip's own open eyes.
    """
    if not np.isfinite(aspect).any():
        return aspect
    # The 80th percentile is open eyes even of somebody who blinks a quarter of the time.
    opened = max(float(np.nanpercentile(aspect, _OPEN_EYES)), 1e-3)
    return np.clip(5.0 * (1.0 - aspect / opened) / 0.6, 0.0, 5.0)


def _eye_aspect(x: Sequence[float], y: Sequence[float], first: int) -> float:
    """Height of the eye whose six points begin at ``first``, over its width."""

    def between(one: int, other: int) -> float:
        return hypot(x[first + one] - x[first + other], y[first + one] - y[first + other])

    return (between(1, 5) + between(2, 4)) / 2 / max(between(0, 3), 1e-6)


def _intensity(value: float) -> float:
    return min(max(value, 0.0), 5.0)
