"""Pictures in networks: how they are normalised, and what models share that score single ones.

In: a batch with a stream of pictures. Out: the scores of each picture, and of the clip.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from einops import rearrange
from pydantic import PositiveInt
from torch import Tensor

from traitscope.config import Config as BaseConfig
from traitscope.media.pictures import IMAGENET_MEAN, IMAGENET_SD
from traitscope.nn.heads import RowScores
from traitscope.types import Batch, Draw, Rows

Images = PositiveInt | Literal["all"]
"""How many of the stored images of a clip."""

AT_ONCE = 64
"""Images that go through a network together in evaluation: all of several clips are too many."""


class ImagesConfig(BaseConfig):
    """On what, and how many images of a clip."""

    input: Literal["faces", "frames"] = "frames"
    """Aligned faces, or whole pictures cut to a square."""
    size: PositiveInt = 224
    """Side of an image in pixels."""
    images: PositiveInt = 1
    """Random images of a clip per training epoch."""
    evaluation_images: Images = 8
    """Evenly spaced images of a clip in evaluation, or all that are stored."""


def image_draws(config: ImagesConfig) -> dict[str, Draw]:
    """Draw random images in training, evenly spaced ones in evaluation."""
    train, evaluate = Rows("random", config.images), evaluated(config.evaluation_images)
    return {config.input: Draw(train=train, evaluate=evaluate, size=config.size)}


def as_images(pixels: Tensor) -> Tensor:
    """Turn pixels (clips, rows, height, width, 3) uint8 into (clips, rows, 3, height, width).

    They are float, in 0..255. On a GPU the colours of a pixel stay side by side in memory
    ("channels last") as tensor cores want them; on a CPU one colour lies after another: there
    PyTorch 2.15 ends the process in the backward pass of some convolutions otherwise.
    """
    images = pixels.permute(0, 1, 4, 2, 3)
    return images.float() if images.is_cuda else images.contiguous().float()


def normalised(images: Tensor) -> Tensor:
    """Normalise (clips, rows, 3, height, width), float RGB in 0..255, as for ImageNet, in place."""
    scale, shift = _factors(images.device)
    return images.mul_(scale).add_(shift)


@lru_cache(maxsize=16)
def _factors(device: torch.device) -> tuple[Tensor, Tensor]:
    """Factor and summand (3, 1, 1) of each colour.

    They are kept, for bringing them to a device anew would hold up every step.
    """
    both = np.stack([1 / (255 * IMAGENET_SD), -IMAGENET_MEAN / IMAGENET_SD])
    scale, shift = torch.from_numpy(both)[..., None, None].to(device)
    return scale, shift


def evaluated(images: Images) -> Rows:
    """The rows that are scored of a clip: evenly spaced ones, or all."""
    # Rows that are missing come along with "all": their mask is False.
    return Rows("all") if images == "all" else Rows("even", images)


def score_images(batch: Batch, stream: str, score: Callable[[Tensor], Tensor]) -> RowScores:
    """Score every picture by itself.

    Args:
        batch: with a stream (clips, rows, 3, height, width).
        stream: its name.
        score: (images, 3, height, width) -> (images, targets).
    """
    # Missing pictures are scored like others (zeros) and left out of the mean.
    mask = batch.masks[stream]
    scores = each_image(batch, stream, score)
    return RowScores(rearrange(scores, "(clips rows) t -> clips rows t", clips=mask.shape[0]), mask)


def each_image(batch: Batch, stream: str, see: Callable[[Tensor], Tensor]) -> Tensor:
    """Put every picture of a batch through a network, in evaluation a few at a time.

    Args:
        batch: with a stream (clips, rows, 3, height, width).
        stream: its name.
        see: (images, 3, height, width) -> (images, ...).

    Returns:
        (clips x rows, ...), a clip's rows together.
    """
    images = rearrange(batch.streams[stream], "clips rows ... -> (clips rows) ...")
    if torch.is_grad_enabled():  # its batch normalisation takes the statistics of all of them
        return see(images)
    return torch.cat([see(part) for part in images.split(AT_ONCE)])
