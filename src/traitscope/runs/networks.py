"""A network, with its scalers -> a graph of ONNX, made by PyTorch's own exporter.

The graph takes what prediction draws of a clip: numbers before they are standardised, pixels as
bytes, masks. What training does between drawing and network becomes its first nodes.
"""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from traitscope.data.scaling import Scaler
from traitscope.errors import ConfigError
from traitscope.extras import require
from traitscope.learners.graphs import OPSET
from traitscope.nn.images import as_images, normalised
from traitscope.runs.checkpoint import predicted
from traitscope.runs.exported import SCORES, Input
from traitscope.runs.tensors import Flat
from traitscope.types import Batch

_TOO_LARGE = 1.8 * 2**30
"""Bytes; from two gigabytes on, one file cannot hold a graph and its tensors."""


class Prepared(nn.Module):
    """A network that takes drawn streams: standardises numbers, normalises pictures, hides rows."""

    squares: Tensor

    def __init__(
        self,
        network: nn.Module,
        inputs: Sequence[Input],
        scalers: Mapping[str, Scaler],
        spans: Sequence[float] = (),
    ) -> None:
        """Take a network.

        Args:
            network: in evaluation mode.
            inputs: what the graph takes.
            scalers: stream -> what standardises it.
            spans: of the targets' ranges where variances are to be given, too; else nothing.
        """
        super().__init__()
        self.inputs = tuple(inputs)
        # A network states its variance in squared shares of the ranges.
        self.register_buffer("squares", torch.tensor(spans, dtype=torch.float64).square())
        # Its factors are kept for later: made while a network is traced, they would be no numbers.
        normalised(torch.zeros(1, 1, 3, 1, 1))
        streams = {one.stream: torch.zeros(1) for one in inputs}
        masks = {one.stream: torch.zeros(1) for one in inputs if one.masked}
        self.flat = Flat(network, Batch((), streams, masks, None, None))
        for place, one in enumerate(inputs):
            scaler = scalers.get(one.stream)
            for name in ("mean", "sd") if scaler is not None else ():
                self.register_buffer(f"{name}_{place}", torch.from_numpy(getattr(scaler, name)))

    @property
    def names(self) -> tuple[str, ...]:
        """What each argument of ``forward`` is."""
        return self.flat.names

    def forward(self, *tensors: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Streams as they are drawn, then masks -> (clips, targets), of some with variances."""
        masks = dict(zip(self.flat.masks, tensors[len(self.inputs) :], strict=True))
        ready = [
            self._ready(place, one, tensors[place], masks.get(one.stream))
            for place, one in enumerate(self.inputs)
        ]
        output = self.flat.output(*ready, *masks.values())
        scores: Tensor = predicted(output)
        if not len(self.squares):
            return scores
        return scores, output.log_variance.double().exp() * self.squares

    def _ready(self, place: int, one: Input, values: Tensor, mask: Tensor | None) -> Tensor:
        if one.holds == "pictures":
            images = normalised(as_images(values))
        else:
            images = self._standardised(place, values).float()
        if mask is None:
            return images
        # After it is scaled: zeros of a missing row would become something else.
        shown = mask.reshape(*mask.shape, *[1] * (images.ndim - mask.ndim))
        return torch.where(shown, images, torch.zeros_like(images))

    def _standardised(self, place: int, values: Tensor) -> Tensor:
        mean = getattr(self, f"mean_{place}", None)
        if mean is None:
            return values
        # In 64 bits, as NumPy does it: of a large mean little would be left in 32.
        scaled = (values.double() - mean) / getattr(self, f"sd_{place}")
        return torch.where(torch.isfinite(scaled), scaled, torch.zeros_like(scaled))


class Tokenised(nn.Module):
    """A model of text that takes tokens instead of words."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, *tensors: Tensor) -> Tensor:
        """Ids and mask (clips, tokens) -> (clips, targets)."""
        ids, mask = tensors
        scores: Tensor = self.network.score_tokens(ids, mask)
        return scores


def network_graph(
    module: nn.Module,
    names: Sequence[str],
    examples: Sequence[Tensor],
    axes: Sequence[Mapping[int, str]],
    *,
    outputs: Sequence[str] = (SCORES,),
) -> Any:
    """Trace a module of tensors.

    Args:
        module: in evaluation mode.
        names: of its arguments.
        examples: of its arguments, of more than one clip and row.
        axes: of each argument, axis -> name of those that may have any length.
        outputs: names of what it gives.

    Returns:
        The model as ``onnx`` has it.

    Raises:
        ConfigError: the exporter cannot follow the network.
    """
    require("onnxscript", extra="onnx", why="Exporting a network")
    if sum(t.numel() * t.element_size() for t in module.state_dict().values()) > _TOO_LARGE:
        raise ConfigError("The network has more than 1.8 GB of tensors, too many for one file.")
    # One Dim per name: axes of one name are of one length, which the exporter then relies on.
    dims = {name: torch.export.Dim(name) for axis in axes for name in axis.values()}
    shapes = tuple({place: dims[name] for place, name in axis.items()} for axis in axes)
    try:
        with _quiet():
            program = torch.onnx.export(
                module,
                tuple(examples),
                dynamo=True,
                dynamic_shapes=(shapes,),
                input_names=list(names),
                output_names=list(outputs),
                opset_version=OPSET,
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, RuntimeError) as error:
        reason = str(error.__cause__ or error).strip().splitlines() or [""]
        raise ConfigError(f"PyTorch cannot export this network: {reason[0]}") from error
    assert program is not None
    return program.model_proto


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks on its own steps from the terminal."""
    logger = logging.getLogger("torch")
    before = logger.level
    with warnings.catch_warnings(), Path(os.devnull).open("w") as nowhere:
        warnings.simplefilter("ignore")
        logger.setLevel(logging.CRITICAL)
        try:
            # It prints the graph of an attempt that failed, before it tries another way.
            with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
                yield
        finally:
            logger.setLevel(before)
