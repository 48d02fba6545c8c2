"""Hide one rectangle, the same in every image of a clip (random erasing).

Paper: Zhong et al., "Random Erasing Data Augmentation", 2020, https://arxiv.org/abs/1708.04896.
The rectangle is filled with the mean colour, not with noise.
"""

from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from traitscope.augment import IMAGES, Drawn
from traitscope.config import Config as BaseConfig
from traitscope.media.pictures import IMAGENET_MEAN

if TYPE_CHECKING:
    from torch import Tensor

Share = Annotated[float, Field(gt=0, lt=1)]


class Config(BaseConfig):
    """How often, and how large a rectangle."""

    streams: tuple[str, ...] = IMAGES
    """Streams of images."""
    probability: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the clips that lose a rectangle."""
    area: tuple[Share, Share] = (0.02, 0.2)
    """Smallest and largest share of the image."""
    flattest: Share = 0.3
    """Smallest ratio of the shorter to the longer side, for a square image."""


def draw(config: Config, rng: np.random.Generator) -> Drawn:
    """Decide top, left, height and width, as shares of the picture; nothing is (0, 0, 0, 0)."""
    if rng.random() >= config.probability:
        return np.zeros(4)
    area = rng.uniform(min(config.area), max(config.area))
    ratio = np.exp(rng.uniform(np.log(config.flattest), -np.log(config.flattest)))
    tall, wide = min(1.0, np.sqrt(area * ratio)), min(1.0, np.sqrt(area / ratio))
    return np.array([rng.random() * (1 - tall), rng.random() * (1 - wide), tall, wide])


def pixels(images: "Tensor", drawn: Drawn) -> "Tensor":
    """Hide a rectangle of (clips, rows, 3, height, width) behind the mean colour, in place."""
    height, width = images.shape[-2:]
    for clip in np.flatnonzero(drawn[:, 2]):
        top, left, tall, wide = drawn[clip]
        y, x = round(top * height), round(left * width)
        below, beside = y + max(1, round(tall * height)), x + max(1, round(wide * width))
        for colour, mean in enumerate(IMAGENET_MEAN.tolist()):
            images[clip, :, colour, y:below, x:beside] = 255 * mean
    return images
