"""Drawings of the 68 points of the face: tracks in, one JPEG per sampled time out.

White points on black, in the frame of the aligned chip of ``faces`` with the same padding: the
second picture that the S2D thesis shows beside each face. Somebody else's drawings, such as its
``face_landmark_7.jpg`` beside ``face_7.jpg``, come in by ``features import``.
"""

from typing import Annotated, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from traitscope.extract import landmarks
from traitscope.extract._sampling import Sampled
from traitscope.extract._selection import Policy
from traitscope.extract._spool import encode
from traitscope.types import Face, Frame, Inputs, Stream

VERSION = 1
NEEDS = ("tracks",)

_FINE = 4
"""Bits of a pixel's fraction that OpenCV draws circles with."""


class Config(Sampled):
    """Settings of the drawings."""

    backend: Literal["auto", "mediapipe", "dlib"] = "auto"
    """Tracking backend; auto takes MediaPipe if its model file is there, and dlib if not."""
    select: Policy = "largest"
    """Which track is the face; all gives a row for each face."""
    size: Annotated[int, Field(ge=16, le=1024)] = 112
    """Side of a drawing in pixels."""
    padding: Annotated[float, Field(ge=0, le=2)] = 0.25
    """Of the chip; see faces.padding."""
    quality: Annotated[int, Field(ge=1, le=100)] = 90
    """JPEG quality."""


class Extractor:
    """Draw the landmarks of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config
        shared = config.model_dump(include={"backend", "select", "padding"})
        self._points = landmarks.Extractor(landmarks.Config(points=68, space="chip", **shared))

    def see(self, frame: Frame, faces: tuple[Face, ...]) -> None:
        """Keep the points of each face."""
        self._points.see(frame, faces)

    def finish(self, inputs: Inputs) -> Stream:
        """Draw the points of the chosen track; missing drawings are empty and not valid."""
        points = self._points.finish(inputs)
        assert points.values is not None
        drawn = [
            encode(drawing(row, self._config.size), self._config.quality) if there else b""
            for row, there in zip(points.values, points.mask, strict=True)
        ]
        info = {key: value for key, value in points.info.items() if key != "units"}
        return Stream(
            time=points.time,
            images=tuple(drawn),
            valid=points.mask,
            info={**info, "size": self._config.size},
        )


def drawing(points: NDArray[np.floating], size: int) -> NDArray[np.uint8]:
    """Draw points (68, 2), as shares of a chip, white on black: (size, size, 3)."""
    canvas = np.zeros((size, size, 3), dtype=np.uint8)
    # A hundredth of the side: at 112 pixels a dot, which a patch of 8 or 16 still resolves.
    radius = round(size / 100 * 2**_FINE)
    # Pixel n spans n to n + 1: its middle is at n + 1/2, and OpenCV's at n.
    for x, y in np.rint((np.asarray(points) * size - 0.5) * 2**_FINE).astype(int).tolist():
        cv2.circle(canvas, (x, y), radius, (255, 255, 255), cv2.FILLED, cv2.LINE_AA, _FINE)
    return canvas
