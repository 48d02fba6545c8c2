"""A network's gradients, by Captum: integrated ones, and activation maps of its last pictures.

In: a `Flat` network and its tensors. Out: arrays with a first axis of targets.
"""

from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from traitscope.analysis.parts import GRID, Part
from traitscope.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from traitscope.runs.tensors import Flat

Array = NDArray[np.float64]
_CLIPS = 8  # steps that go through a network together


def integrated(
    flat: "Flat",
    inputs: "Sequence[Tensor]",
    reference: "Sequence[Tensor]",
    masks: "Sequence[Tensor]",
    *,
    steps: int,
) -> list[Array]:
    """Integrated gradients (Sundararajan et al., 2017, https://arxiv.org/abs/1703.01365).

    Args:
        flat: the network.
        inputs: of one clip, (1, ...) each.
        reference: of the same shapes, where the path begins.
        masks: of the clip; they stay as they are all along the path.
        steps: points of the path.

    Returns:
        Of each input (targets, 1, ...); their sum is the score minus that of the reference.
    """
    captum = require("captum.attr", extra="explain", why="Explaining a network")
    method = captum.IntegratedGradients(flat)
    found: list[list[Array]] = []
    with _differentiable():
        for target in range(_width(flat, inputs, masks)):
            values = method.attribute(
                tuple(inputs),
                baselines=tuple(reference),
                target=target,
                additional_forward_args=tuple(masks),
                n_steps=steps,
                internal_batch_size=_CLIPS,
            )
            found.append([one.detach().double().cpu().numpy() for one in values])
    return [np.stack(one) for one in zip(*found, strict=True)]


def activation_maps(
    flat: "Flat", inputs: "Sequence[Tensor]", masks: "Sequence[Tensor]"
) -> dict[str, Array]:
    """Where each score looks: stream of pictures -> (rows, targets, height, width).

    A model's own maps are taken where it has some; else the activations of the last layer that
    still has places, each weighted by its gradient (Layer Grad-CAM,
    https://arxiv.org/abs/1610.02391). Nothing for networks without such a layer.
    """
    pictures = [name for name, one in zip(flat.streams, inputs, strict=True) if one.ndim == 5]
    own = getattr(flat.network, "activation_maps", None)
    if len(pictures) != 1:
        return {}
    (name,) = pictures
    images = inputs[flat.streams.index(name)]
    if own is not None:
        import torch

        with torch.inference_mode():
            return {name: own(images[0]).double().cpu().numpy()}
    layer, count = _last_places(flat, inputs, masks), images.shape[1]
    if layer is None:
        return {}
    captum = require("captum.attr", extra="explain", why="Explaining a network")
    method = captum.LayerGradCam(flat, layer)
    maps = []
    with _differentiable():
        for target in range(_width(flat, inputs, masks)):
            asked = tuple(one.detach().requires_grad_() for one in inputs)
            values = method.attribute(asked, target=target, additional_forward_args=tuple(masks))
            maps.append(values.detach().double().cpu().numpy()[:, 0])
    stacked = np.stack(maps, axis=1)
    # A network that looks at all pictures of a clip at once has one map for all of them.
    return {name: stacked if len(stacked) == count else np.repeat(stacked[:1], count, axis=0)}


def shares_of_cells(maps: Array, parts: Sequence[Part]) -> Array:
    """What part of a picture's effect belongs to each cell: (cells, targets), sums are 1.

    Args:
        maps: (targets, height, width) of one picture.
        parts: its cells.
    """
    import cv2

    shares = []
    for one in maps:
        cells = cv2.resize(one.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
        strength = np.abs(np.array([cells[part.cell] for part in parts if part.cell], float))
        total = strength.sum()
        shares.append(strength / total if total > 0 else np.full(len(parts), 1 / len(parts)))
    return np.stack(shares, axis=1)


def _width(flat: "Flat", inputs: "Sequence[Tensor]", masks: "Sequence[Tensor]") -> int:
    import torch

    with torch.no_grad():
        return int(flat(*inputs, *masks).shape[1])


def _last_places(
    flat: "Flat", inputs: "Sequence[Tensor]", masks: "Sequence[Tensor]"
) -> "nn.Module | None":
    """The last layer whose output is (pictures, channels, height, width) with several places."""
    import torch

    last: list[Any] = []

    def look(layer: Any, _: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.ndim == 4 and min(output.shape[-2:]) > 1:
            last[:] = [layer]

    hooks = [one.register_forward_hook(look) for one in flat.network.modules()]
    try:
        _width(flat, inputs, masks)
    finally:
        for hook in hooks:
            hook.remove()
    return last[0] if last else None


@contextmanager
def _differentiable() -> "Iterator[None]":
    """Gradients of a network in evaluation mode: cuDNN refuses them for recurrent layers."""
    import torch

    with torch.backends.cudnn.flags(enabled=False), torch.enable_grad():
        yield
