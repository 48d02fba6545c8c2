"""Image networks from timm as parts of models: frozen but for named layers, and really frozen."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from einops import rearrange
from pydantic import Field, model_validator
from torch import Tensor, nn

from traitscope.config import Config as BaseConfig
from traitscope.nn.pretrained import BARE, Backbone, hold_frozen
from traitscope.types import Batch, Draw

Share = Annotated[float, Field(ge=0, lt=1)]
ResNetName = Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
Unfreeze = Literal["none", "layer4", "layers"]
"""Nothing, the last of the four groups of blocks, or all four (the stem never trains)."""

EMBEDDED: dict[ResNetName, int] = {
    "resnet18": 512,
    "resnet34": 512,
    "resnet50": 2048,
    "resnet101": 2048,
    "resnet152": 2048,
}
"""Channels of the last layer."""

_TRAINED: dict[Unfreeze, tuple[str, ...]] = {
    "none": (),
    "layer4": ("layer4.",),
    "layers": ("layer1.", "layer2.", "layer3.", "layer4."),
}


class BackboneConfig(BaseConfig):
    """Which ResNet, where its tensors come from, which of them train."""

    backbone: ResNetName = "resnet50"
    """Network that turns an image into features."""
    pretrained: bool = True
    """Start the backbone from ImageNet; read from the cache, see ``traitscope weights``."""
    unfreeze: Unfreeze = "none"
    """Groups of the backbone's layers that train."""
    width: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Channels as a share of the published ones, for small machines; needs pretrained=false."""

    embeddings: bool = False
    """Take what the frozen backbone makes of each face from the store, where it is computed once,
    instead of computing it in every epoch."""

    @model_validator(mode="after")
    def _possible(self) -> "BackboneConfig":
        if self.pretrained and self.width != 1:
            raise ValueError("no weights are published for width below 1: set pretrained=false")
        if self.embeddings and (self.unfreeze != "none" or self.width != 1):
            raise ValueError("embeddings are those of a whole, frozen backbone")
        return self

    @property
    def published(self) -> str:
        """Name of the published weights (torchvision's first recipe for ImageNet)."""
        return f"{self.backbone}.tv_in1k"


def face_draw(config: BackboneConfig, draw: Draw, size: int) -> dict[str, Draw]:
    """Draw faces, or what the backbone made of them, by the same rule.

    Args:
        config: says which.
        draw: how faces are drawn.
        size: side of a face in pixels.
    """
    if not config.embeddings:
        return {"faces": replace(draw, size=size)}
    extract = {"model": config.published, "pretrained": config.pretrained, "size": size}
    return {"embedding": replace(draw, extract={**extract, "faces": dict(draw.extract)})}


class ResNet(nn.Module):
    """A ResNet without its classifier, or nothing at all where its output comes from the store.

    What is frozen stays in evaluation mode whatever mode the model is put into, so that its batch
    normalisation neither uses nor gathers statistics of the batch.
    """

    channels: int

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        if config.embeddings:
            self.channels = EMBEDDED[config.backbone]
            return
        self.network: Any = _backbone(config).network()
        self.channels = self.network.num_features
        # Here, not in the optimiser: what does not train is also held in evaluation mode.
        for tensor_name, tensor in self.network.named_parameters():
            tensor.requires_grad_(tensor_name.startswith(_TRAINED[config.unfreeze]))
        self.train()  # a new network is in training mode, its frozen parts, too

    def train(self, mode: bool = True) -> "ResNet":
        """Change the mode of the layers that train, and of no other."""
        super().train(mode)
        for part in self.children():
            hold_frozen(part)
        return self

    def load_pretrained(self) -> None:
        """Take the published tensors, if asked to."""
        if not self.config.embeddings:
            _backbone(self.config).fill(self.network)

    def maps(self, batch: Batch) -> Tensor:
        """``faces`` (clips, rows, 3, height, width) -> (clips * rows, channels, places, places)."""
        features: Tensor = self.network(
            rearrange(batch.streams["faces"], "clips rows ... -> (clips rows) ...")
        )
        return features

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """``faces`` or ``embedding`` of a batch -> (clips, rows, channels), mask (clips, rows)."""
        if self.config.embeddings:
            return batch.streams["embedding"], batch.masks["embedding"]
        mask = batch.masks["faces"]
        averages = self.maps(batch).mean(dim=(2, 3))
        return rearrange(averages, "(clips rows) c -> clips rows c", clips=mask.shape[0]), mask


def _backbone(config: BackboneConfig) -> Backbone:
    """What is asked of timm; the tag behind the name says which of its published tensors."""
    # All four groups, so that blocks still fit each other.
    channels = tuple(max(1, round(config.width * size)) for size in (64, 128, 256, 512))
    return Backbone(config.published, config.pretrained, {"channels": channels, **BARE})
