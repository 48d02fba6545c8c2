"""A graph of 32 bits and prepared clips -> one of 8 bits, with what it loses and gains.

Ranges of what flows through the network are taken from clips that the run was fitted on (static
quantisation: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html); what
that costs is measured on its validation clips. Recurrent layers, which have no such form, keep
their activations and store their weights in 8 bits alone (dynamic).
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.data.loader import Loader
from traitscope.errors import ConfigError
from traitscope.extras import require
from traitscope.runs.checkpoint import Checkpoint
from traitscope.runs.clips import some_examples
from traitscope.runs.exported import WHY, Input, Served, served, tensors_of
from traitscope.runs.words import Words
from traitscope.types import Batch

_CALIBRATION = 64
"""Clips whose ranges are taken: more change none of them by a step of 8 bits."""
_MEASURED = 200  # validation clips: the mean loss is then known to a few percent of itself
_ROUNDS = 11  # pairs of timings, of which the middle one counts
_STATIC = ("Conv", "Gemm", "MatMul")
_DYNAMIC = ("LSTM",)
_TOGETHER = 16


@dataclass(frozen=True)
class Quantised:
    """What became of a graph.

    Attributes:
        operators: how many became 8 bits, by kind.
        calibration_clips: that ranges were taken from.
        clips: of validation that it was measured on.
        mean_difference: of a score, as a share of its range.
        largest_difference: of a score, as a share of its range.
        mae_before: mean absolute error on these clips, as a share of the range.
        mae_after: the same with 8 bits.
        speed_up: how many times faster one clip is scored, without extraction.
        bytes_before: of the graph.
        bytes_after: of the graph in 8 bits.
    """

    operators: Mapping[str, int]
    calibration_clips: int
    clips: int
    mean_difference: float
    largest_difference: float
    mae_before: float
    mae_after: float
    speed_up: float
    bytes_before: int
    bytes_after: int

    def to_tree(self) -> dict[str, Any]:
        """As JSON values."""
        return {k: round(v, 6) if isinstance(v, float) else v for k, v in asdict(self).items()}

    @property
    def sentence(self) -> str:
        """What a person wants to know of it."""
        return (
            f"8 bits: {self.bytes_before / 1e6:.1f} -> {self.bytes_after / 1e6:.1f} MB, one clip "
            f"{self.speed_up:.2f} times as fast; on {self.clips} validation clips scores move by "
            f"{self.mean_difference:.2%} of their range in the mean and "
            f"{self.largest_difference:.1%} at most, and the mean error goes from "
            f"{self.mae_before:.4f} to {self.mae_after:.4f}"
        )


def quantise(
    checkpoint: Checkpoint, content: bytes, inputs: Sequence[Input], words: Words | None
) -> tuple[bytes, Quantised]:
    """Make the network of a graph one of 8 bits.

    Args:
        checkpoint: the run, whose prepared clips are still there.
        content: its graph.
        inputs: what that takes.
        words: how texts become numbers.

    Raises:
        ConfigError: there is nothing in the graph that 8 bits would make faster.
        DataError: the clips of the run have no features any more.
    """
    if not hasattr(checkpoint.fitted, "forward"):
        raise ConfigError(
            f"{checkpoint.config.model['name']} is no network: 8 bits would gain nothing. Leave "
            f"--int8 out."
        )
    before = served(content, inputs, words)
    # As the graph takes them: it standardises by itself.
    plain = replace(
        checkpoint,
        scalers={one.stream: one.plain for one in inputs if one.draw.optional},
        fitted=before,
    )
    fitted = some_examples(plain, "train", _CALIBRATION)
    batches = list(Loader(fitted, batch_size=1))
    calibration = [_wanted(before, tensors_of(batch, inputs, words)) for batch in batches]
    small, operators = _in_8_bits(content, calibration)
    after = served(small, inputs, words)
    held_out = some_examples(plain, "validation", _MEASURED)
    clips = list(Loader(held_out, batch_size=_TOGETHER))
    truth = np.concatenate([batch.targets for batch in clips])
    ranges = np.array([target.span for target in checkpoint.facts.targets])
    scores = [np.concatenate([each.predict(b) for b in clips]) / ranges for each in (before, after)]
    moved = np.abs(scores[1] - scores[0])
    errors = [float(np.nanmean(np.abs(each - truth / ranges))) for each in scores]
    return small, Quantised(
        operators=operators,
        calibration_clips=len(calibration),
        clips=len(held_out),
        mean_difference=float(moved.mean()),
        largest_difference=float(moved.max()),
        mae_before=errors[0],
        mae_after=errors[1],
        speed_up=_speed_up(before, after, batches[0]),
        bytes_before=len(content),
        bytes_after=len(small),
    )


def _wanted(graph: Served, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {one.name: arrays[one.name] for one in graph.session.get_inputs()}


def _in_8_bits(
    content: bytes, calibration: Sequence[Mapping[str, NDArray[Any]]]
) -> tuple[bytes, dict[str, int]]:
    """Quantise what can be; raises ConfigError where that is nothing."""
    onnx = require("onnx", extra="onnx", why=WHY)
    require("onnxruntime", extra="onnx", why=WHY)
    from onnxruntime import quantization
    from onnxruntime.quantization import shape_inference

    kinds = [node.op_type for node in onnx.load_from_string(content).graph.node]
    operators = {kind: kinds.count(kind) for kind in (*_STATIC, *_DYNAMIC) if kind in kinds}
    if not operators:
        raise ConfigError(
            f"There is no {' and no '.join((*_STATIC, *_DYNAMIC))} in this graph, so 8 bits would "
            f"gain nothing. Leave --int8 out."
        )
    logger = logging.getLogger()
    level = logger.level
    with TemporaryDirectory(prefix="traitscope-") as scratch:
        paths = [Path(scratch) / f"{step}.onnx" for step in ("plain", "ready", "static", "small")]
        paths[0].write_bytes(content)
        logger.setLevel(logging.ERROR)  # it writes to the root what a caller of it should do
        try:
            # Folds what is constant, and normalisation into the layer before it. Symbolic shapes
            # are left out: they take another package, and only transformers gain by them.
            shape_inference.quant_pre_process(paths[0], paths[1], skip_symbolic_shape=True)
            quantization.quantize_static(
                paths[1],
                paths[2],
                _Reader(calibration),
                # Activations without a sign, weights with one and a scale per channel: with signs
                # for both, processors without instructions for it took longer than with 32 bits
                # (.8 against 1.6 times as fast, convolutions, AVX2).
                activation_type=quantization.QuantType.QUInt8,
                per_channel=True,
                op_types_to_quantize=list(_STATIC),
            )
            if set(_DYNAMIC) & set(operators):
                quantization.quantize_dynamic(
                    paths[2], paths[3], op_types_to_quantize=list(_DYNAMIC)
                )
        finally:
            logger.setLevel(level)
        last = paths[3] if paths[3].is_file() else paths[2]
        return last.read_bytes(), operators


class _Reader:
    """Gives clips one after the other, as the runtime asks for them."""

    def __init__(self, clips: Sequence[Mapping[str, NDArray[Any]]]) -> None:
        self._clips = iter(clips)

    def get_next(self) -> Mapping[str, NDArray[Any]] | None:
        """The next clip; None when there is no more."""
        return next(self._clips, None)


def _speed_up(before: Served, after: Served, batch: Batch) -> float:
    """How many times faster one clip is scored; pairs, so that a busy machine is busy for both."""
    ratios = []
    for _ in range(_ROUNDS):
        seconds = []
        for graph in (before, after):
            start = time.perf_counter()
            graph.predict(batch)
            seconds.append(time.perf_counter() - start)
        ratios.append(seconds[0] / seconds[1])
    return float(np.median(ratios))
