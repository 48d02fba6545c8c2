"""dlib: HOG frontal faces, 68 points, head rotation from a mean face; works offline from wheels.

The whole picture is searched every two seconds, and when a face is lost and for two seconds after;
in between, a face is looked for around its last place, at a size that suits the detector. Where
nothing is found, it is searched for small faces now and then, and turned.

What HOG takes grows with the picture it is shown (milliseconds on one core)::

    whole picture, 640 x 360     16    every two seconds; half as wide (4 ms) every second time,
                                       while the known faces are so large that they show there
    around a face, 145 x 145      1.6  each look
    around a face, 200 x 200      3.4  where the face has moved out of the smaller part
    68 points                     2.9  each face
    five points                   1.2  each face instead, where nothing but chips is asked for
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from traitscope.tracking._boxes import Box, overlap
from traitscope.tracking._canonical import fit_rotation
from traitscope.tracking._cuts import Cuts
from traitscope.tracking._detail import DETAILS, Detail
from traitscope.tracking._dlib_models import detector, load_dlib, predictor, predictor_path
from traitscope.tracking._people import People
from traitscope.tracking._rotation import to_angles
from traitscope.tracking._second_look import (
    SAME_FACE,
    SMALLEST_PIXELS,
    SMALLEST_SHARE,
    Places,
    Schedule,
    around,
)
from traitscope.types import Face, Frame

VERSION = 6

LONG_SIDE = 640
"""Pictures are resized to this for detection: HOG finds faces from 80 px on, 1/8 of it."""

RESCAN_SECONDS = 2.0
"""How long a new face may go unnoticed while the known ones are followed."""

_SMALLEST = 80
"""The detector's smallest face in pixels."""

_LARGE = 1.25 * _SMALLEST
"""A face that a picture half as wide as `LONG_SIDE` shows with so many pixels is found there."""

_NEAR = ((85, 0.35), (100, 0.5))
"""Around a known face: the size that the face gets, and the room on each side in face sizes. The
first finds faces that hardly moved; more room than the second would cost more than it finds."""

Grey = NDArray[np.uint8]
Scored = list[tuple[Box, float]]
"""Boxes with the detector's scores, best first."""


