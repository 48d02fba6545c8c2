"""A trained run -> a folder whose graph of ONNX scores clips without PyTorch.

From top to bottom: what is exported (`export`), what the graph takes (`_inputs`), the graph of a
network or an estimator, and the check: the same scores as the run's, on random input of two numbers
of clips and two lengths. What the folder holds says `exported`.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from traitscope import __version__
from traitscope.errors import ConfigError
from traitscope.extract.imported import DRAWINGS, PICTURES
from traitscope.extract.text_counts import COLUMNS
from traitscope.files import refuse_used, replacing, write_json
from traitscope.learners.graphs import Graph
from traitscope.runs.agreement import compare, lengths_of, random_batch, scaled
from traitscope.runs.checkpoint import Checkpoint, load
from traitscope.runs.checksums import write_checksums
from traitscope.runs.exported import (
    FORMAT,
    INPUTS,
    MASK,
    MODEL,
    SCORES,
    VARIANCES,
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
from traitscope.types import Draw

_KEPT = ("run.yaml", "features.json", "card.md", REFERENCE)
_TRACED = 3  # clips the exporter sees: 1 and 2 are sizes that it may take for fixed


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
    whole = served(content, inputs, words)
    differences = compare(checkpoint, whole)
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
    tree = _tree(checkpoint, whole, differences)
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
        return _network(checkpoint, fitted, inputs, surely=checkpoint.states_variance)
    if not hasattr(fitted, "graph"):
        raise ConfigError(
            f"{checkpoint.config.model['name']} cannot be exported: its Estimator has no graph()."
        )
    graph = Graph()
    if hasattr(fitted, "seeing"):
        graph = Graph(_network(checkpoint, fitted.seeing(), inputs, output="features"))
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


def _network(
    checkpoint: Checkpoint,
    network: Any,
    inputs: Sequence[Input],
    *,
    output: str = SCORES,
    surely: bool = False,
) -> Any:
    """The graph of a network: its own tensors, or of a text model ids and mask of tokens.

    Args:
        checkpoint: its run.
        network: that of the run, or the part of an estimator that sees pictures.
        inputs: what the graph takes.
        output: name of what it gives.
        surely: whether the run states variances.
    """
    import torch

    from traitscope.runs.networks import Prepared, Tokenised, network_graph

    network = network.cpu().eval()
    words = words_of(checkpoint)
    batch = random_batch(inputs, _TRACED, lengths_of(inputs)[0], seed=0)
    arrays = tensors_of(batch, inputs, words)
    outputs = [output]
    if words is not None:
        module: Any = Tokenised(network)
        names, axes = words.names, [{0: "clips", 1: "tokens"}] * 2
    else:
        spans: list[float] = []
        # Of several epochs' weights, each for its target, there are scores alone.
        if surely and checkpoint.estimate(scaled(checkpoint, batch)).variance is not None:
            outputs, spans = [SCORES, VARIANCES], [t.span for t in checkpoint.facts.targets]
        module = Prepared(network, inputs, checkpoint.scalers, spans)
        names, axes = module.names, [_axes(name, inputs) for name in module.names]
    examples = [torch.from_numpy(arrays[name]) for name in names]
    return network_graph(module.eval(), names, examples, axes, outputs=outputs)


def _axes(name: str, inputs: Sequence[Input]) -> dict[int, str]:
    """Names of the axes of a tensor that may have any length."""
    one = next(each for each in inputs if name in {each.stream, f"{each.stream}{MASK}"})
    if one.rows is not None or one.holds == "statistics":
        return {0: "clips"}
    # Streams of one group are drawn at the same times, and so have as many rows.
    return {0: "clips", 1: f"{one.draw.group or one.stream}_rows"}


def _tree(
    checkpoint: Checkpoint,
    graph: Served,
    differences: Sequence[tuple[int, Mapping[str, int], float]],
) -> dict[str, Any]:
    """What the graph takes and gives, for programs and people that know nothing of this one."""
    facts = checkpoint.facts
    streams = {}
    for one in graph.inputs:
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
            "variances": VARIANCES if graph.states_variance else None,
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
