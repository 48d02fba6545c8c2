"""From scores of frames to a clip: the spectrum of each series, through convolutions.

Papers: Song et al., "Spectral Representation of Behaviour Primitives for Depression Analysis",
2020, https://doi.org/10.1109/TAFFC.2020.2970712; as a second stage of the DeepPersonality
benchmark, https://arxiv.org/abs/2210.09138.

    (rows, series) -- FFT along time -- amplitude and phase: (2, series, bins) -- variant -- scores

Variants: ``predictions`` for few series, ``features`` for many, ``resnet`` for either, ``both`` for
scores and features side by side.

Where we differ: the Nyquist frequency has a slot of its own (it was written over), clips that are
too short are stretched instead of dropped, frames without a score are left out, and the head ends
in the target range.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from einops import rearrange
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from traitscope.config import Config as BaseConfig
from traitscope.nn.heads import RangeHead
from traitscope.nn.resnets import DEPTHS
from traitscope.types import Batch, Draw, Rows, Target

MIXED = 5
"""Mixtures of all series that the convolutions over frequencies begin with."""
FEATURE_CHANNELS, FEATURE_KERNELS = (64, 256, 1024, 256), (7, 5, 3, 1)


class Config(BaseConfig):
    """Which streams, how fine, which network."""

    variant: Literal["predictions", "features", "resnet", "both"] = "predictions"
    """Network, see above."""
    stream: str = "frame_scores"
    """The first stage's scores of frames."""
    features: str = "frame_features"
    """Its features of frames; read by ``features`` and ``both``."""
    bins: Annotated[int, Field(ge=4)] = 80
    """Frequencies: the lowest, and the highest (Nyquist) in the last slot."""
    longest: PositiveInt = 2000
    """Rows of a clip: a random run of a longer one in training, the middle otherwise."""
    width: PositiveInt = 1
    """Divides the channels, for small machines and tests."""


CONTRACT = {"onnx": "it stretches each clip by itself, to a length that its own mask decides"}

TINY = Config(bins=16, longest=20, width=32)


def inputs(config: Config) -> dict[str, Draw]:
    """All rows of the first stage."""
    names = {
        "features": [config.features],
        "both": [config.stream, config.features],
    }.get(config.variant, [config.stream])
    rows = Rows("window", config.longest), Rows("all", config.longest)
    # Scores of a trait spread by a tenth: amplitudes of raw ones would all be near zero.
    return {name: Draw(*rows, standardize=True) for name in names}


