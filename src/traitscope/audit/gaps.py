"""Groups of clips against all others: members and scores in, gaps with intervals and tests out.

Three numbers decide: the gap in labels between a group and all others, the gap in predictions, and
that of the residuals (predicted minus label), their difference. Noisy labels shrink every honest
prediction to the mean, so a residual gap alone is no bias::

    gap in predictions      0 ............. labels' gap
                            |               |
      <-- beyond (clear) -->|<-- shrinking -->|<-- beyond (clear) -->
                            constant        perfect

The constant predicts no gap and so leaves minus the labels' gap; an honest shrunken system lies
between it and the labels. What no such system shows is a predicted gap *beyond* that range: of
the other sign, or larger than the labels' own. Both ends have to be left: the p of "beyond" is the
larger of those of the gap in predictions and of the residual gap, and 1 where these differ in
sign (an intersection-union test, so it is not corrected for being two).

A system that judges each person by what it sees of the person shows no more of the labels' gap
than of any other difference between people. How much that is, the slope of predictions on true
traits, cannot be read from a clip's own label, whose noise flattens it; the labels of *other* clips
of the same person have noise of their own, and it cancels (an instrumental variable)::

    slope = cov(prediction of one clip, label of another) / cov(label of one, label of another)

    gap in predictions      0 ....... slope x labels' gap ....... labels' gap
                            |                |                        |
                            |<-- shrinking ->|<------ follows ------->|<-- beyond -->

A predicted gap outside 0 to slope times the labels' gap *follows* the group rather than the person.
That is no error on average: least squares does it wherever it sees the group and little else. It
is another claim than "beyond", and both are tested apart (decision 30).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from traitscope.statistics.intervals import holm
from traitscope.statistics.metrics import FORMULAS, TERMS, Array, Sums, named, terms
from traitscope.statistics.resampling import Estimate, by_cluster, estimate

MEASURES = (
    "label",
    "prediction",
    "residual",
    "error",
    "label_gap",
    "prediction_gap",
    "residual_gap",
    "given_label",
    "given_prediction",
    "error_gap",
    "constant_error_gap",
    "pearson",
    "ccc",
)
"""What is estimated of each group and target: first the group's own, then its gaps to all others.

