"""The deletion test: what a score does when its strongest evidence goes, against random parts.

Evidence that a model rests on moves its score more than anything else of the same size. So parts
are replaced by the reference step by step, those first that an explanation says hold the score
where it is, and beside it as many parts in random order. What lies between the two curves is what
the explanation knows::

    score  |*                      of one clip: does it say what THIS MODEL reacts to?
           | *..  random           of many clips, with labels: do the parts carry what people
           |  * ...                see in the clips, too (`analysis.explanation_test`)? An
           |   ***___*.*__         untrained network reacts to something as well.
           +---------------- parts deleted
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from traitscope.analysis.attribution import References, scores_of
from traitscope.analysis.parts import Part, without
from traitscope.data.drawing import Example
from traitscope.runs.checkpoint import Checkpoint

Array = NDArray[np.float64]

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
"""Of the parts that are deleted at each step; with all of them every order ends at one score."""
SMALLEST = 0.005
"""Of the range of a target: what moves a score by less says nothing to anybody."""
BETTER, NO_BETTER = "better than random", "no better than random"


@dataclass(frozen=True)
class Deletion:
    """Scores of one clip on the way to the reference.

    Attributes:
        whole: (targets,) scores of the clip.
        empty: (targets,) scores of the reference.
        evidence: (steps, targets) scores with the strongest parts deleted.
        random: (orders, steps, targets) scores with random parts deleted.
    """

    whole: Array
    empty: Array
    evidence: Array
    random: Array

    @property
    def towards(self) -> Array:
        """(targets,) 1 where the clip is above the reference, -1 below."""
        return np.where(self.whole >= self.empty, 1.0, -1.0)

    def gain(self, target: int) -> tuple[float, float, float]:
        """How much farther the score goes by evidence than at random, and its 95 % interval.

        In units of the target, as a mean over the steps; the interval is over random orders.
        """
        sign = self.towards[target]
        mine = sign * (self.whole[target] - self.evidence[:, target]).mean()
        others = sign * (self.whole[target] - self.random[:, :, target]).mean(axis=1)
        gains = mine - others
        low, high = np.quantile(gains, (0.025, 0.975))
        return float(gains.mean()), float(low), float(high)

    def verdict(self, target: int, span: float = 1.0) -> str:
        """In words, for a target whose range is ``span`` wide."""
        value, low, _ = self.gain(target)
        return BETTER if low > 0 and value >= SMALLEST * span else NO_BETTER


def delete(
    checkpoint: Checkpoint,
    example: Example,
    parts: Sequence[Part],
    values: Array,
    reference: References,
    *,
    orders: int = 20,
    seed: int = 0,
) -> Deletion:
    """Delete parts by their evidence and at random.

    Args:
        checkpoint: the run.
        example: of one clip.
        parts: of it.
        values: (parts, targets) what they add.
        reference: what they are replaced by.
        orders: random ones.
        seed: of these.
    """
    counts = [max(1, round(share * len(parts))) for share in SHARES]
    whole, empty = scores_of(checkpoint, [example, without(example, parts, reference)])
    sign = np.where(whole >= empty, 1.0, -1.0)
    rng = np.random.default_rng(seed)

    def along(order: NDArray[np.intp]) -> Array:
        variants = [without(example, [parts[p] for p in order[:n]], reference) for n in counts]
        return scores_of(checkpoint, variants)

    # First what holds a score on its side of the reference; what pulls it over goes last.
    rankings = np.argsort(-sign * values, axis=0, kind="stable")
    evidence = np.empty((len(counts), len(whole)))
    for target in range(len(whole)):
        evidence[:, target] = along(rankings[:, target])[:, target]
    random = np.stack([along(rng.permutation(len(parts))) for _ in range(orders)])
    return Deletion(whole, empty, evidence, random)
