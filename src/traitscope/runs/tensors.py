"""A network that takes a Batch -> one that takes tensors, as ONNX and attributions want it.

Exporters and Captum know tensors alone. `Flat` is a network's ``forward`` with the streams and
masks of a batch as arguments, in an order that `Flat.names` says, and with nothing else of it::

    flat = Flat(checkpoint.fitted, to_tensors(batch))
    flat(*flat.tensors(batch))     # (clips, targets), what checkpoint.predict(batch) gives
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from traitscope.runs.checkpoint import predicted
from traitscope.types import Batch

MASK = "_mask"
"""Behind the name of a stream: which of its rows are there."""


class Flat(nn.Module):
    """A network whose inputs are tensors: streams first, then masks, each in the batch's order.

    Attributes:
        network: the model of a run.
        streams: names of the streams that are tensors.
        masks: names of the streams whose mask is an input, too.
        words: streams of text, which are no tensors and stay as they were given; a network that
            has some can be neither exported nor differentiated to its inputs.
    """

    def __init__(self, network: nn.Module, batch: Batch) -> None:
        super().__init__()
        self.network = network
        numbers = [name for name, one in batch.streams.items() if isinstance(one, Tensor)]
        self.streams = tuple(numbers)
        self.masks = tuple(name for name in batch.masks if name in numbers)
        self.words: Mapping[str, Any] = {
            name: (one, batch.masks.get(name))
            for name, one in batch.streams.items()
            if name not in numbers
        }

    @property
    def names(self) -> tuple[str, ...]:
        """What each argument of ``forward`` is: ``faces``, ..., ``faces_mask``, ..."""
        return (*self.streams, *(f"{name}{MASK}" for name in self.masks))

    def tensors(self, batch: Batch) -> tuple[Tensor, ...]:
        """The arguments that a batch of tensors is."""
        streams = [batch.streams[name] for name in self.streams]
        return (*streams, *(batch.masks[name] for name in self.masks))

    def forward(self, *tensors: Tensor) -> Tensor:
        """Streams (clips, rows, ...) and masks (clips, rows) -> (clips, targets)."""
        scores: Tensor = predicted(self.output(*tensors))
        return scores

    def output(self, *tensors: Tensor) -> Any:
        """The same arguments -> what the network itself returns."""
        count = len(self.streams)
        streams: dict[str, Any] = dict(zip(self.streams, tensors[:count], strict=True))
        masks: dict[str, Any] = dict(zip(self.masks, tensors[count:], strict=True))
        for name, (words, mask) in self.words.items():
            streams[name], masks[name] = words, mask
        # No model reads labels or ids of clips: shapes of the streams alone say how many there are.
        nothing = tensors[0].new_zeros((tensors[0].shape[0], 0)) if tensors else torch.zeros((0, 0))
        return self.network(Batch((), streams, masks, nothing, nothing))
