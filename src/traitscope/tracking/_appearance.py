"""One face of one picture -> what it looks like: a cheap impression, and dlib's descriptor.

The impression says whether two looks show the same scene; the descriptor whether two faces are the
same person. It takes 40 to 100 ms, so it is made of a kept cut-out, and only when asked for.
"""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.tracking._alignment import alignment
from traitscope.tracking._cuts import pattern
from traitscope.tracking._dlib_models import descriptor_network, load_dlib, predictor
from traitscope.tracking._second_look import around
from traitscope.types import Face, Frame

_IMPRESSION_SIDE = 24
_IMPRESSION_PADDING = 1.5
"""The impression shows hair, shoulders and what is behind them: faces alone look much alike."""

_CHIP_SIDE, _CHIP_PADDING = 150, 0.25
"""What the descriptor's network was taught on."""

_CHIP_ROOM = 1.0
"""Around the box on each side, in face widths: more than the chip of any turned head shows."""

_SMALLEST = 32
"""A face of fewer pixels is told apart by its place: the descriptors of blurs resemble another."""

_FIVE = {5: (0, 1, 2, 3, 4), 68: (45, 42, 36, 39, 33), 478: (263, 362, 33, 133, 2)}
"""dlib's five points (corners of the eyes, base of the nose) by landmark count."""


def describe_face(chip: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Describe an aligned chip (150, 150, 3), padded by a quarter, by dlib's 128 numbers."""
    return np.array(descriptor_network().compute_face_descriptor(np.ascontiguousarray(chip)))


class Look:
    """What a face looks like in one picture; the costly parts are made when asked for."""

    def __init__(self, frame: Frame, face: Face) -> None:
        self._frame: Frame | None = frame
        self._face = face
        self.size = frame.size

    @cached_property
    def impression(self) -> NDArray[np.float64]:
        """Face and surroundings, (n,): zero mean, length 1, so that a product is a correlation."""
        assert self._frame is not None
        matrix = alignment(self._face, size=_IMPRESSION_SIDE, padding=_IMPRESSION_PADDING)
        small = self._frame.through(matrix, (_IMPRESSION_SIDE, _IMPRESSION_SIDE))
        # Light changes within a shot.
        return pattern(small)

    @cached_property
    def _chip(self) -> NDArray[np.uint8] | None:
        """The face (150, 150, 3) as the network wants it; None where there is too little of it."""
        assert self._frame is not None
        left, top, right, bottom = self._face.box
        if min(right - left, bottom - top) < _SMALLEST:
            return None
        window = around(self._face.box, *self.size, room=_CHIP_ROOM)
        part = np.ascontiguousarray(self._frame.part(window))
        shape = _five_points(part, self._face, np.array(window[:2]))
        chip = load_dlib().get_face_chip(part, shape, _CHIP_SIDE, _CHIP_PADDING)
        return np.asarray(chip, dtype=np.uint8)

    @cached_property
    def descriptor(self) -> NDArray[np.float64] | None:
        """Where the face lies in dlib's space of people, (128,); None for a face too small."""
        if self._chip is None:
            return None
        return describe_face(self._chip)

    def keep(self) -> None:
        """Cut out what a later comparison needs, and let go of the picture."""
        _ = self.impression, self._chip
        self._frame = None  # a picture of 1080p is 6 MB, a cut-out 0.07


def _five_points(part: NDArray[np.uint8], face: Face, corner: NDArray[np.int_]) -> Any:
    """Where eyes and nose lie in a part of a picture that begins at a corner (x, y)."""
    dlib = load_dlib()
    box = np.array(face.box) - np.tile(corner, 2)
    rectangle = dlib.rectangle(*(round(side) for side in box.tolist()))
    numbers = _FIVE.get(len(face.landmarks))
    if numbers is None:
        return predictor("eyes")(part, rectangle)
    # The corner is where the part begins in the picture.
    points = np.asarray(face.landmarks)[list(numbers), :2] - corner
    corners = np.rint(points).astype(int).tolist()
    return dlib.full_object_detection(
        rectangle, dlib.points([dlib.point(x, y) for x, y in corners])
    )
