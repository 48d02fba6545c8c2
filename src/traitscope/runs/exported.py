"""A folder that ``export`` wrote -> what a run is, for prediction: its network is an ONNX graph.

``model.onnx`` graph, with scalers and ranges in it · ``inputs.json`` what it takes · ``words.json``
how texts become numbers, for models of text · ``run.yaml``, ``features.json``, ``card.md`` as the
run has them. Nothing here imports PyTorch: who only scores need not wait for it, nor have it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from traitscope.data.scaling import Scaler
from traitscope.errors import ConfigError, DataError, shown
from traitscope.extras import require
from traitscope.files import check_regular, read_json
from traitscope.runs.words import Words, read_words
from traitscope.types import Batch, Draw, Rows

MODEL, INPUTS, WORDS = "model.onnx", "inputs.json", "words.json"
FORMAT = 1
MASK = "_mask"
"""Behind the name of a stream: which of its rows are there."""
SCORES, VARIANCES = "scores", "variances"
"""What a graph gives; the second one of networks that say how sure they are, in squared units."""
WHY = "Running an exported model"

Holds = Literal["numbers", "pictures", "statistics", "words"]
"""Rows of numbers or of pixels, statistics over the rows, or text."""
KINDS = {"numbers": "float32", "pictures": "uint8", "statistics": "float64"}
"""Of the tensors; words become several."""
_LARGEST = 8 * 2**30
_CURE = "Export the run again: traitscope export RUN --to FOLDER"


class Plain(Scaler):
    """Leaves numbers as they are, and what is missing missing: the graph standardises them."""

    def __call__(self, values: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """(..., columns), in 32 bits."""
        return values.astype(np.float32)


@dataclass(frozen=True)
class Input:
    """What a graph takes of one stream.

    Attributes:
        stream: its name, which is that of the tensor; its mask is called ``STREAM_mask``.
        holds: what the tensor is.
        shape: of one row, pictures (height, width, 3); of statistics, of the whole clip.
        draw: which rows of the stored stream.
        rows: how many each clip must have; a shorter one is filled with rows that are not there.
            None where any number will do.
    """

    stream: str
    holds: Holds
    shape: tuple[int, ...]
    draw: Draw
    rows: int | None = None

    @property
    def masked(self) -> bool:
        """Whether a tensor says which rows are there."""
        return self.holds in {"numbers", "pictures"} or self.draw.optional

    @property
    def plain(self) -> "Plain":
        """In place of a scaler: how wide a stream is, which a clip may be without."""
        return Plain(np.zeros(self.shape), np.ones(self.shape))

    def to_tree(self) -> dict[str, Any]:
        """As JSON values."""
        tree = {"holds": self.holds, "dtype": KINDS.get(self.holds), "shape": list(self.shape)}
        return {**tree, "rows": self.rows, "draw": asdict(self.draw)}

    @classmethod
    def of_tree(cls, stream: str, tree: Mapping[str, Any]) -> "Input":
        """Take back what `to_tree` gave; raises what Python does where it is something else."""
        draw = dict(tree["draw"])
        for name in ("train", "evaluate"):
            draw[name] = Rows(**draw[name])
        for name in ("pool", "columns"):
            draw[name] = tuple(draw[name])
        size = draw["size"]
        draw["size"] = tuple(size) if isinstance(size, list) else size
        holds = {kind: kind for kind in get_args(Holds)}[tree["holds"]]
        rows = tree["rows"]
        if rows is not None and (type(rows) is not int or rows < 1):
            raise ValueError(f"{shown(rows)} is no number of rows")
        return cls(stream, holds, tuple(map(int, tree["shape"])), Draw(**draw), rows)


@dataclass(frozen=True)
class Served:
    """A graph that scores batches, in place of the Model or Estimator it was made of.

    Attributes:
        session: of ONNX Runtime.
        inputs: what it takes.
        words: how texts become numbers, where it reads any.
    """

    session: Any
    inputs: tuple[Input, ...]
    words: Words | None = None

    @property
    def states_variance(self) -> bool:
        """Whether the graph says of each score how sure it is."""
        return VARIANCES in [one.name for one in self.session.get_outputs()]

    def predict(self, batch: Batch) -> NDArray[np.float64]:
        """(clips, targets) of a batch of NumPy arrays, whose streams are not standardised."""
        return self.estimate(batch)[0]

    def estimate(self, batch: Batch) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """The same, and variances in squared units where the graph states them."""
        arrays = tensors_of(batch, self.inputs, self.words)
        # The exporter leaves out what has no say, such as the mask of a stream that is always
        # there.
        wanted = [one.name for one in self.session.get_inputs()]
        outputs = [SCORES, VARIANCES] if self.states_variance else [SCORES]
        given = self.session.run(outputs, {name: arrays[name] for name in wanted})
        scores, *variances = (np.asarray(one, dtype=np.float64) for one in given)
        return scores, variances[0] if variances else None


def served(content: bytes, inputs: Sequence[Input], words: Words | None = None) -> Served:
    """Open a graph that is not written yet."""
    runtime = require("onnxruntime", extra="onnx", why=WHY)
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return Served(session, tuple(inputs), words)


def tensors_of(
    batch: Batch, inputs: Sequence[Input], words: Words | None = None
) -> dict[str, NDArray[Any]]:
    """Name of a graph's input -> its array, of a batch of NumPy arrays."""
    arrays: dict[str, NDArray[Any]] = {}
    for one in inputs:
        values = batch.streams[one.stream]
        if one.holds == "words":
            assert words is not None
            arrays |= words.arrays(batch)
        else:
            arrays[one.stream] = _filled(np.asarray(values, KINDS[one.holds]), one.rows)
        if one.masked:
            arrays[f"{one.stream}{MASK}"] = _filled(np.asarray(batch.masks[one.stream]), one.rows)
    return arrays


