"""Blocks for models on pretrained backbones: finding weights, holding frozen parts still."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from traitscope import weights


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
