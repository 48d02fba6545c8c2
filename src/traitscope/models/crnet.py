"""CR-Net: first sort a clip into ranges of each trait, then regress with what the sorting saw.

Paper: Li et al., "CR-Net: A Deep Classification-Regression Network for Multimodal Apparent
Personality Analysis", 2020, https://doi.org/10.1007/s11263-020-01309-y.

Where we differ: the cross-entropy runs over the four ranges of each trait (it ran over the traits),
frame and face are drawn at one moment and share every transform, ranges of z-scores are cut at -1,
0 and 1, the weight of the ranges in the second stage grows by the batch instead of by the epoch,
and the head ends in the target range.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from einops import rearrange
from pydantic import PositiveInt
from torch import Tensor, nn

from traitscope.config import Config as BaseConfig
from traitscope.nn.heads import RangeHead, masked_mean
from traitscope.nn.images import Images, each_image, evaluated
from traitscope.nn.initial import from_scratch
from traitscope.nn.resnets import resnet
from traitscope.nn.sound import sound_draw, waveform_of
from traitscope.types import Batch, Draw, Rows, Target

BINS = 4
CUTS, Z_CUTS = (0.5, 0.6, 0.7), (-1.0, 0.0, 1.0)
"""Where ranges end: as shares of a bounded range, and for z-scores."""


class Config(BaseConfig):
    """Which senses, and sizes of what they get."""

    senses: Literal["audiovisual", "visual", "audio"] = "audiovisual"
    """Frame, face and sound; frame and face; or sound alone."""
    size: PositiveInt = 224
    """Side of the frame in pixels."""
    face_size: PositiveInt = 112
    """Side of the face in pixels."""
    samples: PositiveInt = 244_832
    """Samples of sound at 16 kHz, about 15 seconds."""
    depth: Literal[18, 34] = 34
    """Depth of each ResNet."""
    evaluation_images: Images = 1
    """Moments of a clip that are looked at in evaluation, evenly spaced, or all that are stored."""
    channels: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (64, 128, 256, 512)
    """Channels of the four groups of blocks."""


TINY = Config(size=64, face_size=64, samples=8192, depth=18, channels=(4, 4, 8, 8))


def inputs(config: Config) -> dict[str, Draw]:
    """A frame and the face in it (of several moments in evaluation), and the sound."""
    sees, hears = config.senses != "audio", config.senses != "visual"
    drawn = {}
    if sees:
        # One group: face and frame are of one moment, and of one flip.
        rows = evaluated(config.evaluation_images)
        moment = Draw(train=Rows("random", 1), evaluate=rows, group="moment")
        drawn["faces"] = replace(moment, size=config.face_size)
        drawn["frames"] = replace(moment, size=config.size)
    if hears:
        drawn["waveform"] = sound_draw(config.samples)
    return drawn


@dataclass(frozen=True)
class Output:
    """Predictions (clips, targets), and scores of the ranges (clips, targets, 4) behind them.

    Attributes:
        prediction: (clips, targets).
        logits: (clips, targets, bins).
        cuts: (targets, bins - 1) where the ranges end.
        features: (clips, width), the mean over targets of what is regressed.
    """

    prediction: Tensor
    logits: Tensor
    cuts: Tensor
    features: Tensor

    def classes(self, target: Tensor) -> Tensor:
        """Range of each label: (clips, targets) -> (clips, targets), 0 to 3."""
        return (target[..., None] >= self.cuts).sum(dim=-1)


class Branch(nn.Module):
    """A ResNet whose last map is pooled to four cells, and the ranges they speak for."""

    def __init__(self, config: Config, targets: int, *, sound: bool) -> None:
        super().__init__()
        width = config.channels[-1]
        self.trunk = resnet(config.depth, config.channels, sound=sound)
        # Four cells in every branch, so that the four ranges can weigh them.
        self.pool: nn.Module = nn.AdaptiveAvgPool1d(4) if sound else nn.AdaptiveAvgPool2d(2)
        kind = nn.Conv1d if sound else nn.Conv2d
        self.classify = kind(width, targets * BINS, 4 if sound else 2)

    def forward(self, signal: Tensor) -> tuple[Tensor, Tensor]:
        """(clips, channels, ...) -> logits (clips, targets, 4), features (clips, targets, w)."""
        cells = self.pool(self.trunk(signal))
        logits = rearrange(self.classify(cells).flatten(1), "b (t bins) -> b t bins", bins=BINS)
        # Over the ranges of one trait, as in the original: cell k speaks for range k.
        weights = torch.softmax(logits, dim=-1)
        return logits, weights @ cells.flatten(2).transpose(1, 2)


class Model(nn.Module):
    """Up to three branches, their features summed, one layer for all targets."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        # First weights are drawn in this order: another order is another network for the same seed.
        names = [name for name in ("frames", "faces", "waveform") if name in inputs(config)]
        self.branches = nn.ModuleDict(
            {name: Branch(config, len(targets), sound=name == "waveform") for name in names}
        )
        # One layer for all traits: what differs between them is how cells were weighed.
        self.score = nn.Linear(config.channels[-1], 1)
        self.to_range = RangeHead(targets)
        self.num_features = config.channels[-1]
        self.register_buffer("cuts", torch.tensor([_cuts(target) for target in targets]))
        self.samples = config.samples
        from_scratch(self)

    def forward(self, batch: Batch) -> Output:
        """``frames`` and ``faces`` (clips, moments, 3, s, s), ``waveform`` (clips, samples)."""
        mask = _moments(batch, self.branches)
        spoken = [self._branch(name, batch, mask) for name in self.branches]
        # Summed, not averaged: a sense that is sure outweighs one that is not.
        logits = torch.stack([ranges for ranges, _ in spoken]).sum(dim=0)
        joined = torch.stack([features for _, features in spoken]).sum(dim=0)
        scores = self.to_range(self.score(joined).squeeze(-1))
        # Ranges and features of a clip are means over its moments, as the prediction is.
        of_clip = masked_mean(logits.flatten(2), mask).unflatten(1, logits.shape[2:])
        cuts: Tensor = self.cuts  # type: ignore[assignment]
        features = masked_mean(joined.mean(dim=2), mask)
        return Output(masked_mean(scores, mask), of_clip, cuts, features)

    def _branch(self, name: str, batch: Batch, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Ranges and features of each moment: (clips, moments, targets, ...), twice."""
        # Sound belongs to the clip, pictures to moments: it is repeated, not heard again.
        clips, moments = mask.shape
        if name == "waveform":  # heard once, whatever is seen meanwhile
            logits, features = self.branches[name](waveform_of(batch, self.samples))
            return tuple(part[:, None].expand(-1, moments, -1, -1) for part in (logits, features))

        def both(images: Tensor) -> Tensor:
            return torch.cat(self.branches[name](images), dim=2)

        # Ranges and features go through together, and are taken apart after.
        spoken = rearrange(each_image(batch, name, both), "(b m) t w -> b m t w", b=clips)
        return spoken[..., :BINS], spoken[..., BINS:]


def _moments(batch: Batch, names: Iterable[str]) -> Tensor:
    """Moments at which all that is looked at is there: (clips, moments); one for sound alone."""
    seen = [batch.masks[name] for name in names if name != "waveform"]
    if not seen:
        return batch.masks["waveform"].any(dim=1, keepdim=True)
    return torch.stack(seen).all(dim=0)


def _cuts(target: Target) -> tuple[float, ...]:
    if target.low is None or target.high is None:
        return Z_CUTS
    # Cut where the paper cuts scores from 0 to 1: most clips lie between .4 and .7.
    return tuple(target.low + cut * (target.high - target.low) for cut in CUTS)
