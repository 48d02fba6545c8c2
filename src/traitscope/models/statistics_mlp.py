"""From scores of frames to a clip: statistics of each series and of its changes, through layers.

System: a second stage of the DeepPersonality benchmark, https://arxiv.org/abs/2210.09138 (Liao et
al., 2022). Its stream is what ``traitscope predict RUN CORPUS --frames --store S`` wrote.

Where we differ: frames without a score are left out instead of counting as zero, statistics are of
as many rows as a clip has, and the head ends in the target range.
"""

from collections.abc import Mapping, Sequence

import torch
from einops import rearrange
from pydantic import PositiveInt
from torch import Tensor, nn

from traitscope.config import Config as BaseConfig
from traitscope.nn.heads import RangeHead, hidden_layers
from traitscope.types import Batch, Draw, Rows, Target

STATISTICS = 12
"""Largest, smallest, mean and sd, of a series, its changes, and the changes of these."""


class Config(BaseConfig):
    """Which stream, how much of it, and units."""

    stream: str = "frame_scores"
    """The first stage's scores of frames."""
    longest: PositiveInt = 2000
    """Rows of a clip: a random run of a longer one in training, the middle otherwise."""
    hidden: tuple[PositiveInt, ...] = (256, 256, 64)
    """Units of the hidden layers."""


TINY = Config(longest=20, hidden=(16, 8))


def inputs(config: Config) -> dict[str, Draw]:
    """All rows of the first stage."""
    rows = Rows("window", config.longest), Rows("all", config.longest)
    return {config.stream: Draw(*rows, standardize=True)}


class Model(nn.Module):
    """Twelve statistics per series, hidden layers with ReLU, a score per target."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        self.stream = config.stream
        (series,) = shapes[config.stream]
        sizes = (series * STATISTICS, *config.hidden)
        self.score = hidden_layers(sizes, len(targets))
        self.to_range = RangeHead(targets)

    def forward(self, batch: Batch) -> Tensor:
        """Scores of frames (clips, rows, series) -> (clips, targets)."""
        described = statistics(batch.streams[self.stream], batch.masks[self.stream])
        scores: Tensor = self.to_range(self.score(described))
        return scores


def statistics(series: Tensor, mask: Tensor) -> Tensor:
    """Describe series of different lengths by as many numbers.

    Args:
        series: (clips, rows, series).
        mask: (clips, rows) True where the row is there.

    Returns:
        (clips, 12 series): largest, smallest, mean and sd of the series, of its changes from row
        to row, and of the changes of these; zero where a clip has too few rows.
    """
    parts = []
    for _ in range(3):
        parts += _moments(series, mask)
        # A change needs both of its rows: a gap gives none instead of a jump.
        series, mask = series[:, 1:] - series[:, :-1], mask[:, 1:] & mask[:, :-1]
    return torch.cat(parts, dim=1)


def _moments(series: Tensor, mask: Tensor) -> list[Tensor]:
    there = rearrange(mask, "clips rows -> clips rows 1")
    count = there.sum(dim=1).clamp(min=1)
    known = there.any(dim=1)
    if not series.shape[1]:
        nothing = series.new_zeros(series.shape[0], series.shape[2])
        return [nothing] * 4
    mean = (series * there).sum(dim=1) / count
    gaps = (series - mean[:, None]) * there
    # The root's slope is infinite at zero, where a series does not change at all.
    sd = ((gaps**2).sum(dim=1) / count + 1e-12).sqrt() * known
    # Not infinity: times a mask of zeros it would be NaN.
    far = torch.finfo(series.dtype).max
    largest = series.masked_fill(~there, -far).amax(dim=1) * known
    smallest = series.masked_fill(~there, far).amin(dim=1) * known
    return [torch.where(known, x, torch.zeros_like(x)) for x in (largest, smallest, mean, sd)]
