"""Labels of a batch and how far raters err in, labels as other raters might have given them out.

A label is the mean of a few raters. Another few would have given another, as far away as its
standard error says; a network that sees such a draw in each step cannot learn the digits that are
chance. In the mean over steps it learns the label itself.

    label .60, standard error .05  ->  .63, .58, .61 ... in one epoch after the other
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from traitscope.errors import DataError
from traitscope.types import Batch, Clip, Corpus, Target

Noise = Literal["raters"] | float


def standard_errors(
    corpus: Corpus, clips: Sequence[Clip], targets: Sequence[Target]
) -> dict[str, list[float]]:
    """Clip -> standard error of its label of each target, from how its raters differ.

    The spread of raters is pooled over clips, since two or three ratings alone tell none, and
    divided by the root of the clip's number of raters. A clip without ratings has no error.

    Raises:
        DataError: no clip has two ratings of a target.
    """
    errors: dict[str, list[float]] = {clip.id: [] for clip in clips}
    for target in targets:
        mine = {clip.id: _values(corpus.ratings.get(clip.id, {}), target.name) for clip in clips}
        several = [values for values in mine.values() if len(values) > 1]
        if not several:
            raise DataError(
                f"label_noise=raters needs two ratings of a clip, and {corpus.name} has none of "
                f"{target.name}. Give the standard error of its labels: train.label_noise=0.05"
            )
        squares = sum(sum((v - sum(x) / len(x)) ** 2 for v in x) for x in several)
        spread = squares / sum(len(x) - 1 for x in several)
        for clip, values in mine.items():
            errors[clip].append((spread / len(values)) ** 0.5 if values else 0.0)
    return errors


def _values(ratings: Mapping[str, Mapping[str, float]], target: str) -> list[float]:
    return [values[target] for values in ratings.values() if target in values]


class LabelNoise:
    """Draws labels around those that were given."""

    def __init__(
        self, noise: Noise, corpus: Corpus, clips: Sequence[Clip], targets: Sequence[Target]
    ) -> None:
        """Find the standard error of each clip's labels.

        Args:
            noise: the same for all labels, in their units; or ``raters``.
            corpus: with ratings, where those are asked.
            clips: that are fitted.
            targets: what is regressed, in the order of the batches.

        Raises:
            DataError: raters are asked, and there are none.
        """
        self._errors = (
            standard_errors(corpus, clips, targets)
            if noise == "raters"
            else {clip.id: [float(noise)] * len(targets) for clip in clips}
        )
        self._low = torch.tensor([-torch.inf if t.low is None else t.low for t in targets])
        self._high = torch.tensor([torch.inf if t.high is None else t.high for t in targets])

    def __call__(self, batch: Batch) -> Tensor:
        """Labels (clips, targets) -> labels drawn anew, inside the range of each target."""
        errors = torch.tensor([self._errors[clip] for clip in batch.clips])
        # On the processor whatever the device is: the same seed draws the same labels.
        moved = torch.randn(errors.shape) * errors
        labels: Tensor = batch.targets
        drawn = labels + moved.to(labels)
        # No rater can give more than the end of the scale.
        return drawn.clamp(self._low.to(labels), self._high.to(labels))
