"""What models share that score single pictures of a clip: how they are drawn, scored and averaged.

In: a batch with a stream of pictures. Out: the scores of each picture, and of the clip.
"""

from collections.abc import Callable
from typing import Literal

from einops import rearrange
from pydantic import PositiveInt
from torch import Tensor

from traitscope.config import Config as BaseConfig
from traitscope.nn.heads import RowScores
from traitscope.types import Batch, Draw, Rows


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


def score_images(batch: Batch, stream: str, score: Callable[[Tensor], Tensor]) -> RowScores:
    """Score every picture by itself.

    Args:
        batch: with a stream (clips, rows, 3, height, width).
        stream: its name.
        score: (images, 3, height, width) -> (images, targets).
    """
    mask = batch.masks[stream]
    scores = score(rearrange(batch.streams[stream], "clips rows ... -> (clips rows) ..."))
    return RowScores(rearrange(scores, "(clips rows) t -> clips rows t", clips=len(mask)), mask)
