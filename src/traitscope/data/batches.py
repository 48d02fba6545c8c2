"""Examples -> batches: clips side by side, padded and masked, on their way to a device.

Pictures stay bytes, (rows, height, width, 3), until they are there: a quarter of the memory to
fill, to share between processes and to copy. What becomes of them on the device is `to_tensors`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from traitscope.augment import Augmentation, Drawn
from traitscope.data.drawing import Example
from traitscope.types import Batch, label_array

if TYPE_CHECKING:
    from torch import Tensor

AnyArray = NDArray[Any]
Allocate = Callable[[tuple[int, ...], np.dtype[Any]], AnyArray]
"""Gives an array of a shape and kind whose content does not matter."""


def collate(
    examples: Sequence[Example],
    targets: Sequence[str],
    *,
    columns: Mapping[str, tuple[str, ...]] | None = None,
    allocate: Allocate = np.empty,
) -> Batch:
    """Pad examples to the longest of each stream and lay them side by side (NumPy arrays).

    Labels are (clips, targets) with zeros and a False mask where one is missing.

    Args:
        examples: of the clips, in order.
        targets: names of the labels.
        columns: names of the last axis of each stream.
        allocate: where streams and masks go; a reader lays them into memory that others see.
    """
    labels = label_array([example.clip for example in examples], targets)
    known = np.isfinite(labels)
    streams, masks = {}, {}
    for name in examples[0].streams:
        streams[name] = _laid([example.streams[name] for example in examples], allocate)
        if name in examples[0].masks:
            masks[name] = _laid([example.masks[name] for example in examples], allocate)
    return Batch(
        clips=tuple(example.clip.id for example in examples),
        streams=streams,
        masks=masks,
        # Zeros, because NaN would survive any mask: 0 * NaN is NaN.
        targets=np.where(known, labels, 0.0).astype(np.float32),
        target_mask=known,
        mixed=np.array([example.mixed for example in examples]),
        columns=dict(columns or {}),
        draws={
            name: np.stack([example.draws[name] for example in examples])
            for name in examples[0].draws
        },
    )


def _laid(parts: Sequence[AnyArray], allocate: Allocate) -> AnyArray:
    """Lay arrays (rows, ...) side by side; shorter ones get zeros, empty text or False behind."""
    longest = max(len(part) for part in parts)
    # Texts have kinds of several lengths: the longest holds all.
    kind = np.result_type(*(part.dtype for part in parts))
    laid = allocate((len(parts), longest, *parts[0].shape[1:]), kind)
    for place, part in zip(laid, parts, strict=True):
        place[: len(part)] = part
        if len(part) < longest:
            place[len(part) :] = np.zeros((), kind)
    return laid


def row_shape(array: AnyArray) -> tuple[int, ...]:
    """The shape of a row of a stream as a network gets it: colours come first."""
    shape = array.shape[1:]
    return (shape[2], *shape[:2]) if is_pictures(array) else shape


def is_pictures(array: AnyArray) -> bool:
    """Whether an array of rows, or of clips, holds pixels; numbers of streams are never uint8."""
    return isinstance(array, np.ndarray) and array.dtype == np.uint8


def to_tensors(batch: Batch, device: Any = "cpu", *, augment: Sequence[Augmentation] = ()) -> Batch:
    """Move a batch to a device; NumPy arrays become tensors, text stays as it is.

    Pictures are augmented and normalised there. Nothing waits for the device: the copy reads from
    memory that cannot be paged out, and whatever depends on a draw is decided by the draws, which
    stay here.

    Args:
        batch: of NumPy arrays.
        device: where to.
        augment: the transforms that the draws of the batch are of.
    """
    streams = {
        name: _shown(batch, name, device, augment) if is_pictures(array) else _moved(array, device)
        for name, array in batch.streams.items()
    }
    return replace(
        batch,
        streams=streams,
        masks={name: _moved(array, device) for name, array in batch.masks.items()},
        targets=_moved(batch.targets, device),
        target_mask=_moved(batch.target_mask, device),
        mixed=_moved(batch.mixed, device),
        draws={},
    )


def _moved(array: Any, device: Any) -> Any:
    import torch

    if isinstance(array, np.ndarray):
        if array.dtype.kind not in "fiub":
            return array
        # torch wants arrays that may be written to; those of a shelf are everybody's.
        array = torch.from_numpy(array if array.flags.writeable else array.copy())
        array = array.float() if array.dtype == torch.float64 else array
        if torch.device(device).type == "cuda":
            array = array.pin_memory()
    return array.to(device, non_blocking=True) if hasattr(array, "to") else array


def _shown(batch: Batch, name: str, device: Any, augment: Sequence[Augmentation]) -> "Tensor":
    """Pictures as a network gets them: changed as drawn, normalised, missing ones zero."""
    from traitscope.nn.images import as_images, normalised

    images = as_images(_moved(batch.streams[name], device))
    # Clips are mixed when each has been changed by itself.
    for transform in sorted(augment, key=lambda one: one.mix is not None):
        drawn: Drawn | None = batch.draws.get(transform.name)
        if drawn is not None and transform.pixels is not None and transform.shows_in(name):
            images = transform.pixels(images, drawn)
    images = normalised(images)
    mask = batch.masks[name]
    # Once they are normalised, the zeros of a missing picture are zeros no more.
    if not mask.all():
        images *= _moved(mask, device)[..., None, None, None]
    return images
