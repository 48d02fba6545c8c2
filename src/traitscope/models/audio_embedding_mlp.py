"""Layers on a sequence of sound embeddings, such as VGGish's 15 x 128 (the audio half of Amb-Fac).

Paper: Suman et al., "A Multi-Modal Personality Prediction System", 2022,
https://doi.org/10.1016/j.knosys.2021.107715.

Where we differ: each feature is standardised on the fitting clips instead of by the batch, the
embedding is that of any sound encoder on disk, and the head ends in the target range.
"""

from collections.abc import Mapping, Sequence

from einops import rearrange
from pydantic import PositiveInt
from torch import Tensor, nn

from traitscope.config import Config as BaseConfig
from traitscope.nn.heads import RangeHead, hidden_layers
from traitscope.nn.series import to_length
from traitscope.types import Batch, Draw, Rows, Target


class Config(BaseConfig):
    """Which embedding, and units."""

    stream: str = "audio_embedding"
    """The extractor, or the name of an imported table with a row per second."""
    rows: PositiveInt = 15
    """Rows of a clip: longer ones are cut around the middle, shorter ones are filled up."""
    hidden: tuple[PositiveInt, ...] = (1024, 512)
    """Units of the hidden layers."""


TINY = Config(rows=9, hidden=(16, 8))


def inputs(config: Config) -> dict[str, Draw]:
    """Rows of the embedding."""
    # Nothing is drawn at random: a weight belongs to a place in the clip.
    rows = Rows("center", config.rows)
    return {config.stream: Draw(rows, rows, standardize=True)}


class Model(nn.Module):
    """All rows side by side, hidden layers with ReLU, a score per target."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        self.config = config
        (features,) = shapes[config.stream]
        sizes = (config.rows * features, *config.hidden)
        self.score = hidden_layers(sizes, len(targets))
        self.to_range = RangeHead(targets)

    def forward(self, batch: Batch) -> Tensor:
        """Embeddings (clips, rows, features) -> (clips, targets); missing rows are the mean."""
        rows = to_length(batch, self.config.stream, self.config.rows)
        scores: Tensor = self.to_range(self.score(rearrange(rows, "clips t f -> clips (t f)")))
        return scores
