"""Face signals in OpenFace's schema: tracks in, one row of named columns per sampled time out.

Action units 0-5, gaze and head rotation in radians with OpenFace's axes and signs. From MediaPipe
the units are proxies (`_proxies`), from dlib geometry (`_geometry`), and OpenFace's own are read
from its tables (`_openface`); where each column comes from is in the stream's ``provenance``. A row
without the face is NaN and not valid.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from traitscope.config import Config as BaseConfig
from traitscope.extract import _geometry, _openface, _proxies
from traitscope.extract._sampling import FramesPerSecond
from traitscope.extract._selection import Policy, Tracks
from traitscope.media.sampling import wanted
from traitscope.types import Clip, Face, Frame, Inputs, Stream

VERSION = 4
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

    rate: FramesPerSecond | Literal["native"] = 5.0
    """Rows per second, or every frame where dynamics matter (head motion, blinks)."""
    backend: Literal["auto", "mediapipe", "dlib", "openface"] = "auto"
    """Tracking backend; auto takes MediaPipe if its model file is there, and dlib if not; openface
    reads the clip's OpenFace table, its own path or the CSV beside its video."""
    select: Policy = "largest"
    """Which track is the face; all gives a row for each face."""


def needs(config: Config) -> tuple[str, ...]:
    """What is read with these settings."""
    return ("table",) if config.backend == "openface" else NEEDS


class Extractor:
    """Collect the signals of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._source = _SOURCES.get(config.backend)
        self._tracks = Tracks()
        self._rows: dict[tuple[int, int], NDArray[np.float64]] = {}

    def see(self, frame: Frame, faces: tuple[Face, ...]) -> None:
        """Measure each face, since only the end shows which track is chosen."""
        number = self._tracks.see(frame, faces)
        for face in faces:
            self._rows[number, face.track] = self._row(face, number)

    def finish(self, inputs: Inputs) -> Stream:
        """Give the rows of the chosen track; missing ones are NaN and not valid."""
        if self._source is None:
            return from_table(inputs.clip, self._config)
        rows = self._tracks.rows(self._config.select, inputs.clip.id)
        missing = np.full(len(COLUMNS), np.nan)
        # Asked for by look and face, so that a missing face is a missing row.
        values = np.array([self._rows.get(key, missing) for key in rows.keys])
        if self._source is _geometry:
            blink = COLUMNS.index("AU45_r")
            # Each face against its own open eyes: only now are all its rows known.
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
        assert self._source is not None
        # Each source measures what it can; the schema is the same, the rest NaN.
        measured = self._source.measure(face)
        # Pose is the tracker's, in OpenFace's axes for every backend.
        pose = face.rotation if face.rotation is not None else (np.nan,) * 3
        measured |= dict(zip(("pose_Rx", "pose_Ry", "pose_Rz"), pose, strict=True))
        measured |= {"confidence": face.confidence, "success": 1.0}
        measured |= {"frame": float(number), "face_id": float(face.track)}
        return np.array([measured.get(name, np.nan) for name in COLUMNS])


def from_table(clip: Clip, config: Config) -> Stream:
    """Take the signals of a clip from its OpenFace table, at the moments that the rate asks for."""
    rows = _openface.read_rows(clip, SIGNALS)
    # Rows of a table count from the beginning of the video, rows of a stream from the clip's.
    start, end = clip.start or 0.0, np.inf if clip.end is None else clip.end
    chosen, valid = _openface.choose(rows, config.select, (start, end), clip.id)
    times = rows.time[chosen] - start
    last = float(times[-1]) + 1 / rows.fps
    # A rate asks for moments, and a moment may have several faces: they stay or go together.
    _, first, inverse = np.unique(rows.frame[chosen], return_index=True, return_inverse=True)
    moments = times[first].tolist()
    # The rule that chooses frames of videos, on the rows of a table.
    kept = wanted(moments, config.rate, end=last)[inverse]
    chosen, valid = chosen[kept], valid[kept]
    values = np.full((len(chosen), len(COLUMNS)), np.nan)
    measured: dict[str, NDArray[Any]] = {n: column[chosen] for n, column in rows.values.items()}
    measured |= {"confidence": rows.confidence[chosen], "success": np.ones(len(chosen))}
    measured |= {"frame": rows.frame[chosen], "face_id": rows.face[chosen]}
    for name, column in measured.items():
        values[valid, COLUMNS.index(name)] = column[valid]
    return Stream(
        # Timestamps are rounded, so the first may lie a little before the start.
        time=np.maximum(rows.time[chosen] - start, 0.0),
        values=values,
        valid=valid,
        columns=COLUMNS,
        info={
            "backend": "openface",
            "provenance": {n: "OpenFace" if n in rows.values else "not measured" for n in SIGNALS},
            "coverage": round(float(valid.mean()), 6),
            "duration_seconds": round(last, 6),
            "fps": rows.fps,
            "timing": rows.timing,
            **({"notes": list(rows.notes)} if rows.notes else {}),
        },
    )
