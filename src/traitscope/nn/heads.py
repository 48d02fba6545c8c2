"""Blocks that several models share: heads that end in the target range, masked means."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from traitscope.types import Target


@dataclass
class RowScores:
    """Scores of every row of a clip, and their mean: the loss sees rows, everyone else the mean.

    Attributes:
        rows: (clips, rows, targets).
        row_mask: (clips, rows) True where the row is there.
    """

    rows: Tensor
    row_mask: Tensor

    @property
    def prediction(self) -> Tensor:
        """(clips, targets)."""
        return masked_mean(self.rows, self.row_mask)


def hidden_layers(sizes: Sequence[int], outputs: int, *, norm: bool = False) -> nn.Sequential:
    """Layers with ReLU between them: (n, first of the sizes) -> (n, outputs).

    Args:
        sizes: of what comes in, and units of each hidden layer.
        outputs: of the last layer, which has no ReLU.
        norm: batch normalisation before each ReLU.
    """
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), *([nn.BatchNorm1d(after)] if norm else []), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], outputs))


class RangeHead(nn.Module):
    """Map scores to the range of each target: affine sigmoid if bounded, identity if not.

    Without ``squash`` a score counts in units of the range from its lower end, and may leave it:
    for systems that regressed without a sigmoid.
    """

    low: Tensor
    span: Tensor
    bounded: Tensor

    def __init__(self, targets: Sequence[Target], *, squash: bool = True) -> None:
        super().__init__()
        self.squash = squash
        # Of an unbounded target they are never used, but tensors cannot hold None.
        low = [0.0 if target.low is None else target.low for target in targets]
        high = [1.0 if target.high is None else target.high for target in targets]
        # Buffers: they go to the device with the network, and into the run with its tensors.
        self.register_buffer("low", torch.tensor(low))
        # Subtracted by NumPy, which rounds alike: on "meta", where a run is looked at before it is
        # loaded, PyTorch would import an algebra system for it, a third of a second.
        span = np.subtract(high, low, dtype=np.float32)
        self.register_buffer("span", torch.tensor(span))
        self.register_buffer("bounded", torch.tensor([t.low is not None for t in targets]))

    def forward(self, scores: Tensor) -> Tensor:
        """(..., targets) -> (..., targets)."""
        scores = scores.float()  # in half precision .5 has neighbours .002 and .004 away
        shares = torch.sigmoid(scores) if self.squash else scores
        inside = self.low + self.span * shares
        return torch.where(self.bounded, inside, scores)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of (clips, rows, features) over the rows where mask (clips, rows) is True."""
    weights = rearrange(mask.float(), "clips rows -> clips rows 1")
    # a clip without rows gives zeros: NaN would spread to every weight in one step
    return (values * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


class AttentionPool(nn.Module):
    """Additive attention over rows: weights that are zero where the mask is False.

    One weight per row, or one per row and feature: then each feature looks at rows of its own.
    """

    def __init__(self, width: int, *, per_feature: bool = False) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, width)
        self.score = nn.Linear(width, width if per_feature else 1, bias=False)

    def forward(self, rows: Tensor, mask: Tensor) -> Tensor:
        """(clips, rows, width) and (clips, rows) -> weights (clips, rows, 1 or width).

        Over the rows of a clip they sum to one.
        """
        # Additive attention of Bahdanau et al., 2015, https://arxiv.org/abs/1409.0473.
        scores = self.score(torch.tanh(self.hidden(rows)))
        hidden = ~rearrange(mask, "clips rows -> clips rows 1")
        # not minus infinity: where every row is hidden, softmax would give NaN
        return scores.masked_fill(hidden, torch.finfo(scores.dtype).min).softmax(dim=1)


def sinusoids(
    rows: int, width: int, device: torch.device | str = "cpu", *, step: float = 1.0
) -> Tensor:
    """Sines and cosines of the row number, or of ``step`` times it, at ``width`` / 2 wavelengths.

    Returns:
        (rows, width).
    """
    # From 2 pi rows to 10,000 times as many, as in Vaswani et al., 2017.
    waves = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(1e4) / width))
    angles = (torch.arange(rows, device=device) * step)[:, None] * waves
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]
