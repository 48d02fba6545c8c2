"""What models share that score single pictures of a clip: settings, and how pictures are drawn."""

from typing import Literal

from pydantic import PositiveInt

from traitscope.config import Config as BaseConfig
from traitscope.types import Draw, Rows


class ImagesConfig(BaseConfig):
    """On what, and how many images of a clip."""

    input: Literal["faces", "frames"] = "frames"
    """Aligned faces, or whole pictures cut to a square."""
    size: PositiveInt = 224
    """Side of an image in pixels."""
    images: PositiveInt = 1
    """Random images of a clip per training epoch."""
    evaluation_images: PositiveInt = 8
    """Evenly spaced images of a clip in evaluation."""


def image_draws(config: ImagesConfig) -> dict[str, Draw]:
    """Draw random images in training, evenly spaced ones in evaluation."""
    train, evaluate = Rows("random", config.images), Rows("even", config.evaluation_images)
    return {config.input: Draw(train=train, evaluate=evaluate, size=config.size)}
