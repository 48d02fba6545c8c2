"""Deep Impression: a frame and a piece of sound through two ResNet18s, joined late.

Paper: Gucluturk et al., "Deep Impression: Audiovisual Deep Residual Networks for Multimodal
Apparent Personality Trait Recognition", 2016, https://arxiv.org/abs/1609.05119.

Two forms: ``join=hidden`` is that of the DeepPersonality benchmark, https://arxiv.org/abs/2210.09138
(a hidden layer over both senses; none over the picture alone), ``join=linear`` with
``evaluation_images=all`` that of the authors' own code (both senses straight into one layer, tanh,
the average over all frames).

Where we differ: the head ends in the target range, and nothing of a test frame is drawn at random.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from einops import rearrange
from pydantic import PositiveInt
from torch import nn

from traitscope.config import Config as BaseConfig
from traitscope.nn.heads import RangeHead, RowScores
from traitscope.nn.images import Images, each_image, evaluated
from traitscope.nn.initial import from_scratch
from traitscope.nn.resnets import resnet
from traitscope.nn.sound import sound_draw, waveform_of
from traitscope.types import Batch, Draw, Rows, Target


class Config(BaseConfig):
    """What is seen and heard, sizes of what they get, channels of the networks."""

    senses: Literal["audiovisual", "visual"] = "audiovisual"
    """Picture and sound, or the picture alone."""
    input: Literal["faces", "frames"] = "frames"
    """An aligned face, or a whole picture cut to a square."""
    join: Literal["hidden", "linear"] = "hidden"
    """What both senses go through before the scores: a hidden layer, or nothing (then tanh)."""
    evaluation_images: Images = 1
    """Evenly spaced pictures of a clip in evaluation, or all that are stored."""
    size: PositiveInt = 224
    """Side of the picture in pixels."""
    samples: PositiveInt = 50_176
    """Samples of sound at 16 kHz."""
    channels: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (32, 64, 128, 256)
    """Channels of the four groups of blocks of both networks."""


TINY = Config(size=32, samples=2048, channels=(4, 4, 8, 8))


def inputs(config: Config) -> dict[str, Draw]:
    """One picture (or several in evaluation), and part of the waveform."""
    # The sound is that of the middle, whichever pictures are seen.
    rows = evaluated(config.evaluation_images)
    picture = Draw(train=Rows("random", 1), evaluate=rows, size=config.size)
    if config.senses == "visual":
        return {config.input: picture}
    return {config.input: picture, "waveform": sound_draw(config.samples)}


class Model(nn.Module):
    """Two ResNet18s, their averages side by side, a hidden layer or none, one layer."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        width = config.channels[-1]
        self.input = config.input
        hears = config.senses == "audiovisual"
        # Both networks are half as wide as ImageNet's: 6000 clips do not fill more.
        self.see = resnet(18, config.channels, sound=False)
        self.hear = resnet(18, config.channels, sound=True) if hears else None
        joined = 2 * width if hears else width
        # One sense has nothing to be joined with: its average goes straight into the scores.
        hidden = config.join == "hidden" and hears
        layers = [nn.Linear(joined, width), nn.LayerNorm(width), nn.ReLU()] if hidden else []
        self.join = nn.Sequential(*layers)
        self.score = nn.Linear(width if hidden else joined, len(targets))
        self.to_range = RangeHead(targets)
        self.samples = config.samples
        # (tanh(x) + 1) / 2, the authors' head, is the sigmoid of 2 x.
        self.slope = 2.0 if config.join == "linear" else 1.0
        from_scratch(self)

    def forward(self, batch: Batch) -> RowScores:
        """Pictures (clips, images, 3, s, s), ``waveform`` (clips, samples) -> scores of each."""
        mask = batch.masks[self.input]
        seen = each_image(batch, self.input, lambda images: self.see(images).mean(dim=(2, 3)))
        # Pictures of one clip stay apart until their scores are averaged.
        senses = [rearrange(seen, "(clips rows) c -> clips rows c", clips=mask.shape[0])]
        if self.hear is not None:
            heard = self.hear(waveform_of(batch, self.samples)).mean(dim=2)
            senses.append(heard[:, None].expand(-1, mask.shape[1], -1))  # heard once, seen often
        scores = self.slope * self.score(self.join(torch.cat(senses, dim=2)))
        return RowScores(self.to_range(scores), mask)
