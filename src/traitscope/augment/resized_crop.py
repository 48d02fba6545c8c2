"""Cut the same part of any shape out of every image of a clip, and stretch it to the whole.

The strong form of ``crop``, as image networks are trained on ImageNet: a random share of the area
at a random ratio of the sides (Szegedy et al., 2015, https://arxiv.org/abs/1409.4842).
"""

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from traitscope.augment import IMAGES, POINTS, Drawn
from traitscope.config import Config as BaseConfig

if TYPE_CHECKING:
    from torch import Tensor

Share = Annotated[float, Field(gt=0, le=1)]


class Config(BaseConfig):
    """How small, and how far from a square."""

    streams: tuple[str, ...] = (*IMAGES, *POINTS)
    """Streams of images, and of points in them; all are cut at the same relative place."""
    area: Share = 0.08
    """Smallest area of the part, as a share of the image's."""
    flattest: Share = 0.75
    """Smallest ratio of its shorter to its longer side, for a square image."""


def draw(config: Config, rng: np.random.Generator) -> Drawn:
    """Decide width, height, left and top, as shares of the picture's sides."""
    side = np.sqrt(rng.uniform(config.area, 1))
    # In logarithms: twice as tall is as likely as twice as wide.
    ratio = np.exp(rng.uniform(np.log(config.flattest), -np.log(config.flattest)) / 2)
    sides = np.minimum(1.0, [side * ratio, side / ratio])
    return np.concatenate([sides, rng.random(2) * (1 - sides)])


def pixels(images: "Tensor", drawn: Drawn) -> "Tensor":
    """Cut a part out of (clips, rows, 3, height, width), and stretch it, in place."""
    from torch.nn.functional import interpolate

    height, width = images.shape[-2:]
    size = np.array([width, height])
    for rows, place in zip(images, drawn, strict=True):
        wide, tall = np.maximum(1, np.rint(place[:2] * size)).astype(int)
        # Rounded corner and side together may lie a pixel beyond the edge.
        x, y = np.minimum(np.rint(place[2:] * size).astype(int), size - (wide, tall))
        part = rows[..., y : y + tall, x : x + wide]
        rows.copy_(interpolate(part, (height, width), mode="bilinear", align_corners=False))
    return images


def points(points: NDArray[Any], drawn: Drawn) -> NDArray[Any]:
    """Move points (rows, points, 2) along."""
    return np.asarray((points - drawn[2:]) / drawn[:2], dtype=points.dtype)
