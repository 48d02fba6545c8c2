"""Six faces and the sound around them, in order, through an LSTM (CNN-LSTM).

Paper: Subramaniam et al., "Bi-modal First Impressions Recognition using Temporally Ordered Deep
Audio and Stochastic Visual Features", 2016, https://arxiv.org/abs/1610.10048.

Where we differ: the LSTM is batch first (time and clips were mixed), sound is standardised per
column on the fitting clips, and the head ends in the target range. Pictures alone are
``senses=visual hidden=128``: the recipe ``bimodal_lstm_visual``.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
from einops import rearrange
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from traitscope.config import Config as BaseConfig
from traitscope.nn.heads import RangeHead, masked_mean
from traitscope.nn.series import to_length
from traitscope.types import Batch, Draw, Rows, Target


class Config(BaseConfig):
    """What is seen and heard, and sizes."""

    senses: Literal["audiovisual", "visual"] = "audiovisual"
    """Pictures and sound, or pictures alone."""
    input: Literal["faces", "frames"] = "faces"
    """Aligned faces, or whole pictures cut to a square."""
    parts: PositiveInt = 6
    """Equal parts of a clip; one picture and one piece of sound of each."""
    size: PositiveInt = 112
    """Side of a picture in pixels."""
    channels: PositiveInt = 16
    """Channels of the three convolutions."""
    units: PositiveInt = 1024
    """Units of the hidden layer over a face."""
    embedding: PositiveInt = 128
    """Size a face is brought to."""
    sound: PositiveInt = 32
    """Size a piece of sound is brought to."""
    hidden: PositiveInt = 512
    """Units of the LSTM; the paper has 128, and so has the benchmark for pictures alone."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Dropout on the face."""


TINY = Config(
    parts=3, size=64, channels=4, units=32, embedding=16, sound=16, hidden=32, dropout=0.0
)


def inputs(config: Config) -> dict[str, Draw]:
    """A picture of each part, and the sound of each part."""
    pictures = Draw(
        train=Rows("segments", config.parts),
        evaluate=Rows("even", config.parts),
        size=config.size,
    )
    # Sound is not read at all then: clips without a track can be scored.
    if config.senses == "visual":
        return {config.input: pictures}
    # As many rows as parts are extracted, so all of them pair up with the pictures.
    parts = Rows("all", config.parts)
    sound = Draw(parts, parts, extract={"segments": config.parts}, standardize=True)
    return {config.input: pictures, "mid_term": sound}


class Model(nn.Module):
    """A small CNN per face, a layer per piece of sound, LSTM, a score per part, their mean.

    After the convolutions there is no ReLU any more, in the benchmark as here: the three layers
    before the LSTM are one linear map of three parts, and small faces keep their sign.
    """

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        self.input = config.input
        # Without padding each convolution takes kernel - 1 pixels: the sizes follow from the face.
        side, before = config.size, 3
        layers: list[nn.Module] = []
        for kernel in (5, 7, 9):
            layers += [nn.Conv2d(before, config.channels, kernel), nn.ReLU(), nn.MaxPool2d(2)]
            side, before = (side - kernel + 1) // 2, config.channels
        flat = config.channels * side**2
        layers += [nn.Flatten(), nn.Linear(flat, config.units)]
        layers += [nn.Linear(config.units, config.embedding), nn.Dropout(config.dropout)]
        self.see = nn.Sequential(*layers)
        hears = config.senses == "audiovisual"
        self.hear = nn.Linear(shapes["mid_term"][0], config.sound) if hears else None
        width = config.embedding + (config.sound if hears else 0)
        self.lstm = nn.LSTM(width, config.hidden, batch_first=True)
        self.score = nn.Linear(config.hidden, len(targets))
        self.to_range = RangeHead(targets)

    def forward(self, batch: Batch) -> Tensor:
        """Pictures (clips, parts, 3, s, s), ``mid_term`` (clips, parts, 68) -> scores."""
        pictures, mask = batch.streams[self.input], batch.masks[self.input]
        seen = self.see(rearrange(pictures, "clips parts ... -> (clips parts) ..."))
        steps = rearrange(seen, "(clips parts) e -> clips parts e", clips=mask.shape[0])
        if self.hear is not None:
            heard, parts = batch.masks["mid_term"], mask.shape[1]
            # A part counts where it is both seen and heard.
            mask = mask & functional.pad(heard, (0, parts))[:, :parts]
            sound = self.hear(to_length(batch, "mid_term", parts))
            steps = torch.cat([steps, sound], dim=-1)
        states, _ = self.lstm(steps)
        # Squeezed before the average, as published: one extreme part cannot outweigh the others.
        return masked_mean(self.to_range(self.score(states)), mask)
