"""A residual network whose kernels reach over time as over places (3D-ResNet50).

Paper: Hara et al., "Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and ImageNet?", 2018,
https://arxiv.org/abs/1711.09577, in the form of the DeepPersonality benchmark,
https://arxiv.org/abs/2210.09138.

Where we differ: frames are spread over the whole clip, and the head ends in the target range.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from traitscope.nn.heads import RangeHead
from traitscope.nn.video import VideoConfig, video_draws, video_of
from traitscope.types import Batch, Draw, Target

EXPANSION = 4
"""A block gives four times the channels that it computes on."""


class Config(VideoConfig):
    """What is seen, and sizes."""

    layers: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (3, 4, 6, 3)
    """Blocks of the four groups: those of ResNet50."""
    width: Annotated[int, Field(ge=2)] = 64
    """Channels of the first group; each further one has twice as many."""


TINY = Config(frames=4, size=32, layers=(1, 1, 1, 1), width=4)


def inputs(config: Config) -> dict[str, Draw]:
    """Frames spread over the clip."""
    return video_draws(config)


class Bottleneck(nn.Module):
    """Fewer channels, 3 x 3 x 3, more channels; the shortcut is projected where sizes differ."""

    def __init__(self, inputs: int, inner: int, stride: int) -> None:
        super().__init__()
        outputs = inner * EXPANSION
        self.layers = nn.Sequential(
            *(nn.Conv3d(inputs, inner, 1, bias=False), nn.BatchNorm3d(inner), nn.ReLU(True)),
            nn.Conv3d(inner, inner, 3, stride, 1, bias=False),
            *(nn.BatchNorm3d(inner), nn.ReLU(True)),
            *(nn.Conv3d(inner, outputs, 1, bias=False), nn.BatchNorm3d(outputs)),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut.append(nn.Conv3d(inputs, outputs, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm3d(outputs))

    def forward(self, block: Tensor) -> Tensor:
        """(n, inputs, t, h, w) -> (n, 4 inner, t / stride, h / stride, w / stride)."""
        return (self.layers(block) + self.shortcut(block)).relu()


class Model(nn.Module):
    """Stem, four groups of bottlenecks, the average over time and places, a linear layer."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        self.input = config.input
        # Frames are already far apart in time: the stem halves places only, the pooling both.
        layers: list[nn.Module] = [
            nn.Conv3d(3, config.width, 7, (1, 2, 2), 3, bias=False),
            nn.BatchNorm3d(config.width),
            nn.ReLU(inplace=True),
            nn.MaxPool3d(3, 2, 1),
        ]
        before = config.width
        for group, count in enumerate(config.layers):
            inner = config.width * 2**group
            for place in range(count):
                # The first block of a group halves time and places, but not in the first group.
                layers.append(Bottleneck(before, inner, 2 if group and not place else 1))
                before = inner * EXPANSION
        self.trunk = nn.Sequential(*layers)
        self.score = nn.Linear(before, len(targets))
        self.to_range = RangeHead(targets)

    def forward(self, batch: Batch) -> Tensor:
        """Frames (clips, frames, 3, size, size) -> (clips, targets)."""
        # Time and places are averaged alike: when something happened is not kept.
        seen = self.trunk(video_of(batch, self.input)).mean(dim=(2, 3, 4))
        scores: Tensor = self.to_range(self.score(seen))
        return scores
