"""Which track of a clip is *the* face: a named policy over what was seen of each track."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import hypot
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import ClipError
from traitscope.types import Face, Frame

Policy = Literal["largest", "central", "longest", "all"]

_SHORT = 0.25
"""`central` ignores tracks with fewer frames than this share of the longest track's."""

_TINY = 50.0
"""Median width in pixels below which a face is tiny: detectors and meshes were taught on 80 to 256
pixels, and what they measure of fewer is coarse."""

_AXES = ("pose_Rx", "pose_Ry", "pose_Rz")


@dataclass
class _Seen:
    frames: int = 0
    area: float = 0.0
    distance: float = 0.0
    confidence: float = 0.0
    widths: list[float] = field(default_factory=list)
    lowest: tuple[float, ...] = (np.inf,) * 3
    highest: tuple[float, ...] = (-np.inf,) * 3


@dataclass(frozen=True)
class Rows:
    """The rows of a stream of faces.

    Attributes:
        time: (rows,) seconds.
        frame: (rows,) number of the sampled frame, from 0.
        track: (rows,) id of the face, -1 where the row is missing.
    """

    time: NDArray[np.float64]
    frame: NDArray[np.int64]
    track: NDArray[np.int64]

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(rows,) True where there is a face."""
        return self.track >= 0

    @property
    def keys(self) -> list[tuple[int, int]]:
        """Frame and track of each row, under which extractors keep what they saw."""
        return list(zip(self.frame.tolist(), self.track.tolist(), strict=True))


class Tracks:
    """Collect what is seen of each track of a clip, then choose one, or all."""

    def __init__(self) -> None:
        self._seen: dict[int, _Seen] = {}
        self._times: list[float] = []
        self._present: list[tuple[int, ...]] = []

    def see(self, frame: Frame, faces: Sequence[Face]) -> int:
        """Count the faces of one frame; return its number."""
        width, height = frame.size
        for face in faces:
            left, top, right, bottom = face.box
            seen = self._seen.setdefault(face.track, _Seen())
            seen.frames += 1
            # Sums, not lists: a recording of two hours has a hundred thousand looks.
            seen.area += face.area / (width * height)
            across, down = (left + right) / 2 / width - 0.5, (top + bottom) / 2 / height - 0.5
            seen.distance += hypot(across, down)
            seen.confidence += face.confidence
            seen.widths.append(right - left)
            # Haar finds boxes only, and chips alone need no pose.
            if face.rotation is not None:
                # Ends where no pose was measured are infinite, and are left out below.
                seen.lowest = tuple(map(min, seen.lowest, face.rotation))
                seen.highest = tuple(map(max, seen.highest, face.rotation))
        self._times.append(frame.time)
        self._present.append(tuple(sorted(face.track for face in faces)))
        return len(self._times) - 1

    def rows(self, policy: Policy, clip_id: str) -> Rows:
        """Choose the rows of a stream: one per frame, or with ``all`` one per face.

        Args:
            policy: ``largest`` has the most picture area over the clip, ``longest`` the most
                frames, ``central`` is closest to the middle on average.
            clip_id: for the message.

        Raises:
            ClipError: no face was seen.
        """
        if not self._seen:
            raise ClipError(
                f"No face was found in clip {clip_id!r}. Check the video, or try another backend.",
                status="no_face",
            )
        # With all faces there is nothing to choose, and each look has as many rows as faces.
        chosen = None if policy == "all" else self._choose(policy)
        # With `all`, a look without a face still is a row, or times would be missing.
        pairs = [
            (number, track)
            for number, present in enumerate(self._present)
            for track in ((present or (-1,)) if chosen is None else (_or_missing(chosen, present),))
        ]
        frame, track = np.array(pairs, dtype=np.int64).T
        return Rows(np.array(self._times)[frame], frame, track)

    def facts(self, rows: Rows) -> dict[str, Any]:
        """Coverage, confidence, pose range and size of the chosen faces, and who else was seen.

        Coverage and ``others_share`` are shares of the frames looked at; pose ranges are in
        radians, ``face_width`` in pixels; ``notes`` are sentences for the reader.
        """
        tracks = sorted(set(rows.track[rows.valid].tolist()))
        seen = [self._seen[track] for track in tracks]
        frames = sum(one.frames for one in seen)
        lowest = np.min([one.lowest for one in seen], axis=0)
        highest = np.max([one.highest for one in seen], axis=0)
        pose = {
            axis: [round(float(low), 4), round(float(high), 4)]
            for axis, low, high in zip(_AXES, lowest, highest, strict=True)
            if np.isfinite(low)
        }
        # Of looks, not of rows: two faces in one picture cover it once.
        covered = len(set(rows.frame[rows.valid].tolist())) / len(self._times)
        width = float(np.median([width for one in seen for width in one.widths]))
        # Who else is in the picture, whether or not the person is.
        share = float(np.mean([bool(set(present) - set(tracks)) for present in self._present]))
        notes = _notes(len(self._seen) - len(tracks), share, width)
        one = {"track": tracks[0]} if len(tracks) == 1 else {"row_tracks": rows.track.tolist()}
        return {
            **one,
            "tracks": len(self._seen),
            "coverage": round(covered, 6),
            "others_share": round(share, 6),
            "face_width": round(width, 1),
            "confidence": round(sum(one.confidence for one in seen) / frames, 6),
            **({"pose_range": pose} if pose else {}),
            **({"notes": notes} if notes else {}),
        }

    def _choose(self, policy: Policy) -> int:
        seen = self._seen
        longest = max(one.frames for one in seen.values())
        # A passer-by may cross the middle; who sits there stays.
        enough = [t for t, one in seen.items() if one.frames >= _SHORT * longest]
        rank: dict[str, Callable[[int], float]] = {
            "largest": lambda track: -seen[track].area,
            "longest": lambda track: -seen[track].frames,
            "central": lambda track: seen[track].distance / seen[track].frames,
        }
        return min(enough if policy == "central" else seen, key=rank[policy])


def _or_missing(track: int, present: tuple[int, ...]) -> int:
    return track if track in present else -1


def _notes(others: int, share: float, width: float) -> list[str]:
    notes = []
    if others:
        people = "another person was" if others == 1 else f"{others} other people were"
        notes.append(
            f"others: {people} seen, in {share:.1%} of the pictures; the features are of one person"
        )
    if width < _TINY:
        notes.append(f"tiny-face: {width:.0f} px wide in the median; what it shows is coarse")
    return notes
