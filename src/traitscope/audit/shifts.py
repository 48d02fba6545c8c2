"""Scores of clips before and after one change in, how far they moved and what is flagged out.

A shift is held against three yardsticks, because each is blind where another sees. The model's own
interval says what moves a score further than it is anyhow uncertain; a poor model has a wide one:
even scores dealt to the wrong clips stay inside. So a shift is held against the spread of scores
*between* clips too, which is all that such a model knows of people, and the order of the clips
before the change against that after it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from traitscope.audit.findings import Shift
from traitscope.statistics.metrics import Array, ranks
from traitscope.statistics.resampling import by_cluster, estimate

# Two draws from one normal distribution are 2 / sqrt(pi) = 1.13 sds apart on average.
MOST_SPREAD = 0.5
"""Mean absolute shift, in sds of the predictions, above which a step is flagged.

Scores that are dealt to other clips move by 1.13 sds on average.
"""
LEAST_ORDER = 0.7
"""Rank correlation between before and after below which a step is flagged."""
# Two swaps of neighbours leave .8 of the order of five clips, but .6, a flag, of that of four.
FEWEST_RANKED = 5
"""Clips below which their order says nothing."""
REASONS = {
    "interval": "beyond the model's own interval",
    "spread": "more than half the sd of scores between clips",
    "order": "the order of clips is lost",
}
"""Why a step is flagged, in words."""
_CONSTANT = 1e-6  # sd, as a share of the largest score, below which predictions are constant


@dataclass(frozen=True)
class Yardsticks:
    """What the shifts of a model are held against.

    Attributes:
        half_widths: of the model's own interval (targets,).
        predicted: its predictions of the whole split (clips, targets).
    """

    half_widths: Array
    predicted: Array

    @property
    def spreads(self) -> Array:
        """Sd of the predictions (targets,), NaN where they are constant."""
        sd = self.predicted.std(axis=0)
        return np.where(sd > _CONSTANT * np.abs(self.predicted).max(axis=0), sd, np.nan)


def measure_shifts(
    before: Array,
    after: Array,
    clusters: NDArray[np.intp],
    *,
    names: Sequence[str],
    yardsticks: Yardsticks,
) -> dict[str, Shift]:
    """Say how far one change moves the scores of each target.

    Args:
        before: scores of unchanged clips (clips, targets).
        after: scores of the same clips, changed.
        clusters: source or person of each clip, numbered from 0 (clips,).
        names: of the targets.
        yardsticks: what shifts are held against.

    Returns:
        Target -> ``mean`` shift with ``low`` and ``high``; ``absolute``, its mean size;
        ``largest``; ``share`` of clips beyond the half width; ``relative``, the absolute shift in
        sds of the predictions; ``places``, how many of 100 places among the split's predictions a
        clip moves; ``order``, rank correlation between before and after; ``reasons`` (names of
        REASONS) and ``flagged``.
    """
    # paired by clip: what differs between people cancels, and 12 clips are enough
    shift = after - before
    sums = by_cluster(np.column_stack([np.ones(len(shift)), shift]), clusters)
    mean = estimate(sums, lambda s: s[..., 1:] / s[..., :1])
    shifts = {}
    for i, name in enumerate(names):
        absolute, spread = np.abs(shift[:, i]), yardsticks.spreads[i]
        measured = {
            "mean": mean.value[i],
            "low": mean.low[i],
            "high": mean.high[i],
            "absolute": absolute.mean(),
            "largest": absolute.max(),
            "share": (absolute > yardsticks.half_widths[i]).mean(),
            "relative": absolute.mean() / spread,
            "places": _places(before[:, i], after[:, i], yardsticks.predicted[:, i]),
            "order": _order(before[:, i], after[:, i]) if np.isfinite(spread) else np.nan,
        }
        reasons = _reasons(measured, float(yardsticks.half_widths[i]))
        shifts[name] = Shift.model_validate(
            measured | {"reasons": reasons, "flagged": bool(reasons)}
        )
    return shifts


def _reasons(shift: Mapping[str, float], half_width: float) -> tuple[str, ...]:
    """Names of REASONS that hold; an undefined number is none."""
    holds = {
        "interval": shift["absolute"] > half_width,
        "spread": shift["relative"] > MOST_SPREAD,
        "order": shift["order"] < LEAST_ORDER,
    }
    return tuple(reason for reason, held in holds.items() if held)


def _places(before: Array, after: Array, predicted: Array) -> float:
    """Mean change of place among the predictions of the split, of 100; ties count half."""
    # Among the whole split: of 12 clips, one place would be 8 of 100.
    known = np.sort(predicted)

    def place(values: Array) -> Array:
        # The middle of a tie, so that leaving it upwards or downwards counts alike.
        below, upto = (np.searchsorted(known, values, side=side) for side in ("left", "right"))
        return np.asarray((below + upto) / 2 / len(known))

    return float(100 * np.abs(place(after) - place(before)).mean())


def _order(before: Array, after: Array) -> float:
    # Where clips were alike before, there was no order to lose: unknown, not 0.
    if len(before) < FEWEST_RANKED or np.ptp(before) == 0:
        return float("nan")
    if np.ptp(after) == 0:  # all clips alike: nothing is left of their order
        return 0.0
    return float(np.corrcoef(ranks(before), ranks(after))[0, 1])
