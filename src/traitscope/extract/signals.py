"""Face signals in OpenFace's schema: tracks in, one row of named columns per sampled time out.

Action units 0-5, gaze and head rotation in radians with OpenFace's axes and signs. From MediaPipe
the units are proxies (`_proxies`), from dlib geometry (`_geometry`); where each column comes from
is in the stream's ``provenance``. A row without the face is NaN and not valid.
"""

from typing import Literal

import numpy as np
from pydantic import PositiveFloat

from traitscope.config import Config as BaseConfig
from traitscope.extract import _geometry, _proxies
from traitscope.extract._selection import Policy, Tracks
from traitscope.types import Face, Frame, Inputs, Stream

VERSION = 1
NEEDS = ("tracks",)

UNITS = tuple(
    f"AU{number:02d}_r" for number in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
)
SIGNALS = (*UNITS, "gaze_angle_x", "gaze_angle_y", "pose_Rx", "pose_Ry", "pose_Rz")
"""The columns that say something about the person."""

BOOKKEEPING = ("confidence", "success", "frame")
"""Detector score, 1 for a found face, and the number of the sampled frame from 0."""

COLUMNS = (*SIGNALS, *BOOKKEEPING)

_SOURCES = {"mediapipe": _proxies, "dlib": _geometry}


class Config(BaseConfig):
    """Settings of the face signals."""

    rate: PositiveFloat | Literal["native"] = 5.0
    """Rows per second, or every frame where dynamics matter (head motion, blinks)."""
    backend: Literal["auto", "mediapipe", "dlib"] = "auto"
    """Tracking backend; auto takes MediaPipe if its model file is there, and dlib if not."""
    select: Policy = "largest"
    """Which track is the face."""


class Extractor:
    """Collect the signals of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._source = _SOURCES[config.backend]
        self._tracks = Tracks()
        self._times: list[float] = []
        self._rows: list[dict[int, list[float]]] = []

    def see(self, frame: Frame, faces: tuple[Face, ...]) -> None:
        """Measure each face, since only the end shows which track is chosen."""
        self._tracks.see(frame, faces)
        number = len(self._times)
        self._times.append(frame.time)
        self._rows.append({face.track: self._row(face, number) for face in faces})

    def finish(self, inputs: Inputs) -> Stream:
        """Give the rows of the chosen track; missing ones are NaN and not valid."""
        track = self._tracks.choose(self._config.select, inputs.clip.id)
        missing = [np.nan] * len(COLUMNS)
        values = np.array([rows.get(track, missing) for rows in self._rows], dtype=np.float64)
        if self._source is _geometry:
            blink = COLUMNS.index("AU45_r")
            values[:, blink] = _geometry.settle(values[:, blink])
        known = self._source.PROVENANCE
        return Stream(
            time=np.array(self._times),
            values=values,
            valid=np.array([track in rows for rows in self._rows]),
            columns=COLUMNS,
            info={
                "backend": self._config.backend,
                "provenance": {name: known.get(name, "not measured") for name in SIGNALS},
                **self._tracks.facts(track, len(self._times)),
            },
        )

    def _row(self, face: Face, number: int) -> list[float]:
        measured = self._source.measure(face)
        pose = face.rotation if face.rotation is not None else (np.nan,) * 3
        measured |= dict(zip(("pose_Rx", "pose_Ry", "pose_Rz"), pose, strict=True))
        measured |= {"confidence": face.confidence, "success": 1.0, "frame": float(number)}
        return [measured.get(name, np.nan) for name in COLUMNS]
