"""Hide one rectangle, the same in every image of a clip (random erasing).

Paper: Zhong et al., "Random Erasing Data Augmentation", 2020, https://arxiv.org/abs/1708.04896.
The rectangle is filled with the mean colour, not with noise.
"""

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from traitscope.augment import Changed, Masks, Streams
from traitscope.augment._rows import IMAGES, change_rows
from traitscope.config import Config as BaseConfig

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


def augment(streams: Streams, masks: Masks, config: Config, rng: np.random.Generator) -> Changed:
    """Hide a rectangle of (rows, 3, height, width) behind zeros, the mean colour."""
    if rng.random() >= config.probability:
        return dict(streams), dict(masks)
    area = rng.uniform(min(config.area), max(config.area))
    ratio = np.exp(rng.uniform(np.log(config.flattest), -np.log(config.flattest)))
    tall, wide = min(1.0, np.sqrt(area * ratio)), min(1.0, np.sqrt(area / ratio))
    top, left = rng.random() * (1 - tall), rng.random() * (1 - wide)

    def hide(rows: NDArray[Any]) -> NDArray[Any]:
        height, width = rows.shape[-2:]
        y, x = round(top * height), round(left * width)
        below, beside = y + max(1, round(tall * height)), x + max(1, round(wide * width))
        hidden = rows.copy()
        hidden[:, :, y:below, x:beside] = 0
        return hidden

    return change_rows(streams, masks, config.streams, hide)
