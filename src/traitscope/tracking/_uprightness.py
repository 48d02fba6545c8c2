"""Which faces stand upright: a mesh fitted to a face that stands on its head is nonsense.

A detector of upright faces looks at the cut-out, and where it sees none, at the cut-out turned by
quarters: of 650 looks at real faces it saw 649 the right way up, and one not at all.
"""

from collections import Counter
from collections.abc import Sequence

import cv2
import numpy as np

from traitscope.tracking._alignment import eye_centres
from traitscope.tracking._dlib_models import detector
from traitscope.types import Face, Frame

_FACE_SIDE = 110
"""The cut-out is resized so that the face gets this size; the detector's smallest is 80."""

_MARGIN = 0.5
"""Room around the face on each side, in face sizes: meshes are tighter than the detector's box."""

_LOOKS = 3
"""Of each track, until one is clear: a head seen from the side looks upright to nobody."""

_MENDS = {1: "transpose=2", 2: "hflip,vflip", 3: "transpose=1"}
"""FFmpeg's filter that turns a picture by so many quarters, counterclockwise."""


class Uprightness:
    """Judge each track of a clip on a few of its looks."""

    def __init__(self) -> None:
        self._unclear: Counter[int] = Counter()
        self._wrong: dict[int, bool] = {}
        self._seen_turned: Counter[int] = Counter()
        self._seen_lying: Counter[int] = Counter()
        self._turns: dict[int, int] = {}

    def upright(self, frame: Frame, faces: Sequence[Face]) -> tuple[Face, ...]:
        """Those faces of a picture whose landmarks can be right."""
        for face in faces:
            if face.track not in self._wrong and self._unclear[face.track] < _LOOKS:
                self._judge(frame, face)
        turned = [face for face in faces if self._wrong.get(face.track)]
        for turns in {self._turns[face.track] for face in turned}:
            self.saw_turned(turns)
        kept = tuple(face for face in faces if not self._wrong.get(face.track))
        self._seen_lying.update({self._turns.get(face.track, 0) for face in kept} - {0})
        return kept

    def saw_turned(self, turns: int) -> None:
        """Count a look at which a face stood upright only after so many quarter turns."""
        self._seen_turned[turns] += 1

    def notes(self) -> tuple[str, ...]:
        """What a reader must know, as sentences."""
        left_out = [
            f"turned-face: one {_said(turns)} was seen in {_looks(looks)} and left out: "
            f"turn the recording first ({_mend(turns)})"
            for turns, looks in self._seen_turned.most_common()
        ]
        kept = [
            f"turned-face: one {_said(turns)} was measured as it lies, in {_looks(looks)}: "
            f"if it was the camera that lay, turn the recording first ({_mend(turns)})"
            for turns, looks in self._seen_lying.most_common()
        ]
        return (*left_out, *kept)

    def _judge(self, frame: Frame, face: Face) -> None:
        turns = quarter_turns(frame, face)
        if turns is None:
            self._unclear[face.track] += 1
            return
        self._turns[face.track] = turns
        self._wrong[face.track] = _apart(turns, _leaning(face)) > 1


def quarter_turns(frame: Frame, face: Face) -> int | None:
    """How often a face is turned counterclockwise by a quarter before it stands upright.

    Returns:
        0 to 3; None where no frontal face is seen either way.
    """
    left, top, right, bottom = face.box
    size = max(right - left, bottom - top)
    reach = (0.5 + _MARGIN) * size
    across, down = (left + right) / 2, (top + bottom) / 2
    x, y = (max(0, int(middle - reach)) for middle in (across, down))
    x_end, y_end = (
        min(length, int(middle + reach))
        for length, middle in zip(frame.size, (across, down), strict=True)
    )
    if x_end <= x or y_end <= y:
        return None
    part = np.ascontiguousarray(frame.part((x, y, x_end, y_end)))
    grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)
    # Smaller is faster, and no face is missed at a size that it was taught on.
    scale = _FACE_SIDE / max(size, 1.0)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    shape = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    small = cv2.resize(grey, shape, interpolation=method)
    # Upright first, then the usual mistakes: a camera hung upside down, then one laid down.
    for turns in (0, 2, 1, 3):
        if len(detector().run(np.ascontiguousarray(np.rot90(small, turns)), 0, 0.0)[0]):
            return turns
    return None


def _leaning(face: Face) -> float:
    """By how many quarters the landmarks would be turned counterclockwise to stand upright."""
    eyes = eye_centres(face.landmarks)
    if eyes is None:
        return 0.0
    across, down = eyes[1] - eyes[0]
    return float(np.arctan2(down, across) / (np.pi / 2))


def _apart(one: float, other: float) -> float:
    """Difference of two numbers of quarter turns, 0 to 2."""
    return abs((one - other + 2) % 4 - 2)


def _said(turns: int) -> str:
    return "that stands on its head" if turns == 2 else "that lies on its side"


def _looks(count: int) -> str:
    return f"{count} look{'' if count == 1 else 's'}"


def _mend(turns: int) -> str:
    return f"ffmpeg -i IN -vf {_MENDS[turns]} OUT"
