"""Losses: ``(output, target, mask, progress) -> scalar``, found by the name in a Stage.

output and target are (clips, targets), mask is True where there is a label, and progress runs from
0 to 1 over the stage. A loss that needs more than predictions takes the model's output object.
Where a model scores every row of a clip (``rows`` in its output), each row is a sample of its own.
"""

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from traitscope.errors import ConfigError
from traitscope.registry import unknown

Loss = Callable[[Any, Tensor, Tensor, float], Tensor]


def mse(output: Tensor, target: Tensor, mask: Tensor, progress: float) -> Tensor:
    """Mean squared error over the labels that are there."""
    return _mean((output - target) ** 2, mask)


def mae(output: Tensor, target: Tensor, mask: Tensor, progress: float) -> Tensor:
    """Mean absolute error over the labels that are there."""
    return _mean((output - target).abs(), mask)


def smooth_l1(output: Tensor, target: Tensor, mask: Tensor, progress: float) -> Tensor:
    """Huber's loss with a corner at 1."""
    return _mean(torch.nn.functional.smooth_l1_loss(output, target, reduction="none"), mask)


def concordance(output: Tensor, target: Tensor, mask: Tensor, progress: float) -> Tensor:
    """One minus Lin's concordance over the batch, averaged over targets (Lin, 1989).

    https://doi.org/10.2307/2532051
    """
    weight = mask.to(output.dtype)
    count = weight.sum(dim=0).clamp(min=1)
    output_mean = (output * weight).sum(dim=0) / count
    target_mean = (target * weight).sum(dim=0) / count
    output_gap, target_gap = (output - output_mean) * weight, (target - target_mean) * weight
    shared = (output_gap * target_gap).sum(dim=0) / count
    spread = ((output_gap**2).sum(dim=0) + (target_gap**2).sum(dim=0)) / count
    ccc = 2 * shared / (spread + (output_mean - target_mean) ** 2 + 1e-8)
    return 1 - ccc[weight.sum(dim=0) > 1].mean() if (weight.sum(dim=0) > 1).any() else ccc.sum() * 0


def bell(output: Tensor, target: Tensor, mask: Tensor, progress: float) -> Tensor:
    """CR-Net's bell loss, 300 (1 - exp(-e^2 / 162)) summed over targets and clips of a batch.

    A sum, as it was run: with a batch of 24 a mean would weigh a twenty-fourth beside MAE and MSE.

    Li et al., 2020, https://doi.org/10.1007/s11263-020-01309-y
    """
    errors = 300 * (1 - torch.exp(-((output - target) ** 2) / 162))
    return (errors * mask.to(errors.dtype)).sum()


def ranges(output: Any, target: Tensor, mask: Tensor, progress: float) -> Tensor:
    """Cross-entropy of the range each label lies in (CR-Net's first stage), summed over targets."""
    logits = output.logits.transpose(1, 2)
    wrong = torch.nn.functional.cross_entropy(logits, output.classes(target), reduction="none")
    weight = mask.to(wrong.dtype)
    by_target = (wrong * weight).sum(dim=0) / weight.sum(dim=0).clamp(min=1)
    return by_target.sum()


def crnet(output: Any, target: Tensor, mask: Tensor, progress: float) -> Tensor:
    """CR-Net's second stage: MAE + MSE + bell + lambda x ranges, lambda growing from 0 to 4."""
    scores = (output.prediction, target, mask, progress)
    return mae(*scores) + mse(*scores) + bell(*scores) + 4 * progress * ranges(output, *scores[1:])


def names() -> list[str]:
    """List the losses of this file."""
    functions = inspect.getmembers(sys.modules[__name__], inspect.isfunction)
    losses = [n for n, f in functions if "progress" in inspect.signature(f).parameters]
    return sorted(losses)


def find(name: str) -> Loss:
    """Look a loss up by name.

    Raises:
        ConfigError: there is no such loss.
    """
    if name not in names():
        raise ConfigError(unknown(name, names(), "losses"))
    return _of_rows(getattr(sys.modules[__name__], name))


def _of_rows(loss: Loss) -> Loss:
    """Give a loss the predictions in an output, or the scores of every valid row if it has them.

    A loss whose ``output`` is not annotated as a tensor gets what the model returned.
    """
    if inspect.signature(loss).parameters["output"].annotation is not Tensor:
        return loss

    @functools.wraps(loss)
    def of_rows(output: Any, target: Tensor, mask: Tensor, *rest: float) -> Tensor:
        rows = getattr(output, "rows", None)
        if rows is None:
            return loss(getattr(output, "prediction", output), target, mask, *rest)
        valid = output.row_mask
        targets, masks = (t.unsqueeze(1).expand(rows.shape)[valid] for t in (target, mask))
        return loss(rows[valid], targets, masks, *rest)

    return of_rows


def _mean(errors: Tensor, mask: Tensor) -> Tensor:
    weight = mask.to(errors.dtype)
    return (errors * weight).sum() / weight.sum().clamp(min=1)
