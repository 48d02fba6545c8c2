"""Deep Impression: a frame and a piece of sound through two ResNet18s, joined late.

Paper: Gucluturk et al., "Deep Impression: Audiovisual Deep Residual Networks for Multimodal
Apparent Personality Trait Recognition", 2016, https://arxiv.org/abs/1609.05119.

Where we differ: the head ends in the target range, and nothing of a test frame is drawn at random.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from traitscope.config import Config as BaseConfig
from traitscope.nn.heads import RangeHead
from traitscope.nn.resnets import resnet
from traitscope.nn.sound import sound_draw, waveform_of
from traitscope.types import Batch, Draw, Rows, Target


class Config(BaseConfig):
    """What is seen and heard, sizes of what they get, channels of the networks."""

    senses: Literal["audiovisual", "visual"] = "audiovisual"
    """Picture and sound, or the picture alone."""
    input: Literal["faces", "frames"] = "frames"
    """An aligned face, or a whole picture cut to a square."""
    size: PositiveInt = 224
    """Side of the picture in pixels."""
    samples: PositiveInt = 50_176
    """Samples of sound at 16 kHz."""
    channels: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (32, 64, 128, 256)
    """Channels of the four groups of blocks of both networks."""


TINY = Config(size=32, samples=2048, channels=(4, 4, 8, 8))


def inputs(config: Config) -> dict[str, Draw]:
    """One picture, and part of the waveform."""
    picture = Draw(train=Rows("random", 1), evaluate=Rows("even", 1), size=config.size)
    if config.senses == "visual":
        return {config.input: picture}
    return {config.input: picture, "waveform": sound_draw(config.samples)}


class Model(nn.Module):
    """Two ResNet18s, their averages side by side, a hidden layer, one layer."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        width = config.channels[-1]
        self.input = config.input
        hears = config.senses == "audiovisual"
        self.see = resnet(18, config.channels, sound=False)
        self.hear = resnet(18, config.channels, sound=True) if hears else None
        joined = 2 * width if hears else width
        self.join = nn.Sequential(nn.Linear(joined, width), nn.LayerNorm(width), nn.ReLU())
        self.score = nn.Linear(width, len(targets))
        self.to_range = RangeHead(targets)

    def forward(self, batch: Batch) -> Tensor:
        """Picture (clips, 1, 3, s, s), ``waveform`` (clips, samples) -> (clips, targets)."""
        senses = [self.see(batch.streams[self.input][:, 0]).mean(dim=(2, 3))]
        if self.hear is not None:
            senses.append(self.hear(waveform_of(batch)).mean(dim=2))
        return self.to_range(self.score(self.join(torch.cat(senses, dim=1))))