def _filled(rows: NDArray[Any], count: int | None) -> NDArray[Any]:
    """Put zeros behind the rows (clips, rows, ...) of clips that are shorter than they must be."""
    if count is None or rows.shape[1] >= count:
        return rows
    wide = np.zeros((len(rows), count, *rows.shape[2:]), rows.dtype)
    wide[:, : rows.shape[1]] = rows
    return wide


def is_exported(folder: Path) -> bool:
    """Whether a folder is one that ``export`` wrote."""
    return (folder / INPUTS).is_file() and (folder / MODEL).exists()


def check_exported(folder: Path) -> None:
    """Refuse a folder that ``export`` did not write.

    Raises:
        ConfigError: it is a run, or nothing of ours.
    """
    if not is_exported(folder):
        raise ConfigError(
            f"{folder} is no exported model: it has no {MODEL} and {INPUTS}. Make one with: "
            f"traitscope export {folder} --to FOLDER"
        )


def open_exported(folder: Path) -> Served:
    """Load the graph of an exported run.

    Raises:
        DataError: its files are damaged, or do not fit each other.
        MissingError: ONNX Runtime is not installed.
    """
    runtime = require("onnxruntime", extra="onnx", why=WHY)
    inputs = read_inputs(folder)
    words = read_words(folder / WORDS) if any(one.holds == "words" for one in inputs) else None
    check_regular(folder / MODEL, largest=_LARGEST)
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    try:
        providers = ["CPUExecutionProvider"]
        session = runtime.InferenceSession(str(folder / MODEL), options, providers=providers)
    # The runtime has a dozen exceptions of its own, all of them plain ones of Python.
    except Exception as error:
        raise DataError(f"{folder / MODEL} is damaged ({shown(str(error))}). {_CURE}") from error
    served = Served(session, inputs, words)
    _check_names(folder, served)
    return served


def read_inputs(folder: Path) -> tuple[Input, ...]:
    """What the graph of an exported run takes.

    Raises:
        DataError: ``inputs.json`` is missing or damaged.
    """
    tree = read_json(folder / INPUTS, root=dict, missing=_CURE, damaged=_CURE)
    if tree.get("format") != FORMAT:
        raise DataError(
            f"{folder / INPUTS} has the format {shown(tree.get('format'))}; this traitscope reads "
            f"{FORMAT}. {_CURE}"
        )
    try:
        return tuple(Input.of_tree(name, one) for name, one in tree["streams"].items())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{folder / INPUTS} is damaged ({shown(error)}). {_CURE}") from error


def _check_names(folder: Path, served: Served) -> None:
    """Refuse a graph that wants what nobody gives, before the first clip is extracted."""
    known = {name for one in served.inputs for name in (one.stream, f"{one.stream}{MASK}")}
    known |= set(served.words.names) if served.words is not None else set()
    lacking = sorted({one.name for one in served.session.get_inputs()} - known)
    outputs = [one.name for one in served.session.get_outputs()]
    if lacking or outputs not in ([SCORES], [SCORES, VARIANCES]):
        what = f"takes {lacking[0]!r}" if lacking else f"gives {', '.join(outputs)}"
        raise DataError(f"{folder / MODEL} {what}, which {INPUTS} does not say. {_CURE}")
