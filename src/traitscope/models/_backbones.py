"""Image networks from timm as parts of models: frozen but for named layers, and really frozen."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from torch import Tensor, nn

from traitscope.config import Config as BaseConfig

Share = Annotated[float, Field(ge=0, lt=1)]
ResNetName = Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
Unfreeze = Literal["none", "layer4", "layers"]
"""Nothing, the last of the four groups of blocks, or all four (the stem never trains)."""

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

    @model_validator(mode="after")
    def _published_width(self) -> "BackboneConfig":
        if self.pretrained and self.width != 1:
            raise ValueError("no weights are published for width below 1: set pretrained=false")
        return self


class ResNet(nn.Module):
    """A ResNet without its classifier.

    What is frozen stays in evaluation mode whatever mode the model is put into, so that its batch
    normalisation neither uses nor gathers statistics of the batch.
    """

    channels: int

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        import timm

        self.config = config
        channels = tuple(max(1, round(config.width * size)) for size in (64, 128, 256, 512))
        self.network: nn.Module = timm.create_model(
            config.backbone, pretrained=False, num_classes=0, global_pool="", channels=channels
        )
        self.channels = self.network.num_features  # type: ignore[assignment]
        for tensor_name, tensor in self.network.named_parameters():
            tensor.requires_grad_(tensor_name.startswith(_TRAINED[config.unfreeze]))
        self.train()

    def train(self, mode: bool = True) -> "ResNet":
        """Change the mode of the layers that train, and of no other."""
        super().train(mode)
        for part in self.network.modules():
            tensors = list(part.parameters())
            if tensors and not any(tensor.requires_grad for tensor in tensors):
                part.eval()
        return self

    def load_pretrained(self) -> None:
        """Take the tensors published for ImageNet (torchvision's first recipe), if asked to."""
        if self.config.pretrained:
            load_timm(self.network, f"{self.config.backbone}.tv_in1k")

    def forward(self, images: Tensor) -> Tensor:
        """(images, 3, height, width) -> (images, channels, height / 32, width / 32)."""
        features: Tensor = self.network(images)
        return features


def load_timm(network: nn.Module, name: str) -> None:
    """Fill a timm network with the published tensors of ``name``, which must be in the cache.

    Raises:
        MissingError: they are not; the message names the command that fetches them.
    """
    from safetensors.torch import load_file

    from traitscope.models._blocks import cached_weights

    tensors = load_file(cached_weights(name))
    network.load_state_dict({key: tensors[key] for key in network.state_dict()})
