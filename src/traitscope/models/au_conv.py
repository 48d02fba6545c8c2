"""Networks made for pictures, over facial signals: VGG19, DenseNet121, a transformer, ResNet18.

System: the action-unit baselines of the DeepPersonality benchmark,
https://arxiv.org/abs/2210.09138. Papers: VGG, https://arxiv.org/abs/1409.1556; DenseNet,
https://arxiv.org/abs/1608.06993; ViT, https://arxiv.org/abs/2010.11929; ResNet,
https://arxiv.org/abs/1512.03385.

Where we differ: channels are facial signals (their 39 included frame numbers, times and confidence,
which tell clips apart), rows that are missing are the standardised mean, and the head ends in the
target range. Kernels and heads are chosen so that at 39 channels each variant has the published
number of weights.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from einops import rearrange, repeat
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from traitscope.config import Config as BaseConfig
from traitscope.nn.heads import RangeHead
from traitscope.nn.pretrained import timm_backbone
from traitscope.nn.resnets import DEPTHS, Block
from traitscope.nn.series import signal_draws, to_length
from traitscope.types import Batch, Draw, Target

VGG19 = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)
"""Channels of the convolutions; a max-pool follows each block."""
VGG_HEAD = 2048
DENSE = (6, 12, 24, 16)
"""Layers of DenseNet121's four blocks."""
GROWTH, DENSE_KERNEL = 32, 11
PATCH, HEADS, HEAD = 16, 8, 64
"""Of the transformer: rows of a patch, attention heads, and the size of each."""


class Config(BaseConfig):
    """Which network, which signals."""

    variant: Literal["vgg19", "densenet121", "vit", "resnet18", "resnet2d"] = "resnet18"
    """One-dimensional over time; ``resnet2d`` takes signals x time as a picture."""
    columns: tuple[str, ...] = ("AU*", "gaze_angle_*", "pose_*")
    """Patterns of the signals that are channels."""
    rows: PositiveInt = 400
    """Rows of a clip, at the rate of the video: a random run in training, else the middle."""
    width: Annotated[int, Field(ge=1)] = 1
    """Divides the channels, for small machines and tests; not of ``resnet2d``."""


TINY = Config(rows=32, width=8)


def inputs(config: Config) -> dict[str, Draw]:
    """Facial signals of every frame."""
    return signal_draws(config.columns, config.rows)


class Model(nn.Module):
    """One of five networks over (signals, rows)."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        self.config = config
        (signals,) = shapes["signals"]
        make = {
            "vgg19": _vgg19,
            "densenet121": _densenet121,
            "vit": Transformer,
            "resnet18": _resnet18,
            "resnet2d": _picture,
        }[config.variant]
        self.network = make(config, signals, len(targets))
        self.to_range = RangeHead(targets)

    def forward(self, batch: Batch) -> Tensor:
        """``signals`` (clips, rows, columns) -> (clips, targets)."""
        series = to_length(batch, "signals", self.config.rows)
        scores: Tensor = self.to_range(self.network(rearrange(series, "clips t s -> clips s t")))
        return scores


class Average(nn.Module):
    """The mean over time."""

    def forward(self, series: Tensor) -> Tensor:
        """(n, channels, rows) -> (n, channels)."""
        return series.mean(dim=2)


def _vgg19(config: Config, signals: int, targets: int) -> nn.Module:
    layers: list[nn.Module] = []
    before = signals
    for block in VGG19:
        for channels in (count // config.width for count in block):
            layers += [nn.Conv1d(before, channels, 3, padding=1), nn.ReLU(inplace=True)]
            before = channels
        layers.append(nn.MaxPool1d(2))
    hidden = VGG_HEAD // config.width
    # As VGG ends, two hidden layers with dropout, at half the width.
    for inputs_ in (before, hidden):
        layers += [nn.Linear(inputs_, hidden), nn.ReLU(inplace=True), nn.Dropout(0.5)]
    # Between the last pooling and the first hidden layer.
    place = len(VGG19) + 2 * sum(map(len, VGG19))
    layers.insert(place, Average())
    return nn.Sequential(*layers, nn.Linear(hidden, targets))


def _resnet18(config: Config, signals: int, targets: int) -> nn.Module:
    channels = [size // config.width for size in (32, 64, 128, 256)]
    layers: list[nn.Module] = [nn.Conv1d(signals, channels[0], 7, 2, 3, bias=False)]
    layers += [nn.BatchNorm1d(channels[0]), nn.ReLU(inplace=True), nn.MaxPool1d(3, 2, 1)]
    before = channels[0]
    for group, (count, width) in enumerate(zip(DEPTHS[18], channels, strict=True)):
        for place in range(count):
            stride = 2 if group and not place else 1
            layers.append(Block(before, width, stride=stride, sound=True))
            before = width
    return nn.Sequential(*layers, Average(), nn.Linear(before, targets))


class Dense(nn.Module):
    """Two convolutions whose result is put beside what came in."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.BatchNorm1d(inputs), nn.ReLU(inplace=True)),
            nn.Conv1d(inputs, 4 * growth, 1, bias=False),
            *(nn.BatchNorm1d(4 * growth), nn.ReLU(inplace=True)),
            nn.Conv1d(4 * growth, growth, DENSE_KERNEL, padding=DENSE_KERNEL // 2, bias=False),
        )

    def forward(self, series: Tensor) -> Tensor:
        """(n, inputs, rows) -> (n, inputs + growth, rows)."""
        return torch.cat([series, self.layers(series)], dim=1)


