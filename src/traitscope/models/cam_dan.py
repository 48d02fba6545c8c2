"""CAM-DAN+: VGG16, the average over places, one layer; its maps show where a score comes from.

Paper: Ventura et al., "Interpreting CNN Models for Apparent Personality Trait Regression", 2017,
https://doi.org/10.1109/CVPRW.2017.217; class activation maps after Zhou et al., 2016,
https://arxiv.org/abs/1512.04150.

Where we differ: the head ends in the target range, so that a map adds up to the score before the
sigmoid.
"""

from collections.abc import Mapping, Sequence

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from traitscope.nn.heads import RangeHead, RowScores
from traitscope.nn.images import ImagesConfig, image_draws, score_images
from traitscope.nn.initial import from_scratch
from traitscope.nn.vgg import BLOCKS, fill_vgg16, vgg16
from traitscope.types import Batch, Draw, Target


class Config(ImagesConfig):
    """How much of the network, on what, how many images of a clip."""

    pretrained: bool = False
    """Start from ImageNet weights in the local cache."""
    width: PositiveInt = 1
    """Divides the channels, for small machines and tests."""


TINY = Config(width=16, size=32, images=2, evaluation_images=2)

WEIGHTS = {
    "timm:vgg16_bn.tv_in1k": "BSD-3-Clause; ImageNet-1k",
}
"""Published tensors it may start from -> licence and what they were taught on."""


def inputs(config: Config) -> dict[str, Draw]:
    """Frames or faces: random ones in training, evenly spaced ones in evaluation."""
    return image_draws(config)


class Model(nn.Module):
    """VGG16 up to its last convolution, the average over places, a linear layer."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        self.config = config
        # Without the last pooling there are 14 x 14 places: maps as fine as they can be.
        self.see = nn.Sequential(*vgg16(config.width)[:-1])
        self.score = nn.Linear(BLOCKS[-1][-1] // config.width, len(targets))
        self.to_range = RangeHead(targets)
        from_scratch(self)

    def load_pretrained(self) -> None:
        """Take ImageNet weights from the local cache, if the config asks for them."""
        if self.config.pretrained:
            fill_vgg16(self.see)

    def forward(self, batch: Batch) -> RowScores:
        """Images (clips, images, 3, size, size) -> scores of each image and their mean."""
        return score_images(batch, self.config.input, self._score)

    def activation_maps(self, images: Tensor) -> Tensor:
        """Where each score comes from: (n, 3, size, size) -> (n, targets, size / 16, size / 16).

        The mean over a map and the bias of its target are the score before the head's range.
        """
        # The head is linear in the average over places, so each place has its own share of a score.
        maps = self.see(images)
        return torch.einsum("nchw,tc->nthw", maps, self.score.weight)

    def _score(self, images: Tensor) -> Tensor:
        scores: Tensor = self.to_range(self.score(self.see(images).mean(dim=(2, 3))))
        return scores
