"""A small CNN over the amplitude spectrum of a whole clip (the interpretable audio network).

System: the audio network of the DeepPersonality benchmark, https://arxiv.org/abs/2210.09138 (Liao
et al., 2022), after work that asks which frequencies carry impressions of personality.

What it can see: how much of each frequency a clip has, so the level of speech and how far its pitch
spreads. What it cannot: anything that has an order in time (pauses, the rate of speech), since a
spectrum of the whole clip has none; and hardly the pitch itself, because the average over
frequencies at the end forgets where on the axis something was found.

Where we differ: amplitudes are standardised per bin on the fitting clips, and the head ends in the
target range.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from traitscope.config import Config as BaseConfig
from traitscope.nn.heads import RangeHead
from traitscope.types import Batch, Draw, Rows, Target

KERNELS, POOLS, DROPOUTS = (8, 6, 6), (10, 8, 8), (0.1, 0.5, 0.5)


class Config(BaseConfig):
    """How fine the spectrum is, and channels."""

    bins: Annotated[int, Field(ge=1100)] = 30_604
    """Frequencies up to 2 kHz; below 1100 nothing would be left after the last pooling."""
    channels: tuple[PositiveInt, PositiveInt, PositiveInt] = (64, 128, 256)
    """Channels of the three convolutions."""


TINY = Config(bins=1100, channels=(4, 4, 8))


def inputs(config: Config) -> dict[str, Draw]:
    """The spectrum: one row per clip."""
    # One row per clip, whatever its length: frequencies, not moments, are the axis here.
    row = Rows("all", 1)
    return {"spectrum": Draw(row, row, extract={"bins": config.bins}, standardize=True)}


class Model(nn.Module):
    """Three convolutions, each with sigmoid, pooling and dropout; the average over frequencies."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        # Published as they are; a sigmoid before a maximum keeps loud bins from deciding alone.
        sizes = zip(pairwise((1, *config.channels)), KERNELS, POOLS, DROPOUTS, strict=True)
        for (before, after), kernel, pool, dropout in sizes:
            layers += [nn.Conv1d(before, after, kernel, padding=1), nn.Sigmoid()]
            layers += [nn.MaxPool1d(pool), nn.Dropout(dropout)]
        self.hear = nn.Sequential(*layers)
        self.score = nn.Linear(config.channels[-1], len(targets))
        self.to_range = RangeHead(targets)

    def forward(self, batch: Batch) -> Tensor:
        """``spectrum`` (clips, 1, bins) -> (clips, targets); the one row is the one channel."""
        # Over frequencies, so that a voice a tone higher looks alike (and its height is lost).
        heard = self.hear(batch.streams["spectrum"]).mean(dim=2)
        return self.to_range(self.score(heard))
