"""Aligned face chips: tracks in, one JPEG per sampled time out, empty where the face is missing.

The eyes are level, their distance a fixed share of the chip, and the framing that of dlib's chip
with padding 0.25. Backends without landmarks (Haar) give the padded box instead.
"""

from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from traitscope.extract._sampling import Sampled
from traitscope.extract._selection import Policy, Tracks
from traitscope.extract._spool import Place, Spool, encode, stored
from traitscope.tracking import Backend, alignment
from traitscope.types import Face, Frame, Inputs, Stream

VERSION = 3
NEEDS = ("frames", "tracks")


class Config(Sampled):
    """Settings of the face chips."""

    backend: Backend = "auto"
    """Tracking backend; auto takes MediaPipe if its model file is there, and dlib if not."""
    select: Policy = "largest"
    """Which track is the face; all gives a row for each face."""
    size: Annotated[int, Field(ge=16, le=1024)] = 224
    """Side of a chip in pixels."""
    padding: Annotated[float, Field(ge=0, le=2)] = 0.25
    """Room around the face on each side, as a share of the unpadded chip."""
    window: Annotated[int, Field(ge=0, le=4096)] = 0
    """Instead of the aligned chip, an upright square of so many pixels of the picture around the
    middle of the face, as Characteristic_Prediction cuts it; 0 for the chip."""
    quality: Annotated[int, Field(ge=1, le=100)] = 90
    """JPEG quality."""


class Extractor:
    """Collect the chips of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._tracks = Tracks()
        self._spool = Spool()
        self._chips: dict[tuple[int, int], tuple[Place, float]] = {}

    def see(self, frame: Frame, faces: tuple[Face, ...]) -> None:
        """Encode a chip of each face, since only the end shows which track is chosen."""
        number = self._tracks.see(frame, faces)
        for face in faces:
            pixels = self._cut(frame.image, face)
            place = self._spool.add(encode(pixels, self._config.quality))
            self._chips[number, face.track] = place, sharpness(pixels)

    def _cut(self, image: NDArray[np.uint8], face: Face) -> NDArray[np.uint8]:
        size = self._config.size
        if self._config.window:
            return window(image, face, size=size, side=self._config.window)
        return chip(image, face, size=size, padding=self._config.padding)

    def finish(self, inputs: Inputs) -> Stream:
        """Give the chips of the chosen track; missing ones are empty and not valid."""
        rows = self._tracks.rows(self._config.select, inputs.clip.id)
        chips = [self._chips.get(key, ((0, 0), np.nan)) for key in rows.keys]
        return Stream(
            time=rows.time,
            images=stored(self._spool, [place for place, _ in chips]),
            valid=rows.valid,
            info={
                "backend": self._config.backend,
                "size": self._config.size,
                **self._tracks.facts(rows),
                "sharpness": round(float(np.nanmean([sharp for _, sharp in chips])), 3),
            },
        )


def sharpness(pixels: NDArray[np.uint8]) -> float:
    """Standard deviation of the Laplacian of a picture, in grey levels: below 5 it is a blur."""
    edges = cv2.Laplacian(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.CV_16S)
    return float(cv2.meanStdDev(edges)[1][0, 0])


def chip(image: NDArray[np.uint8], face: Face, *, size: int, padding: float) -> NDArray[np.uint8]:
    """Cut an aligned face out of a picture.

    Args:
        image: (height, width, 3) RGB.
        face: with the landmarks that place its eyes.
        size: side of the chip in pixels.
        padding: room around the face, as a share of the unpadded chip.

    Returns:
        (size, size, 3) RGB; black where it reaches beyond the picture.
    """
    matrix = alignment(face, size=size, padding=padding)
    scale = float(np.hypot(matrix[0, 0], matrix[0, 1]))
    shrink = int(1 / scale) if scale > 0 else 1
    if shrink > 1:  # average first: warpAffine alone would skip pixels
        image, offset = _around(image, matrix, size)
        height, width = (max(1, side // shrink) for side in image.shape[:2])
        ratio = np.array([image.shape[1] / width, image.shape[0] / height])
        image = np.asarray(
            cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8
        )
        # Pixel 0 of the small picture is the mean of `ratio` pixels, whose middle lies
        # (ratio - 1) / 2 further on: without it the face would shift by half a pixel or more.
        matrix = np.hstack(
            [
                matrix[:, :2] * ratio,
                (matrix[:, 2] + matrix[:, :2] @ (offset + (ratio - 1) / 2))[:, None],
            ]
        )
    warped = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR)
    return np.asarray(warped, dtype=np.uint8)


def window(image: NDArray[np.uint8], face: Face, *, size: int, side: int) -> NDArray[np.uint8]:
    """Cut an upright square around the middle of a face out of a picture (height, width, 3).

    Returns:
        (size, size, 3) RGB; black where it reaches beyond the picture.
    """
    left, top = (round((face.box[i] + face.box[i + 2] - side) / 2) for i in (0, 1))
    square = np.zeros((side, side, 3), dtype=np.uint8)
    seen = image[max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)]
    y, x = max(0, -top), max(0, -left)
    square[y : y + seen.shape[0], x : x + seen.shape[1]] = seen
    resized = cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.uint8)


def _around(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], size: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Cut the part of a picture that a chip shows, with the position of its corner."""
    back = cv2.invertAffineTransform(matrix)
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]]) @ back[:, :2].T + back[:, 2]
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(corners.min(axis=0)).astype(int) - 2, 0, [width - 1, height - 1])
    right, bottom = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 2, [left + 1, top + 1], None)
    return image[top:bottom, left:right], np.array([left, top], dtype=np.float64)
