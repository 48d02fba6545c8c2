"""Change brightness, contrast and saturation, alike in every image of a clip."""

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from traitscope.augment import Changed, Masks, Streams
from traitscope.augment._rows import IMAGES, change_rows
from traitscope.config import Config as BaseConfig
from traitscope.media.pictures import IMAGENET_MEAN, IMAGENET_SD

Share = Annotated[float, Field(ge=0, lt=1)]
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Share of red, green and blue in what looks bright (ITU-R BT.601)."""


class Config(BaseConfig):
    """How far each factor may be from one."""

    streams: tuple[str, ...] = IMAGES
    """Streams of images."""
    brightness: Share = 0.2
    """Factor on all values."""
    contrast: Share = 0.2
    """Factor on the distance from the image's mean grey."""
    saturation: Share = 0.2
    """Factor on the distance of each pixel from its own grey."""


def augment(streams: Streams, masks: Masks, config: Config, rng: np.random.Generator) -> Changed:
    """Change (rows, 3, height, width), which are normalised as for ImageNet."""
    mean, sd = IMAGENET_MEAN[:, None, None], IMAGENET_SD[:, None, None]
    spreads = np.array([config.brightness, config.contrast, config.saturation])
    brightness, contrast, saturation = (1 + rng.uniform(-spreads, spreads)).astype(np.float32)

    def recolour(rows: NDArray[Any]) -> NDArray[Any]:
        pixels = (rows * sd + mean) * brightness
        grey = np.einsum("rchw,c->rhw", pixels, LUMA)[:, None]
        middle = grey.mean(axis=(2, 3), keepdims=True)
        pixels = grey + saturation * (pixels - grey)
        pixels = middle + contrast * (pixels - middle)
        return np.asarray((np.clip(pixels, 0, 1) - mean) / sd, dtype=np.float32)

    return change_rows(streams, masks, config.streams, recolour)
