"""MediaPipe's blendshapes -> proxies of OpenFace's action units, and gaze.

Proxies, not action units: on a real clip with OpenFace beside it AU12 agreed with r = .93, AU10
with .61, AU45 and AU26 with .47, most others with less than .45.
"""

from collections.abc import Mapping

import numpy as np

from traitscope.tracking import to_matrix
from traitscope.types import Face

SHAPES: dict[str, tuple[str, ...]] = {
    "AU01_r": ("browInnerUp",),
    "AU02_r": ("browOuterUpLeft", "browOuterUpRight"),
    "AU04_r": ("browDownLeft", "browDownRight"),
    "AU05_r": ("eyeWideLeft", "eyeWideRight"),
    "AU06_r": ("cheekSquintLeft", "cheekSquintRight"),
    "AU07_r": ("eyeSquintLeft", "eyeSquintRight"),
    "AU09_r": ("noseSneerLeft", "noseSneerRight"),
    "AU10_r": ("mouthUpperUpLeft", "mouthUpperUpRight"),
    "AU12_r": ("mouthSmileLeft", "mouthSmileRight"),
    "AU14_r": ("mouthDimpleLeft", "mouthDimpleRight"),
    "AU15_r": ("mouthFrownLeft", "mouthFrownRight"),
    "AU17_r": ("mouthShrugLower",),
    "AU20_r": ("mouthStretchLeft", "mouthStretchRight"),
    "AU23_r": ("mouthPressLeft", "mouthPressRight"),
    "AU25_r": ("mouthLowerDownLeft", "mouthLowerDownRight", "jawOpen", "jawOpen"),
    "AU26_r": ("jawOpen",),
    "AU45_r": ("eyeBlinkLeft", "eyeBlinkRight"),
}
"""Column -> the blendshapes whose mean, times five, stands in for it."""

_REACH = 0.55
"""Radians that an eye has turned when its look blendshape is 1."""

PROVENANCE = {
    **{name: f"mediapipe proxy: 5 x mean({', '.join(s)})" for name, s in SHAPES.items()},
    "gaze_angle_x": "mediapipe proxy: eyeLook blendshapes turned with the head",
    "gaze_angle_y": "mediapipe proxy: eyeLook blendshapes turned with the head",
    "pose_Rx": "mediapipe face matrix",
    "pose_Ry": "mediapipe face matrix",
    "pose_Rz": "mediapipe face matrix",
}


def measure(face: Face) -> dict[str, float]:
    """Read the signals of one face: action units 0-5, angles in radians."""
    shapes = face.blendshapes
    units = {
        name: 5.0 * sum(shapes.get(shape, np.nan) for shape in parts) / len(parts)
        for name, parts in SHAPES.items()
    }
    return units | _gaze(shapes, face.rotation or (0.0, 0.0, 0.0))


def _gaze(shapes: Mapping[str, float], rotation: tuple[float, float, float]) -> dict[str, float]:
    """Gaze in the camera's axes: x positive to the right of the picture, y positive downwards."""

    def mean(*names: str) -> float:
        return sum(shapes.get(f"eyeLook{name}", np.nan) for name in names) / len(names)

    # "left" is the person's own: their left lies to the right of the picture
    across = _REACH * (mean("OutLeft", "InRight") - mean("InLeft", "OutRight"))
    down = _REACH * (mean("DownLeft", "DownRight") - mean("UpLeft", "UpRight"))
    in_head = np.array(
        [np.sin(across) * np.cos(down), np.sin(down), -np.cos(across) * np.cos(down)]
    )
    x, y, z = to_matrix(*rotation) @ in_head
    return {
        "gaze_angle_x": float(np.arctan2(x, -z)),
        "gaze_angle_y": float(np.arctan2(y, -z)),
    }
