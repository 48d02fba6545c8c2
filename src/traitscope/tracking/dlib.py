"""dlib: HOG frontal faces, 68 points, head rotation from a mean face; works offline from wheels.

The whole picture is searched every two seconds, and when a face is lost and for two seconds after;
in between, a face is looked for around its last place, at a size that suits the detector.

The point model comes inside the ``face_recognition_models`` wheel; that package is located, never
imported (its import needs ``pkg_resources``).
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from traitscope.errors import MissingError
from traitscope.tracking._canonical import fit_rotation
from traitscope.tracking._identity import Box, Linker
from traitscope.tracking._rotation import to_angles
from traitscope.types import Face, Frame

VERSION = 3

LONG_SIDE = 640
"""Pictures are resized to this for detection: HOG finds faces from 80 px on, so 1/8 of it."""

RESCAN_SECONDS = 2.0
"""How long a new face may go unnoticed while the known ones are followed."""

_FACE_SIDE = 100
"""Around a known face the picture is resized so that the face gets this size."""

_MARGIN = 0.5
"""Room around a known face on each side, in face sizes."""

_SAME = 0.3
"""Boxes that share more of their union are one face."""

Grey = NDArray[np.uint8]
Found = list[tuple[Box, float]]


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
        self._known: list[Box] = []
        self._scanned = self._missing_since = -np.inf

    def track(self, frame: Frame) -> tuple[Face, ...]:
        """Find the faces of the next frame of the clip."""
        grey = np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        found: Found | None = None
        missing = frame.time - self._missing_since < RESCAN_SECONDS
        if self._known and not missing and frame.time - self._scanned < RESCAN_SECONDS - 1e-6:
            found = self._follow(grey)
        if found is None:
            found, self._scanned = self._scan(grey), frame.time
            if len(found) < len(self._known):
                self._missing_since = frame.time
        self._known = [box for box, _ in found]
        ids = self._linker.assign(frame.time, self._known)
        return tuple(
            self._describe(grey, box, score, track)
            for (box, score), track in zip(found, ids, strict=True)
        )

    def close(self) -> None:
        """Nothing to free."""

    def _follow(self, grey: Grey) -> Found | None:
        """Look for each known face around its last place; None when one is not there."""
        found: Found = []
        for box in self._known:
            near = self._near(grey, box)
            if near is None or any(_overlap(near[0], other) > _SAME for other, _ in found):
                return None
            found.append(near)
        return sorted(found, key=lambda pair: -pair[1])

    def _scan(self, grey: Grey) -> Found:
        """Search the whole picture, then look again around each face, as while following it."""
        height, width = grey.shape
        scale = LONG_SIDE / max(height, width)
        boxes = self._detect(grey, scale, (0, 0))[: self._max_faces]
        found: Found = []
        for box, score in boxes:
            near = self._near(grey, box) or (box, score)
            if not any(_overlap(near[0], other) > _SAME for other, _ in found):
                found.append(near)
        return sorted(found, key=lambda pair: -pair[1])

    def _near(self, grey: Grey, box: Box) -> tuple[Box, float] | None:
        """The face around a place, the one that overlaps it most; None if there is none."""
        left, top, right, bottom = box
        margin = _MARGIN * (right - left)
        x, y = max(0, int(left - margin)), max(0, int(top - margin))
        window = grey[y : max(0, int(bottom + margin)), x : max(0, int(right + margin))]
        if not window.size:
            return None
        boxes = self._detect(window, _FACE_SIDE / max(right - left, 1.0), (x, y))
        best = max(boxes, key=lambda pair: _overlap(pair[0], box), default=None)
        return best if best is not None and _overlap(best[0], box) > 0 else None

    def _detect(self, grey: Grey, scale: float, corner: tuple[int, int]) -> Found:
        """Boxes in pixels of the picture with their scores, best first.

        Args:
            grey: the picture, or a part of it.
            scale: by which it is resized first.
            corner: left and top of the part in the picture.
        """
        height, width = grey.shape
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        boxes, scores, _ = self._detector.run(cv2.resize(grey, size, interpolation=method), 0, 0.0)
        x, y = corner
        found = [
            (
                (
                    b.left() / scale + x,
                    b.top() / scale + y,
                    b.right() / scale + x,
                    b.bottom() / scale + y,
                ),
                float(score),
            )
            for b, score in zip(boxes, scores, strict=True)
        ]
        return sorted(found, key=lambda pair: -pair[1])

    def _describe(self, grey: Grey, box: Box, score: float, track: int) -> Face:
        shape = self._predictor(grey, self._rectangle(*(round(side) for side in box)))
        points = np.array([(p.x, p.y) for p in shape.parts()], dtype=np.float32)
        height, width = grey.shape
        rotation = fit_rotation(points, width=width, height=height)
        return Face(
            box=box, confidence=score, landmarks=points, track=track, rotation=to_angles(rotation)
        )


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    return width * height / (sum(areas) - width * height)


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
