"""PersEmoN: one network for the traits and the emotions of faces, and what the two have in common.

Paper: Zhang et al., "PersEmoN: A Deep Network for Joint Analysis of Apparent Personality, Emotion
and Their Relationship", 2019, https://arxiv.org/abs/1811.08657; its trunk is SphereFace-20, Liu et
al., 2017, https://arxiv.org/abs/1704.08063.

    faces -- SphereFace-20 -- 512 --+-- trait head ------------------------ traits
                                    +-- emotion head (tanh) -- relation --- traits once more (.1)
                                    +-- domain head: labelled with traits, or with emotions? (.1)

Emotions are the targets ``valence`` and ``arousal``, of clips that carry them: a table may hold
some clips with traits and others with emotions. Without them traits and their relation train, and
there is no domain head.

Where we differ: emotion labels are optional, and trait and relation heads end in the target range.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.autograd import Function

from traitscope.config import Config as BaseConfig
from traitscope.nn.heads import RangeHead, masked_mean
from traitscope.types import Batch, Draw, Rows, Target

EMOTIONS = ("valence", "arousal")
RELATION = 0.1
"""Weight of the loss of the traits that emotions tell."""
STAGES = ((64, 1), (128, 2), (256, 4), (512, 1))
"""Channels, and pairs of convolutions, of SphereFace-20's stages."""
STRIDE = 16


class Config(BaseConfig):
    """How many faces, and sizes."""

    faces: PositiveInt = 10
    """Faces of a clip."""
    size: PositiveInt = 112
    """Side of a face in pixels; a multiple of 16."""
    features: PositiveInt = 512
    """Size of what is known of a face."""
    width: PositiveInt = 1
    """Divides the channels, for small machines and tests."""


TINY = Config(faces=2, size=32, features=16, width=16)


def inputs(config: Config) -> dict[str, Draw]:
    """Faces over the clip."""
    rows = Rows("segments", config.faces), Rows("even", config.faces)
    return {"faces": Draw(*rows, size=config.size)}


@dataclass(frozen=True)
class Output:
    """Predictions, and what else is taught.

    Attributes:
        prediction: (clips, targets).
        auxiliary: pairs of a weight and scores (clips, targets): the traits that emotions tell.
        emotions: (targets,) True where a target is an emotion.
        domain: (clips, 2) scores of "has traits" and "has emotions"; None without emotions.
    """

    prediction: Tensor
    auxiliary: tuple[tuple[float, Tensor], ...]
    emotions: Tensor
    domain: Tensor | None


class Pair(nn.Module):
    """Two convolutions that are added to what comes in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.PReLU(channels)),
            *(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.PReLU(channels)),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(n, channels, h, w) -> the same shape."""
        out: Tensor = maps + self.layers(maps)
        return out


class Reversed(Function):
    """What goes in comes out; its gradient is turned, so that the trunk unlearns the domain.

    Ganin and Lempitsky, 2015, https://arxiv.org/abs/1409.7495.
    """

    @staticmethod
    def forward(_: object, features: Tensor) -> Tensor:
        """(n, features) -> the same."""
        return features.view_as(features)

    @staticmethod
    def backward(_: object, gradient: Tensor) -> Tensor:
        """Turn the gradient."""
        return -gradient


def sphereface20(config: Config) -> nn.Sequential:
    """Faces (n, 3, size, size) -> (n, features)."""
    layers: list[nn.Module] = []
    before = 3
    for channels, pairs in ((count // config.width, pairs) for count, pairs in STAGES):
        # No batch normalisation anywhere, as in SphereFace: faces of a batch stay apart.
        layers += [nn.Conv2d(before, channels, 3, 2, 1), nn.PReLU(channels)]
        layers += [Pair(channels) for _ in range(pairs)]
        before = channels
    places = (config.size // STRIDE) ** 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * places, config.features))


class Model(nn.Module):
    """The trunk and its heads; a clip is the mean of its faces."""

    emotions: Tensor

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        felt = torch.tensor([target.name in EMOTIONS for target in targets])
        self.register_buffer("emotions", felt)
        self.trunk = sphereface20(config)
        self.trait = nn.Linear(config.features, len(targets))
        self.emotion = nn.Linear(config.features, len(EMOTIONS))
        self.relate = nn.Sequential(
            nn.Linear(len(EMOTIONS), 128), nn.ReLU(), nn.Linear(128, len(targets))
        )
        # Without emotions there is one domain, and nothing to tell apart.
        both = any(target.name in EMOTIONS for target in targets)
        self.domain = nn.Linear(config.features, 2) if both else None
        # Targets come in the corpus' order, emotions of the head in ours.
        self.order = [EMOTIONS.index(t.name) if t.name in EMOTIONS else 0 for t in targets]
        self.to_range = RangeHead(targets)

    def forward(self, batch: Batch) -> Output:
        """``faces`` (clips, faces, 3, size, size) -> Output."""
        mask = batch.masks["faces"]
        # Faces of all clips at once; without batch normalisation they do not meet.
        known = self.trunk(rearrange(batch.streams["faces"], "clips n c h w -> (clips n) c h w"))
        known = rearrange(known, "(clips n) f -> clips n f", clips=mask.shape[0])
        # Averaged before tanh: an ambivalent clip is neutral, not the mean of two extremes.
        felt = torch.tanh(masked_mean(self.emotion(known), mask))
        traits = masked_mean(self.to_range(self.trait(known)), mask)
        # Emotions run from -1 to 1 whatever head a range asks for: tanh is stretched to it.
        stretched = self.to_range.low + self.to_range.span * (felt[:, self.order] + 1) / 2
        feelings = torch.where(self.to_range.bounded, stretched, felt[:, self.order])
        domain = None
        if self.domain is not None:
            domain = self.domain(masked_mean(Reversed.apply(known), mask))
        return Output(
            prediction=torch.where(self.emotions, feelings, traits),
            auxiliary=((RELATION, self._related(felt, traits)),),
            emotions=self.emotions,
            domain=domain,
        )

    def _related(self, felt: Tensor, traits: Tensor) -> Tensor:
        """Traits that emotions tell (clips, targets); an emotion itself is left as it is."""
        return torch.where(self.emotions, traits.detach(), self.to_range(self.relate(felt)))
