"""Any video network of torchvision: R(2+1)D, MViT v2, Video Swin, S3D.

Papers: Tran et al., 2018, https://arxiv.org/abs/1711.11248; Li et al., 2022,
https://arxiv.org/abs/2112.01526; Liu et al., 2022, https://arxiv.org/abs/2106.13230; Xie et al.,
2018, https://arxiv.org/abs/1712.04851.

Where we differ: frames are spread over the whole clip, and the head ends in the target range.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import PositiveInt, model_validator
from torch import Tensor, nn

from traitscope.config import Config as BaseConfig
from traitscope.nn.heads import RangeHead
from traitscope.nn.video import VideoConfig, video_draws, video_of
from traitscope.types import Batch, Draw, Target

Name = Literal[
    "r2plus1d_18",
    "r3d_18",
    "mc3_18",
    "s3d",
    "mvit_v1_b",
    "mvit_v2_s",
    "swin3d_t",
    "swin3d_s",
    "swin3d_b",
]
LEAST_FRAMES, LEAST_SIZE = {"s3d": 14}, {"s3d": 224}
"""S3D ends in an average over two rows of 7 x 7 places."""
FIXED = {"mvit_v1_b": (16, 224), "mvit_v2_s": (16, 224)}
"""Frames and size that a network is made for."""


class Swin(BaseConfig):
    """Sizes of a Video Swin of one's own."""

    embed_dim: PositiveInt = 96
    """Width of the first stage; each further one has twice as many."""
    depths: tuple[PositiveInt, ...] = (2, 2, 6, 2)
    """Blocks of the stages."""
    num_heads: tuple[PositiveInt, ...] = (3, 6, 12, 24)
    """Attention heads of the stages."""
    window_size: tuple[PositiveInt, PositiveInt, PositiveInt] = (8, 7, 7)
    """Patches that look at each other: in time, height and width."""

    @model_validator(mode="after")
    def _heads_per_stage(self) -> "Swin":
        if len(self.depths) != len(self.num_heads):
            raise ValueError(f"{len(self.num_heads)} num_heads for {len(self.depths)} depths")
        if any(self.embed_dim * 2**n % heads for n, heads in enumerate(self.num_heads)):
            raise ValueError("num_heads must divide the widths of their stages")
        return self


class Config(VideoConfig):
    """Which network, on what."""

    backbone: Name = "r2plus1d_18"
    """A video network of torchvision."""
    swin: Swin | None = None
    """Other sizes for ``swin3d_t``, for small machines and tests."""

    @model_validator(mode="after")
    def _possible(self) -> "Config":
        if self.frames < LEAST_FRAMES.get(self.backbone, 1):
            raise ValueError(f"{self.backbone} needs {LEAST_FRAMES[self.backbone]} frames")
        if self.size < LEAST_SIZE.get(self.backbone, 1):
            raise ValueError(f"{self.backbone} needs {LEAST_SIZE[self.backbone]} px")
        if (self.frames, self.size) != FIXED.get(self.backbone, (self.frames, self.size)):
            frames, size = FIXED[self.backbone]
            raise ValueError(f"{self.backbone} takes {frames} frames of {size} px alone")
        if self.swin is not None and self.backbone != "swin3d_t":
            raise ValueError(f"swin has sizes of swin3d_t, not of {self.backbone}")
        return self


TINY = Config(
    backbone="swin3d_t",
    frames=4,
    size=32,
    swin=Swin(embed_dim=8, depths=(1, 1), num_heads=(1, 2), window_size=(2, 2, 2)),
)


def inputs(config: Config) -> dict[str, Draw]:
    """Frames spread over the clip."""
    return video_draws(config)


class Model(nn.Module):
    """The network with a classifier that gives a score per target."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        self.input = config.input
        self.network = _network(config, len(targets))
        self.to_range = RangeHead(targets)

    def forward(self, batch: Batch) -> Tensor:
        """Frames (clips, frames, 3, size, size) -> (clips, targets)."""
        scores: Tensor = self.to_range(self.network(video_of(batch, self.input)))
        return scores


def _network(config: Config, targets: int) -> nn.Module:
    from torchvision.models import get_model
    from torchvision.models.video.swin_transformer import SwinTransformer3d

    if config.swin is None:
        network: nn.Module = get_model(config.backbone, weights=None, num_classes=targets)
        return network
    sizes = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in config.swin.model_dump().items()
    }
    # torchvision has fixed sizes by name; a smaller one is put together here.
    network = SwinTransformer3d(
        patch_size=[2, 4, 4], stochastic_depth_prob=0.0, num_classes=targets, **sizes
    )
    return network
