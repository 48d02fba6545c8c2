"""DAN: what a VGG16 sees of a frame, averaged and maximised over its places (DAN, DAN+).

Paper: Wei et al., "Deep Bimodal Regression of Apparent Personality Traits from Short Video
Sequences", 2017, https://doi.org/10.1109/TAFFC.2017.2762299; winner of ChaLearn LAP 2016.

The paper discards the dense layers of VGG16: that is ``dense=false``. The DeepPersonality
benchmark, https://arxiv.org/abs/2210.09138, ran it with one (50,176 values, 1024, LeakyReLU,
dropout .5, head), which is the recipe ``dan``; ``dan_vgg`` starts from ImageNet under strong
transforms.

Where we differ: average and maximum are taken over all 7 x 7 places, before a dense layer over the
3 x 3 places around each (with the published kernel of one place both are the identity, so that the
layer saw everything twice), and the head ends in the target range. Its audio half is
``audio_linear``; ``traitscope fuse`` joins the two.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from pydantic import PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional

from traitscope.nn.backbones import Share
from traitscope.nn.heads import RangeHead, RowScores
from traitscope.nn.images import ImagesConfig, image_draws, score_images
from traitscope.nn.initial import from_scratch
from traitscope.nn.vgg import BLOCKS, fill_vgg16, vgg16
from traitscope.types import Batch, Draw, Target

STRIDE = 32
"""Pixels per place of the last map."""
DENSE = 1024
"""Units of the dense layer."""


class Config(ImagesConfig):
    """How much of the network, on what, how many images of a clip."""

    plus: bool = False
    """DAN+: pool a second time after relu5_2."""
    dense: bool = False
    """Keep the places apart and put a dense layer over all of them, as the benchmark did."""
    dropout: Share = 0.5
    """Dropout after the dense layer."""
    pretrained: bool = False
    """Start the convolutions from ImageNet weights in the local cache."""
    width: PositiveInt = 1
    """Divides the channels, for small machines and tests."""

    @model_validator(mode="after")
    def _possible(self) -> "Config":
        if self.pretrained and self.width != 1:
            raise ValueError("no weights are published for width above 1: set pretrained=false")
        if self.dense and self.plus:
            raise ValueError("the dense layer goes over the last map alone: set plus=false")
        return self


TINY = Config(plus=True, width=16, size=32, images=2, evaluation_images=2)

WEIGHTS = {
    "timm:vgg16_bn.tv_in1k": "BSD-3-Clause; ImageNet-1k (recipe dan_vgg)",
}
"""Published tensors it may start from -> licence and what they were taught on."""


def inputs(config: Config) -> dict[str, Draw]:
    """Frames or faces: random ones in training, evenly spaced ones in evaluation."""
    return image_draws(config)


class Model(nn.Module):
    """VGG16 with batch normalisation up to its last pooling, pooled descriptors, one layer."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        layers, channels = vgg16(config.width), BLOCKS[-1][-1] // config.width
        # DAN+ looks in between, so the network is kept in two parts.
        self.first = nn.Sequential(*layers[:-2])  # up to relu5_2
        self.rest = nn.Sequential(*layers[-2:])
        self.input, self.plus, self.dense = config.input, config.plus, None
        self.pretrained = config.pretrained
        # An average and a maximum of each channel, of each tap.
        described = 2 * channels * (2 if config.plus else 1)
        if config.dense:
            values, units = described * (config.size // STRIDE) ** 2, DENSE // config.width
            self.dense = nn.Sequential(
                nn.Linear(values, units), nn.LeakyReLU(), nn.Dropout(config.dropout)
            )
            described = units
        self.score = nn.Linear(described, len(targets))
        self.to_range = RangeHead(targets)
        from_scratch(self)

    def load_pretrained(self) -> None:
        """Take VGG16's convolutions from the local cache, if the config asks for them."""
        if self.pretrained:
            fill_vgg16(nn.ModuleList([self.first, self.rest]))

    def forward(self, batch: Batch) -> RowScores:
        """Images (clips, images, 3, size, size) -> scores of each image and their mean."""
        return score_images(batch, self.input, self._score)

    def _score(self, images: Tensor) -> Tensor:
        early = self.first(images)
        late = self.rest(early)
        if self.dense is not None:
            described = [self.dense(neighbourhoods(late).flatten(1))]
        else:
            described = [descriptor(late), *([descriptor(early)] if self.plus else [])]
        scores: Tensor = self.to_range(self.score(torch.cat(described, dim=1)))
        return scores


def descriptor(maps: Tensor) -> Tensor:
    """Average and maximum over places, each of unit length: (n, c, h, w) -> (n, 2 c)."""
    # Length one each: the maximum would be several times longer than the average.
    average, largest = maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))
    return torch.cat([functional.normalize(average), functional.normalize(largest)], dim=1)


def neighbourhoods(maps: Tensor) -> Tensor:
    """Average and maximum around each place, of unit length: (n, c, h, w) -> (n, 2 c, h, w)."""
    # Stride 1 and padding keep 7 x 7 places, and with them the 50,176 values of the layer.
    average = functional.avg_pool2d(maps, 3, 1, 1)
    largest = functional.max_pool2d(maps, 3, 1, 1)
    return torch.cat([functional.normalize(average), functional.normalize(largest)], dim=1)


def _published_names() -> Iterator[tuple[str, str]]:
    """VGG16 of torchvision numbers convolutions, norms, ReLUs and poolings in one row."""
    layers = [channels for block in BLOCKS for channels in (*block, 0)]  # 0: a pooling
    number = 0
    for index, channels in enumerate(layers):
        early = len(layers) - 2
        ours = f"first.{index}" if index < early else f"rest.{index - early}"
        for offset in (0, 1) if channels else ():
            yield rf"^(?:\w+\.)*?features\.{number + offset}\.", f"{ours}.{offset}."
        number += 3 if channels else 1


FOREIGN = tuple(_published_names())
"""Names in files of other programs -> ours: VGG16 with batch normalisation."""
