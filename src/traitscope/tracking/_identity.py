"""Boxes of one frame after another -> track ids that survive short gaps."""

from collections.abc import Sequence
from dataclasses import dataclass

Box = tuple[float, float, float, float]

MAX_GAP_SECONDS = 3.0
MAX_GAP_LOOKS = 2
"""A face that stays away longer, in seconds and in looks, comes back as somebody new. Looks count
where they are far apart: of a long clip at ten moments, each would else show another person."""

MAX_DISTANCE = 1.0
"""Between two looks a face moves less than its own size; a cut to another person moves more."""


@dataclass
class _Track:
    id: int
    box: Box
    time: float
    look: int


class Linker:
    """Give each face of a clip the id of the track that it continues, or a new one."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._next = self._look = 0

    def assign(self, time: float, boxes: Sequence[Box]) -> tuple[int, ...]:
        """Link the boxes of the next frame, closest pairs first.

        Args:
            time: seconds; later than the last call's.
            boxes: left, top, right, bottom in pixels.

        Returns:
            One track id per box, each given once.
        """
        self._look += 1
        self._tracks = [
            track
            for track in self._tracks
            if time - track.time <= MAX_GAP_SECONDS or self._look - track.look <= MAX_GAP_LOOKS + 1
        ]
        pairs = sorted(
            (gap, number, position)
            for number, track in enumerate(self._tracks)
            for position, box in enumerate(boxes)
            if (gap := _distance(track.box, box)) <= MAX_DISTANCE
        )
        found: dict[int, _Track] = {}
        for _, number, position in pairs:
            track = self._tracks[number]
            if position not in found and track not in found.values():
                found[position] = track
        for position, box in enumerate(boxes):
            if position not in found:
                found[position] = _Track(self._next, box, time, self._look)
                self._tracks.append(found[position])
                self._next += 1
            track = found[position]
            track.box, track.time, track.look = box, time, self._look
        return tuple(found[position].id for position in range(len(boxes)))


def _distance(one: Box, other: Box) -> float:
    """Distance of the centres in face sizes, plus how much the sizes differ (as a log ratio)."""
    sizes = [max(1e-6, ((b[2] - b[0]) + (b[3] - b[1])) / 2) for b in (one, other)]
    across = (one[0] + one[2] - other[0] - other[2]) / 2
    down = (one[1] + one[3] - other[1] - other[3]) / 2
    ratio = max(sizes) / min(sizes)
    return float((across**2 + down**2) ** 0.5 / max(sizes) + 0.5 * (ratio - 1.0))
