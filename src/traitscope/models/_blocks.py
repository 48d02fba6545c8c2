"""Blocks for models on pretrained backbones: finding weights, holding frozen parts still."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from traitscope.errors import MissingError


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


def timm_backbone(name: str, *, pretrained: bool, **settings: Any) -> nn.Module:
    """Make a timm model; pretrained weights are read from the local cache, never downloaded.

    Raises:
        MissingError: pretrained weights are not in the cache.
    """
    import timm

    overlay: dict[str, Any] = {}
    if pretrained:
        overlay = {"file": str(cached_weights(name))}
    model: nn.Module = timm.create_model(
        name, pretrained=pretrained, pretrained_cfg_overlay=overlay, **settings
    )
    return model


def cached_weights(name: str) -> Path:
    """Where the weights of a timm model lie in the hub's local cache.

    Raises:
        MissingError: they were never fetched on this machine.
    """
    import timm
    from huggingface_hub import try_to_load_from_cache

    known = timm.get_pretrained_cfg(name)
    repository = getattr(known, "hf_hub_id", None)
    for file in ("model.safetensors", "pytorch_model.bin") if repository else ():
        path = try_to_load_from_cache(f"{repository}", file)
        if isinstance(path, str):
            return Path(path)
    raise MissingError(
        f"The pretrained weights of {name!r} are not on this machine. Fetch them with: traitscope "
        f"weights fetch timm:{name}, or start from random weights with: model.pretrained=false"
    )
