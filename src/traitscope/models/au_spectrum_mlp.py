"""Layers on the spectrum of one action unit over a clip.

System: the single-AU baseline of the DeepPersonality benchmark, https://arxiv.org/abs/2210.09138;
spectra of facial behaviour after Song et al., "Spectral Representation of Behaviour Primitives for
Depression Analysis", 2020, https://doi.org/10.1109/TAFFC.2020.2970712.

Where we differ: missing rows are the clip's standardised mean instead of zero intensity, a clip
that is short is filled up instead of being dropped, and the head ends in the target range.
"""

from collections.abc import Mapping, Sequence

import torch
from pydantic import PositiveInt, model_validator
from torch import Tensor, nn

from traitscope.config import Config as BaseConfig
from traitscope.nn.heads import RangeHead, hidden_layers
from traitscope.nn.series import signal_draws, to_length
from traitscope.types import Batch, Draw, Target


class Config(BaseConfig):
    """Which signal, how long, how fine, and units."""

    signal: str = "AU12_r"
    """Column of the signals."""
    rows: PositiveInt = 400
    """Rows of a clip, at the rate of the video: a random run in training, else the middle."""
    bins: PositiveInt = 120
    """Frequencies that are taken, from zero on."""
    hidden: tuple[PositiveInt, ...] = (1024, 256)
    """Units of the hidden layers."""

    @model_validator(mode="after")
    def _enough_rows(self) -> "Config":
        if self.bins > self.rows // 2 + 1:
            raise ValueError(f"{self.rows} rows have {self.rows // 2 + 1} frequencies")
        return self


CONTRACT = {"onnx": "its phases jump by a whole turn where rounding changes a sign"}

TINY = Config(rows=20, bins=8, hidden=(16, 8))


def inputs(config: Config) -> dict[str, Draw]:
    """One facial signal of every frame."""
    return signal_draws((config.signal,), config.rows)


class Model(nn.Module):
    """Mean of amplitude and phase per frequency, hidden layers with ReLU, a score per target."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        self.config = config
        sizes = (config.bins, *config.hidden)
        self.score = hidden_layers(sizes, len(targets))
        self.to_range = RangeHead(targets)

    def forward(self, batch: Batch) -> Tensor:
        """``signals`` (clips, rows, 1) -> (clips, targets)."""
        series = to_length(batch, "signals", self.config.rows)[..., 0]
        waves = torch.fft.rfft(series.float(), norm="ortho")[:, : self.config.bins]
        # Of a wave that is not there the phase is noise of rounding: it counts as zero.
        phase = torch.where(waves.abs() > 1e-4, waves.angle(), torch.zeros_like(waves.real))
        scores: Tensor = self.to_range(self.score((waves.abs() + phase) / 2))
        return scores