class Tracker:
    """Find faces in the frames of one clip after another."""

    def __init__(self, *, max_faces: int = 3) -> None:
        self._rectangle = load_dlib().rectangle
        self._detector = detector()
        self._max_faces = max_faces
        # Loaded when first used: that of 68 points takes half a second.
        for one in DETAILS:
            predictor_path(one)
        self.restart()

    def restart(self, detail: Detail = "mesh") -> None:
        """Begin a new clip: forget the people of the last one."""
        self._people, self._places, self._schedule = People(), Places(), Schedule()
        self._cuts, self._detail = Cuts(), detail
        self._followed = self._scans = 0
        self._scanned = self._missing_since = -np.inf

    def track(self, frame: Frame) -> tuple[Face, ...]:
        """Find the faces of the next frame of the clip."""
        grey, size = frame.grey, frame.size
        scored: Scored | None = None
        cut = self._cuts.see(frame)
        missing = cut or frame.time - self._missing_since < RESCAN_SECONDS
        if self._followed and not missing and frame.time - self._scanned < RESCAN_SECONDS - 1e-6:
            # Following searches a hundredth of the pixels that a scan of the picture does.
            scored = self._follow(grey)
        if scored is None:
            scored, self._scanned = self._scan(grey), frame.time
            # A scan sees no face below 80 pixels, but knows where small ones were.
            scored += self._lost(grey, scored)
            if len(scored) < self._followed:
                # Who turned away comes back soon: for a while each picture is searched.
                self._missing_since = frame.time
        if scored:
            self._schedule.saw()
        elif self._schedule.due():
            scored = self._search(grey)
        scored = sorted(scored, key=lambda pair: -pair[1])[: self._max_faces]
        self._followed = len(scored)
        self._places.update([box for box, _ in scored], size)
        faces = [self._describe(grey, box, score) for box, score in scored]
        return self._people.see(frame, faces, cut=cut)

    def notes(self) -> tuple[str, ...]:
        """What was noticed in the clip that a reader must know."""
        return self._people.notes()

    def close(self) -> None:
        """Nothing to free."""

    def _follow(self, grey: Grey) -> Scored | None:
        """Look for each known face around its last place; None when one is not there."""
        followed: Scored = []
        for box in self._places.without([], (grey.shape[1], grey.shape[0])):
            near = self._near(grey, box)
            if near is None or not _is_new(near, followed):
                return None
            followed.append(near)
        return followed

    def _scan(self, grey: Grey) -> Scored:
        """Search the whole picture, then look again around each face, as while following it."""
        scored: Scored = []
        for box, score in self._detect(grey, self._scale(grey))[: self._max_faces]:
            # A second look at the size of following, so that boxes do not jump at each scan.
            near = self._near(grey, box) or (box, score)
            if _is_new(near, scored):
                scored.append(near)
        return scored

    def _scale(self, grey: Grey) -> float:
        """By which a whole picture is resized: to less, now and then, where all faces are large."""
        scale: float = LONG_SIDE / max(grey.shape)
        known = self._places.without([], (grey.shape[1], grey.shape[0]))
        large = all((box[2] - box[0]) * scale / 2 >= _LARGE for box in known)
        self._scans += 1
        return scale / 2 if known and large and self._scans % 2 == 0 else scale

    def _lost(self, grey: Grey, scored: Scored) -> Scored:
        """Known faces that are too small for a scan of the whole picture."""
        lost: Scored = []
        boxes = [box for box, _ in scored]
        for place in self._places.without(boxes, (grey.shape[1], grey.shape[0])):
            near = self._near(grey, place)
            if near is not None and _is_new(near, [*scored, *lost]):
                lost.append(near)
        return lost

    def _search(self, grey: Grey) -> Scored:
        """Search the picture for small faces; where none is, note whether turning it helps."""
        smallest = max(SMALLEST_PIXELS, SMALLEST_SHARE * max(grey.shape))
        scale = _SMALLEST / smallest
        scored: Scored = []
        for box, _ in self._detect(grey, scale)[: self._max_faces]:
            near = self._near(grey, box)
            if near is not None and _is_new(near, scored):
                scored.append(near)
        if scored or not self._schedule.may_be_turned:
            return scored
        for turns in (2, 1, 3):
            if self._scan(np.ascontiguousarray(np.rot90(grey, turns))):
                self._people.saw_turned(turns)
                break
        return []

    def _near(self, grey: Grey, box: Box) -> tuple[Box, float] | None:
        """The face around a place, the one that overlaps it most; None if there is none."""
        for side, room in _NEAR:
            left, top, right, bottom = around(box, grey.shape[1], grey.shape[0], room=room)
            window = grey[top:bottom, left:right]
            boxes = self._detect(window, side / max(box[2] - box[0], 1.0), (left, top))
            best = max(boxes, key=lambda pair: overlap(pair[0], box), default=None)
            if best is not None and overlap(best[0], box) > 0:
                return best
        return None

    def _detect(self, grey: Grey, scale: float, corner: tuple[int, int] = (0, 0)) -> Scored:
        """Boxes in pixels of the picture with their scores, best first.

        Args:
            grey: the picture, or a part of it.
            scale: by which it is resized first.
            corner: left and top of the part in the picture.
        """
        height, width = grey.shape
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        boxes, scores, _ = self._detector.run(cv2.resize(grey, size, interpolation=method), 0, 0.0)
        x, y = corner
        scored = [
            (
                (
                    b.left() / scale + x,
                    b.top() / scale + y,
                    b.right() / scale + x,
                    b.bottom() / scale + y,
                ),
                float(score),
            )
            for b, score in zip(boxes, scores, strict=True)
        ]
        return sorted(scored, key=lambda pair: -pair[1])

    def _describe(self, grey: Grey, box: Box, score: float) -> Face:
        shape = predictor(self._detail)(grey, self._rectangle(*(round(side) for side in box)))
        points = np.array([(p.x, p.y) for p in shape.parts()], dtype=np.float32)
        if self._detail == "eyes":
            return Face(box=box, confidence=score, landmarks=points)
        height, width = grey.shape
        rotation = fit_rotation(points, width=width, height=height)
        return Face(box=box, confidence=score, landmarks=points, rotation=to_angles(rotation))


def _is_new(pair: tuple[Box, float], others: Scored) -> bool:
    return all(overlap(pair[0], other) <= SAME_FACE for other, _ in others)
