"""The layers of a model with their output shapes and parameters, as a table and as a picture.

Nothing is computed: the model is built and run on torch's ``meta`` device, which knows shapes only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from traitscope.data.drawing import chosen_columns
from traitscope.errors import DataError
from traitscope.features.request import Request
from traitscope.nn.pretrained import timm_backbone
from traitscope.plotting import save
from traitscope.runs.checkpoint import build_fitted, predicted
from traitscope.runs.facts import Facts
from traitscope.runs.plan import Plan
from traitscope.types import TRAITS, Batch, Draw, Stream, Target

ROWS_SHOWN = 100
"""Rows of a stream of which a model takes all."""

_ROW_SETTINGS = ("segments", "rows", "samples", "count")
"""Settings of extractors that fix how many rows a clip has."""

TARGETS = tuple(Target(name, 0.0, 1.0, 1) for name in TRAITS)


@dataclass(frozen=True)
class Layer:
    """One line of the table.

    Attributes:
        name: its path in the model, or ``input: STREAM``.
        kind: its class.
        shape: of its output for one clip, without the axis of clips where it comes first.
        parameters: how many numbers it holds that could train.
        trainable: how many of them do.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int = 0
    trainable: int = 0


def layers_of(
    run_plan: Plan, *, shapes: Mapping[str, tuple[int, ...]] | None = None, depth: int = 3
) -> list[Layer]:
    """List what a neural model is made of, in the order in which data passes.

    Args:
        run_plan: the model with its settings.
        shapes: stream -> shape of one row; worked out from the extractors when not given.
        depth: how deep to look into parts of parts.

    Raises:
        DataError: the shape of a stream is known from data only.
    """
    # A trained run knows its shapes; a recipe has only what its extractors promise.
    known = shapes or {
        stream: row_shape(run_plan.requests[stream], draw)
        for stream, draw in run_plan.draws.items()
    }
    facts = Facts("", "apparent", TARGETS, run_plan.requests, known)
    try:
        model, seen = _passed(run_plan, facts, "meta", depth)
    except (RuntimeError, NotImplementedError):  # a model that looks at values needs some
        model, seen = _passed(run_plan, facts, "cpu", depth)
    entered = [
        Layer(f"input: {stream}", "", shape) for stream, shape in _entering(run_plan, known).items()
    ]
    return [*entered, *_unseen(model, seen, depth), *seen.values()]


def _unseen(model: nn.Module, seen: Mapping[str, Layer], depth: int) -> list[Layer]:
    """Tensors that are in no layer that was passed, those of one part together."""
    parts: dict[str, list[nn.Parameter]] = {}
    for name, tensor in model.named_parameters():
        if not any(name.startswith(f"{part}.") for part in seen):
            parts.setdefault(".".join(name.split(".")[:depth]), []).append(tensor)
    modules = dict(model.named_modules())
    return [
        Layer(
            name=name,
            kind=type(modules.get(name, tensors[0])).__name__,
            shape=tuple(tensors[0].shape) if name not in modules else (),
            parameters=sum(tensor.numel() for tensor in tensors),
            trainable=sum(tensor.numel() for tensor in tensors if tensor.requires_grad),
        )
        for name, tensors in parts.items()
    ]


def _passed(
    run_plan: Plan, facts: Facts, device: str, depth: int
) -> tuple[nn.Module, dict[str, Layer]]:
    """Send one clip without content through the model, and note the layers it passes."""
    seen: dict[str, Layer] = {}
    # On "meta" this costs no time and no memory, whatever the size of the network.
    with torch.device(device), torch.no_grad():
        model: nn.Module = build_fitted(run_plan, facts).eval()
        for name, part in model.named_modules():
            if name and _is_shown(name, part, depth):
                part.register_forward_hook(_note(seen, name, part))
        model(_batch(run_plan, facts.shapes))
    return model, seen


def row_shape(request: Request, draw: Draw) -> tuple[int, ...]:
    """Shape of one row of a stream as the model gets it, as far as settings tell.

    Raises:
        DataError: they do not tell.
    """
    config: Any = request.config
    module = request.module
    if request.name in {"faces", "frames", "drawings"}:
        side = draw.size or config.size
        return (3, *((side, side) if isinstance(side, int) else side))
    if request.name == "waveform":
        return ()
    if request.name == "landmarks":
        return (config.points, 2)
    if request.name == "embedding" and not config.stages:
        with torch.device("meta"):
            network = timm_backbone(config.model, pretrained=False, num_classes=0)
        return (int(network.num_features),)
    if request.name == "spectrum":
        return (config.bins,)
    if hasattr(config, "bands"):
        return (config.bands,)
    if not hasattr(module, "COLUMNS"):
        raise DataError(
            f"How wide a row of {request.name!r} is shows only in data. Train first, then: "
            f"traitscope show RUN"
        )
    columns = module.COLUMNS
    row = Stream(time=np.zeros(1), values=np.zeros((1, len(columns))), columns=columns)
    return (len(chosen_columns(row, draw.columns).columns) * max(1, len(draw.pool)),)


