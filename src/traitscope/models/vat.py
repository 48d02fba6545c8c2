"""Video Action Transformer: the middle frame asks all frames what it should know.

Paper: Girdhar et al., "Video Action Transformer Network", 2019, https://arxiv.org/abs/1812.02707,
in the form of the DeepPersonality benchmark, https://arxiv.org/abs/2210.09138.

The benchmark looks at 16 consecutive of 100 frames of a clip (``sampling=consecutive``); spread
over the whole clip they see all of it.

Where we differ: pretrained weights are kept (they were initialised over), missing frames are not
looked at, and the head ends in the target range.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
from einops import rearrange
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from traitscope.config import Config as BaseConfig
from traitscope.nn.heads import RangeHead
from traitscope.nn.pretrained import BARE, Backbone
from traitscope.types import Batch, Draw, Rows, Target

STRIDE = 32
"""Of a ResNet: pixels per place of its last map."""


RATE = 6.667
"""Frames per second, of which 15 seconds have 100: 16 that follow each other span 2.4 seconds."""


class Config(BaseConfig):
    """What is seen, and sizes."""

    input: Literal["faces", "frames"] = "frames"
    """Aligned faces or whole pictures; their upright middle half is cut out."""
    frames: PositiveInt = 16
    """Frames that are looked at."""
    sampling: Literal["spread", "consecutive"] = "spread"
    """Over the whole clip, or as they follow each other (in evaluation in its middle)."""
    height: PositiveInt = 224
    """Height of a frame in pixels; it is half as wide."""
    backbone: str = "resnet50.tv_in1k"
    """A timm ResNet, with torchvision's weights by default."""
    pretrained: bool = False
    """Start the trunk from ImageNet weights in the local cache."""
    dim: PositiveInt = 1024
    """Size of what is known of a frame."""
    heads: PositiveInt = 16
    """Heads that look at slices of it."""
    units: PositiveInt = 3
    """Times each head looks."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Dropout in each unit."""


TINY = Config(frames=3, height=64, backbone="test_resnet", dim=16, heads=2, units=2, dropout=0.0)

WEIGHTS = {
    "timm:resnet50.tv_in1k": "BSD-3-Clause; ImageNet-1k (recipe vat)",
}
"""Published tensors it may start from -> licence and what they were taught on."""


