"""Self-distillation for regression: a sample learns from the samples that look like it.

After the self-distillation loss of S2D (Chen et al., 2023, https://arxiv.org/abs/2312.05447), which
is for classes. Ours keeps, for each target and quantile bin of its labels, the last features and
labels. A sample's soft target is the mean label of its nearest neighbours in every bin, weighted by
similarity; the smooth L1 distance to it is added to the loss, with a weight that grows from zero.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from traitscope.runs.settings import Distil


class SelfDistillation(nn.Module):
    """The memory, saved with the state of the training, and the extra loss."""

    features: Tensor
    labels: Tensor
    filled: Tensor
    place: Tensor
    edges: Tensor

    def __init__(self, config: Distil, labels: NDArray[np.float64], num_features: int) -> None:
        """Make an empty memory.

        Args:
            config: weight, sizes and temperature.
            labels: (clips, targets) of the fitting clips, NaN where one is missing.
            num_features: length of a sample's features.
        """
        super().__init__()
        self.config = config
        targets, shape = labels.shape[1], (labels.shape[1], config.bins, config.memory)
        # Quantiles, not equal widths: traits crowd in the middle, and bins there would be full.
        shares = np.linspace(0, 1, config.bins + 1)[1:-1]
        edges = torch.tensor(np.nanquantile(labels, shares, axis=0).T.copy(), dtype=torch.float32)
        self.register_buffer("edges", edges.reshape(targets, config.bins - 1))
        self.register_buffer("features", torch.zeros(*shape, num_features))
        self.register_buffer("labels", torch.zeros(shape))
        self.register_buffer("filled", torch.zeros(shape, dtype=torch.bool))
        self.register_buffer("place", torch.zeros(shape[:2], dtype=torch.long))

    def forward(self, features: Tensor, prediction: Tensor, progress: float) -> Tensor:
        """Features (clips, num_features), predictions (clips, targets) -> the extra loss."""
        # Neighbours teach predictions; features that chase their neighbours would collapse.
        soft, known = self.soft_targets(features.detach())
        grown = min(1.0, progress / self.config.warmup) if self.config.warmup else 1.0
        distance = functional.smooth_l1_loss(prediction, soft, reduction="none")
        return self.config.weight * grown * (distance * known).sum() / known.sum().clamp(min=1)

    def soft_targets(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Soft targets (clips, targets), and 1 where the memory knows any neighbour, else 0."""
        # Cosine similarity: the length of a feature follows the light, not the face.
        mine = functional.normalize(features.float(), dim=-1)
        theirs = functional.normalize(self.features, dim=-1)
        alike = torch.einsum("cf,tbsf->ctbs", mine, theirs)
        alike = alike.masked_fill(~self.filled, -torch.inf)
        count = min(self.config.neighbours, self.config.memory)
        near, where = alike.topk(count, dim=-1)
        labels = self.labels.expand(len(features), *self.labels.shape).gather(-1, where)
        near, labels = near.flatten(2), labels.flatten(2)
        known = torch.isfinite(near).any(dim=-1)
        # Where no neighbour is known all similarities are -inf, and their softmax would be NaN.
        safe = torch.where(known[..., None], near / self.config.temperature, 0.0)
        return (torch.softmax(safe, dim=-1) * labels).sum(dim=-1), known.float()

    @torch.no_grad()
    def remember(self, features: Tensor, labels: Tensor, mask: Tensor) -> None:
        """Put samples into the memory, over the oldest of their bin.

        Args:
            features: (clips, num_features).
            labels: (clips, targets).
            mask: (clips, targets) True where the label is there and no sample is a mixture.
        """
        for clip, target in mask.nonzero().tolist():
            label = labels[clip, target]
            bin_ = int(torch.searchsorted(self.edges[target], label, right=True))
            slot = int(self.place[target, bin_])  # the memory of a bin is a ring
            self.features[target, bin_, slot] = features[clip].detach().float()
            self.labels[target, bin_, slot] = label
            self.filled[target, bin_, slot] = True
            self.place[target, bin_] = (slot + 1) % self.config.memory