``given_label`` is the gap in predictions, ``given_prediction`` that in residuals, that is left
between clips of the same label and of the same prediction; ``constant_error_gap`` is the error gap
of the constant; ``pearson`` and ``ccc`` are within the group.
"""
_SAME = 1e-6  # share of the size of scores below which a gap is rounding
_PRODUCTS = 6  # the first terms of ``metrics.TERMS``: counts, sums, squares and products


def compare_groups(
    sums: Array, clusters: NDArray[np.intp], *, shift: float, resamples: int, seed: int
) -> Estimate:
    """Estimate MEASURES, flattened from (groups, targets, measures).

    Args:
        sums: what each clip adds to each group, as ``group_terms`` gives it.
        clusters: of the clips (clips,).
        shift: what was subtracted from labels and predictions.
        resamples: of the clusters.
        seed: of the draw.
    """
    shape = sums.shape[1:]

    def statistic(flat: Array) -> Array:
        own, rest = _own_and_rest(flat, shape, shift)
        measures = np.stack([*_own(own, shift), *_gaps(own, rest)], axis=-1)
        return measures.reshape(*flat.shape[:-1], -1)

    flat = by_cluster(sums, clusters).reshape(-1, int(np.prod(shape)))
    return estimate(flat, statistic, resamples=resamples, seed=seed)


@dataclass(frozen=True)
class Excess:
    """How far predicted gaps lie outside a range that honest systems keep to.

    Attributes:
        value: 0 inside the range, NaN where unknown (groups, targets).
        p: two-sided, the larger of those of both ends (groups, targets).
    """

    value: Array
    p: Array


def outside(
    sums: Array, clusters: NDArray[np.intp], *, shift: float
) -> tuple[Excess, Excess | None]:
    """Test whether predicted gaps leave the range from 0 to the labels' gap, or the shrunken one.

    Args:
        sums: what each clip adds to each group, as ``group_terms`` gives it.
        clusters: of the clips (clips,).
        shift: what was subtracted from labels and predictions.

    Returns:
        ``beyond`` and ``follows``; no ``follows`` where no two clips share a cluster.
    """
    parts = sums[:, :, :_PRODUCTS]
    shape = parts.shape[1:]
    own = by_cluster(parts, clusters)
    # Over all groups: the slope belongs to the system, and a group's own would rest on few people.
    pairs = _pairs(own.sum(axis=1))
    size = int(np.prod(shape))

    def statistic(flat: Array) -> Array:
        own = flat[..., :size].reshape(*flat.shape[:-1], *shape)
        rest = own.sum(axis=-3, keepdims=True) - own
        means = own[..., 1:3, :] / own[..., :1, :] - rest[..., 1:3, :] / rest[..., :1, :]
        labelled, predicted = means[..., 0, :], means[..., 1, :]
        slope = _slope(flat[..., size:].reshape(*flat.shape[:-1], *pairs.shape[1:]))
        shrunken = slope[..., None, :] * labelled
        # Distances from no gap, from the labels' gap, and from what a judge of persons shows of it.
        ends = np.stack([predicted, predicted - labelled, predicted - shrunken], axis=-1)
        return ends.reshape(*flat.shape[:-1], -1)

    # A row of a cluster:  what it adds to each group | what its pairs of clips say of the slope
    flat = np.concatenate([own.reshape(len(own), -1), pairs.reshape(len(own), -1)], axis=1)
    # Only p is wanted, and that comes from leaving clusters out, not from resamples.
    tested = estimate(flat, statistic, resamples=0)
    value, p = (a.reshape(shape[0], shape[2], 3) for a in (tested.value, tested.p))
    whole = own.sum(axis=(0, 1))
    # A constant's gap is 0 but for rounding, and rounding has a sign: it must not count as a side.
    with np.errstate(divide="ignore", invalid="ignore"):
        least = _SAME * (np.sqrt((whole[3] + whole[4]) / whole[0]) + abs(shift))
    real = np.where(np.abs(value) > least[:, None], value, 0.0)
    # NaN is not larger than anything: unknown would have passed for 0, which is inside.
    known = np.where(np.isnan(value), np.nan, real)
    follows = _both(known[..., [0, 2]], p[..., [0, 2]])
    return _both(known[..., :2], p[..., :2]), follows if pairs[:, 0].any() else None


def _both(ends: Array, p: Array) -> Excess:
    """Outside both ends at once (groups, targets, 2), or inside: an intersection-union test."""
    # Distances from both ends of a range tell on which side of it a gap lies:
    #   end     end
    # -  |   +   |   +      from the left end
    # -  |   -   |   +      from the right end: signs differ inside, and nowhere else
    same = ends[..., 0] * ends[..., 1] > 0
    # What leaves the nearer end has left the whole range.
    nearer = np.where(np.abs(ends[..., 0]) < np.abs(ends[..., 1]), ends[..., 0], ends[..., 1])
    unknown = np.isnan(ends).any(axis=-1)
    excess = np.where(same, nearer, 0.0)
    worst = np.where(same, p.max(axis=-1), 1.0)
    return Excess(np.where(unknown, np.nan, excess), np.where(unknown, np.nan, worst))


def _pairs(sums: Array) -> Array:
    """Sums over pairs of different clips of a cluster (clusters, 5, targets).

    How many; labels and predictions of the first; products of one's label with the other's label,
    and with the other's prediction. Sums of clips (clusters, terms, targets) give all of them.
    """
    # No pair is walked through: a product of sums has them all, and each clip with itself, which is
    # taken off:  sum over i != j of t_i p_j = (sum t) (sum p) - sum t_i p_i
    n, t, p, tt, _, tp = np.moveaxis(sums, 1, 0)
    more = n - 1
    return np.stack([n * more, more * t, more * p, t * t - tt, t * p - tp], axis=1)


def _slope(pairs: Array) -> Array:
    """Slope of predictions on true traits (..., targets), from sums over pairs (..., 5, targets).

    NaN where labels of one cluster are not alike: then nothing tells traits from noise.
    """
    n, t, p, tt, tp = np.moveaxis(pairs, -2, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        like, follow = tt / n - (t / n) ** 2, tp / n - t * p / n**2
        return np.asarray(np.where(like > 0, follow / like, np.nan))


def group_terms(
    member: Array, labels: Array, predicted: Array, *, constant: Array, shift: float
) -> Array:
    """What each clip adds to the sums of each group: (clips, groups, terms, targets).

    Args:
        member: 1 where a clip belongs to a group (clips, groups), else 0.
        labels: (clips, targets), NaN where one is missing.
        predicted: (clips, targets).
        constant: the mean of the fitted labels (targets,), NaN where unknown.
        shift: subtracted from labels and predictions, so that sums of squares keep their digits.
    """
    return np.asarray(member)[:, :, None, None] * terms(labels, predicted, constant, shift)[:, None]


def correct(families: Sequence[tuple[Array, bool]]) -> tuple[list[Array], int]:
    """Correct p-values of several attributes by Holm's method, all together.

    Args:
        families: p (groups, targets) of each attribute, and whether its groups are two halves
            of which one says what the other does: such a test is counted once.

    Returns:
        Corrected p in the same shapes, and how many tests there were.
    """
    # The other half is the same test with its sign turned: it would only make Holm harsher.
    counted = [p[:1] if halves else p for p, halves in families]
    flat = holm(np.concatenate([p.ravel() for p in counted]) if counted else np.empty(0))
    corrected, start = [], 0
    for (p, halves), mine in zip(families, counted, strict=True):
        part = flat[start : start + mine.size].reshape(mine.shape)
        start += mine.size
        corrected.append(np.repeat(part, len(p), axis=0) if halves else part)
    return corrected, int(np.isfinite(flat).sum())


def _own_and_rest(flat: Array, shape: tuple[int, ...], shift: float) -> tuple[Sums, Sums]:
    """Sums of each group, and of all others: a group must not dilute its own gap."""
    own = flat.reshape(*flat.shape[:-1], *shape)
    rest = own.sum(axis=-3, keepdims=True) - own
    return named(own, shift, np.nan), named(rest, shift, np.nan)


def _own(own: Sums, shift: float) -> list[Array]:
    label, prediction = own.t / own.count + shift, own.p / own.count + shift
    return [label, prediction, prediction - label, _formula("mae", own)]


def _gaps(own: Sums, rest: Sums) -> list[Array]:
    labelled = own.t / own.count - rest.t / rest.count
    predicted = own.p / own.count - rest.p / rest.count
    inside = [_within(s) for s in (own, rest)]
    # Slopes inside the two sides, taken together: across them the slope would hold the gap itself.
    tt, pp, tp = (one + two for one, two in zip(*inside, strict=True))
    squares = own.pp + rest.pp + own.tt + rest.tt
    slope = np.where(tt > _SAME**2 * squares, tp / tt, np.nan)
    # a constant has no slope: at equal predictions its residuals are the labels themselves
    turned = np.where(pp > _SAME**2 * squares, tp / pp, 0.0)
    error = _formula("mae", own) - _formula("mae", rest)
    constant = own.constant / own.count - rest.constant / rest.count
    return [
        labelled,
        predicted,
        predicted - labelled,
        predicted - slope * labelled,
        turned * predicted - labelled,
        error,
        constant,
        _formula("pearson", own),
        _formula("ccc", own),
    ]


def _formula(metric: str, sums: Sums) -> Array:
    """A metric of sums (..., targets): those of one fold, which the formulas have an axis for."""
    fold = {name: getattr(sums, name)[..., None, :] for name in TERMS}
    return FORMULAS[metric](replace(sums, **fold))


def _within(s: Sums) -> tuple[Array, Array, Array]:
    """Sums of squares and products around the group's own means."""
    squares = s.tt - s.t**2 / s.count, s.pp - s.p**2 / s.count
    return *squares, s.tp - s.t * s.p / s.count
