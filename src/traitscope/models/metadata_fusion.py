"""What a first stage saw of a clip, with what is known of the person: age, gender, education.

System: the metadata study of the DeepPersonality benchmark, https://arxiv.org/abs/2210.09138 (Liao
et al., 2022). The first stage's features are what ``traitscope predict RUN CORPUS --frames --store
S`` wrote; ``data.allow_attributes=true`` lets the model see attributes, and its card says so.

Where we differ: attributes are standardised on the fitting clips, an attribute that is not known is
their mean, and the head ends in the target range.
"""

from collections.abc import Mapping, Sequence

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from traitscope.config import Config as BaseConfig
from traitscope.nn.heads import RangeHead, hidden_layers
from traitscope.types import Batch, Draw, Rows, Target


class Config(BaseConfig):
    """Which features, and units."""

    stream: str = "frame_features"
    """The first stage's features of frames, averaged over a clip."""
    hidden: tuple[PositiveInt, ...] = (1024, 512)
    """Units of the hidden layers."""


TINY = Config(hidden=(16, 8))


def inputs(config: Config) -> dict[str, Draw]:
    """The mean of the features, and one row of attributes."""
    row = Rows("all", 1)
    return {
        config.stream: Draw(pool=("mean",), standardize=True),
        "metadata": Draw(row, row, standardize=True),
    }


class Model(nn.Module):
    """Features and attributes side by side, hidden layers with ReLU, a score per target."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        self.stream = config.stream
        sizes = (shapes[config.stream][0] + shapes["metadata"][0], *config.hidden)
        self.score = hidden_layers(sizes, len(targets))
        self.to_range = RangeHead(targets)

    def forward(self, batch: Batch) -> Tensor:
        """Features (clips, features), ``metadata`` (clips, 1, attributes) -> (clips, targets)."""
        known = torch.cat([batch.streams[self.stream], batch.streams["metadata"][:, 0]], dim=1)
        scores: Tensor = self.to_range(self.score(known.float()))
        return scores
