"""SlowFast: few frames with many channels beside many frames with few (SlowFast-R50 4x16).

Paper: Feichtenhofer et al., "SlowFast Networks for Video Recognition", 2019,
https://arxiv.org/abs/1812.03982, in the form of the DeepPersonality benchmark,
https://arxiv.org/abs/2210.09138.

Where we differ: scores end in the target range in training as in evaluation (theirs passed a
sigmoid in evaluation alone), and frames are spread over the whole clip.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from traitscope.nn.heads import RangeHead
from traitscope.nn.video import VideoConfig, video_draws, video_of
from traitscope.types import Batch, Draw, Target

EXPANSION = 4
LATERAL = 2
"""Channels that the fast pathway gives to the slow one, as a multiple of its own."""


class Config(VideoConfig):
    """What is seen, and sizes."""

    frames: PositiveInt = 64
    """Frames of the fast pathway."""
    alpha: PositiveInt = 4
    """The slow pathway sees every alpha-th of them."""
    beta: PositiveInt = 8
    """The fast pathway has this many times fewer channels."""
    fusion: Annotated[int, Field(ge=1)] = 7
    """Frames that a lateral connection reaches over; odd."""
    layers: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (3, 4, 6, 3)
    """Blocks of the four groups: those of ResNet50."""
    width: Annotated[int, Field(ge=2)] = 64
    """Channels of the slow pathway's first group."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Dropout before the head."""

    @model_validator(mode="after")
    def _divides(self) -> "Config":
        if self.frames % self.alpha or self.width % self.beta or not self.fusion % 2:
            raise ValueError("alpha must divide frames, beta width, and fusion must be odd")
        return self


TINY = Config(frames=8, size=32, beta=4, layers=(1, 1, 1, 1), width=8, fusion=3, dropout=0.0)


def inputs(config: Config) -> dict[str, Draw]:
    """Frames spread over the clip."""
    # All frames of the fast pathway; the slow one takes its share in the network.
    return video_draws(config)


class Bottleneck(nn.Module):
    """Over time and to fewer channels, over places, to more channels; beside it a shortcut."""

    def __init__(self, inputs: int, inner: int, *, stride: int, reach: int) -> None:
        super().__init__()
        outputs = inner * EXPANSION
        self.layers = nn.Sequential(
            nn.Conv3d(inputs, inner, (reach, 1, 1), padding=(reach // 2, 0, 0), bias=False),
            *(nn.BatchNorm3d(inner), nn.ReLU(inplace=True)),
            nn.Conv3d(inner, inner, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False),
            *(nn.BatchNorm3d(inner), nn.ReLU(inplace=True)),
            *(nn.Conv3d(inner, outputs, 1, bias=False), nn.BatchNorm3d(outputs)),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut.append(nn.Conv3d(inputs, outputs, 1, (1, stride, stride), bias=False))
            self.shortcut.append(nn.BatchNorm3d(outputs))

    def forward(self, block: Tensor) -> Tensor:
        """(n, inputs, t, h, w) -> (n, 4 inner, t, h / stride, w / stride)."""
        return (self.layers(block) + self.shortcut(block)).relu()


class Pathway(nn.Module):
    """One of the two networks, as stages that the other one can look into.

    Args:
        config: blocks and sizes.
        width: channels of the first group.
        reaches: frames that the stem and each group reach over.
        lateral: channels that come in beside the pathway's own, per stage, as a share of width.
    """

    def __init__(self, config: Config, width: int, reaches: Sequence[int], lateral: int) -> None:
        super().__init__()
        reach = reaches[0]
        stem = nn.Sequential(
            nn.Conv3d(3, width, (reach, 7, 7), (1, 2, 2), (reach // 2, 3, 3), bias=False),
            *(nn.BatchNorm3d(width), nn.ReLU(inplace=True)),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        )
        stages, before, beside = [stem], width, lateral
        for group, (count, reach) in enumerate(zip(config.layers, reaches[1:], strict=True)):
            inner, blocks = width * 2**group, []
            for place in range(count):
                stride = 2 if group and not place else 1
                into = before if place else before + beside
                blocks.append(Bottleneck(into, inner, stride=stride, reach=reach))
                before = inner * EXPANSION
            beside = lateral * EXPANSION * 2**group
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.num_features = before


class Model(nn.Module):
    """Both pathways, the fast one feeding the slow one after every stage but the last."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        self.config = config
        narrow = config.width // config.beta
        # The slow pathway reaches over time only late, where there is something to follow.
        self.slow = Pathway(config, config.width, (1, 1, 1, 3, 3), lateral=narrow * LATERAL)
        self.fast = Pathway(config, narrow, (5, 3, 3, 3, 3), lateral=0)
        given = [narrow, *(narrow * EXPANSION * 2**group for group in range(3))]
        self.laterals = nn.ModuleList(self._lateral(channels) for channels in given)
        self.dropout = nn.Dropout(config.dropout)
        features = self.slow.num_features + self.fast.num_features
        self.score = nn.Linear(features, len(targets))
        self.to_range = RangeHead(targets)

    def _lateral(self, channels: int) -> nn.Sequential:
        """Fast (n, channels, t, h, w) -> slow (n, 2 channels, t / alpha, h, w)."""
        reach, alpha = self.config.fusion, self.config.alpha
        return nn.Sequential(
            nn.Conv3d(
                channels,
                channels * LATERAL,
                (reach, 1, 1),
                stride=(alpha, 1, 1),
                padding=(reach // 2, 0, 0),
                bias=False,
            ),
            nn.BatchNorm3d(channels * LATERAL),
            nn.ReLU(inplace=True),
        )

    def forward(self, batch: Batch) -> Tensor:
        """Frames (clips, frames, 3, size, size) -> (clips, targets)."""
        fast = video_of(batch, self.config.input)
        slow = fast[:, :, :: self.config.alpha]
        for place, (slow_stage, fast_stage) in enumerate(
            zip(self.slow.stages, self.fast.stages, strict=True)
        ):
            slow, fast = slow_stage(slow), fast_stage(fast)
            if place < len(self.laterals):
                slow = torch.cat([slow, self.laterals[place](fast)], dim=1)
        averages = torch.cat([slow.mean(dim=(2, 3, 4)), fast.mean(dim=(2, 3, 4))], dim=1)
        scores: Tensor = self.to_range(self.score(self.dropout(averages)))
        return scores
