"""Cut the same part out of every image of a clip, with its points, and enlarge it."""

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from traitscope.augment import IMAGES, POINTS, Drawn
from traitscope.config import Config as BaseConfig

if TYPE_CHECKING:
    from torch import Tensor


class Config(BaseConfig):
    """How small."""

    streams: tuple[str, ...] = (*IMAGES, *POINTS)
    """Streams of images, and of points in them; all are cut at the same relative place."""
    smallest: Annotated[float, Field(gt=0, lt=1)] = 0.8
    """Smallest side of the part, as a share of the image's."""


def draw(config: Config, rng: np.random.Generator) -> Drawn:
    """Decide side, top and left, as shares: of the picture, and twice of the room that is left."""
    return np.array([rng.uniform(config.smallest, 1), rng.random(), rng.random()])


def pixels(images: "Tensor", drawn: Drawn) -> "Tensor":
    """Cut a square part out of (clips, rows, 3, height, width), and enlarge it, in place."""
    from torch.nn.functional import interpolate

    height, width = images.shape[-2:]
    for rows, (side, top, left) in zip(images, drawn, strict=True):
        tall, wide = max(1, round(side * height)), max(1, round(side * width))
        y, x = round(top * (height - tall)), round(left * (width - wide))
        part = rows[..., y : y + tall, x : x + wide]
        rows.copy_(interpolate(part, (height, width), mode="bilinear", align_corners=False))
    return images


def points(points: NDArray[Any], drawn: Drawn) -> NDArray[Any]:
    """Move points (rows, points, 2) along; they are shares of the sides, so no size is needed."""
    side, top, left = drawn
    corner = np.array([left, top], dtype=points.dtype) * (1 - side)
    return np.asarray((points - corner) / side, dtype=points.dtype)
