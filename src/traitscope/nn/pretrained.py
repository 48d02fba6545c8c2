"""Blocks for models on pretrained backbones: finding weights, holding frozen parts still."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from traitscope import weights
from traitscope.media.pictures import IMAGENET_MEAN, IMAGENET_SD

_IMAGENET = (IMAGENET_MEAN, IMAGENET_SD)

BARE: dict[str, Any] = {"num_classes": 0, "global_pool": ""}
"""Settings of a timm network without pooling and classifier."""


@contextmanager
def frozen(part: nn.Module) -> Iterator[None]:
    """Compute a frozen part without gradient and with the statistics it came with."""
    was_training = part.training
    part.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        part.train(was_training)


def freeze(part: nn.Module) -> None:
    """Take every tensor of a part out of training."""
    for tensor in part.parameters():
        tensor.requires_grad_(False)


def hold_frozen(model: nn.Module) -> None:
    """Keep wholly frozen parts in evaluation mode, so that no batch statistics drift in them."""
    for part in model.modules():
        tensors = list(part.parameters())
        if tensors and not any(tensor.requires_grad for tensor in tensors):
            part.eval()


def timm_backbone(name: str, *, pretrained: bool, **settings: Any) -> Any:
    """Make a timm model; pretrained weights are read from the local cache, never downloaded.

    Raises:
        MissingError: pretrained weights are not in the cache.
    """
    import timm

    overlay: dict[str, Any] = {}
    if pretrained:
        overlay = {"file": str(weights.find_network(name, setting="model.pretrained"))}
    model: nn.Module = timm.create_model(
        name, pretrained=pretrained, pretrained_cfg_overlay=overlay, **settings
    )
    return model


def take_published(network: nn.Module, name: str, **settings: Any) -> None:
    """Fill a timm network with the tensors published for ``name``, from the local cache.

    Raises:
        MissingError: they are not in the cache.
    """
    network.load_state_dict(timm_backbone(name, pretrained=True, **settings).state_dict())


class Colours(nn.Module):
    """Images normalised for ImageNet -> normalised as a published network was taught with them."""

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Sequence[float], sd: Sequence[float]) -> None:
        super().__init__()
        scale, shift = IMAGENET_SD / np.array(sd), (IMAGENET_MEAN - np.array(mean)) / np.array(sd)
        for name, values in (("scale", scale), ("shift", shift)):
            tensor = torch.tensor(values.tolist())[:, None, None]
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, height, width) -> the same shape."""
        return images * self.scale + self.shift


def colours_of(name: str, *, pretrained: bool) -> nn.Module:
    """Make what gives a timm network its images; nothing to do for most, and without weights."""
    import timm

    published = timm.get_pretrained_cfg(name) if pretrained else None
    if published is None or np.allclose([published.mean, published.std], _IMAGENET):
        return nn.Identity()
    return Colours(published.mean, published.std)