def draw_layers(layers: Sequence[Layer], path: Path, *, title: str) -> Path:
    """Draw a box per layer from top to bottom, wider for more parameters, grey where frozen."""
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

    # A row of text needs about a third of an inch; the rest is for the title.
    height = 0.34 * len(layers) + 1.3
    figure = Figure(figsize=(9, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlim=(0, 1), ylim=(-len(layers) - 0.8, 0.6))
    axes.axis("off")
    largest = max((layer.parameters for layer in layers), default=1) or 1
    for place, layer in enumerate(layers):
        # The fourth root: a layer of 10**7 parameters and one of 10**3 are both seen.
        share = 0.54 + 0.42 * (layer.parameters / largest) ** 0.25 if layer.parameters else 0.54
        colour = _colour(layer)
        axes.add_patch(
            FancyBboxPatch(
                (0.5 - share / 2, -place - 0.36),
                share,
                0.72,
                boxstyle="round,pad=0,rounding_size=0.012",
                mutation_aspect=len(layers),
                facecolor=colour,
                edgecolor="#333333",
                linewidth=0.7,
            )
        )
        count = f"   {layer.parameters:,}" if layer.parameters else ""
        text = f"{layer.name}   {layer.kind}   {shape_text(layer.shape)}{count}"
        axes.text(0.5, -place, text, ha="center", va="center", fontsize=8)
    total, trainable = totals(layers)
    axes.text(
        0.5,
        -len(layers) - 0.25,
        f"{total:,} parameters, {trainable:,} trainable (blue), the rest frozen (grey)",
        ha="center",
        fontsize=9,
    )
    axes.set_title(title, fontsize=11)
    return save(figure, path, dpi=150)


def totals(layers: Sequence[Layer]) -> tuple[int, int]:
    """Parameters of all layers, and how many of them train."""
    return sum(layer.parameters for layer in layers), sum(layer.trainable for layer in layers)


def shape_text(shape: tuple[int, ...]) -> str:
    """``10 x 2048``."""
    return " x ".join(map(str, shape))


def _colour(layer: Layer) -> str:
    if not layer.kind:
        return "#F6E3B4"
    if not layer.parameters:
        return "#FFFFFF"
    return "#A9CBE8" if layer.trainable else "#DDDDDD"


def _is_shown(name: str, part: nn.Module, depth: int) -> bool:
    """A layer is shown itself if it has no parts, or if its parts would be too deep."""
    if isinstance(part, nn.Identity):
        return False
    level = name.count(".") + 1
    return level == depth or (level < depth and not any(True for _ in part.children()))


def _note(seen: dict[str, Layer], name: str, part: nn.Module) -> Any:
    def hook(module: nn.Module, given: Any, output: Any) -> None:
        # A layer that is passed twice, such as one shared by branches, is one line.
        if name in seen:
            return
        # An LSTM returns its output and its states, a model may return an object.
        first = predicted(output)
        while isinstance(first, (tuple, list)):
            first = first[0]
        shape = tuple(first.shape) if isinstance(first, Tensor) else ()
        sizes = [(t.numel(), t.requires_grad) for t in part.parameters()]
        seen[name] = Layer(
            name=name,
            kind=type(part).__name__,
            shape=shape[1:] if shape[:1] == (1,) else shape,
            parameters=sum(size for size, _ in sizes),
            trainable=sum(size for size, trains in sizes if trains),
        )

    return hook


def _entering(run_plan: Plan, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Shape of each stream of one clip."""
    entering: dict[str, tuple[int, ...]] = {}
    together: dict[str | None, int] = {}
    for stream, draw in run_plan.draws.items():
        config = run_plan.requests[stream].config
        set_rows = [n for key in _ROW_SETTINGS if isinstance(n := getattr(config, key, None), int)]
        known = [draw.evaluate.count, *set_rows, together.get(draw.group)]
        # The first that is fixed; a stream of which all rows are taken has none.
        rows = next((count for count in known if count), ROWS_SHOWN)
        if draw.group:
            together.setdefault(draw.group, rows)
        entering[stream] = shapes[stream] if draw.pool else (rows, *shapes[stream])
    return entering


def _batch(run_plan: Plan, shapes: Mapping[str, tuple[int, ...]]) -> Batch:
    """One clip without content."""
    entering = _entering(run_plan, shapes)
    streams = {stream: torch.zeros(1, *shape) for stream, shape in entering.items()}
    masks = {
        stream: torch.ones(1, shape[0], dtype=torch.bool)
        for stream, shape in entering.items()
        if not run_plan.draws[stream].pool
    }
    nothing = torch.zeros(1, len(TARGETS))
    return Batch(("clip",), streams, masks, nothing, nothing > 0)
