"""What models share that see a clip as a block of frames: how they are drawn, and their shape.

In: a batch with a stream of pictures. Out: (clips, 3, frames, size, size), as video networks of
torchvision and the papers take it.
"""

from typing import Literal

from einops import rearrange
from pydantic import PositiveInt
from torch import Tensor

from traitscope.config import Config as BaseConfig
from traitscope.types import Batch, Draw, Rows


class VideoConfig(BaseConfig):
    """On what, how many frames of a clip, how large."""

    input: Literal["faces", "frames"] = "frames"
    """Aligned faces, or whole pictures cut to a square."""
    frames: PositiveInt = 16
    """Frames over the clip."""
    size: PositiveInt = 224
    """Side of a frame in pixels."""


def video_draws(config: VideoConfig) -> dict[str, Draw]:
    """Draw one frame in each part of the clip in training, evenly spaced ones in evaluation."""
    rows = Rows("segments", config.frames), Rows("even", config.frames)
    return {config.input: Draw(*rows, size=config.size)}


def video_of(batch: Batch, stream: str) -> Tensor:
    """The frames as a block, of the mean colour where one is missing.

    Args:
        batch: with a stream (clips, frames, 3, size, size).
        stream: its name.

    Returns:
        (clips, 3, frames, size, size).
    """
    there = rearrange(batch.masks[stream], "clips frames -> clips frames 1 1 1")
    return rearrange(batch.streams[stream] * there, "clips t c h w -> clips c t h w")
