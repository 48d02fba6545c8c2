"""How much each part of a clip adds to each score: a run, an example and its parts in, numbers out.

Exact where the model is a sum (`Estimator.contributions`), integrated gradients where there are
gradients and the network is small enough to be walked back some eighty times, and otherwise what is
lost when a part is replaced by the reference. Large image networks are asked row by row, and what a
row adds is laid out over the picture by its activation map (Captum's layer CAM, or the model's own
``activation_maps``). Every way, the numbers of all parts add up (about) to the score minus that of
the reference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.analysis import gradients
from traitscope.analysis.parts import Part, summed, without
from traitscope.data.batches import collate, is_pictures
from traitscope.data.drawing import Example
from traitscope.runs.checkpoint import Checkpoint

Array = NDArray[np.float64]
References = Mapping[str, NDArray[Any]]

STEPS = 16
"""Of integrated gradients: with Gauss-Legendre points the sum is off by about a hundredth."""
DEAREST = 2e7
"""Pixels that are walked back through a network before an activation map is taken instead."""
_AT_ONCE = 32  # examples that go through a model together
_EXACT = "exact contributions: the model is a sum over its columns"
_GRADIENTS = "integrated gradients over all streams"
_LOSS = "what the score loses when a part is replaced"
_MAPS = "what the score loses when a picture is replaced, laid out by its activation map"


@dataclass(frozen=True)
class Attribution:
    """What was found.

    Attributes:
        values: (parts, targets).
        method: how, in words.
    """

    values: Array
    method: str


def scores_of(checkpoint: Checkpoint, examples: Sequence[Example]) -> Array:
    """Scores (examples, targets) of one clip's example and its variants."""
    names = [target.name for target in checkpoint.facts.targets]
    columns = checkpoint.facts.columns
    parts = [
        checkpoint.predict(collate(examples[at : at + _AT_ONCE], names, columns=columns))
        for at in range(0, len(examples), _AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.empty((0, len(names)))


def attribute(
    checkpoint: Checkpoint, example: Example, parts: Sequence[Part], reference: References
) -> Attribution:
    """Say what every part adds to every score.

    Args:
        checkpoint: the run.
        example: of one clip.
        parts: of it.
        reference: arrays that stand for nothing in particular, of the shapes of the streams.
    """
    if hasattr(checkpoint.fitted, "contributions"):
        return Attribution(_exact(checkpoint, example, parts), _EXACT)
    network = hasattr(checkpoint.fitted, "forward")
    words = any(array.dtype.kind not in "fiub" for array in example.streams.values())
    if network and not words and _cost(checkpoint, example) <= DEAREST:
        flat, inputs, others, masks = _tensors(checkpoint, example, reference)
        values = gradients.integrated(flat, inputs, others, masks, steps=STEPS)
        rows = dict(zip(flat.streams, map(_as_rows, values), strict=True))
        return Attribution(summed(parts, rows), _GRADIENTS)
    if network and not words and any(part.cell for part in parts):
        return Attribution(_by_maps(checkpoint, example, parts, reference), _MAPS)
    return Attribution(_by_loss(checkpoint, example, [[part] for part in parts], reference), _LOSS)


def alone(checkpoint: Checkpoint, example: Example, reference: References) -> dict[str, Array]:
    """What the scores lose without each stream as a whole: stream -> (targets,)."""
    names = list(example.streams)
    variants = [example]
    for name in names:
        array = example.streams[name]
        empty = reference.get(name)
        gone = np.zeros_like(array) if empty is None else empty  # "" of words
        variants.append(replace(example, streams={**example.streams, name: gone}))
    scores = scores_of(checkpoint, variants)
    return dict(zip(names, scores[0] - scores[1:], strict=True))


def _exact(checkpoint: Checkpoint, example: Example, parts: Sequence[Part]) -> Array:
    names = [target.name for target in checkpoint.facts.targets]
    batch = collate([example], names, columns=checkpoint.facts.columns)
    values = checkpoint.fitted.contributions(batch)[0][0]
    # The table of an estimator has its streams side by side, in the order of its settings.
    order = checkpoint.fitted.config.streams
    ends = np.cumsum([len(example.streams[name]) for name in order])[:-1]
    return summed(parts, dict(zip(order, np.split(values, ends), strict=True)))


def _cost(checkpoint: Checkpoint, example: Example) -> float:
    """Pixels that integrated gradients of every target would walk back."""
    pixels = sum(array.size / 3 for array in example.streams.values() if is_pictures(array))
    return float(pixels * STEPS * len(checkpoint.facts.targets))


def _tensors(checkpoint: Checkpoint, example: Example, reference: References) -> tuple[Any, ...]:
    """The flat network, and the tensors of the example and of its reference."""
    from traitscope.data.batches import to_tensors
    from traitscope.runs.tensors import Flat

    device = next(checkpoint.fitted.parameters()).device
    empty = replace(example, streams=dict(reference))
    # Both pass through the same normalisation: a grey picture is as grey for a network.
    batches = [to_tensors(collate([one], ()), device) for one in (example, empty)]
    flat = Flat(checkpoint.fitted, batches[0]).eval()
    count = len(flat.streams)
    mine, others = (flat.tensors(batch) for batch in batches)
    return flat, mine[:count], others[:count], mine[count:]


def _as_rows(values: Array) -> Array:
    """Of one clip (targets, 1, rows, ...) -> (rows, ..., targets), of pictures without colours."""
    one = values[:, 0]
    if one.ndim == 5:  # (targets, rows, colours, height, width)
        one = one.sum(axis=2)
    return np.moveaxis(one, 0, -1)


def _by_loss(
    checkpoint: Checkpoint,
    example: Example,
    groups: Sequence[Sequence[Part]],
    reference: References,
) -> Array:
    """What the scores lose without each group of parts: (groups, targets)."""
    lost = []
    # Variants of pictures are large: no more of them than go through the model at once.
    for at in range(0, len(groups), _AT_ONCE):
        some = [without(example, group, reference) for group in groups[at : at + _AT_ONCE]]
        lost.append(scores_of(checkpoint, some))
    whole = scores_of(checkpoint, [example])
    return whole - np.concatenate(lost)


def _by_maps(
    checkpoint: Checkpoint, example: Example, parts: Sequence[Part], reference: References
) -> Array:
    """Rows of pictures by what is lost, their cells by the activation map; the rest by loss."""
    groups: dict[tuple[str, float | None], list[int]] = {}
    for place, part in enumerate(parts):
        groups.setdefault((part.stream, part.start), []).append(place)
    lost = _by_loss(
        checkpoint, example, [[parts[p] for p in places] for places in groups.values()], reference
    )
    flat, inputs, others, masks = _tensors(checkpoint, example, reference)
    maps = gradients.activation_maps(flat, inputs, masks)
    # Where there is nothing to see a layer is active, too. Of a model's own maps, which its scores
    # are linear in, the difference is exact; gradients at the reference say nothing of this clip.
    if hasattr(flat.network, "activation_maps"):
        empty = gradients.activation_maps(flat, others, masks)
        maps = {name: one - empty[name] for name, one in maps.items()}
    values = np.zeros((len(parts), lost.shape[1]))
    for places, gone in zip(groups.values(), lost, strict=True):
        first = parts[places[0]]
        shares = np.full((len(places), len(gone)), 1 / len(places))
        if first.cell is not None and first.stream in maps:
            row = int(np.asarray(first.index[0]).flat[0])
            shares = gradients.shares_of_cells(maps[first.stream][row], [parts[p] for p in places])
        values[places] = shares * gone
    return values
