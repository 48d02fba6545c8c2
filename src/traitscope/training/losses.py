"""Losses: ``(output, target, mask, progress) -> scalar``, found by the name in a Stage.

output and target are (clips, targets), mask is True where there is a label (or the label's weight),
and progress runs from 0 to 1 over the stage. A loss that needs more than predictions takes the
model's output object. Where a model scores every row of a clip (``rows`` in its output), each row
is a sample of its own.

All of them see shares of each target's range (`InShares`), so that the published learning rates and
constants, which are for labels from 0 to 1, mean the same for labels from 1 to 7 or 0 to 100.
"""

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from traitscope.errors import ConfigError
from traitscope.registry import NOTHING, Typed, function, unknown
from traitscope.types import Target

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
    # Population moments, as in evaluation: over a batch the difference is the loss's own scale.
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
    # Its slope is largest at an error of 9, far outside 0..1: there it is nearly a parabola.
    errors = 300 * (1 - torch.exp(-((output - target) ** 2) / 162))
    return (errors * mask.to(errors.dtype)).sum()


def ranges(output: Any, target: Tensor, mask: Tensor, progress: float) -> Tensor:
    """Cross-entropy of the range each label lies in (CR-Net's first stage), summed over targets."""
    logits = output.logits.transpose(1, 2)
    wrong = torch.nn.functional.cross_entropy(logits, output.classes(target), reduction="none")
    weight = mask.to(wrong.dtype)
    by_target = (wrong * weight).sum(dim=0) / (mask > 0).sum(dim=0).clamp(min=1)
    return by_target.sum()


def crnet(output: Any, target: Tensor, mask: Tensor, progress: float) -> Tensor:
    """CR-Net's second stage: MAE + MSE + bell + lambda x ranges, lambda growing from 0 to 4."""
    scores = (output.prediction, target, mask, progress)
    return mae(*scores) + mse(*scores) + bell(*scores) + 4 * progress * ranges(output, *scores[1:])


def persemon(output: Any, target: Tensor, mask: Tensor, progress: float) -> Tensor:
    """PersEmoN's: traits / 10 + emotions + .1 traits told by emotions + .1 domain.

    Zhang et al., 2019, https://arxiv.org/abs/1811.08657
    """
    felt = output.emotions
    # Products and no "and": a mask may hold weights.
    of_traits, of_emotions = mask * ~felt, mask * felt
    traits = smooth_l1(output.prediction, target, of_traits, progress) / 10
    emotions = smooth_l1(output.prediction, target, of_emotions, progress)
    ((weight, related),) = output.auxiliary
    loss = traits + emotions + weight * smooth_l1(related, target, of_traits, progress)
    if output.domain is None:
        return loss
    # A clip with labels of both kinds says nothing of what tells the two kinds apart.
    is_felt, is_trait = (of_emotions > 0).any(dim=1), (of_traits > 0).any(dim=1)
    one = is_felt != is_trait
    wrong = torch.nn.functional.cross_entropy(output.domain, is_felt.long(), reduction="none")
    return loss + 0.1 * _mean(wrong, one)


def gaussian(output: Any, target: Tensor, mask: Tensor, progress: float) -> Tensor:
    """1 - concordance + MSE + beta-NLL of a mean and a variance (``fusion_transformer``).

    The likelihood alone would rather call a clip uncertain than learn it; weighed by the root of
    the variance (beta .5), errors keep their say. Seitzer et al., 2022,
    https://arxiv.org/abs/2203.09168
    """
    scores = (output.prediction, target, mask, progress)
    variance = output.log_variance.exp()
    errors = (output.prediction - target) ** 2
    likelihood = (output.log_variance + errors / variance) / 2 * variance.detach().sqrt()
    return concordance(*scores) + mse(*scores) + _mean(likelihood, mask)


def names() -> list[str]:
    """List the losses of this file."""
    functions = inspect.getmembers(sys.modules[__name__], inspect.isfunction)
    losses = [n for n, f in functions if "progress" in inspect.signature(f).parameters]
    return sorted(losses)


