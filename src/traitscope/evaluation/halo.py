"""Labels and predictions in, how much of them is one general impression of a clip out.

Whoever looks likeable is rated high on everything. A system may then score well on five traits
and know but one thing. So each clip's mean over traits is removed from labels, predictions and
constant alike: what is left is what tells the traits of one clip apart.
"""

from collections.abc import Sequence

import numpy as np

from traitscope.evaluation.report import Halo
from traitscope.evaluation.scoring import Row, Truth, shown
from traitscope.statistics.metrics import Array, Score
from traitscope.statistics.resampling import by_cluster, estimate
from traitscope.types import TRAITS, Corpus

FEWEST_TRAITS = 3
"""Below this many traits one component says nothing."""
# Standardised columns of fewer clips have much of one component by chance.
_FEWEST_CLIPS = 10


def halo_of(
    key: str, truth: Truth, rows: Sequence[Row], corpus: Corpus, *, seed: int = 0
) -> Halo | None:
    """Find the share of one component, and the skill that is left without it.

    Args:
        key: of the part.
        truth: labels of the part.
        rows: the model and its baselines on the clips of the part.
        corpus: ranges and directions of the targets.
        seed: of the intervals.

    Returns:
        None with fewer than three traits, or fewer than ten clips with labels of all of them.
    """
    traits = [place for place, name in enumerate(truth.names) if name in TRAITS]
    # The mean over traits must be over the same traits in every clip.
    whole = ~np.isnan(truth.target[:, traits]).any(axis=1)
    if len(traits) < FEWEST_TRAITS or whole.sum() < _FEWEST_CLIPS or truth.mismatch:
        return None
    values = {row.role: row.values for row in rows if row.role in ("model", "constant")}
    scale = _scale(corpus, [truth.names[place] for place in traits])
    labels, model, constant = (
        each[whole][:, traits] * scale
        for each in (truth.target, values["model"], values["constant"])
    )
    sources = np.asarray(truth.sources, dtype=str)[whole]
    skill, pearson = _left(labels, model, constant, sources, seed)
    shares = first_component(labels), first_component(model)
    return Halo(
        part=key,
        labels=shares[0],
        predictions=shares[1],
        skill=skill,
        pearson=pearson,
        text=_text(shares, skill, pearson),
    )


def first_component(values: Array) -> float | None:
    """Share of the variance of standardised columns (clips, traits) that one component explains."""
    if not (np.ptp(values, axis=0) > 1e-9).all():
        return None
    # Eigenvalues rise, so the last is the largest; together they make the number of columns.
    return float(np.linalg.eigvalsh(np.corrcoef(values.T))[-1] / values.shape[1])


def _scale(corpus: Corpus, names: Sequence[str]) -> Array:
    """Factors (traits,) that bring traits to one range, with the good end up."""
    factors = []
    for name in names:
        target = corpus.target(name)
        span = 1.0 if target.low is None or target.high is None else target.high - target.low
        # of the five, neuroticism alone counts as bad; where high means stable it is turned already
        good = target.direction != -1
        factors.append((-1 if good == (name == "neuroticism") else 1) / span)
    return np.array(factors)


def _left(
    labels: Array, model: Array, constant: Array, sources: Array, seed: int
) -> tuple[Score, Score]:
    """Macro skill and correlation of what differs between the traits of one clip."""
    t, p, c = (each - each.mean(axis=1, keepdims=True) for each in (labels, model, constant))
    parts = (np.ones_like(t), abs(t - p), abs(t - c), t, p, t * t, p * p, t * p)
    _, index = np.unique(sources, return_inverse=True)
    sums = by_cluster(np.stack(parts, axis=1), index)

    def statistic(sums: Array) -> Array:
        n, own, base, t, p, tt, pp, tp = np.moveaxis(sums, -2, 0)
        spread = (tt / n - (t / n) ** 2) * (pp / n - (p / n) ** 2)
        # Two standard deviations of 1e-6 each, multiplied as variances: less is rounding.
        flat = spread <= 1e-24
        related = (tp / n - t * p / n**2) / np.sqrt(np.where(flat, np.nan, spread))
        skill = 1 - own / np.where(base > 0, base, np.nan)
        return np.stack([skill.mean(axis=-1), related.mean(axis=-1)], axis=-1)

    estimates = estimate(sums, statistic, seed=seed)
    reasons = ("labels do not differ between traits", "predictions do not differ between traits")
    scores = []
    for value, low, high, why in zip(
        estimates.value, estimates.low, estimates.high, reasons, strict=True
    ):
        if not np.isfinite(value):
            scores.append(Score(None, why))
        elif np.isfinite(low) and np.isfinite(high):
            scores.append(Score(float(value), low=float(low), high=float(high)))
        else:
            scores.append(Score(float(value)))
    return scores[0], scores[1]


def _text(shares: tuple[float | None, float | None], skill: Score, pearson: Score) -> str:
    percents = ["undefined" if share is None else f"{100 * share:.0f} %" for share in shares]
    return (
        f"One component explains {percents[0]} of the variance of the labels and {percents[1]} of "
        f"that of the predictions. After each clip's mean over traits is removed, skill is "
        f"{shown(skill)} and r {shown(pearson)}."
    )
