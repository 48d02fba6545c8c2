"""Which track of a clip is *the* face: a named policy over what was seen of each track."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from traitscope.errors import ClipError
from traitscope.types import Face, Frame

Policy = Literal["largest", "central", "longest"]

_SHORT = 0.25
"""`central` ignores tracks with fewer frames than this share of the longest track's."""


@dataclass
class _Seen:
    frames: int = 0
    area: float = 0.0
    distance: float = 0.0
    confidence: float = 0.0


class Tracks:
    """Collect what is seen of each track of a clip, then choose one."""

    def __init__(self) -> None:
        self._seen: dict[int, _Seen] = {}

    def see(self, frame: Frame, faces: Sequence[Face]) -> None:
        """Count the faces of one frame."""
        height, width = frame.image.shape[:2]
        for face in faces:
            left, top, right, bottom = face.box
            seen = self._seen.setdefault(face.track, _Seen())
            seen.frames += 1
            seen.area += face.area / (width * height)
            across, down = (left + right) / 2 / width - 0.5, (top + bottom) / 2 / height - 0.5
            seen.distance += float(np.hypot(across, down))
            seen.confidence += face.confidence

    def choose(self, policy: Policy, clip_id: str) -> int:
        """Choose a track.

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
        if policy == "largest":
            return max(self._seen, key=lambda track: self._seen[track].area)
        longest = max(seen.frames for seen in self._seen.values())
        if policy == "longest":
            return max(self._seen, key=lambda track: self._seen[track].frames)
        enough = [t for t, seen in self._seen.items() if seen.frames >= _SHORT * longest]
        return min(enough, key=lambda t: self._seen[t].distance / self._seen[t].frames)

    def facts(self, track: int, frames: int) -> dict[str, float | int]:
        """Coverage and confidence of a track, for reports.

        Args:
            track: the chosen one.
            frames: how many frames were looked at.
        """
        seen = self._seen[track]
        return {
            "track": track,
            "tracks": len(self._seen),
            "coverage": round(seen.frames / frames, 6),
            "confidence": round(seen.confidence / seen.frames, 6),
        }
