"""ResNet on single face images with a small head, averaged over a clip (pascalmi's nine variants).

The nine variants are settings::

    R18 v1:  backbone=resnet18 hidden=[512,64] dropouts=[0.5]
    R18 v2:  backbone=resnet18 hidden=[512,64] dropouts=[0.5] unfreeze=layer4
    R18 v3:  backbone=resnet18 hidden=[512,64] dropouts=[0.5] unfreeze=layers
    R34 v1:  backbone=resnet34 hidden=[512,64] dropouts=[0.5]
    R34 v2:  backbone=resnet34 hidden=[]
    R50:     backbone=resnet50 hidden=[512,64] dropouts=[0.5]
    R101 v1: hidden=[1024,512,64] dropouts=[0.5]
    R101 v2: the default, with its fixed head
    R152:    backbone=resnet152 hidden=[512,64] dropouts=[0.5]

Where we differ: a frozen backbone is in evaluation mode, so that its statistics do not drift;
unfrozen layers reach the optimiser; the head ends in the target range; faces come from the store at
its rate, and the images of a training clip are drawn anew in every epoch. The loss sees every image
as a sample; a clip's prediction is the mean over its images.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from pydantic import PositiveInt, model_validator
from torch import nn

from traitscope.nn.backbones import BackboneConfig, ResNet, ResNetName, Share, face_draw
from traitscope.nn.heads import RangeHead, RowScores
from traitscope.nn.images import Images, evaluated
from traitscope.types import Batch, Draw, Rows, Target


class Config(BackboneConfig):
    """Backbone, head, and how many images of a clip are looked at."""

    backbone: ResNetName = "resnet101"
    """Network that turns an image into features."""
    hidden: tuple[PositiveInt, ...] = (512, 256, 64)
    """Units of the hidden layers of the head."""
    dropouts: tuple[Share, ...] = (0.5, 0.3, 0.1)
    """Dropout after each hidden layer; one value stands for all of them."""
    size: PositiveInt = 224
    """Side of an image in pixels."""
    images: PositiveInt = 30
    """Random images of a clip per training epoch."""
    evaluation_images: Images = 1
    """Evenly spaced images of a clip in evaluation, or all that are stored."""

    @model_validator(mode="after")
    def _a_dropout_per_layer(self) -> "Config":
        if len(self.dropouts) not in {1, len(self.hidden)} and self.hidden:
            raise ValueError(
                f"{len(self.dropouts)} dropouts for {len(self.hidden)} hidden layers: give one "
                f"for each, or one for all"
            )
        return self


TINY = Config(
    backbone="resnet18",
    pretrained=False,
    width=0.125,
    unfreeze="layer4",
    hidden=(16,),
    dropouts=(0.0,),
    size=32,
    images=3,
    evaluation_images=2,
)


def inputs(config: Config) -> dict[str, Draw]:
    """Faces: random ones in training, evenly spaced ones in evaluation."""
    # Random over the clip in training, so that 30 images of an epoch are others in the next.
    draw = Draw(train=Rows("random", config.images), evaluate=evaluated(config.evaluation_images))
    return face_draw(config, draw, config.size)


class Model(nn.Module):
    """ResNet, global average, hidden layers with ReLU and dropout, scores of each image."""

    def __init__(
        self, config: Config, shapes: Mapping[str, tuple[int, ...]], targets: Sequence[Target]
    ) -> None:
        super().__init__()
        self.backbone = ResNet(config)
        # A frozen backbone gives the same features in every epoch: see embeddings=true.
        sizes = (self.backbone.channels, *config.hidden)
        # One value stands for every layer; of several there are as many as layers.
        dropouts = (config.dropouts * len(config.hidden))[: len(config.hidden)]
        # ReLU before dropout, as searched: the order changes nothing but is theirs.
        layers: list[nn.Module] = []
        for (width, units), dropout in zip(pairwise(sizes), dropouts, strict=True):
            layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(dropout)]
        self.head = nn.Sequential(*layers, nn.Linear(sizes[-1], len(targets)))
        self.to_range = RangeHead(targets)

    def load_pretrained(self) -> None:
        """Start the backbone from ImageNet if the settings say so."""
        self.backbone.load_pretrained()

    def forward(self, batch: Batch) -> RowScores:
        """``faces`` (clips, images, 3, size, size) -> scores of each image and their mean."""
        # Rows, not clips, are samples of the loss: 30 images of 4 clips are a batch of 120.
        features, mask = self.backbone(batch)
        return RowScores(self.to_range(self.head(features)), mask)


FOREIGN = ((r"^(?:\w+\.)*?(conv1|bn1|layer[1-4])\.", r"backbone.network.\1."),)
"""Names in files of other programs -> ours: ResNets of torchvision and timm."""
