"""Layers on the functionals of a whole clip's sound (the Sound MLP of the benchmark).

System: DeepPersonality, https://arxiv.org/abs/2210.09138 (Liao et al., 2022), on openSMILE's
emobase, eGeMAPS or ComParE (free for research only).

Where we differ: functionals are standardised on the fitting clips (their scale runs from 1e-6 to
1e6), and the head ends in the target range.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import PositiveInt
from torch import Tensor, nn

from traitscope.config import Config as BaseConfig
from traitscope.nn.heads import RangeHead, hidden_layers
from traitscope.types import Batch, Draw, Rows, Target


class Config(BaseConfig):
    """Which functionals, and units."""

    stream: Literal["emobase", "egemaps", "compare"] = "emobase"
    """988, 88 or 6373 functionals."""
    hidden: tuple[PositiveInt, ...] = (1024, 256)
    """Units of the hidden layers."""


TINY = Config(stream="egemaps", hidden=(16, 8))


def inputs(config: Config) -> dict[str, Draw]:
    """The functionals: one row per clip."""
    # Functionals are of the whole clip, and have no rows to choose from.
    row = Rows("all", 1)
    return {config.stream: Draw(row, row, standardize=True)}


class Model(nn.Module):
    """Linear, batch normalisation and ReLU for each hidden layer, then a score per target."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        self.stream = config.stream
        sizes = (*shapes[config.stream], *config.hidden)
        self.score = hidden_layers(sizes, len(targets), norm=True)
        self.to_range = RangeHead(targets)

    def forward(self, batch: Batch) -> Tensor:
        """Functionals (clips, 1, features) -> (clips, targets)."""
        scores: Tensor = self.to_range(self.score(batch.streams[self.stream][:, 0]))
        return scores
