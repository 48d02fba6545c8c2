"""Faces of one frame after another, from any detector -> those that stand upright, with track ids.

Each backend, whatever its engine, hands its faces here.
"""

from collections.abc import Sequence
from dataclasses import replace

from traitscope.tracking._appearance import Look
from traitscope.tracking._identity import Linker
from traitscope.tracking._uprightness import Uprightness
from traitscope.types import Face, Frame


class People:
    """Who is seen in one clip."""

    def __init__(self) -> None:
        self._linker = Linker()
        self._uprightness = Uprightness()

    def see(self, frame: Frame, faces: Sequence[Face], *, cut: bool = False) -> tuple[Face, ...]:
        """Give the faces of the next frame their tracks; leave out those that are upside down.

        Args:
            frame: the picture.
            faces: that a detector found in it.
            cut: whether another shot begins with it.
        """
        # Looks cost nothing until somebody asks: most places leave no doubt.
        looks = [Look(frame, face) for face in faces]
        ids = self._linker.assign(frame.time, [face.box for face in faces], looks, cut=cut)
        # Faces are frozen, so each gets its track in a copy.
        tracked = [replace(face, track=track) for face, track in zip(faces, ids, strict=True)]
        return self._uprightness.upright(frame, tracked)

    def saw_turned(self, turns: int) -> None:
        """Count a look at which only turning the picture, by so many quarters, showed a face."""
        self._uprightness.saw_turned(turns)

    def notes(self) -> tuple[str, ...]:
        """What was noticed in the clip that a reader must know, as sentences."""
        return self._uprightness.notes()