class Model(nn.Module):
    """One network, or two, over spectra; a score per target."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        self.bins = config.bins
        parts: dict[str, ScoreSpectra | FeatureSpectra | ResNet] = {}
        for name in inputs(config):
            (series,) = shapes[name]
            if config.variant == "resnet":
                parts[name] = ResNet(config.width)
            elif name == config.features:
                parts[name] = FeatureSpectra(series, config.width)
            else:
                parts[name] = ScoreSpectra(series, config.width)
        self.parts = nn.ModuleDict(parts)
        self.score = nn.Linear(sum(p.num_features for p in parts.values()), len(targets))
        self.to_range = RangeHead(targets)

    def forward(self, batch: Batch) -> Tensor:
        """Series of frames (clips, rows, series) -> (clips, targets)."""
        known = [
            part(spectra(batch.streams[name], batch.masks[name], self.bins))
            for name, part in self.parts.items()
        ]
        scores: Tensor = self.to_range(self.score(torch.cat(known, dim=1)))
        return scores


def spectra(series: Tensor, mask: Tensor, bins: int) -> Tensor:
    """Amplitude and phase of each series along time.

    Args:
        series: (clips, rows, series).
        mask: (clips, rows) True where the row is there; others are left out.
        bins: the lowest ``bins`` - 1 frequencies of a clip, and its highest.

    Returns:
        (clips, 2, series, bins); a clip with fewer than ``2 bins`` rows is stretched to as many.
    """
    clips = []
    for values, there in zip(series, mask, strict=True):
        known = rearrange(values[there] if there.any() else values[:1] * 0, "t s -> s t")
        # An even number of rows: only then is there a Nyquist frequency.
        rows = max(2 * bins, known.shape[1] // 2 * 2)
        if known.shape[1] != rows:
            known = functional.interpolate(known[None], rows, mode="linear", align_corners=True)[0]
        waves = torch.fft.rfft(known.float(), norm="forward")
        kept = torch.cat([waves[:, : bins - 1], waves[:, -1:]], dim=1)
        # Of a wave that is not there the phase is noise of rounding: it counts as zero.
        phase = torch.where(kept.abs() > 1e-5, kept.angle(), torch.zeros_like(kept.real))
        clips.append(torch.stack([kept.abs(), phase]))
    return torch.stack(clips)


def _unit(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv1d(inputs, outputs, kernel, stride, kernel // 2)
    return [convolution, nn.BatchNorm1d(outputs), nn.LeakyReLU()]


class ScoreSpectra(nn.Module):
    """Mixtures of the series, then convolutions over frequencies with one shortcut."""

    def __init__(self, series: int, width: int) -> None:
        super().__init__()
        one, two, three = (size // width for size in (256, 512, 1024))
        # Across all series at once: which trait moves with which is what is mixed.
        self.mix = nn.Conv2d(2, MIXED, (series, 1))
        self.first = nn.Sequential(*_unit(MIXED, one, 5), *_unit(one, two, 3))
        # The last norm is before the sum and its leaky ReLU after it, as in residual networks.
        self.deep = nn.Sequential(*_unit(two, three, 3, 2), *_unit(three, three, 1)[:2])
        self.shortcut = nn.Sequential(*_unit(two, three, 3, 2)[:2])
        self.last = nn.Sequential(nn.LeakyReLU(), *_unit(three, three, 3, 2))
        self.reduce = nn.Sequential(nn.Linear(three, two), nn.LeakyReLU())
        self.num_features = two

    def forward(self, spectra: Tensor) -> Tensor:
        """(clips, 2, series, bins) -> (clips, features)."""
        seen = self.first(self.mix(spectra).squeeze(2))
        averages = self.last(self.deep(seen) + self.shortcut(seen)).mean(dim=2)
        out: Tensor = self.reduce(averages)
        return out


class FeatureSpectra(nn.Module):
    """Convolutions over frequencies that all series share, then one number per series."""

    def __init__(self, series: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = (2, *(max(1, size // width) for size in FEATURE_CHANNELS))
        for (before, after), kernel in zip(pairwise(channels), FEATURE_KERNELS, strict=True):
            layers += [
                nn.Conv2d(before, after, (1, kernel), padding=(0, kernel // 2)),
                *(nn.BatchNorm2d(after), nn.LeakyReLU()),
            ]
        self.see = nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, 1))
        self.num_features = series

    def forward(self, spectra: Tensor) -> Tensor:
        """(clips, 2, series, bins) -> (clips, series)."""
        out: Tensor = self.see(spectra).mean(dim=(1, 3))
        return out


class Block(nn.Module):
    """A residual block whose kernels lie along the frequencies."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, outputs, (1, 25), (1, stride), (0, 12), bias=False),
            *(nn.BatchNorm2d(outputs), nn.LeakyReLU()),
            nn.Conv2d(outputs, outputs, (1, 25), 1, (0, 12), bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut.append(nn.Conv2d(inputs, outputs, 1, (1, stride), bias=False))
            self.shortcut.append(nn.BatchNorm2d(outputs))
        self.last = nn.LeakyReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """(n, inputs, series, bins) -> (n, outputs, series, bins / stride)."""
        out: Tensor = self.last(self.layers(maps) + self.shortcut(maps))
        return out


class ResNet(nn.Module):
    """ResNet18 with kernels of 1 x 25, and the mean over series and frequencies."""

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = [size // width for size in (64, 128, 256, 512)]
        layers: list[nn.Module] = [
            nn.Conv2d(2, channels[0], (1, 25), (1, 2), (0, 12), bias=False),
            *(nn.BatchNorm2d(channels[0]), nn.LeakyReLU()),
        ]
        before = channels[0]
        for group, (count, size) in enumerate(zip(DEPTHS[18], channels, strict=True)):
            for place in range(count):
                layers.append(Block(before, size, 2 if group and not place else 1))
                before = size
        self.layers = nn.Sequential(*layers)
        self.num_features = before

    def forward(self, spectra: Tensor) -> Tensor:
        """(clips, 2, series, bins) -> (clips, features)."""
        out: Tensor = self.layers(spectra).mean(dim=(2, 3))
        return out
