"""Faces of one frame after another -> track ids that survive gaps and jump cuts.

Place decides; appearance does where place leaves a doubt: after a cut or a gap, or of a new face.
It knows of no detector: boxes come in, and for each what can be asked of its appearance.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from traitscope.tracking._boxes import Box, resized

MAX_GAP_SECONDS = 3.0
MAX_GAP_LOOKS = 2
"""The place of a face that stays away longer, in seconds and in looks, says nothing more. Looks
count where they are far apart: of a long clip at ten moments, each would else show another person.
"""

MAX_DISTANCE = 1.0
"""Between two looks a face moves less than its own size; a cut to another person moves more."""

SAME_SCENE = 0.75
"""Impressions that correlate less leave a doubt. Of talking people a second apart 1 % do; two men
at the same place of the same room reach 0.67, other rooms 0.55."""

SAME_PERSON = 0.5
"""Mean distance of descriptors up to which two faces are one person. dlib states 0.6, for photos of
a person years apart; within a recording it would join strangers: people of our clips are 0.3 from
themselves (a day apart too, 0.49 at most), the two men above 0.54 from each other."""

_KEPT_LOOKS = (1, 3, 8)
_KEPT_AGAIN = 50
_KEPT_AT_ONCE = 3
"""Which looks of a track are kept for comparison, and how many of them: the latest."""

_REMEMBERED = 20
"""Of many tracks, those are kept in mind that were seen most: a crowd must not fill the memory."""


class Appearance(Protocol):
    """What can be asked of one face in one picture."""

    size: tuple[int, int]
    """Width and height of the picture."""

    @property
    def impression(self) -> NDArray[np.float64]:
        """Face and surroundings (n,), zero mean and length 1."""

    @property
    def descriptor(self) -> NDArray[np.float64] | None:
        """The person (n,), None where the face does not say; costly."""

    def keep(self) -> None:
        """Be ready to be asked after the picture is gone."""


@dataclass(eq=False)
class _Track:
    id: int
    box: Box
    time: float
    look: int
    size: tuple[int, int] | None = None
    impression: NDArray[np.float64] | None = None
    kept: list[Appearance] = field(default_factory=list)
    seen: int = 0
    shot: int = 0
    """The shot in which its place is known; in later ones it is nowhere."""
    doubtful: bool = False
    """It began while somebody else was away: later looks may show that it is them after all."""


class Linker:
    """Give each face of a clip the id of the person that it continues, or a new one."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._next = self._look = self._shot = 0

    def assign(
        self,
        time: float,
        boxes: Sequence[Box],
        looks: Sequence[Appearance] | None = None,
        *,
        cut: bool = False,
    ) -> tuple[int, ...]:
        """Link the boxes of the next frame: sure places first, then alike faces, then places.

        Args:
            time: seconds; later than the last call's.
            boxes: left, top, right, bottom in pixels.
            looks: the appearance of each; None to go by place alone.
            cut: whether another shot begins: who was somewhere else may be there now, so that
                appearance alone can say that a face goes on.

        Returns:
            One track id per box, each given once.
        """
        self._look += 1
        # In another shot, another person may sit where this one did.
        self._shot += cut
        near = self._near(time, boxes, looks)
        given: dict[int, _Track] = {}
        if looks is not None:
            # Sure places go first, so that a doubtful face cannot take the track of a sure one.
            _give(given, (pair for pair in near if _same_scene(pair[0], looks[pair[1]])))
            _give(given, self._alike(given, looks))
        for track, position in near:
            # a face that says nothing of its person is still where it was
            if looks is None or (position not in given and looks[position].descriptor is None):
                _give(given, [(track, position)])
        doubtful = len(self._tracks) > len(given)
        for position, box in enumerate(boxes):
            if position not in given:
                given[position] = _Track(self._next, box, time, self._look, doubtful=doubtful)
                self._tracks.append(given[position])
                self._next += 1
        for position, box in enumerate(boxes):
            self._see(given, position, time, box, looks)
        self._forget(given)
        return tuple(given[position].id for position in range(len(boxes)))

    def _near(
        self, time: float, boxes: Sequence[Box], looks: Sequence[Appearance] | None
    ) -> list[tuple[_Track, int]]:
        """Tracks and positions that are close to each other, closest first."""
        size = looks[0].size if looks else None
        pairs = [
            (gap, number, position)
            for number, track in enumerate(self._tracks)
            if track.shot == self._shot
            if time - track.time <= MAX_GAP_SECONDS or self._look - track.look <= MAX_GAP_LOOKS + 1
            for position, box in enumerate(boxes)
            if (gap := _distance(_placed(track, size), box)) <= MAX_DISTANCE
        ]
        return [(self._tracks[number], position) for _, number, position in sorted(pairs)]

    def _alike(
        self, given: dict[int, _Track], looks: Sequence[Appearance]
    ) -> list[tuple[_Track, int]]:
        """Absent tracks and unlinked positions that show one person, most alike first."""
        # Who is in the picture already cannot be somebody else in it.
        absent = [track for track in self._tracks if track not in given.values()]
        pairs = [
            (distance, number, position)
            for position, look in enumerate(looks)
            if position not in given
            for number, track in enumerate(absent)
            if (distance := _unlikeness([look], track.kept)) <= SAME_PERSON
        ]
        return [(absent[number], position) for _, number, position in sorted(pairs)]

    def _see(
        self,
        given: dict[int, _Track],
        position: int,
        time: float,
        box: Box,
        looks: Sequence[Appearance] | None,
    ) -> None:
        """Note where the track of a position is now, and what it looks like."""
        track = given[position]
        track.seen += 1
        if looks is not None:
            look = looks[position]
            track.size, track.impression = look.size, look.impression
            if track.seen in _KEPT_LOOKS or track.seen % _KEPT_AGAIN == 0:
                look.keep()
                track.kept = [*track.kept, look][-_KEPT_AT_ONCE:]
                if track.doubtful and track.seen in _KEPT_LOOKS[1:]:
                    track = given[position] = self._rightful(track, given)
        track.box, track.time, track.look = box, time, self._look
        track.shot = self._shot

    def _rightful(self, track: _Track, given: dict[int, _Track]) -> _Track:
        """The person that was away, if a track that began in doubt turns out to be them.

        The first look at a face may be a bad one (blurred by the cut, half turned away); its rows
        so far stay another track's.
        """
        older = [one for one in self._tracks if one.id < track.id and one not in given.values()]
        # The older track wins: its rows are more, and people know it by its number.
        best = min(older, key=lambda one: _unlikeness(track.kept, one.kept), default=None)
        if best is None or _unlikeness(track.kept, best.kept) > SAME_PERSON:
            return track
        best.size, best.impression = track.size, track.impression
        best.seen += track.seen
        self._tracks.remove(track)
        return best

    def _forget(self, given: dict[int, _Track]) -> None:
        """Drop the tracks that were seen least, of those that are too many."""
        present = list(given.values())
        absent = [track for track in self._tracks if track not in present]
        absent.sort(key=lambda track: -track.seen)
        kept = {track.id for track in (*present, *absent[:_REMEMBERED])}
        self._tracks = [track for track in self._tracks if track.id in kept]


