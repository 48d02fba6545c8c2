"""LSTM over the sound of six parts of a clip (the audio half of the CNN-LSTM system).

Paper: Subramaniam et al., "Bi-modal First Impressions Recognition using Temporally Ordered Deep
Audio and Stochastic Visual Features", 2016, https://arxiv.org/abs/1610.10048.

Where we differ: features are standardised per column on the fitting clips instead of being scaled
to unit length, the LSTM is batch first, and the head ends in the target range.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from traitscope.config import Config as BaseConfig
from traitscope.nn.heads import RangeHead, masked_mean
from traitscope.types import Batch, Draw, Target


class Config(BaseConfig):
    """Sizes of the network."""

    parts: PositiveInt = 6
    """Equal parts a clip is cut into."""
    embedding: PositiveInt = 32
    """Size each part is projected to."""
    hidden: PositiveInt = 128
    """Units of the LSTM."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout before the head."""


TINY = Config(parts=3, embedding=8, hidden=8)


def inputs(config: Config) -> dict[str, Draw]:
    """One stream: mean and sd of 34 audio features over each part."""
    return {"mid_term": Draw(extract={"segments": config.parts}, standardize=True)}


class Model(nn.Module):
    """Linear (no ReLU, as in the benchmark), LSTM over the parts, a score per part, their mean."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        (features,) = shapes["mid_term"]
        self.project = nn.Linear(features, config.embedding)
        self.lstm = nn.LSTM(config.embedding, config.hidden, batch_first=True)
        self.dropout = nn.Dropout(config.dropout)
        self.score = nn.Linear(config.hidden, len(targets))
        self.to_range = RangeHead(targets)

    def forward(self, batch: Batch) -> Tensor:
        """``mid_term`` (clips, parts, 68) -> (clips, targets)."""
        # No ReLU follows: a quiet part is as far from the mean as a loud one.
        parts = self.project(batch.streams["mid_term"])
        states, _ = self.lstm(parts)
        # A score after every part, not after the last alone: the first seconds count as much.
        scores = self.to_range(self.score(self.dropout(states)))
        return masked_mean(scores, batch.masks["mid_term"])
