"""Who is where in a clip: tracks in, a row for each look, or face in it, and portraits out.

For telling people apart and finding out who speaks; no model learns from it by default. A row has
the track, its box as shares of the picture, and how far the mouth is open as a share of the height
of the face. ``info["portraits"]`` holds the best look at each track, as a small JPEG in base64.
"""

from base64 import b64encode
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from traitscope.extract._sampling import Sampled
from traitscope.extract._selection import Policy, Tracks
from traitscope.extract._spool import encode
from traitscope.extract.faces import window
from traitscope.types import Face, Frame, Inputs, Stream

VERSION = 1
NEEDS = ("tracks",)
COLUMNS = ("track", "left", "top", "right", "bottom", "mouth")

# Inner lips above and below, and what stands for the height of the face: nose bridge and chin of
# the iBUG points, top of the forehead and chin of the mesh.
_POINTS = {68: (62, 66, 27, 8), 478: (13, 14, 10, 152)}
_SIDE = 96  # pixels of a portrait
_ROOM = 1.3  # of a portrait around the box: hair and chin help to recognise somebody
_BETTER = 1.2  # a look has to be this much better to replace the portrait: few are encoded
_QUALITY = 85


class Config(Sampled):
    """Settings of the people."""

    backend: Literal["auto", "mediapipe", "dlib", "haar"] = "auto"
    """Tracking backend; auto takes MediaPipe if its model file is there, and dlib if not."""
    select: Policy = "largest"
    """Which track is the person; all gives a row for each face, as `predict --people all` asks."""


class Extractor:
    """Collect the people of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._tracks = Tracks()
        self._rows: dict[tuple[int, int], NDArray[np.float64]] = {}
        self._portraits: dict[int, tuple[float, bytes]] = {}

    def see(self, frame: Frame, faces: tuple[Face, ...]) -> None:
        """Note where each face is, and keep its best look."""
        number = self._tracks.see(frame, faces)
        width, height = frame.size
        for face in faces:
            box = np.array(face.box) / (width, height, width, height)
            self._rows[number, face.track] = np.array([face.track, *box, opening(face)])
            worth, _ = self._portraits.get(face.track, (0.0, b""))
            # The clearest look is the largest that the detector is sure of.
            if face.area * face.confidence > _BETTER * worth:
                side = max(2, round(_ROOM * max(_extent(face))))
                picture = encode(window(frame, face, size=_SIDE, side=side), _QUALITY)
                self._portraits[face.track] = face.area * face.confidence, picture

    def finish(self, inputs: Inputs) -> Stream:
        """Give a row for each face of each look; looks without one are NaN and not valid."""
        rows = self._tracks.rows(self._config.select, inputs.clip.id)
        missing = np.full(len(COLUMNS), np.nan)
        chosen = sorted(set(rows.track[rows.valid].tolist()))
        portraits = {str(t): b64encode(self._portraits[t][1]).decode() for t in chosen}
        return Stream(
            time=rows.time,
            values=np.array([self._rows.get(key, missing) for key in rows.keys]),
            valid=rows.valid,
            columns=COLUMNS,
            info={**self._tracks.facts(rows), "portraits": portraits},
        )


def opening(face: Face) -> float:
    """How far the mouth is open, as a share of the height of the face; NaN without its points."""
    if len(face.landmarks) not in _POINTS:
        return float("nan")
    upper, lower, above, chin = face.landmarks[list(_POINTS[len(face.landmarks)]), :2]
    height = float(np.hypot(*(chin - above)))
    return float(np.hypot(*(lower - upper))) / height if height > 0 else float("nan")


def _extent(face: Face) -> tuple[float, float]:
    left, top, right, bottom = face.box
    return right - left, bottom - top
