"""A trained run -> a folder whose graph of ONNX scores clips without PyTorch.

From top to bottom: what is exported (`export`), what the graph takes (`_inputs`), the graph of a
network or an estimator, and the check: the same scores as the run's, on random input of two numbers
of clips and two lengths. What the folder holds says `exported`.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from traitscope import __version__
from traitscope.errors import ConfigError, DataError
from traitscope.extract.imported import DRAWINGS, PICTURES
from traitscope.extract.text_counts import COLUMNS
from traitscope.files import refuse_used, replacing, write_json
from traitscope.learners.graphs import Graph
from traitscope.runs.checkpoint import Checkpoint, load
from traitscope.runs.checksums import write_checksums
from traitscope.runs.exported import (
    FORMAT,
    INPUTS,
    MASK,
    MODEL,
    SCORES,
    WORDS,
    Holds,
    Input,
    Served,
    served,
    tensors_of,
)
from traitscope.runs.plan import plan
from traitscope.runs.quantised import Quantised, quantise
from traitscope.runs.reference import FILE as REFERENCE
from traitscope.runs.words import STREAM, Terms, Tokens, Words
from traitscope.types import Batch, Draw

TOLERANCE = 1e-4
"""Of a score, between the run and its graph; float arithmetic in another order differs by 1e-6."""
_KEPT = ("run.yaml", "features.json", "card.md", REFERENCE)
_TRACED = 3  # clips the exporter sees: 1 and 2 are sizes that it may take for fixed
_CELLS = 200_000  # numbers of a stream of one clip in a check, at most
_PHRASES = ("so I like um... you", "", "never ever [UNKNOWN] in Paris?", "it is what it is -- ok")
"""Texts for a check: one of them says nothing."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: of the graph.
        difference: largest difference of a score from the run's.
        checked: (clips, rows of each stream) of each comparison.
        fixed: streams whose clips must have one number of rows, and how many.
        size_bytes: of the graph.
        int8: what became of it in 8 bits, where that was asked for.
    """

    folder: Path
    difference: float
    checked: tuple[tuple[int, Mapping[str, int]], ...]
    fixed: Mapping[str, int]
    size_bytes: int
    int8: Quantised | None = None


def export(
    run: Checkpoint | Path | str,
    to: Path | str,
    *,
    int8: bool = False,
    model: str | None = None,
    streams: Iterable[str] = (),
) -> Exported:
    """Write a run as a graph of ONNX, with everything that prediction takes.

    Args:
        run: a run folder, or a loaded checkpoint.
        to: the folder to write; it must be new or empty.
        int8: write its network in 8 bits, calibrated on clips that the run was fitted on.
        model: the dotted path of an outside model the run was trained with.
        streams: dotted paths of outside extractors that the run reads.

    Raises:
        ConfigError: the model cannot be exported, or the folder is used.
        DataError: the graph gives other scores than the run.
        MissingError: the extra is not installed.

    Example:
        ``export("runs/a", "model")``
    """
    folder = Path(to)
    refuse_used(folder)
    checkpoint = run if isinstance(run, Checkpoint) else load(run, model=model, streams=streams)
    if isinstance(checkpoint.fitted, Served):
        raise ConfigError(f"{checkpoint.folder} is exported already. Name the run it was made of.")
    inputs, words = inputs_of(checkpoint), words_of(checkpoint)
    content = graph_of(checkpoint, inputs).SerializeToString()
    # Of the graph as it is: 8 bits lose more than rounding, which is measured on real clips.
    differences = compare(checkpoint, served(content, inputs, words))
    small: Quantised | None = None
    if int8:
        content, small = quantise(checkpoint, content, inputs, words)
    with replacing(folder / MODEL) as draft:
        draft.write_bytes(content)
    for name in _KEPT:
        if (checkpoint.folder / name).is_file():
            shutil.copyfile(checkpoint.folder / name, folder / name)
    if words is not None:
        write_json(folder / WORDS, words.to_tree())
    tree = _tree(checkpoint, inputs, differences)
    write_json(folder / INPUTS, tree | ({"int8": small.to_tree()} if small is not None else {}))
    write_checksums(folder)
    return Exported(
        folder,
        max(difference for *_, difference in differences),
        tuple((clips, rows) for clips, rows, _ in differences),
        {one.stream: one.rows for one in inputs if one.rows is not None},
        len(content),
        small,
    )


def _module(checkpoint: Checkpoint) -> ModuleType:
    return plan(checkpoint.config, typed=checkpoint.typed).module


def inputs_of(checkpoint: Checkpoint) -> tuple[Input, ...]:
    """What the graph of a run takes, in the order of its draws."""
    by_design = bool(getattr(_module(checkpoint), "CONTRACT", {}).get("length"))
    rows: dict[str, int | None] = {}
    inputs = []
    for name, draw in checkpoint.draws.items():
        # Evenly spaced rows are always as many, and so is a single one; others are as many as the
        # clip has, unless the model says in its file that its size depends on their number.
        drawn = draw.evaluate
        bound = by_design or drawn.rule == "even" or drawn.count == 1
        count = drawn.count if bound else None
        # Streams of a group have the rows of its first: they are drawn at the same times.
        count = rows.setdefault(draw.group or name, count)
        inputs.append(_input(name, draw, tuple(checkpoint.facts.shapes[name]), count))
    return tuple(inputs)


def _input(name: str, draw: Draw, shape: tuple[int, ...], rows: int | None) -> Input:
    holds: Holds = "numbers"
    if name == STREAM:
        holds = "words"
    elif draw.pool:
        holds = "statistics"
    elif name in {*PICTURES, DRAWINGS}:
        holds, shape = "pictures", (*shape[1:], shape[0])
    return Input(name, holds, shape, draw, rows if holds in {"numbers", "pictures"} else None)


def words_of(checkpoint: Checkpoint) -> Words | None:
    """How a run makes numbers of texts, if it reads any.

    Raises:
        ConfigError: it reads them in a way of its own.
    """
    fitted: Any = checkpoint.fitted
    if STREAM not in checkpoint.draws:
        return None
    if hasattr(fitted, "score_tokens"):
        return Tokens(fitted.spec.tokenizer, fitted.longest)
    if hasattr(fitted, "terms"):
        return Terms(fitted.terms(), fitted.config.language)
    raise ConfigError(
        f"{checkpoint.config.model['name']} reads text in a way of its own, and cannot be exported."
    )


def graph_of(checkpoint: Checkpoint, inputs: Sequence[Input]) -> Any:
    """The graph of a run, as ``onnx`` has it.

    Raises:
        ConfigError: the model cannot be exported.
    """
    fitted: Any = checkpoint.fitted
    if reason := getattr(_module(checkpoint), "CONTRACT", {}).get("onnx"):
        raise ConfigError(f"{checkpoint.config.model['name']} cannot be exported: {reason}.")
    if hasattr(fitted, "forward"):
        return _network(checkpoint, fitted, inputs, SCORES)
    if not hasattr(fitted, "graph"):
        raise ConfigError(
            f"{checkpoint.config.model['name']} cannot be exported: its Estimator has no graph()."
        )
    graph = Graph()
    if hasattr(fitted, "seeing"):
        graph = Graph(_network(checkpoint, fitted.seeing(), inputs, "features"))
        given = {"features": "features"}
    else:
        given = _declared(graph, inputs)
    return graph.model(fitted.graph(graph, given), SCORES, len(checkpoint.facts.targets))


def _declared(graph: Graph, inputs: Sequence[Input]) -> dict[str, str]:
    """Declare what an estimator takes; name -> value in the graph."""
    given = {}
    for one in inputs:
        rows = f"{one.stream}_rows"
        if one.holds == "statistics":
            given[one.stream] = graph.input(one.stream, np.float64, ("clips", *one.shape))
        elif one.holds == "numbers":
            given[one.stream] = graph.input(one.stream, np.float32, ("clips", rows, *one.shape))
            mask = f"{one.stream}{MASK}"
            given[mask] = graph.input(mask, bool, ("clips", rows))
        else:  # terms, as `words.Terms` counts them
            name = f"{STREAM}_numbers"
            given[name] = graph.input(name, np.float64, ("clips", len(COLUMNS)))
            for kind in ("char", "word"):
                terms, counts = f"{STREAM}_{kind}", f"{STREAM}_{kind}_counts"
                given[terms] = graph.input(terms, np.int64, ("clips", f"{kind}_terms"))
                given[counts] = graph.input(counts, np.float64, ("clips", f"{kind}_terms"))
    return given


def _network(checkpoint: Checkpoint, network: Any, inputs: Sequence[Input], output: str) -> Any:
    """The graph of a network: its own tensors, or of a text model ids and mask of tokens."""
    import torch

    from traitscope.runs.networks import Prepared, Tokenised, network_graph

    network = network.cpu().eval()
    words = words_of(checkpoint)
    batch = random_batch(inputs, _TRACED, _lengths(inputs)[0], seed=0)
    arrays = tensors_of(batch, inputs, words)
    if words is not None:
        module: Any = Tokenised(network)
        names, axes = words.names, [{0: "clips", 1: "tokens"}] * 2
    else:
        module = Prepared(network, inputs, checkpoint.scalers)
        names, axes = module.names, [_axes(name, inputs) for name in module.names]
    examples = [torch.from_numpy(arrays[name]) for name in names]
    return network_graph(module.eval(), names, examples, axes, output=output)


def _axes(name: str, inputs: Sequence[Input]) -> dict[int, str]:
    """Names of the axes of a tensor that may have any length."""
    one = next(each for each in inputs if name in {each.stream, f"{each.stream}{MASK}"})
    if one.rows is not None or one.holds == "statistics":
        return {0: "clips"}
    # Streams of one group are drawn at the same times, and so have as many rows.
    return {0: "clips", 1: f"{one.draw.group or one.stream}_rows"}


def _lengths(inputs: Sequence[Input]) -> tuple[dict[str, int], dict[str, int]]:
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
        rows = _lengths(graph.inputs)[lengths]
        batch = random_batch(graph.inputs, clips, rows, seed=1 + clips)
        run = checkpoint.predict(_scaled(checkpoint, batch))
        try:
            exported = graph.predict(batch)
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


def _scaled(checkpoint: Checkpoint, batch: Batch) -> Batch:
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


def _tree(
    checkpoint: Checkpoint,
    inputs: Sequence[Input],
    differences: Sequence[tuple[int, Mapping[str, int], float]],
) -> dict[str, Any]:
    """What the graph takes and gives, for programs and people that know nothing of this one."""
    facts = checkpoint.facts
    streams = {}
    for one in inputs:
        request = facts.requests[one.stream]
        streams[one.stream] = {
            **one.to_tree(),
            "mask": f"{one.stream}{MASK}" if one.masked else None,
            "columns": list(facts.columns.get(one.stream, ())),
            "rate": getattr(request.config, "rate", None),
            "key": request.key,
            "fingerprint": request.fingerprint,
        }
    return {
        "format": FORMAT,
        "traitscope": __version__,
        "model": checkpoint.config.model["name"],
        "corpus": facts.corpus,
        "kind": facts.kind,
        "output": {
            "name": SCORES,
            "targets": [
                {"name": t.name, "label": t.label, "low": t.low, "high": t.high}
                for t in facts.targets
            ],
        },
        "streams": streams,
        "check": [
            {"clips": clips, "rows": dict(rows), "largest_difference": difference}
            for clips, rows, difference in differences
        ],
    }
