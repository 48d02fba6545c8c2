"""Low-rank additions (LoRA): a network that is too large to train learns a little in every layer.

    y = W x + b  +  2 B A x        W, b as published and frozen; A (rank, in), B (out, rank) train

Hu et al., 2021, https://arxiv.org/abs/2106.09685. B begins at zero, so that the first prediction is
that of the published network; the factor is their alpha of twice the rank.
"""

import math

from torch import Tensor, nn
from torch.nn import functional

from traitscope.errors import ConfigError

_FACTOR = 2.0
_ADDED = ("lora_a", "lora_b")


class LowRankLinear(nn.Linear):
    """A linear layer as it was, under its own names, and what is added to it."""

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        nn.Module.__init__(self)  # a linear layer would make tensors of its own
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight, self.bias = layer.weight, layer.bias
        # Of its kind and on its device.
        self.lora_a = nn.Parameter(layer.weight.new_empty(rank, layer.in_features))
        self.lora_b = nn.Parameter(layer.weight.new_zeros(layer.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))  # as linear layers begin

    def forward(self, input: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        added = functional.linear(functional.linear(input, self.lora_a), self.lora_b)
        return super().forward(input) + _FACTOR * added


def add_low_rank(network: nn.Module, rank: int, *, but: nn.Module | None = None) -> None:
    """Freeze a network but for additions of low rank to its linear layers.

    Args:
        network: whose layers are replaced.
        rank: of the additions.
        but: a part that stays as it is and trains, such as the classifier.

    Raises:
        ConfigError: it has no linear layer.
    """
    spared = set() if but is None else set(but.modules())
    kept = set() if but is None else {id(tensor) for tensor in but.parameters()}
    for tensor in network.parameters():
        tensor.requires_grad_(id(tensor) in kept)
    # PyTorch's own attention takes tensors out of its layer and would leave an addition out.
    spared |= {
        part
        for parent in network.modules()
        if isinstance(parent, nn.MultiheadAttention)
        for part in parent.modules()
    }
    count = 0
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.Linear) and layer not in spared:
                setattr(parent, name, LowRankLinear(layer, rank))
                count += 1
    if not count:
        raise ConfigError(
            "Additions of low rank are for linear layers, and this network has none but its "
            "classifier: take a transformer or a ConvNeXt, or train it in full."
        )


def is_added(name: str) -> bool:
    """Whether a tensor is an addition, which no published file has."""
    return name.rpartition(".")[2] in _ADDED
