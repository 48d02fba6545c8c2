"""Does a graph of ONNX say what its run says? Random input for both, and how far they differ.

Batches of one and of four clips, each of two lengths: a size that the exporter took for fixed fails
here, before anything is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from traitscope.errors import ConfigError, DataError
from traitscope.runs.checkpoint import Checkpoint
from traitscope.runs.exported import Input, Served
from traitscope.runs.words import STREAM
from traitscope.types import Batch

TOLERANCE = 1e-4
"""Of a score, between the run and its graph; float arithmetic in another order differs by 1e-6."""
_CELLS = 200_000  # numbers of a stream of one clip in a check, at most
_PHRASES = ("so I like um... you", "", "never ever [UNKNOWN] in Paris?", "it is what it is -- ok")
"""Texts for a check: one of them says nothing."""


def compare(
    checkpoint: Checkpoint, graph: Served
) -> tuple[tuple[int, Mapping[str, int], float], ...]:
    """Score random input by the run and by its graph.

    Returns:
        Of each comparison: clips, rows of each stream, and the largest difference of a score.

    Raises:
        DataError: they differ by more than `TOLERANCE`.
    """
    results = []
    for clips, lengths in ((1, 1), (1, 0), (4, 0), (4, 1)):
        rows = lengths_of(graph.inputs)[lengths]
        batch = random_batch(graph.inputs, clips, rows, seed=1 + clips)
        run = _everything(checkpoint, scaled(checkpoint, batch))
        try:
            exported = _everything(replace(checkpoint, fitted=graph), batch)
        # Plain ones of Python, one for each fault of a graph: an axis that is fixed, above all.
        except Exception as error:
            raise ConfigError(
                f"The graph of {checkpoint.folder} does not take {clips} clips of {rows} rows "
                f"({str(error).strip()}). Where the model's size depends on the number of rows, "
                f"its file has to say so: CONTRACT = {{'length': why}}."
            ) from error
        difference = float(np.abs(run - exported).max(initial=0))
        if not difference <= TOLERANCE:  # NaN is no agreement either
            raise DataError(
                f"The graph of {checkpoint.folder} gives scores that differ from the run's by "
                f"{difference:.2g} (at most {TOLERANCE:g} is rounding) for {clips} clips of "
                f"{rows} rows. It was not written; please report it with the model's name."
            )
        results.append((clips, rows, difference))
    return tuple(results)


def _everything(checkpoint: Checkpoint, batch: Batch) -> Any:
    """Scores, and beside them standard deviations, of a run that states its variance."""
    made = checkpoint.estimate(batch)
    return made.scores if made.variance is None else np.stack([made.scores, made.variance**0.5])


def scaled(checkpoint: Checkpoint, batch: Batch) -> Batch:
    """Standardise as `data.drawing` does, before a batch that the run itself gets."""
    streams = dict(batch.streams)
    for name, scaler in checkpoint.scalers.items():
        streams[name] = scaler(streams[name])
    for name, mask in batch.masks.items():
        if name != STREAM and streams[name].dtype != np.uint8:
            streams[name] = np.where(_beside(mask, streams[name]), streams[name], 0)
    return replace(batch, streams=streams)


def _beside(mask: Any, values: Any) -> Any:
    return mask.reshape(*mask.shape, *[1] * (values.ndim - mask.ndim))


def lengths_of(inputs: Sequence[Input]) -> tuple[dict[str, int], dict[str, int]]:
    """Rows of each stream in the first check and in the second, two thirds of them."""
    longer, shorter = {}, {}
    for one in inputs:
        if one.rows is not None:
            longer[one.stream] = shorter[one.stream] = one.rows
            continue
        fits = max(4, _CELLS // max(1, prod(one.shape)))
        rows = min(one.draw.evaluate.count or 96, fits)
        longer[one.stream], shorter[one.stream] = rows, max(1, 2 * rows // 3)
    return longer, shorter


def random_batch(
    inputs: Sequence[Input], clips: int, lengths: Mapping[str, int], *, seed: int
) -> Batch:
    """Clips of random streams, as they are drawn; the first is whole, others end earlier."""
    rng = np.random.default_rng(seed)
    streams: dict[str, Any] = {}
    masks: dict[str, Any] = {}
    for one in inputs:
        rows = lengths[one.stream]
        shape = (clips, rows, *one.shape)
        if one.holds == "words":
            texts = [[_PHRASES[clip % len(_PHRASES)]] for clip in range(clips)]
            streams[one.stream] = np.array(texts, dtype=np.dtypes.StringDType())
            masks[one.stream] = np.ones((clips, 1), dtype=bool)
            continue
        if one.holds == "statistics":
            streams[one.stream] = rng.normal(size=(clips, *one.shape))
            if one.masked:
                masks[one.stream] = np.arange(clips)[:, None] % 2 == 0
            continue
        # From the end backwards, as padding does, and never all of a clip.
        ends = np.maximum(1, rows - np.arange(clips) % rows)
        masks[one.stream] = np.arange(rows) < ends[:, None]
        if one.holds == "pictures":
            streams[one.stream] = rng.integers(256, size=shape, dtype=np.uint8)
        else:
            streams[one.stream] = rng.normal(size=shape).astype(np.float32)
    names = tuple(f"clip{number}" for number in range(clips))
    nothing = np.zeros((clips, 0))
    return Batch(names, streams, masks, nothing, nothing > 0)
