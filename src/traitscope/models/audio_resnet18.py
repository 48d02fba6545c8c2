"""A ResNet18 over the waveform (the audio half of Deep Impression).

Paper: Gucluturk et al., "Deep Impression: Audiovisual Deep Residual Networks for Multimodal
Apparent Personality Trait Recognition", 2016, https://arxiv.org/abs/1609.05119.

Where we differ: the head ends in the target range; in evaluation the middle of the clip is heard,
in training a random part.
"""

from collections.abc import Mapping, Sequence

from pydantic import PositiveInt
from torch import Tensor, nn

from traitscope.config import Config as BaseConfig
from traitscope.nn.heads import RangeHead
from traitscope.nn.initial import from_scratch
from traitscope.nn.resnets import resnet
from traitscope.nn.sound import sound_draw, waveform_of
from traitscope.types import Batch, Draw, Target


class Config(BaseConfig):
    """Length of the part that is heard, channels of the network."""

    samples: PositiveInt = 50_176
    """Samples at 16 kHz, about three seconds."""
    channels: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (32, 64, 128, 256)
    """Channels of the four groups of blocks."""


TINY = Config(samples=2048, channels=(4, 4, 8, 8))


def inputs(config: Config) -> dict[str, Draw]:
    """Part of the waveform."""
    return {"waveform": sound_draw(config.samples)}


class Model(nn.Module):
    """A one-dimensional ResNet18, its average over time, one layer."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        self.hear = resnet(18, config.channels, sound=True)
        self.score = nn.Linear(config.channels[-1], len(targets))
        self.to_range = RangeHead(targets)
        # The average below has as many places for a short clip as for a long one.
        self.samples = config.samples
        from_scratch(self)

    def forward(self, batch: Batch) -> Tensor:
        """``waveform`` (clips, samples) -> (clips, targets)."""
        # The average over what is left of time: where in the clip something was heard is forgotten.
        heard = self.hear(waveform_of(batch, self.samples)).mean(dim=2)
        return self.to_range(self.score(heard))
