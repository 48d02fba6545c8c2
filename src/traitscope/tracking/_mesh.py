"""A region of a picture -> the face in it: 478 points, blendshapes, pose."""

import numpy as np

from traitscope.tracking._boxes import box_of
from traitscope.tracking._networks import MESH_SIDE, Networks
from traitscope.tracking._pose import Pose
from traitscope.tracking._regions import Region, moved, of_points, shown, to_picture
from traitscope.types import Face, FloatArray, Frame

PRESENCE = 0.5
"""How sure the network must be that it was shown a face: MediaPipe's own."""


class Mesh:
    """Read faces off pictures in full detail."""

    def __init__(self, networks: Networks) -> None:
        self._networks, self._pose = networks, Pose(networks.geometry)

    def read(self, frame: Frame, region: Region, *, known: bool) -> tuple[Face, Region] | None:
        """The face in a region, and where to look for it next; None where there is none."""
        fitted = self.points(frame, region)  # of a new face and a known one alike
        if fitted is None:
            return None
        points, presence, now = fitted
        face = Face(
            box=box_of(points),
            confidence=presence,
            landmarks=points,
            blendshapes=self._networks.shapes(points),
            rotation=self._pose.rotation(points, frame.size),
        )
        return face, now

    def region(self, face: Face) -> Region:
        """Where to look next for a face that was read."""
        return of_points(face.landmarks)

    def points(self, frame: Frame, region: Region) -> tuple[FloatArray, float, Region] | None:
        """Points (478, 3) in pixels of the picture, how sure they are, and where they lie.

        Returns:
            None where there is no face.
        """
        # Twice at most: a look at where the face is now is as good as that of the next picture.
        for _ in range(2):
            raw, presence = self._networks.mesh(shown(frame, region, MESH_SIDE))
            # Without a face the points are those of a mean face, and would be believed.
            if presence < PRESENCE:
                return None
            flat = to_picture(raw[:, :2], region, MESH_SIDE)
            # Depth has no origin of its own in the picture; it grows with the region as x does.
            depth = raw[:, 2:] * (region.side / MESH_SIDE)
            points = np.hstack([flat, depth]).astype(np.float32)
            now = of_points(points)
            if not moved(region, now):
                break
            region = now
        return points, presence, now
