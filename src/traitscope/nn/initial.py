"""First weights of networks that are trained from scratch, as the DeepPersonality benchmark draws.

In: a network with PyTorch's or timm's first weights. Out: the same, drawn anew.
"""

from torch import nn

SMALL = 0.01
"""Standard deviation of the weights of linear layers: a head begins near the middle."""


def from_scratch(network: nn.Module) -> None:
    """Draw convolutions after He and linear layers from N(0, .01); norms begin as the identity.

    He et al., 2015, https://arxiv.org/abs/1502.01852: with a variance of 2 / (outputs of a kernel),
    ReLUs neither swell nor drown a gradient on its way back. Other tensors, such as the positions
    of a transformer, stay as they are.
    """
    for part in network.modules():
        # fan_out, as ResNets were published: it is the gradient that must keep its size.
        if isinstance(part, nn.Conv1d | nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, 0.0, SMALL)
        elif isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) and part.affine:
            nn.init.ones_(part.weight)
        else:
            continue
        if part.bias is not None:
            nn.init.zeros_(part.bias)
