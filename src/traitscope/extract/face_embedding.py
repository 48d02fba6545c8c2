"""dlib's 128 numbers of whose face it is, works offline: chips in, a row per picture out.

Network: dlib's face recognition ResNet (https://github.com/davisking/dlib-models), inside the
``face_recognition_models`` wheel. Faces of one person lie within .6 of each other, those of two
people farther apart as a rule; the mean over a clip tells people apart better than any picture.

It knows who is in a picture and little of what the face does: a model that gains by it on clips of
people it was fitted on, and not on new people, has learnt the people.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from traitscope.config import Config as BaseConfig
from traitscope.errors import ClipError
from traitscope.extract import faces as _faces
from traitscope.media.pictures import decoded
from traitscope.tracking import describe_face
from traitscope.types import Inputs, Stream

VERSION = 1
NEEDS = ("stream:faces",)

COLUMNS = tuple(f"identity_{number}" for number in range(128))

_SIDE = 150
"""Pixels of the chip that the network was taught on; ours has its framing."""
_STORED = Path("a face of this clip")


class Config(BaseConfig):
    """Settings of the identity numbers."""

    faces: _faces.Config = _faces.Config(rate=1, size=_SIDE)
    """Settings of the faces; one a second is enough, since nobody changes within a clip."""


class Extractor:
    """Describe the faces of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def finish(self, inputs: Inputs) -> Stream:
        """Give (rows, 128); rows without a face are NaN and not valid.

        Raises:
            ClipError: no row has a face.
        """
        source = inputs.streams["faces"]
        values = np.full((len(source.time), len(COLUMNS)), np.nan, dtype=np.float32)
        if source.images is None or not source.mask.any():
            raise ClipError(
                f"Clip {inputs.clip.id!r} shows no face to describe. Check the video.",
                status="no_face",
            )
        for row in np.flatnonzero(source.mask).tolist():
            values[row] = describe_face(_pixels(source.images[row]))
        return Stream(
            time=source.time,
            values=values,
            valid=source.mask,
            columns=COLUMNS,
            info={"units": "dlib's descriptor; 0.6 apart is another person"},
        )


def _pixels(image: bytes) -> NDArray[np.uint8]:
    picture = np.asarray(decoded(image, _STORED))
    if picture.shape[:2] == (_SIDE, _SIDE):
        return picture
    resized = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.uint8)
