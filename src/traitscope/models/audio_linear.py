"""One layer on the log filter bank of a whole clip (the audio half of DAN).

Paper: Wei et al., "Deep Bimodal Regression of Apparent Personality Traits from Short Video
Sequences", 2017, https://doi.org/10.1109/TAFFC.2017.2762299.

What it can see: how loud which band is at a fixed moment of the clip, so the level of speech, and
silence that falls into the same seconds in many clips. What it cannot: whatever shifts in time (a
pause a second later is another input), and what is no sum of energies, such as the spread of pitch.
With 39,754 weights per target it fits any few hundred clips by heart; the published weight decay of
6.5 is what holds it.

Where we differ: the sound is mono (26 bands x 1529 windows instead of 79,534 values of interleaved
stereo), bands are standardised on the fitting clips, and the head ends in the target range.
"""

from collections.abc import Mapping, Sequence

from einops import rearrange
from pydantic import PositiveInt
from torch import Tensor, nn

from traitscope.config import Config as BaseConfig
from traitscope.nn.heads import RangeHead
from traitscope.nn.series import to_length
from traitscope.types import Batch, Draw, Rows, Target


class Config(BaseConfig):
    """How long a clip is taken to be."""

    rows: PositiveInt = 1529
    """Windows of 10 ms that a clip is padded or cut to."""


TINY = Config(rows=9)


def inputs(config: Config) -> dict[str, Draw]:
    """All windows of the filter bank."""
    # The same moments of every clip: a weight belongs to a time and a band.
    rows = Rows("all", config.rows)
    return {"filterbank": Draw(rows, rows, extract={"rows": config.rows}, standardize=True)}


class Model(nn.Module):
    """A linear layer."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        (bands,) = shapes["filterbank"]
        self.rows = config.rows
        # Nothing else: whatever is not linear in the energies is out of reach, by design.
        self.score = nn.Linear(config.rows * bands, len(targets))
        self.to_range = RangeHead(targets)

    def forward(self, batch: Batch) -> Tensor:
        """``filterbank`` (clips, rows, bands) -> (clips, targets); missing rows are the mean."""
        bands = to_length(batch, "filterbank", self.rows)
        scores = self.score(rearrange(bands, "clips rows bands -> clips (rows bands)"))
        return self.to_range(scores)