def inputs(config: Config) -> dict[str, Draw]:
    """Frames spread over the clip, or a run of them."""
    # Spread, one frame of each part; consecutive, a run that begins anywhere.
    spread = config.sampling == "spread"
    draw = Draw(
        train=Rows("segments" if spread else "window", config.frames),
        evaluate=Rows("even" if spread else "center", config.frames),
        size=(config.height, config.height // 2),
        extract={} if spread else {"rate": RATE},
    )
    return {config.input: draw}


class Unit(nn.Module):
    """Look at all frames, then think: attention, add and norm, two layers, add and norm.

    Norms are fixed, as in the benchmark: they have no weights of their own.
    """

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.seen = nn.LayerNorm(dim, elementwise_affine=False)
        self.think = nn.Sequential(
            nn.Linear(dim, dim // 2), nn.ReLU(), nn.Dropout(dropout), nn.Linear(dim // 2, dim)
        )
        self.thought = nn.LayerNorm(dim, elementwise_affine=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, query: Tensor, frames: Tensor, mask: Tensor) -> Tensor:
        """(clips, 1, dim), (clips, frames, dim), (clips, frames) -> (clips, 1, dim)."""
        # Frames are keys and values as they are: there are no projections in between.
        # A head of its own, though there is one: the exporter knows attention in four axes alone.
        looked_at, hidden = frames[:, None], mask[:, None, None]
        asked = functional.scaled_dot_product_attention(
            query[:, None], looked_at, looked_at, attn_mask=hidden
        )[:, 0]
        query = self.seen(query + self.dropout(asked))
        out: Tensor = self.thought(query + self.dropout(self.think(query)))
        return out


class Model(nn.Module):
    """ResNet trunk, one vector per frame, heads of three units each, a linear layer."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        self.config = config
        self.published = Backbone(config.backbone, config.pretrained, BARE)
        self.colours, self.trunk = self.published.colours(), self.published.network()
        channels = self.trunk.num_features
        places = (math.ceil(config.height / STRIDE), math.ceil(config.height // 2 / STRIDE))
        # Trunk maps are all positive; centred, they leave room for the moments.
        self.norm = nn.BatchNorm2d(channels)
        # As large as the map of a frame, so that one place is left of it.
        self.reduce = nn.Conv2d(channels, config.dim, places, bias=False)
        self.reduced = nn.LayerNorm(config.dim, elementwise_affine=False)
        # Heads look at slices of a frame's description, each with three units of its own.
        width = config.dim // config.heads
        self.heads = nn.ModuleList(
            nn.ModuleList(Unit(width, config.dropout) for _ in range(config.units))
            for _ in range(config.heads)
        )
        self.score = nn.Linear(config.dim, len(targets))
        self.to_range = RangeHead(targets)

    def load_pretrained(self) -> None:
        """Take ImageNet weights from the local cache, if the config asks for them."""
        self.published.fill(self.trunk)

    def forward(self, batch: Batch) -> Tensor:
        """Frames (clips, frames, 3, height, height / 2) -> (clips, targets)."""
        frames, mask = batch.streams[self.config.input], batch.masks[self.config.input]
        images = self.colours(rearrange(frames, "clips time ... -> (clips time) ..."))
        maps = self.norm(self.trunk(images))
        maps = rearrange(maps, "(clips time) c h w -> clips time c h w", clips=mask.shape[0])
        moments = moments_of(maps.shape[1], maps.shape[2], maps.device)[:, :, None, None]
        # As Transformer scales its embeddings, so that the moments do not drown what is seen.
        maps = maps * maps.shape[2] ** 0.5 + moments.to(maps)
        known = torch.relu(self.reduce(rearrange(maps, "clips time c h w -> (clips time) c h w")))
        known = rearrange(known, "(clips time) d 1 1 -> clips time d", clips=mask.shape[0])
        known = self.reduced(known)
        clips, middle = torch.arange(mask.shape[0], device=mask.device), middle_frame(mask)
        answers = []
        for units, part in zip(self.heads, known.chunk(len(self.heads), dim=-1), strict=True):
            query = part[clips, middle][:, None]
            for unit in units:  # type: ignore[attr-defined]
                query = unit(query, part, mask)
            answers.append(query[:, 0])
        # Of length one, so that a head that shouts does not decide the score.
        joined = functional.normalize(torch.cat(answers, dim=-1), dim=-1)
        return self.to_range(self.score(joined))


def middle_frame(mask: Tensor) -> Tensor:
    """The frame that asks, so that it looks as far back as ahead: (clips, frames) -> (clips,).

    The middle of a clip's own frames, not of the batch's, which a longer clip would move.
    """
    before = mask.cumsum(dim=1) - 1
    # Counted among the frames that are there: a missing one has nothing to ask with.
    half = rearrange(mask.sum(dim=1) // 2, "clips -> clips 1")
    return ((before == half) & mask).int().argmax(dim=1)


def moments_of(rows: int, width: int, device: torch.device) -> Tensor:
    """Sines and cosines of the row number: (rows, width).

    With exponents of the benchmark's own: the column number enters twice as fast as in Transformer,
    so that only the first half of the columns tells moments apart, and a cosine has another
    wavelength than the sine beside it.
    """
    columns = torch.arange(width, device=device)
    angles = torch.arange(rows, device=device)[:, None] / 1e4 ** (2 * columns / width)
    return torch.where(columns % 2 == 0, angles.sin(), angles.cos())


FOREIGN = ((r"^(?:\w+\.)*?(conv1|bn1|layer[1-4])\.", r"trunk.\1."),)
"""Names in files of other programs -> ours: ResNets of torchvision and timm."""
