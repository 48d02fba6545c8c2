"""Batch normalisation over the clips of all processes, on a processor.

PyTorch's own `SyncBatchNorm`, which Lightning puts in, asks for a GPU. A network that was published
with the statistics of a batch of 32 has to see those of 32 clips, not of the 16 of each process:

    mean, then variance of what is left: two sums over all processes, through which gradients go
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def shared_statistics(model: nn.Module, *, wanted: bool) -> Iterator[None]:
    """Have all batch normalisations of a network share their statistics for a while.

    Tensors and their names stay; only the kind of the module is another one.
    """
    kinds = {module: type(module) for module in model.modules() if isinstance(module, _BatchNorm)}
    try:
        for module in kinds if wanted else ():
            module.__class__ = _Shared
        yield
    finally:
        for module, kind in kinds.items():
            module.__class__ = kind


class _Shared(_BatchNorm):
    """A batch normalisation of any number of axes."""

    def _check_input_dim(self, input: Tensor) -> None: ...

    def forward(self, values: Tensor) -> Tensor:
        """Values (clips, channels, ...) -> the same, normalised over the clips of all processes."""
        if not (self.training and self.track_running_stats):
            return super().forward(values)
        axes = [axis for axis in range(values.ndim) if axis != 1]
        shape = [1, -1, *[1] * (values.ndim - 2)]
        own = values.float()  # in bfloat16 a sum over a batch has no digits left
        count = own.new_tensor([own.numel() / own.shape[1]])
        sums = _over_all(torch.cat([own.sum(axes), count]))
        total = sums[-1].detach()
        mean = sums[:-1] / total
        # Not the mean square less the squared mean: of large means too few digits would be left.
        rest = own - mean.reshape(shape)
        variance = _over_all(rest.square().sum(axes)) / total
        self._remember(mean.detach(), variance.detach(), total)
        out = rest * torch.rsqrt(variance + self.eps).reshape(shape)
        if self.affine:
            out = out * self.weight.reshape(shape) + self.bias.reshape(shape)
        return out.to(values.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Move the running statistics as PyTorch does: the variance without bias."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        step = self.momentum if self.momentum is not None else 1 / int(self.num_batches_tracked)
        self.running_mean.lerp_(mean, step)
        self.running_var.lerp_(variance * count / (count - 1).clamp(min=1), step)


class _Sum(torch.autograd.Function):
    """The sum over all processes: each part of it moves the loss of each of them."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        total = part.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


def _over_all(part: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(part)
    return total
