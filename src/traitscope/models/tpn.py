"""Temporal Pyramid Network: slow and quick behaviour from two depths of one network (TSM-ResNet50).

Papers: Yang et al., "Temporal Pyramid Network for Action Recognition", 2020,
https://arxiv.org/abs/2004.03548; Lin et al., "TSM: Temporal Shift Module for Efficient Video
Understanding", 2019, https://arxiv.org/abs/1811.08383; in the form of the DeepPersonality
benchmark, https://arxiv.org/abs/2210.09138.

    layer3 -- 3 x 3, half the places --+-- /4 in time --+-- up ----+
                                       |                |          +-- both flows, joined -- score
    layer4 ----------------------------+-- /8 in time --+-- down --+
    layer3 -- 3 x 3 -- auxiliary score (training only, weighs half)

Where we differ: channels are shifted between all frames (theirs counted other segments than there
were frames), gradient reaches every layer, and the head ends in the target range.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from einops import rearrange
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional

from traitscope.nn.heads import RangeHead
from traitscope.nn.pretrained import BARE, Backbone
from traitscope.nn.video import VideoConfig, video_draws
from traitscope.types import Batch, Draw, Target

SHIFTED = 8
"""One in so many channels comes from the frame before, one from the frame after."""
AUXILIARY = 0.5
"""Weight of the auxiliary score's loss."""


class Config(VideoConfig):
    """What is seen, and sizes."""

    size: PositiveInt = 256
    """Side of a frame in pixels."""
    backbone: str = "resnet50"
    """A timm ResNet."""
    pretrained: bool = False
    """Start the trunk from ImageNet weights in the local cache."""
    tempos: tuple[PositiveInt, PositiveInt] = (4, 8)
    """Frames that become one at the two levels: the deeper one is slower."""
    groups: PositiveInt = 32
    """Groups of the convolutions over time."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Dropout before the head."""

    @model_validator(mode="after")
    def _divides(self) -> "Config":
        if self.tempos[1] % self.tempos[0] or self.frames % self.tempos[1]:
            raise ValueError("the first of tempos must divide the second, and that the frames")
        return self


TINY = Config(frames=4, size=64, backbone="test_resnet", tempos=(1, 2), groups=2, dropout=0.0)

WEIGHTS = {
    "timm:resnet50.a1_in1k": "Apache-2.0; ImageNet-1k (recipe tpn)",
}
"""Published tensors it may start from -> licence and what they were taught on."""


def inputs(config: Config) -> dict[str, Draw]:
    """Frames spread over the clip."""
    return video_draws(config)


@dataclass(frozen=True)
class Output:
    """Predictions (clips, targets), and further scores that are taught beside them.

    Attributes:
        prediction: (clips, targets).
        auxiliary: pairs of a weight and scores (clips, targets).
    """

    prediction: Tensor
    auxiliary: tuple[tuple[float, Tensor], ...] = ()


