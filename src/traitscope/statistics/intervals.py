"""Labels, predictions and clusters in, 95 % intervals of metrics and paired tests out.

Clips of one source or person resemble each other, so clusters are drawn, not clips (``resampling``
draws what that looks like). Each cluster is reduced to the sums of ``metrics.Sums``, from which all
metrics follow but Spearman's (``rank_intervals``). A system that was trained with several seeds has
the mean of its scores; what other seeds would give then widens its interval, beside what other
people would::

    labels, predictions          sums                 one resample         a metric, macro last
    (seeds, clips, targets)      (seeds, rows,        weights              (resamples, targets + 1)
                                  terms, targets)     (1, clusters)
    s1: a a | b | c c | c   -->  a: n, t, p, tt ..    [2  0  1]      -->   mean over seeds of
    s2: a a | b | c c | c        b: ..                 a a    c            FORMULAS[metric](sums)
    fold: 0   0    0    1        c in fold 0: ..      (both rows of c)
                                 c in fold 1: ..

A cluster has a row in each fold that it has clips in, so that drawing it takes all its rows, and
every fold keeps its own constant and variances. Two systems are weighed with the same draws: what
a hard person costs both cancels in their difference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from traitscope.statistics.metrics import FORMULAS, MACRO, Array, Sums, named, terms
from traitscope.statistics.resampling import (
    FEWEST_CLUSTERS,
    Sampling,
    by_cluster,
    draws,
    sampling,
)

RESAMPLES = 10_000
MARGIN = 0.02
"""Differences that are smaller than this count as none, unless told otherwise."""


@dataclass(frozen=True)
class Difference:
    """How far two sets of predictions are apart in one metric, first minus second.

    Attributes:
        metric: name of the metric.
        target: name of the target, or ``macro``.
        value: the difference; None where the metric is undefined.
        low: lower end of the 95 % interval.
        high: upper end.
        p: two-sided, of no difference; below .05 where the interval leaves out 0.
        p_holm: p corrected for the number of targets by Holm's method.
        p_equivalent: of the difference being as large as the margin, by two one-sided tests;
            below .05 the systems are equivalent within it.
    """

    metric: str
    target: str
    value: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    p_equivalent: float | None = None


@dataclass(frozen=True)
class Clustered:
    """Predictions of one system reduced to sums per cluster and fold.

    Attributes:
        sums: (seeds, rows, terms, targets), a row for each cluster in each fold it has clips in.
        owner: cluster of each row, from 0 (rows,).
        fold: fold of each row, from 0 (rows,).
        shift: what was subtracted from labels and predictions.
        span: lengths of the targets' ranges (targets,), NaN for z-scores.
    """

    sums: Array
    owner: NDArray[np.intp]
    fold: NDArray[np.intp]
    shift: float
    span: Array

    @property
    def clusters(self) -> int:
        """How many clusters there are."""
        return int(self.owner.max(initial=-1)) + 1

    @property
    def whole(self) -> Array:
        """Sums (clusters, folds, terms, targets) of the one seed."""
        whole = np.zeros((self.clusters, int(self.fold.max(initial=-1)) + 1, *self.sums.shape[2:]))
        np.add.at(whole, (self.owner, self.fold), self.sums[0])
        return whole

    def total(self, values: Array) -> Sums:
        """Name the terms of sums (..., folds, terms, targets)."""
        return named(values, self.shift, self.span)

    def weigh(self, weights: Array) -> Sums:
        """Sums (samples, seeds, folds, targets) with each cluster ``weights`` times.

        Args:
            weights: (samples, clusters).
        """
        seeds, _, *rest = self.sums.shape
        folds = []
        # Fold by fold, so that no product is spent on clusters without a clip in it.
        for fold in range(int(self.fold.max(initial=-1)) + 1):
            mine = self.fold == fold
            flat = np.moveaxis(self.sums[:, mine], 0, 1).reshape(int(mine.sum()), -1)
            folds.append((weights[:, self.owner[mine]] @ flat).reshape(-1, seeds, *rest))
        return named(np.stack(folds, axis=2), self.shift, self.span)


def cluster(
    target: Array,
    prediction: Array,
    clusters: Sequence[str],
    *,
    constant: ArrayLike | None = None,
    span: ArrayLike | None = None,
    folds: ArrayLike | None = None,
) -> Clustered:
    """Reduce predictions to sums per cluster.

    Args:
        target: labels (clips, targets), NaN where one is missing.
        prediction: (clips, targets), or (seeds, clips, targets) of one system's trainings.
        clusters: the source, person or group of each clip.
        constant: what skill is measured against, (targets,) or (clips, targets).
        span: lengths of the targets' ranges (targets,), NaN for z-scores.
        folds: which clips were predicted by one model (clips,); all where not given.

    Raises:
        ValueError: shapes differ, or a prediction is not finite.
    """
    repeats = prediction if prediction.ndim == 3 else prediction[None]
    if target.ndim != 2 or target.shape != repeats.shape[1:] or len(clusters) != len(target):
        raise ValueError(
            f"Labels {target.shape}, predictions {prediction.shape} and {len(clusters)} clusters "
            f"do not belong together."
        )
    # Within a sum, one such clip would take its whole cluster along without a word.
    if not np.isfinite(prediction).all():
        raise ValueError(f"{np.sum(~np.isfinite(prediction))} predictions are NaN or infinite.")
    missing = np.full(target.shape[1], np.nan)
    fixed = missing if constant is None else np.asarray(constant, dtype=float)
    spans = missing if span is None else np.asarray(span, dtype=float)
    known = target[~np.isnan(target)]
    # One middle for all targets: the pooled concordance adds their sums up.
    shift = float(known.mean()) if known.size else 0.0
    _, index = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    within = np.zeros(len(target)) if folds is None else np.asarray(folds)
    _, within = np.unique(within, return_inverse=True)
    pairs, rows = np.unique(np.stack([index, within]), axis=1, return_inverse=True)
    sums = np.stack([by_cluster(terms(target, p, fixed, shift), rows.ravel()) for p in repeats])
    return Clustered(sums, pairs[0], pairs[1], shift, spans)


def intervals(
    data: Clustered,
    *,
    metrics: Sequence[str] = tuple(FORMULAS),
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Array]:
    """Compute intervals of metrics, over clusters and over seeds where there are several.

    Args:
        data: sums per cluster.
        metrics: names from FORMULAS, or ``ccc_pooled``.
        resamples: how many.
        level: coverage aimed at.
        seed: of the draw; the same for two systems on the same clips draws the same clusters.

    Returns:
        metric -> (targets + 1, 2) lower and upper ends, macro last; (1, 2) for ``ccc_pooled``;
        NaN where the metric is undefined or there are fewer than FEWEST_CLUSTERS clusters.
    """
    samplings = _scattered(_sampled(data, metrics, resamples, seed))
    return {
        metric: np.array([(np.nan, np.nan) if one is None else one.ends(level) for one in row])
        for metric, row in samplings.items()
    }


def compare(
    first: Clustered,
    second: Clustered,
    *,
    names: Sequence[str],
    metrics: Sequence[str] = ("mae", "ccc"),
    resamples: int = RESAMPLES,
    seed: int = 0,
    margin: float = MARGIN,
) -> tuple[Difference, ...]:
    """Compare two systems on the same clips: difference, paired interval and tests.

    The same clusters are drawn for both; p is read off the distribution of the interval. Seeds of
    one system are replicates: the difference is one of means of scores.

    Args:
        first: sums of the first system.
        second: sums of the second, from the same clips in the same order.
        names: of the targets.
        metrics: what to compare.
        resamples: of the interval.
        seed: of the draw.
        margin: within which systems count as equivalent.
    """
    # The first term is the number of labels, which says nothing of the predictions: where it
    # differs in any cluster the clips do.
    one, two = first.sums[0, :, 0], second.sums[0, :, 0]
    if one.shape != two.shape or not np.allclose(one, two):
        raise ValueError("Two systems are compared on the same clips only.")
    # sums around another middle cannot be subtracted from each other
    if second.shift != first.shift:
        raise ValueError("Two systems are compared on the same labels only.")
    systems = [_sampled(data, metrics, resamples, seed) for data in (first, second)]
    samplings = _scattered(*systems)
    differences: list[Difference] = []
    for metric in metrics:
        points = [system[metric].point.mean(axis=0) for system in systems]
        p = np.array([np.nan if each is None else each.p() for each in samplings[metric]])
        # macro repeats what the targets say: it is no further test of the family
        corrected = np.append(holm(p[:-1]), p[-1])
        for row, (name, each) in enumerate(zip((*names, MACRO), samplings[metric], strict=True)):
            value = _number(points[0][row] - points[1][row])
            if each is None:
                differences.append(Difference(metric, name, value))
                continue
            tests = (each.p(), float(corrected[row]), each.p_equivalent(margin))
            differences.append(Difference(metric, name, value, *each.ends(0.95), *tests))
    return tuple(differences)


def holm(p: ArrayLike) -> Array:
    """Correct p-values (tests,) for their number by Holm's method; NaN stays NaN."""
    values = np.asarray(p, dtype=float)
    corrected = values.copy()
    order = np.flatnonzero(~np.isnan(values))
    order = order[np.argsort(values[order], kind="stable")]
    # p in order .01 .03 .04, times 3 2 1: .03 .06 .04, never falling: .03 .06 .06. Otherwise
    # the .04 would pass where the smaller .03 before it did not.
    steps = values[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def correct(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    """Correct by Holm over all given differences, for families wider than one comparison."""
    p = holm([np.nan if d.p is None else d.p for d in differences])
    return tuple(replace(d, p_holm=_number(value)) for d, value in zip(differences, p, strict=True))


def without_each(data: Clustered, metrics: Sequence[str]) -> dict[str, Array]:
    """Metric -> its values without each cluster (clusters, seeds, targets + 1), macro last."""
    seeds, _, *rest = data.sums.shape
    own = np.zeros((data.clusters, seeds, int(data.fold.max(initial=-1)) + 1, *rest))
    own[data.owner, :, data.fold] = np.moveaxis(data.sums, 1, 0)
    return _values(named(own.sum(axis=0) - own, data.shift, data.span), metrics)


@dataclass(frozen=True)
class _Drawn:
    """Values of one metric, macro last.

    Attributes:
        point: on all clips (seeds, values).
        drawn: of each resample, mean over seeds (resamples, values).
        left_out: without each cluster (clusters, seeds, values).
    """

    point: Array
    drawn: Array
    left_out: Array

    @property
    def error(self) -> tuple[Array, int]:
        """Standard error (values,) of the mean over so few seeds, and its degrees of freedom.

        What differs between seeds because the clusters are few is in the resamples already.
        """
        seeds, clusters = len(self.point), len(self.left_out)
        if seeds < 2 or not clusters:  # too few clusters to leave one out: no interval anyhow
            return np.zeros(self.point.shape[1]), 1
        away = self.left_out - self.left_out.mean(axis=0)
        # What a cluster does to all seeds alike is no difference between them.
        away = away - away.mean(axis=1, keepdims=True)
        sampled = (away**2).sum(axis=(0, 1)) * (clusters - 1) / clusters / (seeds - 1)
        # seeds differ on these people by chance as well, which the resamples hold already
        between = self.point.var(axis=0, ddof=1) - sampled
        return np.sqrt(np.maximum(between, 0) / seeds), seeds - 1


def _sampled(
    data: Clustered, metrics: Sequence[str], resamples: int, seed: int
) -> dict[str, _Drawn]:
    """Metrics of a system on all clips, in each resample, and without each cluster."""
    count = data.clusters
    whole = _values(data.weigh(np.ones((1, count))), metrics)
    if count < FEWEST_CLUSTERS:
        # With nothing left out there is no ``sampling``: values stand without intervals.
        return {m: _Drawn(v[0], v[:0, 0], v[:0]) for m, v in whole.items()}
    drawn = [_values(data.weigh(counts), metrics) for counts in draws(count, resamples, seed)]
    left = without_each(data, metrics)
    return {
        m: _Drawn(whole[m][0], np.concatenate([part[m].mean(axis=1) for part in drawn]), left[m])
        for m in metrics
    }


def _scattered(
    first: Mapping[str, _Drawn], second: Mapping[str, _Drawn] | None = None
) -> dict[str, list[Sampling | None]]:
    """How each value, or each difference, would scatter."""
    samplings: dict[str, list[Sampling | None]] = {}
    for metric, one in first.items():
        point, drawn, left_out = one.point.mean(axis=0), one.drawn, one.left_out.mean(axis=1)
        error, degrees = one.error[0], np.full(len(point), float(one.error[1]))
        if second is not None:
            two = second[metric]
            point, drawn = point - two.point.mean(axis=0), drawn - two.drawn
            left_out = left_out - two.left_out.mean(axis=1)
            # Clusters are drawn in pairs, but seeds of two systems have nothing in common.
            error, degrees = _together(one.error, two.error)
        samplings[metric] = [
            sampling(
                float(value), drawn[:, i], left_out[:, i], error=error[i], error_degrees=degrees[i]
            )
            for i, value in enumerate(point)
        ]
    return samplings


def _together(one: tuple[Array, int], two: tuple[Array, int]) -> tuple[Array, Array]:
    """Standard error of a difference and its degrees of freedom (Satterthwaite)."""
    error = np.hypot(one[0], two[0])
    parts = one[0] ** 4 / one[1] + two[0] ** 4 / two[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return error, np.where(parts > 0, error**4 / parts, 1.0)


def _values(sums: Sums, metrics: Sequence[str]) -> dict[str, Array]:
    """Every metric (..., targets + 1), macro last; pooled concordance (..., 1)."""
    values = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        for name in metrics:
            if name == "ccc_pooled":
                values[name] = FORMULAS["ccc"](sums.pooled())
                continue
            each = FORMULAS[name](sums)
            # A mean that skipped NaN would be over other targets in one resample than in the next.
            values[name] = np.concatenate([each, each.mean(axis=-1, keepdims=True)], axis=-1)
    return values


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
