"""Pictures -> faces, by the networks of ``face_landmarker.task`` without MediaPipe's graph.

A face is followed from its own last points, and searched for only now and then::

    picture     0        1        2     ...   n          n+1
    search      whole    -        -           whole      whole
    network     on face  on last  on last     on last    on face
    because     first    follows  follows     a second   lost, a cut,
                                              is over    or long ago

MediaPipe's graph searches every picture while it has room for another face. What comes out differs
by less than a hundredth of the distance between the eyes; a second face that walks in is seen up
to a second later.
"""

from collections.abc import Iterable
from typing import Protocol

import numpy as np

from traitscope.tracking._boxes import Box, overlap
from traitscope.tracking._detail import Detail
from traitscope.tracking._eyes import Eyes
from traitscope.tracking._mesh import Mesh
from traitscope.tracking._networks import DETECTOR_SIDE, Networks
from traitscope.tracking._regions import Region, back, letterbox, of_seen, shown
from traitscope.tracking._second_look import SAME_FACE, Window
from traitscope.types import Face, Frame

CONFIDENCE = 0.5
"""Of the detector for whole pictures, and of the points that there is a face: MediaPipe's own."""

CLOSE_CONFIDENCE = 0.6
"""Of the detector for parts: of many small parts, one or the other looks a little like a face."""

SEARCH_SECONDS = 1.0
"""How long another face may go unnoticed while the known ones are followed."""

STALE_SECONDS = 0.7
"""After a longer pause the place of a face says nothing: a moved head would be found twice."""


class Reader(Protocol):
    """What reads a face off a region."""

    def read(self, frame: Frame, region: Region, *, known: bool) -> tuple[Face, Region] | None:
        """The face, and where to look for it next; None where there is none.

        Args:
            frame: the picture.
            region: of it.
            known: whether a face was there before, or the detector alone says so.
        """

    def region(self, face: Face) -> Region:
        """Where to look next for a face that was read."""


class Engine:
    """Find and follow the faces of one clip after another."""

    def __init__(self, model: bytes, *, max_faces: int) -> None:
        self._networks = Networks(model)
        mesh = Mesh(self._networks)
        self._readers: dict[Detail, Reader] = {"mesh": mesh, "eyes": Eyes(self._networks, mesh)}
        self._max_faces = max_faces
        self.restart("mesh")

    def restart(self, detail: Detail) -> None:
        """Begin a new clip."""
        self._reader = self._readers[detail]
        self._regions: list[Region] = []
        self._last = self._searched = -np.inf

    def follow(self, frame: Frame, *, cut: bool) -> list[Face]:
        """Faces of the next picture of the clip.

        Args:
            frame: later than the last one.
            cut: whether another shot begins, in which nothing is where it was.
        """
        # After a cut or a pause the old places would only be read in vain, or worse: a face that
        # happens to be there now would be taken for the one that was.
        if cut or frame.time - self._last > STALE_SECONDS:
            self._regions = []
        self._last = frame.time
        known = self._read(frame, self._regions, [], known=True)
        # A lost face is searched for at once: it may have moved farther than its region reaches.
        lost = len(known) < len(self._regions)
        # The tolerance keeps frames at exactly one second from slipping to the next look.
        due = frame.time - self._searched >= SEARCH_SECONDS - 1e-6
        if (not known or lost or due) and len(known) < self._max_faces:
            self._searched = frame.time
            width, height = frame.size
            # The search costs 1.3 ms a picture, a quarter of what the mesh costs.
            found = self._search(frame, (0, 0, width, height), CONFIDENCE, known)
            known += self._read(frame, found, [face for face, _ in known], known=False)
        self._regions = [region for _, region in known]
        return [face for face, _ in known]

    def closely(self, frame: Frame, window: Window) -> list[Face]:
        """Faces in a part of a picture, whatever was seen before.

        Their regions are not kept: whoever asks says with `keep` which of them are to be followed.
        """
        found = self._search(frame, window, CLOSE_CONFIDENCE, [])
        return [face for face, _ in self._read(frame, found, [], known=False)]

    def keep(self, faces: Iterable[Face]) -> None:
        """Follow these faces too from now on."""
        self._regions += [self._reader.region(face) for face in faces]

    def close(self) -> None:
        """Nothing to free."""

    def _read(
        self, frame: Frame, regions: Iterable[Region], others: list[Face], *, known: bool
    ) -> list[tuple[Face, Region]]:
        """What is seen in regions, each face once."""
        seen: list[tuple[Face, Region]] = []
        for region in regions:
            read = self._reader.read(frame, region, known=known)
            if read is None:
                continue
            # Two regions may slide onto one face when somebody passes before another.
            boxes = [face.box for face in (*others, *(face for face, _ in seen))]
            if all(overlap(read[0].box, box) <= SAME_FACE for box in boxes):
                seen.append(read)
        return seen[: self._max_faces - len(others)]

    def _search(
        self, frame: Frame, window: Window, confidence: float, known: list[tuple[Face, Region]]
    ) -> list[Region]:
        """Regions of faces in a part of a picture that are not known yet."""
        # The detector was taught on squares: the shape of the picture is kept, the rest is black.
        whole = letterbox(window)
        square = shown(frame, whole, DETECTOR_SIDE)
        regions = [
            back(of_seen(seen), whole, DETECTOR_SIDE)
            for seen in self._networks.detect(square, confidence=confidence)
        ]
        # What is followed already needs no second network: the detector sees it again each time.
        boxes: list[Box] = [face.box for face, _ in known]
        return [one for one in regions if all(overlap(_face(one), b) <= SAME_FACE for b in boxes)]


def _face(region: Region) -> Box:
    """About the box of the face that a region is made for."""
    return region._replace(side=region.side / 1.5).box
