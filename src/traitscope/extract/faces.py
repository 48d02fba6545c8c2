"""Aligned face chips: tracks in, one JPEG per sampled time out, empty where the face is missing.

The eyes are level, their distance a fixed share of the chip, and the framing that of dlib's chip
with padding 0.25. Backends without landmarks (Haar) give the padded box instead.

Where nothing but chips is asked of a clip, the eyes are placed by what costs least, MediaPipe's
detector and dlib's five points, else by its mesh and dlib's 68, as ``placed_by`` says: they differ
by 2 % of the eye distance (sd) and by 1 %, less than detectors jitter.
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

VERSION = 4
NEEDS = ("frames", "tracks")
DETAIL = "eyes"
"""What a chip needs of a face; alone, it pays for no points."""

_PLACED_BY = {0: "box", 5: "five points", 6: "detector", 68: "points", 478: "mesh"}
"""What a chip was placed by, by how many landmarks the face has."""


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
        self._points: set[int] = set()
        self._chips: dict[tuple[int, int], tuple[Place, float]] = {}

    def see(self, frame: Frame, faces: tuple[Face, ...]) -> None:
        """Encode a chip of each face, since only the end shows which track is chosen."""
        number = self._tracks.see(frame, faces)
        self._points.update(len(face.landmarks) for face in faces)
        for face in faces:
            pixels = self._cut(frame, face)
            # All faces are kept until the end shows whose they are; JPEG keeps that small.
            place = self._spool.add(encode(pixels, self._config.quality))
            self._chips[number, face.track] = place, sharpness(pixels)

    def _cut(self, frame: Frame, face: Face) -> NDArray[np.uint8]:
        size = self._config.size
        if self._config.window:
            return window(frame, face, size=size, side=self._config.window)
        return chip(frame, face, size=size, padding=self._config.padding)

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
                "placed_by": ", ".join(_PLACED_BY[count] for count in sorted(self._points)),
                **self._tracks.facts(rows),
                "sharpness": round(float(np.nanmean([sharp for _, sharp in chips])), 3),
            },
        )


def sharpness(pixels: NDArray[np.uint8]) -> float:
    """Standard deviation of the Laplacian of a picture, in grey levels: below 5 it is a blur."""
    # 16 bits with a sign: edges go both ways.
    edges = cv2.Laplacian(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.CV_16S)
    return float(cv2.meanStdDev(edges)[1][0, 0])


def chip(frame: Frame, face: Face, *, size: int, padding: float) -> NDArray[np.uint8]:
    """Cut an aligned face out of a picture.

    Args:
        frame: the picture, of which the part that the chip shows is looked at.
        face: with the landmarks that place its eyes.
        size: side of the chip in pixels.
        padding: room around the face, as a share of the unpadded chip.

    Returns:
        (size, size, 3) RGB; black where it reaches beyond the picture.
    """
    matrix = alignment(face, size=size, padding=padding)
    return frame.through(matrix, (size, size), framed=True, averaged=True)


def window(frame: Frame, face: Face, *, size: int, side: int) -> NDArray[np.uint8]:
    """Cut an upright square around the middle of a face out of a picture.

    Returns:
        (size, size, 3) RGB; black where it reaches beyond the picture.
    """
    left, top = (round((face.box[i] + face.box[i + 2] - side) / 2) for i in (0, 1))
    square = np.zeros((side, side, 3), dtype=np.uint8)
    width, height = frame.size
    x_start, x_end = (min(width, max(0, x)) for x in (left, left + side))
    y_start, y_end = (min(height, max(0, y)) for y in (top, top + side))
    seen = frame.part((x_start, y_start, x_end, y_end))
    y, x = max(0, -top), max(0, -left)
    square[y : y + seen.shape[0], x : x + seen.shape[1]] = seen
    resized = cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.uint8)
