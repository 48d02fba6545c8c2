"""What can be known to be wrong before training: numbers and labels; `rehearsal` tries a step.

In: what a run is fitted on. Out: nothing, or an error that names the clip and the column. After an
hour of training a lone 1e39 in one of six thousand clips would only be "diverged".
"""

import logging
from typing import Any

import numpy as np

from traitscope.data.drawing import chosen_columns
from traitscope.data.examples import Examples
from traitscope.errors import DataError
from traitscope.training.label_noise import standard_errors
from traitscope.training.training_set import TrainingSet
from traitscope.training.weighting import clip_weights
from traitscope.types import Stream

_log = logging.getLogger(__name__)

LARGEST = 1e18
"""Of a number: the square of a larger one is none in single precision (3.4e38)."""

FEWEST = 2
"""Labels of a target among fitted clips: of one, a constant is as good as any model."""


def check_data(data: TrainingSet) -> None:
    """Refuse numbers and labels that no training survives.

    Raises:
        DataError: names the clip, and the column or target.
    """
    # A z-score has no range that a corpus could hold it against.
    for clip in (*data.fitting.clips, *data.selection.clips):
        for target in data.targets:
            value = clip.targets.get(target.name, 0.0)
            if not abs(value) <= LARGEST:
                raise DataError(
                    f"The label {target.name} of clip {clip.id!r} is {value:g}. Mend it in "
                    f"{data.config.data.corpus}, or leave that cell empty."
                )
    _check_labels(data)
    for stage in data.config.stages:
        if stage.clip_weights:
            clip_weights(data.fitting.clips, stage.clip_weights)
        if stage.label_noise == "raters":
            standard_errors(data.corpus, data.fitting.clips, data.targets)
    for examples in (data.fitting, data.selection):
        _check_streams(examples)


def _check_labels(data: TrainingSet) -> None:
    """Refuse a target that nothing can be learnt of, before an estimator says so."""
    for target in data.targets:
        count = sum(target.name in clip.targets for clip in data.fitting.clips)
        if count < FEWEST:
            others = ",".join(each.name for each in data.targets if each.name != target.name)
            cure = f", or train on the others: data.targets=[{others}]" if others else ""
            raise DataError(
                f"{count} of {len(data.fitting)} fitted clips have a label for {target.name}; at "
                f"least {FEWEST} are needed. Fill that column in {data.config.data.corpus}{cure}."
            )


def _check_streams(examples: Examples) -> None:
    for name, draw in examples.draws.items():
        # A missing cell of these is the mean of its column, as is documented; else it is a NaN.
        may_miss, empty = draw.standardize or bool(draw.pool), []
        for clip in examples.clips:
            stream = chosen_columns(examples.stream(name, clip.id), draw.columns)
            if stream.values is None or stream.values.dtype.kind != "f":
                break  # pictures, text or whole numbers: all clips of the stream have the same
            bad = ~(np.abs(stream.values) <= LARGEST) & _rows_there(stream)
            if may_miss:
                bad &= ~np.isnan(stream.values)
            if bad.any():
                raise DataError(_bad_number(stream, bad, f"{name} of clip {clip.id!r}"))
            if stream.mask.any() and not np.isfinite(stream.values[stream.mask]).any():
                empty.append(clip.id)
        if empty:
            _log.warning(
                "%d of %d clips (first: %r) have no number at all in %s, and count as the mean of "
                "the others. Leave them out, or make it again.",
                *(len(empty), len(examples), empty[0], name),
            )


def _rows_there(stream: Stream) -> Any:
    assert stream.values is not None
    return stream.mask.reshape(-1, *[1] * (stream.values.ndim - 1))


def _bad_number(stream: Stream, bad: Any, what: str) -> str:
    assert stream.values is not None
    place = tuple(int(i) for i in np.argwhere(bad)[0])
    column = stream.columns[place[-1]] if len(place) > 1 and stream.columns else ""
    where = f"column {column!r} of {what}" if column else what
    return (
        f"{int(bad.sum())} numbers in {what} cannot be trained on: {where} is "
        f"{stream.values[place]:g} at {stream.time[place[0]]:.2f} s. Mend what it was made of and "
        f"make it again (traitscope prepare, or features import), or leave that clip out."
    )
