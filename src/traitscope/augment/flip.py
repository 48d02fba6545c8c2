"""Mirror the images of a clip and the points in them, all of them or none.

A mirrored face is a face, so its points keep their meaning: what was the left eye is drawn where a
right eye is, and becomes the right eye's points.
"""

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from traitscope.augment import IMAGES, POINTS, Drawn
from traitscope.config import Config as BaseConfig

if TYPE_CHECKING:
    from torch import Tensor

CLASHES = {"signals": "gaze and head turns would keep their side while the pictures change it"}
"""Streams that cannot be mirrored here beside mirrored pictures, and why."""

# fmt: off
_IBUG = (
    *range(16, -1, -1), *range(26, 16, -1),  # jaw, brows
    27, 28, 29, 30, 35, 34, 33, 32, 31,  # nose
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,  # eyes
    54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55,  # outer lips
    64, 63, 62, 61, 60, 67, 66, 65,  # inner lips
)
_MESH_MIDDLE = frozenset({
    0, 1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 94, 151, 152, 164, 168, 175,
    195, 197, 199, 200,
})
# fmt: on
"""Points of MediaPipe's mesh on the line that halves its canonical face."""
_IRISES = (473, 476, 475, 474, 477, 468, 471, 470, 469, 472)


class Config(BaseConfig):
    """How often."""

    streams: tuple[str, ...] = (*IMAGES, *POINTS)
    """Streams of images, and of points in them."""
    probability: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the clips that are mirrored."""


def draw(config: Config, rng: np.random.Generator) -> Drawn:
    """Decide: 1 to mirror, 0 to leave."""
    return np.array([rng.random() < config.probability], dtype=np.float64)


def pixels(images: "Tensor", drawn: Drawn) -> "Tensor":
    """Mirror the pictures (clips, rows, 3, height, width) of the chosen clips, in place."""
    # Clip by clip: which ones is known here, so that a device need not be asked.
    for clip in np.flatnonzero(drawn[:, 0]):
        images[clip] = images[clip].flip(-1)
    return images


def points(points: NDArray[Any], drawn: Drawn) -> NDArray[Any]:
    """Mirror the points (rows, points, 2) of a chosen clip."""
    return mirrored(points) if drawn[0] else points


def mirrored(points: NDArray[Any]) -> NDArray[Any]:
    """Mirror points (rows, points, 2), x and y as shares of a picture."""
    swapped = points[:, partners(points.shape[1])]
    return np.stack([1 - swapped[..., 0], swapped[..., 1]], axis=-1)


def partners(count: int) -> NDArray[np.intp]:
    """The point on the other side of the face for each of 68 (iBUG) or 478 (MediaPipe) points.

    MediaPipe numbers the right half of its mesh first, and the left half from 248 on in the same
    order.
    """
    if count == len(_IBUG):
        return np.array(_IBUG, dtype=np.intp)
    partner = np.arange(count)
    right = [place for place in range(248) if place not in _MESH_MIDDLE]
    left = list(range(248, 468))
    partner[right], partner[left] = left, right
    partner[468:] = _IRISES
    return partner
