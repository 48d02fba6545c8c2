"""A clip put through transforms as in training: its streams as a network gets them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.augment import change
from traitscope.data.batches import collate, to_tensors
from traitscope.data.drawing import Example
from traitscope.media.pictures import IMAGENET_MEAN, IMAGENET_SD
from traitscope.types import Clip


def as_seen(
    streams: dict[str, Any], masks: dict[str, Any], chosen: Any, seed: int = 0
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Streams and masks of one clip; pictures (rows, 3, height, width) normalised."""
    moved, shown, draws = change(streams, masks, chosen, np.random.default_rng(seed))
    batch = collate([Example(Clip("c"), moved, shown, draws=draws)], [])
    tensors = to_tensors(batch, augment=chosen)
    return (
        {name: tensor[0].numpy() for name, tensor in tensors.streams.items()},
        {name: mask[0].numpy() for name, mask in tensors.masks.items()},
    )


def pixels(normalised: NDArray[Any]) -> NDArray[Any]:
    """Pictures (..., 3, height, width) of a network in 0..1."""
    return normalised * IMAGENET_SD[:, None, None] + IMAGENET_MEAN[:, None, None]
