"""Labels of the fitting clips in, a weight for each label out: rare labels count more.

Apparent traits crowd around the middle of their range, so that a network loses little by never
leaving it. Each label is weighted by one over the smoothed density of labels like it, after Yang et
al., "Delving into Deep Imbalanced Regression", 2021, https://arxiv.org/abs/2102.09554.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from traitscope.errors import DataError
from traitscope.types import Clip

BINS = 20
"""Of each target's labels. Yang et al. take a bin per year of age; 20 bins of a range are as fine
as the spread of raters allows."""
WIDTH = 1.0
"""Standard deviation in bins of the kernel that smooths the density."""
LARGEST = 10.0
"""A single odd label shall not outweigh a batch."""


def clip_weights(clips: Sequence[Clip], attribute: str) -> dict[str, float]:
    """The weight of each clip in the loss, their mean one, so that the learning rate stays right.

    Args:
        clips: that are fitted.
        attribute: of the corpus, with numbers that are not below zero.

    Raises:
        DataError: a clip has none, or another value; or all are zero.
    """
    weights = {}
    for clip in clips:
        value = clip.attributes.get(attribute)
        try:
            weights[clip.id] = float("nan" if value is None else value)
        except ValueError:
            weights[clip.id] = math.nan
        if not 0 <= weights[clip.id] < math.inf:
            known = ", ".join(sorted(clip.attributes)) or "none"
            raise DataError(
                f"Clip {clip.id!r} has the weight {value!r} in the attribute {attribute!r}: a "
                f"number from 0 on is needed for every fitted clip. Its attributes: {known}. In a "
                f"table, name the column under attributes in clips.yaml."
            )
    mean = sum(weights.values()) / len(weights)
    if not mean:
        raise DataError(f"All weights in {attribute!r} are zero: nothing would be learnt.")
    return {clip: weight / mean for clip, weight in weights.items()}


class DensityWeights(nn.Module):
    """Weights whose mean over the fitting clips is one, so that the learning rate stays right."""

    low: Tensor
    width: Tensor
    table: Tensor

    def __init__(self, labels: NDArray[np.float64]) -> None:
        """Measure the density of labels (clips, targets), NaN where one is missing."""
        super().__init__()
        low, high = np.nanmin(labels, axis=0), np.nanmax(labels, axis=0)
        width = np.where(high > low, (high - low) / BINS, 1.0)
        places = np.arange(BINS)
        kernel = np.exp(-0.5 * ((places[:, None] - places) / WIDTH) ** 2)
        table = []
        for target in range(labels.shape[1]):
            # By target: a clip without a label of one still counts for the others.
            known = labels[np.isfinite(labels[:, target]), target]
            bins = np.clip(((known - low[target]) / width[target]).astype(int), 0, BINS - 1)
            density = kernel @ np.bincount(bins, minlength=BINS)
            weights = 1 / np.maximum(density, 1e-9)
            weights = np.minimum(weights / weights[bins].mean(), LARGEST)
            table.append(weights / weights[bins].mean())
        for name, values in (("low", low), ("width", width), ("table", np.stack(table))):
            tensor = torch.tensor(np.asarray(values), dtype=torch.float32)
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, labels: Tensor) -> Tensor:
        """Labels (clips, targets) -> weights of the same shape."""
        bins = ((labels - self.low) / self.width).long().clamp(0, BINS - 1)
        weights: Tensor = self.table.T.gather(0, bins)
        return weights
