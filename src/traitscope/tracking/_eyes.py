"""A region of a picture -> the face in it as far as chips need it: its eyes and its box.

The detector shows where eyes are, to 6 % of their distance in a whole picture and to 2 % (sd) in a
square around a known face. That takes a fifth of the time of the 478 points, which are asked only
about a new face, which may be none, and one that the detector has lost.
"""

import numpy as np
from numpy.typing import NDArray

from traitscope.tracking._alignment import eye_centres
from traitscope.tracking._mesh import Mesh
from traitscope.tracking._networks import DETECTOR_SIDE, Networks, Seen
from traitscope.tracking._regions import Region, moved, shown, to_picture
from traitscope.types import Face, Frame

_CONFIDENCE = 0.5
"""Of the detector, in a square around a face; faces of our clips have 0.88 and more."""

_ROOM = 1.55
"""Side of that square by the region's: where eyes come out surest, of 1 to 2.0."""

_INWARDS, _UPWARDS = 0.024, 0.016
"""How far, in eye distances, the detector's eyes lie outwards of and below the mean of the mesh's
corners, on four people."""

_WIDTH, _HEIGHT, _RAISED = 0.9, 1.15, 0.07
"""Of the box around the mesh, by the width of the detector's box, on the same people."""

_REGION = 1.4 * _HEIGHT
"""Side of a region by the width of the detector's box: what the mesh would make of its points."""


class Eyes:
    """Read what places a chip off pictures."""

    def __init__(self, networks: Networks, mesh: Mesh) -> None:
        self._networks, self._mesh = networks, mesh

    def read(self, frame: Frame, region: Region, *, known: bool) -> tuple[Face, Region] | None:
        """The face in a region, and where to look for it next; None where there is none."""
        # The detector alone would let hands and patterns pass for faces now and then.
        if not known:
            return self._by_mesh(frame, region)
        for _ in range(2):
            place = region._replace(side=region.side * _ROOM)
            square = shown(frame, place, DETECTOR_SIDE)
            # Followed faces need no schedule: each look is a look of the detector.
            likely = self._networks.detect(square, confidence=_CONFIDENCE)
            if not likely:
                return self._by_mesh(frame, region)
            face = _placed(min(likely, key=_off_middle), place)
            now = self.region(face)
            if not moved(region, now):
                break
            region = now
        return face, now

    def region(self, face: Face) -> Region:
        """Where to look next for a face that was read."""
        left, top, right, _ = face.box
        across = face.landmarks[1] - face.landmarks[0]
        angle = float(np.arctan2(across[1], across[0]))
        width = right - left
        # The box was made of a centre and a width, so that is what it is read back to.
        y = top + width * _HEIGHT / _WIDTH / 2
        return Region((left + right) / 2, y, width * _REGION / _WIDTH, angle)

    def _by_mesh(self, frame: Frame, region: Region) -> tuple[Face, Region] | None:
        fitted = self._mesh.points(frame, region)
        if fitted is None:
            return None
        mesh, presence, _ = fitted
        eyes = eye_centres(mesh)
        assert eyes is not None
        # nose, mouth and ears, in the order of the detector
        points = np.vstack([*eyes, mesh[[1, 13, 234, 454], :2]])
        low, high = mesh[:, :2].min(axis=0), mesh[:, :2].max(axis=0)
        face = _face(points, (low + high) / 2, float(high[0] - low[0]), confidence=presence)
        return face, self.region(face)


def _off_middle(seen: Seen) -> float:
    """How far a face lies from the middle of the square."""
    left, top, right, bottom = seen.box
    across, down = (left + right) / 2, (top + bottom) / 2
    return float(np.hypot(across - DETECTOR_SIDE / 2, down - DETECTOR_SIDE / 2))


def _placed(seen: Seen, place: Region) -> Face:
    """The face that the detector saw in a place, its eyes where the mesh has them."""
    left, top, right, bottom = seen.box
    middle = np.array([((left + right) / 2, (top + bottom) / 2)])
    *points, centre = to_picture(np.vstack([seen.points, middle]), place, DETECTOR_SIDE)
    # The offsets turn with the head, so they are taken along the line between the eyes.
    across = points[1] - points[0]
    up = np.array([across[1], -across[0]])
    points[0] += _INWARDS * across + _UPWARDS * up
    points[1] += -_INWARDS * across + _UPWARDS * up
    width = (right - left) * place.side / DETECTOR_SIDE
    # The mesh reaches up to the hairline, the detector ends at the brows.
    raised = centre + up / np.linalg.norm(up) * _RAISED * width
    return _face(np.array(points), raised, _WIDTH * width, confidence=seen.score)


def _face(
    points: NDArray[np.float64], centre: NDArray[np.float64], width: float, *, confidence: float
) -> Face:
    """A face of six points, in the box that the mesh would have: it may be the largest."""
    (x, y), high = centre, width * _HEIGHT / _WIDTH / 2
    box = float(x - width / 2), float(y - high), float(x + width / 2), float(y + high)
    return Face(box, confidence, points.astype(np.float32))
