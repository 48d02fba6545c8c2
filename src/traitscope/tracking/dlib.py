"""dlib: HOG frontal faces, 68 points, head rotation from a mean face; works offline from wheels.

The point model comes inside the ``face_recognition_models`` wheel; that package is located, never
imported (its import needs ``pkg_resources``).
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from traitscope.errors import MissingError
from traitscope.tracking._canonical import fit_rotation
from traitscope.tracking._identity import Linker
from traitscope.tracking._rotation import to_angles
from traitscope.types import Face, Frame

VERSION = 1

LONG_SIDE = 640
"""Pictures are resized to this for detection: HOG finds faces from 80 px on, so 1/8 of it."""


class Tracker:
    """Find faces in the frames of one clip after another."""

    def __init__(self, *, max_faces: int = 3) -> None:
        dlib = load_dlib()
        self._detector = dlib.get_frontal_face_detector()
        self._rectangle = dlib.rectangle
        self._predictor = dlib.shape_predictor(str(predictor_path()))
        self._max_faces = max_faces
        self.restart()

    def restart(self) -> None:
        """Begin a new clip: forget the ids of the last one."""
        self._linker = Linker()

    def track(self, frame: Frame) -> tuple[Face, ...]:
        """Find the faces of the next frame of the clip."""
        found = self._detect(frame.image)
        ids = self._linker.assign(frame.time, [box for box, _ in found])
        return tuple(
            self._describe(frame.image, box, score, track)
            for (box, score), track in zip(found, ids, strict=True)
        )

    def close(self) -> None:
        """Nothing to free."""

    def _detect(self, image: Any) -> list[tuple[tuple[float, float, float, float], float]]:
        """Boxes in pixels of the picture with their scores, best first."""
        height, width = image.shape[:2]
        scale = LONG_SIDE / max(height, width)
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        boxes, scores, _ = self._detector.run(cv2.resize(grey, size, interpolation=method), 0, 0.0)
        found = [
            ((b.left() / scale, b.top() / scale, b.right() / scale, b.bottom() / scale), float(s))
            for b, s in zip(boxes, scores, strict=True)
        ]
        return sorted(found, key=lambda pair: -pair[1])[: self._max_faces]

    def _describe(
        self, image: Any, box: tuple[float, float, float, float], score: float, track: int
    ) -> Face:
        shape = self._predictor(image, self._rectangle(*(round(side) for side in box)))
        points = np.array([(p.x, p.y) for p in shape.parts()], dtype=np.float32)
        height, width = image.shape[:2]
        rotation = fit_rotation(points, width=width, height=height)
        return Face(
            box=box, confidence=score, landmarks=points, track=track, rotation=to_angles(rotation)
        )


def load_dlib() -> Any:
    """Import dlib, or say how to install it.

    Raises:
        MissingError: it is not installed.
    """
    try:
        import dlib
    except ModuleNotFoundError as error:
        raise MissingError(
            "The dlib backend needs the package 'dlib', which is not installed. "
            "Install it with: pip install 'dlib-bin>=20'"
        ) from error
    return dlib


def predictor_path() -> Path:
    """Find the 68-point model inside the face_recognition_models wheel.

    Raises:
        MissingError: the wheel is not installed, or has no such file.
    """
    spec = find_spec("face_recognition_models")
    folders = (spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        path = Path(folder) / "models" / "shape_predictor_68_face_landmarks.dat"
        if path.is_file():
            return path
    raise MissingError(
        "The 68-point model of the dlib backend is not installed. "
        "Install it with: pip install 'face_recognition_models>=0.3'"
    )
