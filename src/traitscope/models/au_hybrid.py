"""LSTM with attention beside convolutions over facial signals (Personality of Head Motion).

System: "Personality of Head Motion", OpenFace's 17 action units, 2 gaze angles and 3 rotations of
every frame, five sets of them.

As published: each of the 256 features has a weight of its own for every row (one additive score per
feature and row), the gates have SiLU, a row is 100 / 30 of a time step, and dropout stands behind
both branches and in the head. The published network counts 2.85 million values and this one 2.22:
how wide its layers over time and attention are is stated nowhere.

Where we differ: the LSTM runs over time instead of over the batch; padding and missing rows are
masked in every branch, so that any batch size and length gives the same scores; there are ReLUs
between the layers of the head; signals are standardised on the fitting clips instead of on the file
being scored; the head ends in the target range. Copies of a clip are drawn in training instead of
written into its table: ``train.passes=7`` of batches of one are about as many updates.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal

import torch
from einops import rearrange
from pydantic import PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn

from traitscope.config import Config as BaseConfig
from traitscope.nn.backbones import Share
from traitscope.nn.heads import AttentionPool, RangeHead, masked_mean, sinusoids
from traitscope.types import Batch, Draw, Rows, Target

SETS = {
    "au": ("AU*_r",),
    "gaze": ("AU*_r", "gaze_angle_*"),
    "rotation": ("AU*_r", "pose_R*"),
    "gaze_rotation": ("gaze_angle_*", "pose_R*"),
    "all": ("AU*_r", "gaze_angle_*", "pose_R*"),
}
"""Set -> columns: 17, 19, 20, 5 and 22 of them."""


class Config(BaseConfig):
    """Which signals, and the sizes of the two branches."""

    signals: Literal["au", "gaze", "rotation", "gaze_rotation", "all"] = "all"
    """Action units alone, with gaze, with rotation; gaze and rotation without them; all."""
    longest: PositiveInt = 700
    """Rows of a clip: a random run of a longer one in training, the middle otherwise."""
    width: PositiveInt = 512
    """Size a row is projected to."""
    units: PositiveInt = 256
    """Units of the LSTM."""
    channels: tuple[PositiveInt, ...] = (128, 256, 256, 256)
    """Output channels of the convolutions."""
    kernels: tuple[PositiveInt, ...] = (8, 5, 3, 3)
    """Kernel sizes of the convolutions, in rows."""
    squeeze: PositiveInt = 16
    """By how much squeeze-and-excitation narrows."""
    hidden: tuple[PositiveInt, ...] = (256, 128)
    """Units of the hidden layers of the head."""
    attention: Literal["feature", "row"] = "feature"
    """What gets a weight: each feature of each row, or each row as a whole."""
    time_step: PositiveFloat = 100 / 30
    """Units of time from one row to the next, as the sines of time see them."""
    dropout: Share = 0.5
    """Dropout behind each branch and behind the first layer of the head."""

    @model_validator(mode="after")
    def _a_kernel_per_layer(self) -> "Config":
        if len(self.channels) != len(self.kernels):
            raise ValueError(f"{len(self.kernels)} kernels for {len(self.channels)} channels")
        return self


TINY = Config(
    signals="gaze_rotation",
    longest=20,
    width=16,
    units=8,
    channels=(16, 16),
    kernels=(4, 3),
    squeeze=4,
    hidden=(16, 8),
    dropout=0.0,
)


def inputs(config: Config) -> dict[str, Draw]:
    """Facial signals of every frame."""
    return {
        "signals": Draw(
            # A random part of a long clip, so that its end is learned from as well.
            train=Rows("window", config.longest),
            evaluate=Rows("all", config.longest),
            # Nods and blinks last a few frames: at 5 rows per second they would be gone.
            extract={"rate": "native"},
            columns=SETS[config.signals],
            # Action units run to 5, angles are parts of a radian: one would drown the other.
            standardize=True,
        )
    }


class Recurrence(nn.Module):
    """Project each row, add its place in time, run an LSTM, attend to its states."""

    def __init__(self, features: int, config: Config) -> None:
        super().__init__()
        # Wider than the 22 signals: what is added as time must not cover them.
        self.project = nn.Linear(features, config.width)
        self.place = nn.Sequential(
            nn.Linear(config.width, config.width),
            nn.ReLU(),
            nn.Linear(config.width, config.width),
        )
        self.time_step = config.time_step
        # Batch first: the published one ran over the batch, so neighbours were its past.
        self.lstm = nn.LSTM(config.width, config.units, batch_first=True)
        per_feature = config.attention == "feature"
        self.attention = AttentionPool(config.units, per_feature=per_feature)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, signals: Tensor, mask: Tensor) -> Tensor:
        """(clips, rows, features) and (clips, rows) -> (clips, units)."""
        rows, width = signals.shape[1], self.project.out_features
        places = sinusoids(rows, width, signals.device, step=self.time_step).to(signals)
        states, _ = self.lstm(self.project(signals) + self.place(places))
        attended: Tensor = self.dropout((states * self.attention(states, mask)).sum(dim=1))
        return attended


class Convolution(nn.Module):
    """Convolution over time, ReLU, and a gate per channel (squeeze-and-excitation)."""

    def __init__(self, before: int, after: int, kernel: int, squeeze: int) -> None:
        super().__init__()
        # At least one, for tiny networks with fewer channels than the squeeze.
        narrow = max(1, after // squeeze)
        # As many rows come out as go in, for even kernels, too.
        self.pad = nn.ConstantPad1d(((kernel - 1) // 2, kernel // 2), 0.0)
        self.convolve = nn.Conv1d(before, after, kernel)
        self.gate = nn.Sequential(
            nn.Linear(after, narrow), nn.SiLU(), nn.Linear(narrow, after), nn.Sigmoid()
        )

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """(clips, rows, before), zero where hidden, -> (clips, rows, after), zero where hidden."""
        padded = self.pad(rearrange(values, "clips rows size -> clips size rows"))
        seen = rearrange(self.convolve(padded).relu(), "clips size rows -> clips rows size")
        opening = rearrange(self.gate(masked_mean(seen, mask)), "clips size -> clips 1 size")
        # A convolution smears rows into hidden ones; the next layer must not see that back.
        shown: Tensor = seen * opening * rearrange(mask, "clips rows -> clips rows 1")
        return shown


class Convolutions(nn.Module):
    """Convolutions one after the other, then the mean over time."""

    def __init__(self, features: int, config: Config) -> None:
        super().__init__()
        sizes = pairwise((features, *config.channels))
        self.layers = nn.ModuleList(
            Convolution(before, after, kernel, config.squeeze)
            for (before, after), kernel in zip(sizes, config.kernels, strict=True)
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, signals: Tensor, mask: Tensor) -> Tensor:
        """(clips, rows, features) and (clips, rows) -> (clips, channels)."""
        # Every layer hides anew what the one before has smeared over the edge of the mask.
        for layer in self.layers:
            signals = layer(signals, mask)
        mean: Tensor = self.dropout(masked_mean(signals, mask))
        return mean


class Model(nn.Module):
    """Both branches side by side, and a head with ReLUs."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        (features,) = shapes["signals"]
        self.recurrence = Recurrence(features, config)
        self.convolutions = Convolutions(features, config)
        sizes = (config.units + config.channels[-1], *config.hidden)
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU()]
        layers.insert(2, nn.Dropout(config.dropout))
        self.head = nn.Sequential(*layers, nn.Linear(sizes[-1], len(targets)))
        self.to_range = RangeHead(targets)

    def forward(self, batch: Batch) -> Tensor:
        """``signals`` (clips, rows, columns) -> (clips, targets)."""
        # Missing rows are NaN-free zeros already; the product keeps padding of any value out.
        mask = batch.masks["signals"]
        signals = batch.streams["signals"] * rearrange(mask, "clips rows -> clips rows 1")
        both = [self.recurrence(signals, mask), self.convolutions(signals, mask)]
        scores: Tensor = self.to_range(self.head(torch.cat(both, dim=1)))
        return scores
