"""Points of the face: tracks in, (rows, points, 2) out, as shares of the face chip or the picture.

MediaPipe gives 478 points, of which 68 stand in for the iBUG points by a fixed table; dlib gives
the 68. In the space of the chip they fit the chips of ``faces`` with the same padding.
"""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from traitscope.errors import ConfigError
from traitscope.extract._sampling import Sampled
from traitscope.extract._selection import Policy, Tracks
from traitscope.tracking import alignment
from traitscope.types import Face, Frame, Inputs, Stream

VERSION = 2
NEEDS = ("tracks",)

COLUMNS = ("x", "y")

# fmt: off
TO_68 = np.array([
    127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356,  # jaw
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,  # brows
    168, 197, 5, 4, 75, 97, 2, 326, 305,  # nose
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,  # eyes
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,  # outer lips
    78, 82, 13, 312, 308, 317, 14, 87,  # inner lips
])
# fmt: on
"""The mesh point closest to each iBUG point."""


class Config(Sampled):
    """Settings of the landmarks."""

    backend: Literal["auto", "mediapipe", "dlib"] = "auto"
    """Tracking backend; auto takes MediaPipe if its model file is there, and dlib if not."""
    select: Policy = "largest"
    """Which track is the face; all gives a row for each face."""
    points: Literal[68, 478] = 68
    """How many; 478 only from MediaPipe."""
    space: Literal["chip", "picture"] = "chip"
    """What x and y are shares of: the aligned chip of the face, or the whole picture."""
    padding: Annotated[float, Field(ge=0, le=2)] = 0.25
    """Of the chip; see faces.padding."""


class Extractor:
    """Collect the landmarks of one clip."""

    def __init__(self, config: Config) -> None:
        if config.points == 478 and config.backend != "mediapipe":
            raise ConfigError(
                f"The backend {config.backend!r} has no 478 landmarks. Set landmarks.points=68 or "
                f"landmarks.backend=mediapipe."
            )
        self._config = config
        self._tracks = Tracks()
        self._points: dict[tuple[int, int], NDArray[np.float32]] = {}

    def see(self, frame: Frame, faces: tuple[Face, ...]) -> None:
        """Keep the points of each face, since only the end shows which track is chosen."""
        number = self._tracks.see(frame, faces)
        for face in faces:
            # Kept for each face: only the end shows which track is the person.
            points = chosen(face, self._config.points)
            if self._config.space == "chip":
                # A chip of side 1, so that points are shares of it.
                matrix = alignment(face, size=1, padding=self._config.padding)
                points = points @ matrix[:, :2].T + matrix[:, 2]
            else:
                # Width and height apart, so that 1 is the far end of either.
                points = points / frame.size
            self._points[number, face.track] = points.astype(np.float32)

    def finish(self, inputs: Inputs) -> Stream:
        """Give the points of the chosen track; missing rows are NaN and not valid."""
        rows = self._tracks.rows(self._config.select, inputs.clip.id)
        missing = np.full((self._config.points, 2), np.nan, dtype=np.float32)
        return Stream(
            time=rows.time,
            values=np.array([self._points.get(key, missing) for key in rows.keys]),
            valid=rows.valid,
            columns=COLUMNS,
            info={
                "backend": self._config.backend,
                "units": f"share of the {self._config.space}, from its upper left corner",
                **self._tracks.facts(rows),
            },
        )


def chosen(face: Face, points: int) -> NDArray[np.float64]:
    """The landmarks of a face (points, 2) in pixels, 68 in the iBUG order."""
    places = np.asarray(face.landmarks, dtype=np.float64)[:, :2]
    return places[TO_68] if points == 68 and len(places) == 478 else places