class Shifted(nn.Module):
    """A layer that sees, in some channels, the frame before and the frame after."""

    def __init__(self, layer: nn.Module, frames: int) -> None:
        super().__init__()
        self.layer, self.frames = layer, frames

    def forward(self, maps: Tensor) -> Tensor:
        """(clips * frames, channels, h, w) -> what the layer makes of them."""
        parts = rearrange(maps, "(clips t) c h w -> clips t c h w", t=self.frames)
        # A share of the channels each way, so that most still say what is now.
        fold = max(1, parts.shape[2] // SHIFTED)
        before, after, rest = parts.split((fold, fold, parts.shape[2] - 2 * fold), dim=2)
        # Beyond the ends of a clip there is nothing.
        before = functional.pad(before[:, 1:], (0, 0, 0, 0, 0, 0, 0, 1))
        after = functional.pad(after[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0))
        shifted = torch.cat([before, after, rest], dim=2)
        out: Tensor = self.layer(rearrange(shifted, "clips t c h w -> (clips t) c h w"))
        return out


def _unit(inputs: int, outputs: int, kernel: tuple[int, int, int], **settings: Any) -> nn.Module:
    """Convolution over time and places, norm, ReLU; as many rows and places as before."""
    time, height, width = kernel
    padding = (time // 2, height // 2, width // 2)
    convolution = nn.Conv3d(inputs, outputs, kernel, padding=padding, bias=False, **settings)
    return nn.Sequential(convolution, nn.BatchNorm3d(outputs), nn.ReLU(inplace=True))


class Flow(nn.Module):
    """Both levels, brought to one tempo, through a convolution each and then joined."""

    def __init__(self, channels: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.each = nn.ModuleList(
            _unit(channels, channels, (1, 1, 1), groups=groups) for _ in range(2)
        )
        self.join = _unit(2 * channels, outputs, (1, 1, 1))

    def forward(self, quick: Tensor, slow: Tensor) -> Tensor:
        """(n, channels, t, h, w) and (n, channels, u, h, w) -> (n, outputs, u, h, w), u <= t."""
        # The largest over time: a short gesture must survive the slower tempo.
        quick = functional.adaptive_max_pool3d(quick, slow.shape[2:])
        parts = [layer(level) for layer, level in zip(self.each, (quick, slow), strict=True)]
        joined: Tensor = self.join(torch.cat(parts, dim=1))
        return joined


class Pyramid(nn.Module):
    """Two maps of one network -> one, through flows from slow to quick and from quick to slow."""

    def __init__(self, config: Config, early: int, late: int) -> None:
        super().__init__()
        self.tempos = config.tempos
        # Half the channels: two levels together are as wide as one was.
        inner = late // 2
        # The earlier level is brought to the places and channels of the later one.
        self.spatial = _unit(early, late, (1, 3, 3), stride=(1, 2, 2))
        self.temporal = nn.ModuleList(
            _unit(late, inner, (3, 1, 1), groups=config.groups) for _ in range(2)
        )
        self.down = _unit(inner, inner, (3, 1, 1))
        self.flows = nn.ModuleList(Flow(inner, late, config.groups) for _ in range(2))
        self.join = _unit(2 * late, late, (1, 1, 1))

    def forward(self, early: Tensor, late: Tensor) -> Tensor:
        """(n, early, t, h, w), (n, late, t, h / 2, w / 2) -> (n, late)."""
        levels = []
        for tempo, layer, level in zip(
            self.tempos, self.temporal, (self.spatial(early), late), strict=True
        ):
            levels.append(functional.max_pool3d(layer(level), (tempo, 1, 1)))
        quick, slow = levels
        # A whole number, which the settings check: repeating needs no interpolation.
        times = self.tempos[1] // self.tempos[0]
        quicker = quick + slow.repeat_interleave(times, dim=2)
        slower = slow + functional.max_pool3d(self.down(quick), (times, 1, 1))
        both = [self.flows[0](quicker, slow), self.flows[1](quick, slower)]
        joined: Tensor = self.join(torch.cat(both, dim=1)).mean(dim=(2, 3, 4))
        return joined


class Model(nn.Module):
    """A ResNet with shifted channels, the pyramid over its last two levels, two linear layers."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        self.config = config
        self.published = Backbone(config.backbone, config.pretrained, BARE)
        self.colours, self.trunk = self.published.colours(), self.published.network()
        _shift(self.trunk, config.frames)
        early, late = (info["num_chs"] for info in self.trunk.feature_info[-2:])
        self.pyramid = Pyramid(config, early, late)
        self.dropout = nn.Dropout(config.dropout)
        self.score = nn.Linear(late, len(targets))
        self.beside = _unit(early, late, (1, 3, 3), stride=(1, 2, 2))
        self.beside_score = nn.Linear(late, len(targets))
        self.to_range = RangeHead(targets)

    def load_pretrained(self) -> None:
        """Take ImageNet weights from the local cache, if the config asks for them."""
        plain = self.published.network()
        self.published.fill(plain)
        if self.config.pretrained:
            # The shift has wrapped layers, so names differ; their order does not.
            own = self.trunk.state_dict()
            self.trunk.load_state_dict(dict(zip(own, plain.state_dict().values(), strict=True)))

    def forward(self, batch: Batch) -> Output:
        """Frames (clips, frames, 3, size, size) -> Output."""
        stream, mask = self.config.input, batch.masks[self.config.input]
        frames = batch.streams[stream] * rearrange(mask, "clips t -> clips t 1 1 1")
        early, late = self._levels(rearrange(frames, "clips t ... -> (clips t) ..."))
        scores = self.to_range(self.score(self.dropout(self.pyramid(early, late))))
        # The second head only teaches the earlier level; predictions never see it.
        if not self.training:
            return Output(scores)
        beside = self.beside_score(self.beside(early).mean(dim=(2, 3, 4)))
        return Output(scores, ((AUXILIARY, self.to_range(beside)),))

    def _levels(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(clips * frames, 3, size, size) -> maps (clips, channels, frames, h, w) of two levels."""
        trunk: Any = self.trunk
        maps = trunk.maxpool(trunk.act1(trunk.bn1(trunk.conv1(self.colours(images)))))
        early = trunk.layer3(trunk.layer2(trunk.layer1(maps)))
        fold = "(clips t) c h w -> clips c t h w"
        frames = self.config.frames
        return rearrange(early, fold, t=frames), rearrange(trunk.layer4(early), fold, t=frames)


def _shift(trunk: Any, frames: int) -> None:
    """Let the first convolution of every block see neighbouring frames; the shortcut does not."""
    for group in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4):
        for block in group:
            block.conv1 = Shifted(block.conv1, frames)
