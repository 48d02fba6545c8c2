"""DAN: what a VGG16 sees of a frame, averaged and maximised over its places (DAN, DAN+).

Paper: Wei et al., "Deep Bimodal Regression of Apparent Personality Traits from Short Video
Sequences", 2017, https://doi.org/10.1109/TAFFC.2017.2762299; winner of ChaLearn LAP 2016.

Where we differ: the average and the maximum are taken over all 7 x 7 places (with the published
kernel of one place both are the identity), and the head ends in the target range. Its audio half is
``audio_linear``; ``traitscope fuse`` joins the two.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from traitscope.nn.heads import RangeHead, RowScores
from traitscope.nn.images import ImagesConfig, image_draws, score_images
from traitscope.types import Batch, Draw, Target

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Channels of VGG16's convolutions; a max-pool follows each block."""


class Config(ImagesConfig):
    """How much of the network, on what, how many images of a clip."""

    plus: bool = False
    """DAN+: pool a second time after relu5_2."""
    width: PositiveInt = 1
    """Divides the channels, for small machines and tests."""


TINY = Config(plus=True, width=16, size=32, images=2, evaluation_images=2)


def inputs(config: Config) -> dict[str, Draw]:
    """Frames or faces: random ones in training, evenly spaced ones in evaluation."""
    return image_draws(config)


class Model(nn.Module):
    """VGG16 with batch normalisation up to its last pooling, pooled descriptors, one layer."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        layers, before = [], 3
        for block in BLOCKS:
            for channels in (count // config.width for count in block):
                layers.append(_convolution(before, channels))
                before = channels
            layers.append(nn.Sequential(nn.MaxPool2d(2)))
        self.first = nn.Sequential(*layers[:-2])  # up to relu5_2
        self.rest = nn.Sequential(*layers[-2:])
        self.input, self.plus = config.input, config.plus
        self.score = nn.Linear(2 * before * (2 if config.plus else 1), len(targets))
        self.to_range = RangeHead(targets)

    def forward(self, batch: Batch) -> RowScores:
        """Images (clips, images, 3, size, size) -> scores of each image and their mean."""
        return score_images(batch, self.input, self._score)

    def _score(self, images: Tensor) -> Tensor:
        early = self.first(images)
        late = self.rest(early)
        described = [descriptor(late), *([descriptor(early)] if self.plus else [])]
        scores: Tensor = self.to_range(self.score(torch.cat(described, dim=1)))
        return scores


def descriptor(maps: Tensor) -> Tensor:
    """Average and maximum over places, each of unit length: (n, c, h, w) -> (n, 2 c)."""
    average, largest = maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))
    return torch.cat([functional.normalize(average), functional.normalize(largest)], dim=1)


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


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
