"""Whole pictures: one JPEG per sampled time, its short side made as short as asked."""

from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from traitscope.extract._sampling import Sampled
from traitscope.extract._spool import Place, Spool, encode, stored
from traitscope.types import Face, Frame, Inputs, Stream

VERSION = 2
NEEDS = ("frames",)


class Config(Sampled):
    """Settings of the pictures."""

    size: Annotated[int, Field(ge=16, le=4096)] = 256
    """Short side in pixels; smaller pictures stay as they are."""
    quality: Annotated[int, Field(ge=1, le=100)] = 90
    """JPEG quality."""


class Extractor:
    """Collect the pictures of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._spool = Spool()
        self._times: list[float] = []
        self._places: list[Place] = []
        self._shape = (0, 0)

    def see(self, frame: Frame, faces: tuple[Face, ...]) -> None:
        """Make one picture smaller, and keep it."""
        image = shrink(frame.image, self._config.size)
        self._shape = (image.shape[0], image.shape[1])
        self._times.append(frame.time)
        self._places.append(self._spool.add(encode(image, self._config.quality)))

    def finish(self, inputs: Inputs) -> Stream:
        """Give all pictures."""
        height, width = self._shape
        return Stream(
            time=np.array(self._times),
            images=stored(self._spool, self._places),
            info={"height": height, "width": width},
        )


def shrink(image: NDArray[np.uint8], short_side: int) -> NDArray[np.uint8]:
    """Make a picture (height, width, 3) smaller, its shape kept; never larger."""
    height, width = image.shape[:2]
    scale = short_side / min(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
