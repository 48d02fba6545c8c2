"""The networks of MediaPipe's face landmarker: 478 points, 52 blendshapes, head rotation.

Needs ``face_landmarker.task`` (``traitscope weights fetch face_landmarker.task``). The networks
are run by `_engine` on LiteRT, or by MediaPipe's own graph where LiteRT is not installed.

Of a whole picture the detector sees faces from a tenth of its side on. Smaller ones are found by
looks at parts of the picture.
"""

import logging
from typing import Protocol

import numpy as np

from traitscope import weights
from traitscope.tracking._boxes import Box, overlap
from traitscope.tracking._cuts import Cuts
from traitscope.tracking._detail import Detail
from traitscope.tracking._engine import Engine
from traitscope.tracking._graph import Graph
from traitscope.tracking._networks import available
from traitscope.tracking._people import People
from traitscope.tracking._quiet import quiet
from traitscope.tracking._second_look import SAME_FACE, Places, Schedule, Window, around, tiles
from traitscope.tracking._uprightness import quarter_turns
from traitscope.types import Face, Frame

VERSION = 5

WEIGHTS = "face_landmarker.task"

_ROOM = 1.0
"""Around a known face on each side, in face sizes: as far as it moves between two looks."""

_log = logging.getLogger(__name__)


class _Landmarker(Protocol):
    """What runs the networks."""

    def restart(self, detail: Detail) -> None:
        """Begin a new clip."""

    def follow(self, frame: Frame, *, cut: bool) -> list[Face]:
        """Faces of the next picture of the clip."""

    def closely(self, frame: Frame, window: Window) -> list[Face]:
        """Faces in a part of a picture."""

    def keep(self, faces: list[Face]) -> None:
        """Follow these too, which a closer look has found."""

    def close(self) -> None:
        """Free what it holds."""


class Tracker:
    """Find faces in the frames of one clip after another."""

    def __init__(self, *, max_faces: int = 3) -> None:
        model = weights.find(WEIGHTS).read_bytes()
        self._max_faces = max_faces
        # Both give the same faces within the tolerances of tests/tracking/test_engine.py.
        self._landmarker: _Landmarker
        if available():
            with quiet():
                self._landmarker = Engine(model, max_faces=max_faces)
        else:
            _log.info("MediaPipe's graph runs the networks: ai-edge-litert is not installed.")
            self._landmarker = Graph(model, max_faces=max_faces)
        self._begin()

    def restart(self, detail: Detail = "mesh") -> None:
        """Begin a new clip: forget faces and ids of the last one."""
        self._begin()
        self._landmarker.restart(detail)

    def _begin(self) -> None:
        self._people, self._cuts = People(), Cuts()
        self._places, self._schedule = Places(), Schedule()

    def track(self, frame: Frame) -> tuple[Face, ...]:
        """Find the faces of the next frame of the clip."""
        # Asked first: a cut decides where faces are looked for as well as who they are.
        cut = self._cuts.see(frame)
        faces = self._landmarker.follow(frame, cut=cut)
        again = self._look_again(frame, faces)
        # The first look is the surer one, so its faces come first where there are too many.
        faces = [*faces, *again][: self._max_faces]
        self._landmarker.keep(again)
        self._places.update([face.box for face in faces], frame.size)
        return self._people.see(frame, faces, cut=cut)

    def notes(self) -> tuple[str, ...]:
        """What was noticed in the clip that a reader must know."""
        return self._people.notes()

    def close(self) -> None:
        """Free the landmarkers."""
        self._landmarker.close()

    def _look_again(self, frame: Frame, faces: list[Face]) -> list[Face]:
        """Faces that the look at the whole picture missed."""
        again: list[Face] = []
        # A face that was here a moment ago is rarely gone: a closer look costs less than a gap.
        for place in self._places.without([face.box for face in faces], frame.size):
            near = self._near(frame, place)
            if near is not None and _is_new(near, [*faces, *again]):
                again.append(near)
        if faces or again:
            self._schedule.saw()
        # Only where nothing is seen at all: clips of near faces never pay for tiles.
        elif self._schedule.due():
            again = self._search(frame)
            if not again and self._schedule.may_be_turned:
                self._turn(frame)
        return again

    def _near(self, frame: Frame, place: Box) -> Face | None:
        """The face around a place, the one that overlaps it most; None if there is none."""
        width, height = frame.size
        faces = self._landmarker.closely(frame, around(place, width, height, room=_ROOM))
        best = max(faces, key=lambda face: overlap(face.box, place), default=None)
        return best if best is not None and overlap(best.box, place) > 0 else None

    def _search(self, frame: Frame) -> list[Face]:
        """Small faces in tiles of a picture, each seen again with itself in the middle."""
        width, height = frame.size
        confirmed: list[Face] = []
        for tile in tiles(width, height):
            for face in self._landmarker.closely(frame, tile):
                # Tiles overlap, and a face cut by the edge of one is whole in the next.
                if _is_new(face, confirmed):
                    near = self._near(frame, face.box)
                    if near is not None and _is_new(near, confirmed):
                        confirmed.append(near)
        return confirmed

    def _turn(self, frame: Frame) -> None:
        """Note whether a face is there when the picture is turned."""
        for turns in (2, 1, 3):
            turned = np.ascontiguousarray(np.rot90(frame.image, turns))
            height, width = turned.shape[:2]
            faces = self._landmarker.closely(Frame(frame.time, turned), (0, 0, width, height))
            if any(quarter_turns(Frame(0, turned), face) == 0 for face in faces):
                self._people.saw_turned(turns)
                return


def _is_new(face: Face, others: list[Face]) -> bool:
    return all(overlap(face.box, other.box) <= SAME_FACE for other in others)
