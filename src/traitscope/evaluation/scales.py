"""Predictions on one scale in, on that of the labels out; a guess where nobody says which it is."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from traitscope.errors import DataError
from traitscope.evaluation.tables import Predictions
from traitscope.statistics.metrics import Array
from traitscope.types import Corpus, Target

_SCALES = (5, 7, 10)
"""Where scales of questionnaires end."""


def align(read: Predictions, corpus: Corpus, targets: Sequence[Target] | None) -> Predictions:
    """Give predictions of another corpus' ``targets`` the meaning of this corpus' labels.

    Where nobody knows what they mean, a scale that cannot be that of the labels is noted.
    """
    if targets is None:
        return replace(read, notes=(*scale_notes(read, corpus), *read.notes))
    given = {target.name: target for target in targets}
    values, notes = align_directions(
        read.values,
        [given.get(name, Target(name)) for name in read.targets],
        [corpus.target(name) for name in read.targets],
    )
    return replace(read, values=values, notes=(*notes, *read.notes))


def align_directions(
    values: Array, from_targets: Sequence[Target], to_targets: Sequence[Target]
) -> tuple[Array, tuple[str, ...]]:
    """Turn predictions made for one corpus into the meaning and range of another's labels.

    Args:
        values: (..., targets).
        from_targets: what was predicted, in the order of the last axis.
        to_targets: what the labels are, in the same order.

    Returns:
        The values, and a sentence for everything that was changed.

    Raises:
        DataError: a direction is not declared, or the targets have different names.
    """
    aligned, notes = np.array(values, dtype=np.float64), []
    for column, (source, to) in enumerate(zip(from_targets, to_targets, strict=True)):
        # Two that are equal need no direction: there is nothing to turn.
        if source == to:
            continue
        if source.name != to.name:
            raise DataError(f"Predictions of {source.name!r} cannot be scored as {to.name!r}.")
        if source.direction is None or to.direction is None:
            side = "predictions" if source.direction is None else "labels"
            raise DataError(
                f"It is not declared whether a high {to.name!r} of the {side} means more or less "
                f"of it. Declare its direction (1 or -1) before evaluating across corpora."
            )
        if source.direction != to.direction:
            # Turned around the middle of the range predicted, that of z-scores being 0.
            middle = 0.0 if source.low is None or source.high is None else source.low + source.high
            aligned[..., column] = middle - aligned[..., column]
            notes.append(
                f"Predictions of {source.label} were flipped: the labels are {to.label}, "
                f"where a high value means the opposite."
            )
        # After the flip, which was within the range predicted.
        scale = _rescale(source, to)
        if scale is not None:
            aligned[..., column] = scale[0] + scale[1] * aligned[..., column]
            notes.append(
                f"Predictions of {to.name} were stretched from {source.low:g}..{source.high:g} "
                f"to {to.low:g}..{to.high:g}."
            )
    return aligned, tuple(notes)


def scale_notes(read: Predictions, corpus: Corpus) -> list[str]:
    """Say where predictions lie on quite another scale than the labels, and which it may be."""
    odd: dict[tuple[str, float, float], list[int]] = {}
    for place, name in enumerate(read.targets):
        given = [clip.targets[name] for clip in read.clips if name in clip.targets]
        target = corpus.target(name)
        # Labels without a range show with their ends where predictions should lie.
        labels = given if target.low is None or target.high is None else (target.low, target.high)
        if labels and (guess := other_scale(read.values[..., place], min(labels), max(labels))):
            odd.setdefault((guess, min(labels), max(labels)), []).append(place)
    notes = []
    for (guess, low, high), places in odd.items():
        values, names = read.values[..., places], [read.targets[place] for place in places]
        notes.append(
            f"Predictions of {', '.join(names)} lie in {values.min():g}..{values.max():g}, labels "
            f"in {low:g}..{high:g}: are they {guess}?"
        )
    return notes


def other_scale(values: Array, low: float, high: float) -> str:
    """What predictions may be that cannot be on the scale from low to high; nothing if they can."""
    least, most, span = float(values.min()), float(values.max()), high - low
    # Asked first: beside labels of 0 to 100 shares would pass the next test.
    if least >= 0 and most <= 1 and (low >= 1 or span > _SCALES[-1]):
        return "shares of the range"
    # Within one range of the ends predictions are bad, but of this scale.
    if low - span <= least and most <= high + span:
        return ""
    if low == 0 and high == 1 and least < 0:
        return "on a scale from -1 to 1, or z-scores" if least >= -1 and most <= 1 else "z-scores"
    if low == 0 and high == 1 and most <= _SCALES[-1]:
        # Questionnaires begin at 1, sliders at 0.
        top = next(end for end in _SCALES if most <= end)
        return f"on a scale such as {int(least >= 1)} to {top}"
    return "per cent" if least >= 0 and _SCALES[-1] < most <= 100 else "on another scale"


def below_zero(values: Array) -> str:
    """What predictions of labels from 0 to 1 may be where many of them are below 0."""
    within = float(values.min()) >= -1 and float(values.max()) <= 1
    return "on a scale from -1 to 1, or z-scores" if within else "z-scores"


def comparable(source: Target, to: Target) -> bool:
    """Tell whether errors mean something: both ranges bounded, or both z-scores."""
    return (source.low is None) == (to.low is None)


def _rescale(source: Target, to: Target) -> tuple[float, float] | None:
    """Offset and factor from one bounded range to another; None where nothing is to be done."""
    if source.low is None or source.high is None or to.low is None or to.high is None:
        return None
    factor = (to.high - to.low) / (source.high - source.low)
    offset = to.low - source.low * factor
    return None if (offset, factor) == (0.0, 1.0) else (offset, factor)
