"""Where the person of a clip is, for changes of the background: a clip in, a mask per frame out."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from traitscope.audit.distortions import Mask
from traitscope.errors import ClipError
from traitscope.media import read_frames
from traitscope.media.limits import DEFAULTS, Limits
from traitscope.tracking import open_tracker
from traitscope.types import Clip, Frame

# A head moves little in 0.2 s against so generous a mask, and each look costs a detection.
_BOXES_PER_SECOND = 5.0

Box = tuple[float, float, float, float]


@dataclass
class Person:
    """Where the person is in each frame of a clip; the face is looked for when first asked.

    Attributes:
        clip: with media.
        backend: who finds the face.
        limits: of what the clip may take.
        looked: time and box of the largest face, five times a second; None before the first look.
    """

    clip: Clip
    backend: str
    limits: Limits = DEFAULTS
    looked: tuple[tuple[float, Box], ...] | None = None

    def mask(self, frame: Frame) -> Mask:
        """(height, width) around the face nearest in time.

        Raises:
            ClipError: no face was found.
        """
        # All steps of a change share one search for the face.
        if self.looked is None:
            self.looked = tuple(self._look())
        if not self.looked:
            raise ClipError(f"No face was found in clip {self.clip.id!r}.", status="no_face")
        # Nearest on either side: frames in which the face was missed have a person as well.
        _, box = min(self.looked, key=lambda entry: abs(entry[0] - frame.time))
        height, width = frame.image.shape[:2]
        return person_mask((height, width), box)

    def _look(self) -> Iterator[tuple[float, Box]]:
        clip = self.clip
        assert clip.path is not None
        reader = read_frames(
            clip.path,
            rates=[_BOXES_PER_SECOND],
            start=clip.start,
            end=clip.end,
            fps=clip.fps,
            track=clip.video_track,
            limits=self.limits,
        )
        tracker = open_tracker(self.backend)
        try:
            for frame, _ in reader:
                faces = tracker.track(frame)
                if faces:
                    # Whom a clip is about sits in front; others become background.
                    yield frame.time, max(faces, key=lambda face: face.area).box
        finally:
            tracker.close()


def person_mask(shape: tuple[int, int], box: Box) -> Mask:
    """Head and shoulders around a face box, with a soft edge.

    An ellipse for the head with its hair, and a body twice as wide from the chin downwards:
    generous rather than tight, since no segmentation network is at hand.

    Args:
        shape: height and width of the picture.
        box: left, top, right, bottom of the face.
    """
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    # A face box ends below the hair, so the ellipse is raised by a tenth.
    centre = (round((left + right) / 2), round((top + bottom) / 2 - 0.1 * height))
    mask = np.zeros(shape, dtype=np.float32)
    cv2.ellipse(mask, centre, (round(0.85 * width), round(1.05 * height)), 0, 0, 360, 1.0, -1)
    #   ( )      head, an ellipse
    #  /   \     shoulders, the upper half of a wider one
    # |     |    chest, straight down to the edge of the picture
    shoulders = (round(1.6 * width), round(1.2 * height))
    low = (centre[0], round(bottom + 1.0 * height))
    cv2.ellipse(mask, low, shoulders, 0, 180, 360, 1.0, -1)
    if low[1] < shape[0]:
        mask[low[1] :, max(0, low[0] - shoulders[0]) : max(0, low[0] + shoulders[0])] = 1.0
    # A hard edge is a contour that no camera draws: scores might move by that alone.
    soft = cv2.GaussianBlur(mask, (0, 0), sigmaX=max(1.0, 0.05 * width))
    return np.asarray(soft, dtype=np.float32)