def _densenet121(config: Config, signals: int, targets: int) -> nn.Module:
    growth, width = GROWTH // config.width, 64 // config.width
    layers: list[nn.Module] = [nn.Conv1d(signals, width, 7, 2, 3, bias=False)]
    layers += [nn.BatchNorm1d(width), nn.ReLU(inplace=True), nn.MaxPool1d(3, 2, 1)]
    for number, count in enumerate(DENSE):
        for _ in range(count):
            layers.append(Dense(width, growth))
            width += growth
        # Dense layers end with a convolution: their sum has no norm of its own yet.
        layers += [nn.BatchNorm1d(width), nn.ReLU(inplace=True)]
        if number < len(DENSE) - 1:
            layers += [nn.Conv1d(width, width // 2, 1, bias=False), nn.AvgPool1d(2)]
            width //= 2
    return nn.Sequential(*layers, Average(), nn.Linear(width, targets))


class Attention(nn.Module):
    """Norm, attention of all patches to all, norm, two layers; what comes in is added each time."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        inner = HEADS * HEAD
        self.before, self.between = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.ask = nn.Linear(dim, 3 * inner, bias=False)
        self.answer = nn.Linear(inner, dim)
        self.think = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, patches: Tensor) -> Tensor:
        """(n, patches, dim) -> the same shape."""
        parts = rearrange(self.ask(self.before(patches)), "n p (k h d) -> k n h p d", k=3, h=HEADS)
        looked = functional.scaled_dot_product_attention(*parts)
        patches = patches + self.answer(rearrange(looked, "n h p d -> n p (h d)"))
        out: Tensor = patches + self.think(self.between(patches))
        return out


class Transformer(nn.Module):
    """Patches of rows, a class token, six blocks, a norm and one layer."""

    def __init__(self, config: Config, signals: int, targets: int) -> None:
        super().__init__()
        self.patches = -(-config.rows // PATCH)
        dim, size = 1024 // config.width, signals * PATCH
        self.embed = nn.Sequential(nn.LayerNorm(size), nn.Linear(size, dim), nn.LayerNorm(dim))
        # Small, as transformers begin: larger ones would drown the patches.
        self.token = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.place = nn.Parameter(torch.randn(1, self.patches + 1, dim) * 0.02)
        self.blocks = nn.Sequential(*(Attention(dim) for _ in range(6)))
        self.score = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, targets))

    def forward(self, series: Tensor) -> Tensor:
        """(n, signals, rows) -> (n, targets)."""
        # The last patch is filled with zeros, which are means of standardised signals.
        series = functional.pad(series, (0, self.patches * PATCH - series.shape[2]))
        # A patch is a run of rows of all signals: which of them move together stays visible.
        cut = rearrange(series, "n s (p t) -> n p (s t)", t=PATCH)
        token = repeat(self.token, "1 1 d -> n 1 d", n=cut.shape[0])
        tokens = torch.cat([token, self.embed(cut)], dim=1) + self.place
        scores: Tensor = self.score(self.blocks(tokens)[:, 0])
        return scores


class Picture(nn.Module):
    """Signals over time as a picture of one channel."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, series: Tensor) -> Tensor:
        """(n, signals, rows) -> (n, targets)."""
        scores: Tensor = self.network(series[:, None])
        return scores


def _picture(config: Config, signals: int, targets: int) -> nn.Module:
    network = timm_backbone("resnet18", pretrained=False, in_chans=1, num_classes=targets)
    return Picture(network)