def find(name: str, targets: Sequence[Target] = (), *, typed: Typed = NOTHING) -> "InShares":
    """Look a loss up by name, and let it see shares of the targets' ranges.

    Args:
        name: a function of this file, or the dotted path of somebody's own, which may also be a
            class of a module with buffers.
        targets: what is regressed; without them labels are seen as they are.
        typed: what the user typed; no other dotted path is imported.

    Raises:
        ConfigError: there is no such loss, or it was not typed.
    """
    if "." in name:
        loss: Any = function(name, typed=typed, words=f"train.loss={name}")
        loss = loss() if inspect.isclass(loss) else loss
    elif name in names():
        loss = getattr(sys.modules[__name__], name)
    else:
        raise ConfigError(unknown(name, names(), "losses"))
    return InShares(loss, targets)


class InShares(nn.Module):
    """A loss that sees labels and predictions as shares of each target's range; z-scores as is.

    Of a target from 0 to 1 nothing changes, to the bit: 0 is subtracted and 1 divides.
    Scores that an output has beside its predictions (``auxiliary``: pairs of a weight and scores)
    add their own loss times the weight.
    """

    low: Tensor
    span: Tensor

    def __init__(self, loss: Loss, targets: Sequence[Target] = ()) -> None:
        super().__init__()
        self.loss = loss
        called = loss.forward if isinstance(loss, nn.Module) else loss
        # A loss whose ``output`` is not annotated as a tensor gets what the model returned.
        output = next(iter(inspect.signature(called).parameters.values()))
        self.takes_scores = output.annotation in {Tensor, "Tensor", "torch.Tensor"}
        low = [0.0 if t.low is None else t.low for t in targets] or [0.0]
        high = [1.0 if t.high is None else t.high for t in targets] or [1.0]
        # Not saved: they follow from the targets, and a state is of one run only.
        self.register_buffer("low", torch.tensor(low), persistent=False)
        self.register_buffer("span", torch.tensor(high) - torch.tensor(low), persistent=False)

    def forward(self, output: Any, target: Tensor, mask: Tensor, progress: float) -> Tensor:
        """What a model returned, labels and mask (clips, targets) -> a scalar."""
        target = self.share(target)
        if isinstance(output, Tensor):
            scores: Tensor = self.loss(self.share(output), target, mask, progress)
            return scores
        if not self.takes_scores:
            return self.loss(_Shares(output, self), target, mask, progress)
        rows = getattr(output, "rows", None)
        if rows is None:
            total = self.loss(self.share(output.prediction), target, mask, progress)
            for weight, beside in getattr(output, "auxiliary", ()):
                total = total + weight * self.loss(self.share(beside), target, mask, progress)
            return total
        valid = output.row_mask
        targets, masks = (t.unsqueeze(1).expand(rows.shape)[valid] for t in (target, mask))
        return self.loss(self.share(rows[valid]), targets, masks, progress)

    def share(self, values: Tensor) -> Tensor:
        """(..., targets) in the units of the labels -> shares of the ranges."""
        return (values - self.low) / self.span

    def shares_of(self, labels: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same of an array."""
        shares: NDArray[np.float64] = (labels - self.low.cpu().numpy()) / self.span.cpu().numpy()
        return shares

    def classes(self, output: Any, shares: Tensor) -> Tensor:
        """Range of each label as an output with ranges sorts them; it knows labels as they are."""
        classes: Tensor = output.classes(self.low + shares * self.span)
        return classes


class _Shares:
    """An output whose predictions are shares, for a loss that asks it for more than these."""

    def __init__(self, output: Any, units: InShares) -> None:
        self._output, self._units = output, units

    def __getattr__(self, name: str) -> Any:
        """Give what the model returned besides."""
        value = getattr(self._output, name)
        if name == "auxiliary":
            return tuple((weight, self._units.share(scores)) for weight, scores in value)
        return self._units.share(value) if name in {"prediction", "rows"} else value

    def classes(self, shares: Tensor) -> Tensor:
        """(clips, targets) -> the range each label lies in."""
        return self._units.classes(self._output, shares)


def _mean(errors: Tensor, mask: Tensor) -> Tensor:
    # By the number of labels and not by their weights: of a batch of one, weights would cancel.
    return (errors * mask.to(errors.dtype)).sum() / (mask > 0).sum().clamp(min=1)
