"""MediaPipe's points and blendshapes -> proxies of OpenFace's action units, and gaze.

Proxies, not action units. Beside OpenFace on real footage AU12 agreed with r = .93, AU10 with .61,
AU02 with .60, AU01 with .50, AU45 and AU26 with .47; these are `AGREE`. Of the others less than .4
was measured, or nothing: each says so in its provenance, and may be compared with itself alone.
Scales differ for all: squinting eyes (AU07) are 2.0 in the mean where OpenFace has .08.
``python -m benchmarks.tracking --table`` measures r and scale against a table of OpenFace.
"""

from collections.abc import Mapping

import numpy as np

from traitscope.extract._geometry import OF_THE_MESH, of_the_mesh
from traitscope.tracking import to_matrix
from traitscope.types import Face

SHAPES: dict[str, tuple[str, ...]] = {
    "AU04_r": ("browDownLeft", "browDownRight"),
    "AU05_r": ("eyeWideLeft", "eyeWideRight"),
    "AU07_r": ("eyeSquintLeft", "eyeSquintRight"),
    "AU09_r": ("noseSneerLeft", "noseSneerRight"),
    "AU10_r": ("mouthUpperUpLeft", "mouthUpperUpRight"),
    "AU12_r": ("mouthSmileLeft", "mouthSmileRight"),
    "AU14_r": ("mouthDimpleLeft", "mouthDimpleRight"),
    "AU17_r": ("mouthShrugLower",),
    "AU23_r": ("mouthPressLeft", "mouthPressRight"),
    "AU26_r": ("jawOpen",),
    "AU45_r": ("eyeBlinkLeft", "eyeBlinkRight"),
}
"""Column -> the blendshapes whose mean, times five, stands in for it."""

AGREE = ("AU01_r", "AU02_r", "AU10_r", "AU12_r", "AU26_r", "AU45_r")
"""Where r >= .4 with OpenFace was measured."""

_ALONE = "; not comparable with OpenFace's"

_REACH = 0.55
"""Radians that an eye has turned when its look blendshape is 1."""

_MADE_OF = {name: f"5 x mean({', '.join(shapes)})" for name, shapes in SHAPES.items()} | OF_THE_MESH

PROVENANCE = {
    **{
        name: f"mediapipe proxy: {what}{'' if name in AGREE else _ALONE}"
        for name, what in sorted(_MADE_OF.items())
    },
    "gaze_angle_x": "mediapipe proxy: eyeLook blendshapes turned with the head",
    "gaze_angle_y": "mediapipe proxy: eyeLook blendshapes turned with the head",
    "pose_Rx": "mediapipe points fitted by its face",
    "pose_Ry": "mediapipe points fitted by its face",
    "pose_Rz": "mediapipe points fitted by its face",
}


def measure(face: Face) -> dict[str, float]:
    """Read the signals of one face: action units 0-5, angles in radians."""
    shapes = face.blendshapes
    # Left and right are averaged, as OpenFace has one number for both.
    units = {
        name: 5.0 * sum(shapes.get(shape, np.nan) for shape in parts) / len(parts)
        for name, parts in SHAPES.items()
    }
    return units | of_the_mesh(face) | _gaze(shapes, face.rotation or (0.0, 0.0, 0.0))


def _gaze(shapes: Mapping[str, float], rotation: tuple[float, float, float]) -> dict[str, float]:
    """Gaze in the camera's axes: x positive to the right of the picture, y positive downwards."""

    def mean(*names: str) -> float:
        return sum(shapes.get(f"eyeLook{name}", np.nan) for name in names) / len(names)

    # "left" is the person's own: their left lies to the right of the picture
    across = _REACH * (mean("OutLeft", "InRight") - mean("InLeft", "OutRight"))
    down = _REACH * (mean("DownLeft", "DownRight") - mean("UpLeft", "UpRight"))
    # A line of sight in the head: straight ahead is -z, towards the camera.
    in_head = np.array(
        [np.sin(across) * np.cos(down), np.sin(down), -np.cos(across) * np.cos(down)]
    )
    # The head turns the line; the angles are what the camera sees of it.
    x, y, z = to_matrix(*rotation) @ in_head
    return {
        "gaze_angle_x": float(np.arctan2(x, -z)),
        "gaze_angle_y": float(np.arctan2(y, -z)),
    }
