"""Face signals in OpenFace's schema: tracks in, one row of named columns per sampled time out.

Action units 0-5, gaze and head rotation in radians with OpenFace's axes and signs. From MediaPipe
the units are proxies (`_proxies`), from dlib geometry (`_geometry`); where each column comes from
is in the stream's ``provenance``. A row without the face is NaN and not valid.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat

from traitscope.config import Config as BaseConfig
from traitscope.extract import _geometry, _proxies
from traitscope.extract._selection import Policy, Tracks
from traitscope.types import Face, Frame, Inputs, Stream

VERSION = 2
NEEDS = ("tracks",)

UNITS = tuple(
    f"AU{number:02d}_r" for number in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
)
SIGNALS = (*UNITS, "gaze_angle_x", "gaze_angle_y", "pose_Rx", "pose_Ry", "pose_Rz")
"""The columns that say something about the person."""

BOOKKEEPING = ("confidence", "success", "frame", "face_id")
"""Detector score, 1 for a found face, number of the sampled frame from 0, and the track."""

COLUMNS = (*SIGNALS, *BOOKKEEPING)

_SOURCES = {"mediapipe": _proxies, "dlib": _geometry}


class Config(BaseConfig):
    """Settings of the face signals."""

    rate: PositiveFloat | Literal["native"] = 5.0
    """Rows per second, or every frame where dynamics matter (head motion, blinks)."""
    backend: Literal["auto", "mediapipe", "dlib"] = "auto"
    """Tracking backend; auto takes MediaPipe if its model file is there, and dlib if not."""
    select: Policy = "largest"
    """Which track is the face; all gives a row for each face."""


class Extractor:
    """Collect the signals of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._source = _SOURCES[config.backend]
        self._tracks = Tracks()
        self._rows: dict[tuple[int, int], NDArray[np.float64]] = {}

    def see(self, frame: Frame, faces: tuple[Face, ...]) -> None:
        """Measure each face, since only the end shows which track is chosen."""
        number = self._tracks.see(frame, faces)
        for face in faces:
            self._rows[number, face.track] = self._row(face, number)

    def finish(self, inputs: Inputs) -> Stream:
        """Give the rows of the chosen track; missing ones are NaN and not valid."""
        rows = self._tracks.rows(self._config.select, inputs.clip.id)
        keys = list(zip(rows.frame.tolist(), rows.track.tolist(), strict=True))
        missing = np.full(len(COLUMNS), np.nan)
        values = np.array([self._rows.get(key, missing) for key in keys])
        if self._source is _geometry:
            blink = COLUMNS.index("AU45_r")
            for track in np.unique(rows.track[rows.valid]):
                own = rows.track == track
                values[own, blink] = _geometry.settle(values[own, blink])
        known = self._source.PROVENANCE
        return Stream(
            time=rows.time,
            values=values,
            valid=rows.valid,
            columns=COLUMNS,
            info={
                "backend": self._config.backend,
                "provenance": {name: known.get(name, "not measured") for name in SIGNALS},
                **self._tracks.facts(rows),
            },
        )

    def _row(self, face: Face, number: int) -> NDArray[np.float64]:
        measured = self._source.measure(face)
        pose = face.rotation if face.rotation is not None else (np.nan,) * 3
        measured |= dict(zip(("pose_Rx", "pose_Ry", "pose_Rz"), pose, strict=True))
        measured |= {"confidence": face.confidence, "success": 1.0}
        measured |= {"frame": float(number), "face_id": float(face.track)}
        return np.array([measured.get(name, np.nan) for name in COLUMNS])