def _give(given: dict[int, _Track], pairs: Iterable[tuple[_Track, int]]) -> None:
    """Link pairs in their order, each track and each position once."""
    for track, position in pairs:
        if position not in given and track not in given.values():
            given[position] = track


def _same_scene(track: _Track, look: Appearance) -> bool:
    return track.impression is None or float(track.impression @ look.impression) >= SAME_SCENE


def _unlikeness(looks: Sequence[Appearance], kept: Sequence[Appearance]) -> float:
    """Mean distance of descriptors; infinite where there is none to compare."""
    ours, theirs = (
        [one.descriptor for one in group if one.descriptor is not None] for group in (looks, kept)
    )
    if not ours or not theirs:
        return float("inf")
    return float(np.mean([np.linalg.norm(one - other) for one in ours for other in theirs]))


def _placed(track: _Track, size: tuple[int, int] | None) -> Box:
    """The last box of a track, in pixels of a picture that may be larger or smaller than its."""
    return track.box if size is None or track.size is None else resized(track.box, track.size, size)


def _distance(one: Box, other: Box) -> float:
    """Distance of the centres in face sizes, plus how much the sizes differ (as a log ratio)."""
    sizes = [max(1e-6, ((b[2] - b[0]) + (b[3] - b[1])) / 2) for b in (one, other)]
    across = (one[0] + one[2] - other[0] - other[2]) / 2
    down = (one[1] + one[3] - other[1] - other[3]) / 2
    ratio = max(sizes) / min(sizes)
    return float((across**2 + down**2) ** 0.5 / max(sizes) + 0.5 * (ratio - 1.0))
