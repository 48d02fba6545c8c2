"""Change brightness, contrast and saturation, alike in every image of a clip."""

from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from traitscope.augment import IMAGES, Drawn
from traitscope.config import Config as BaseConfig

if TYPE_CHECKING:
    from torch import Tensor

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


def draw(config: Config, rng: np.random.Generator) -> Drawn:
    """Decide the factors of brightness, contrast and saturation."""
    spreads = np.array([config.brightness, config.contrast, config.saturation])
    return 1 + rng.uniform(-spreads, spreads)


def pixels(images: "Tensor", drawn: Drawn) -> "Tensor":
    """Change (clips, rows, 3, height, width).

    All three are linear, so that one matrix does them: with the luma L (1, 3), brightness b,
    contrast c, saturation s and the mean grey m of a picture, a pixel p becomes

        c b (s p + (1 - s) L p) + (1 - c) m
    """
    import torch

    brightness, contrast, saturation = (column[:, None, None] for column in drawn.T)
    mixing = saturation * np.eye(3) + (1 - saturation) * LUMA  # rows: what goes into a colour
    factors = (
        contrast * brightness * mixing,
        (1 - contrast[..., 0]) * brightness[..., 0] * LUMA,
    )
    matrix, grey = (torch.from_numpy(np.ascontiguousarray(f)).to(images) for f in factors)
    rest = torch.einsum("nrc,nc->nr", images.mean(dim=(3, 4)), grey)
    changed = torch.matmul(matrix[:, None], images.flatten(3)).view(images.shape)
    return changed.add_(rest[..., None, None, None]).clamp_(0, 255)
