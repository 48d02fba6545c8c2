"""OpenCV's Haar cascade, as the ResNet50-LSTM system used it: boxes only, no points, no pose."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from traitscope.errors import MissingError
from traitscope.tracking._cuts import Cuts
from traitscope.tracking._detail import Detail
from traitscope.tracking._people import People
from traitscope.types import Face, Frame

VERSION = 5

SCALE_FACTOR = 1.2
MIN_NEIGHBOURS = (10, 8, 6, 4)
"""Tried in this order until a face is found; then the face counts as missing."""


class Tracker:
    """Find faces in the frames of one clip after another."""

    def __init__(self, *, max_faces: int = 3) -> None:
        path = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
        self._cascade: Any = cv2.CascadeClassifier(str(path))
        if self._cascade.empty():
            raise MissingError(
                f"The Haar cascade {path} cannot be read. "
                f"Install it with: pip install 'opencv-contrib-python>=4.10,<5'"
            )
        self._max_faces = max_faces
        self.restart()

    def restart(self, detail: Detail = "mesh") -> None:
        """Begin a new clip: forget the ids of the last one."""
        self._people, self._cuts = People(), Cuts()

    def track(self, frame: Frame) -> tuple[Face, ...]:
        """Find the faces of the next frame; confidence is the number of neighbours asked for."""
        grey = frame.grey
        for neighbours in MIN_NEIGHBOURS:
            corners = self._cascade.detectMultiScale(
                grey, scaleFactor=SCALE_FACTOR, minNeighbors=neighbours
            )
            if len(corners):
                break
        # The cascade gives no scores to choose by.
        largest = sorted(corners, key=lambda box: -int(box[2]) * int(box[3]))[: self._max_faces]
        nothing = np.empty((0, 2), dtype=np.float32)
        faces = [
            Face((float(x), float(y), float(x + w), float(y + h)), float(neighbours), nothing)
            for x, y, w, h in largest
        ]
        return self._people.see(frame, faces, cut=self._cuts.see(frame))

    def notes(self) -> tuple[str, ...]:
        """What was noticed in the clip that a reader must know."""
        return self._people.notes()

    def close(self) -> None:
        """Nothing to free."""
