"""How far predictions are drawn to the mean, and whether their intervals hold: table in, JSON out.

Per target, first what a reader of scores needs: slope and intercept of labels on predictions (1
and 0 where a score means what it says; a slope below 1: scores are spread more widely than is
warranted). Then the mean residual, and slope and intercept of predictions on labels (below 1 is
regression to the mean, as every honest predictor of a noisy label shows: no fault by itself);
sd of predictions over sd of labels. Between targets: correlations of predictions beside those of
labels, since models often predict one "good impression" five times. Coverage of the system's own
intervals where the table has ``sd_<target>``, or ``low_<target>`` and ``high_<target>``.
"""

from statistics import NormalDist
from typing import Any

import numpy as np

from traitscope.audit.findings import Between, Calibration, Cell, Coverage, Slopes
from traitscope.audit.scored import Scored
from traitscope.statistics.metrics import Array
from traitscope.statistics.resampling import RESAMPLES, Estimate, by_cluster, estimate

LEVELS = (0.5, 0.8, 0.9, 0.95)
"""Nominal coverages at which a stated sd is checked."""
MEASURES = (
    "label_slope",
    "label_intercept",
    "bias",
    "slope",
    "intercept",
    "label_sd",
    "prediction_sd",
    "sd_ratio",
    "correlation",
)
_CONSTANT = 1e-9  # variance, as a share of the squared scale, below which predictions are constant


def audit_calibration(
    scored: Scored, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Calibration:
    """Say how predictions are spread against labels, and whether stated intervals hold.

    Args:
        scored: predictions and labels, with intervals where the system states them.
        level: nominal coverage of ``low_`` to ``high_``.
        resamples: of the intervals.
        seed: of the intervals.

    Returns:
        Numbers of each target, correlations among labels and among predictions with their means,
        and one row of coverage per target and level.
    """
    cells = {
        name: _target(scored, place, resamples, seed) for place, name in enumerate(scored.names)
    }
    audit = Calibration(
        **scored.head(),
        cells=cells,
        between=_between(scored, resamples, seed) if len(scored.names) > 1 else None,
        coverage=tuple(_coverage(scored, level, resamples, seed)),
    )
    return audit.model_copy(update={"notes": (*_notes(audit), *scored.cautions())})


def _target(scored: Scored, place: int, resamples: int, seed: int) -> Slopes:
    label, score = scored.labels[:, place], scored.predicted[:, place]
    known = np.isfinite(label)
    # Two points lie on a line, whatever they are: their slope would be no finding.
    if known.sum() < 3:
        return Slopes.model_validate(dict.fromkeys(MEASURES, Cell(value=None)))
    centre = label[known].mean()  # subtracted first, so that sums of squares keep their digits
    t, p = label[known] - centre, score[known] - centre
    terms = np.stack([np.ones_like(t), t, p, t * t, p * p, t * p], axis=-1)

    def statistic(sums: Array) -> Array:
        n, t, p, tt, pp, tp = np.moveaxis(sums, -1, 0)
        t, p = t / n, p / n
        vt, vp, cov = tt / n - t * t, pp / n - p * p, tp / n - t * p
        # regressing on what does not vary is undefined; rounding alone must not define it
        vt = np.where(vt > _CONSTANT * (centre**2 + 1), vt, np.nan)
        varying = vp > _CONSTANT * (centre**2 + 1)
        # A constant has a slope on labels, 0, but labels have none on a constant.
        some = np.where(varying, vp, np.nan)
        slope = np.where(varying, cov, 0.0) / vt
        # Sums are taken around the centre, an intercept is read at 0: the centre comes back.
        intercept = p + centre - slope * (t + centre)
        sd = np.sqrt(np.where(varying, vp, 0.0))
        ratio, both = sd / np.sqrt(vt), cov / np.sqrt(some * vt)
        label_slope = cov / some
        label_intercept = t + centre - label_slope * (p + centre)
        leading = [label_slope, label_intercept, p - t]
        columns = [*leading, slope, intercept, np.sqrt(vt), sd, ratio, both]
        return np.stack(columns, axis=-1)

    sums = by_cluster(terms, _renumbered(scored.clusters[known]))
    estimates = estimate(sums, statistic, resamples=resamples, seed=seed)
    return Slopes.model_validate({m: estimates.cell(i) for i, m in enumerate(MEASURES)})


def _between(scored: Scored, resamples: int, seed: int) -> Between:
    """Correlations between targets, of labels and of predictions, on fully labelled clips."""
    # pairs of different clips would mix who is labelled with how labels go together
    whole = np.isfinite(scored.labels).all(axis=1)
    targets = len(scored.names)
    upper = np.triu_indices(targets, 1)
    both = np.stack([scored.labels[whole], scored.predicted[whole]])
    # For the digits alone: each resample has means of its own, and takes them off once more.
    both = both - both.mean(axis=1, keepdims=True)
    # What a clip adds, k targets:  1 | labels k | products k x k | predictions k | products k x k
    terms = [np.ones((whole.sum(), 1))]
    for values in both:
        pairs = values[:, :, None] * values[:, None, :]
        terms += [values, pairs.reshape(len(values), targets * targets)]

    def matrices(sums: Array) -> Array:
        n, rest = sums[..., :1], sums[..., 1:]
        sides = []
        for side in np.split(rest, 2, axis=-1):
            mean, square = side[..., :targets] / n, side[..., targets:] / n[..., :]
            square = square.reshape(*side.shape[:-1], targets, targets)
            cov = square - mean[..., :, None] * mean[..., None, :]
            variance = np.diagonal(cov, axis1=-2, axis2=-1)
            variance = np.where(variance > _CONSTANT, variance, np.nan)
            sides.append(cov / np.sqrt(variance[..., :, None] * variance[..., None, :]))
        return np.stack(sides, axis=-3)

    def statistic(sums: Array) -> Array:
        # of labels, of predictions, and how much more alike predictions are than labels
        means = matrices(sums)[..., upper[0], upper[1]].mean(axis=-1)
        return np.concatenate([means, means[..., 1:] - means[..., :1]], axis=-1)

    sums = by_cluster(np.concatenate(terms, axis=1), _renumbered(scored.clusters[whole]))
    estimates = estimate(sums, statistic, resamples=resamples, seed=seed)
    # `estimate` hushes divisions of its own; these matrices are made outside of it.
    with np.errstate(divide="ignore", invalid="ignore"):
        labels, predictions = matrices(sums.sum(axis=0))
    names = ("mean_labels", "mean_predictions", "mean_difference")
    means = {name: estimates.cell(i) for i, name in enumerate(names)}
    matrices_of = {"labels": labels.tolist(), "predictions": predictions.tolist()}
    return Between.model_validate({"clips": int(whole.sum()), **matrices_of, **means})


def _coverage(scored: Scored, level: float, resamples: int, seed: int) -> list[Coverage]:
    """Share of labels inside the system's own intervals, per target and nominal coverage."""
    rows = []
    spans: list[tuple[str, float, Array, Array]] = []
    given = scored.spreads
    if {"low", "high"} <= set(given):
        spans.append(("low to high", level, given["low"], given["high"]))
    if "sd" in given:
        for nominal in LEVELS:
            # An sd states no shape; the normal one is what a reader takes it for.
            reach = NormalDist().inv_cdf((1 + nominal) / 2) * given["sd"]
            spans.append(("sd", nominal, scored.predicted - reach, scored.predicted + reach))
    for kind, nominal, low, high in spans:
        for place, name in enumerate(scored.names):
            label = scored.labels[:, place]
            # Clips without a stated interval neither hold their labels nor miss them.
            known = np.isfinite(label) & np.isfinite(low[:, place]) & np.isfinite(high[:, place])
            if not known.any():
                continue
            inside = (label >= low[:, place]) & (label <= high[:, place])
            terms = np.stack([known, known & inside], axis=-1)[known].astype(float)
            covered = _share(terms, scored.clusters[known], resamples, seed)
            width = float((high - low)[known, place].mean())
            rows.append(
                Coverage(
                    target=name,
                    kind=kind,
                    nominal=nominal,
                    clips=int(known.sum()),
                    mean_width=width,
                    coverage=Cell(**covered.cell(0)),
                )
            )
    return rows


def _share(terms: Array, clusters: Any, resamples: int, seed: int) -> Estimate:
    sums = by_cluster(terms, _renumbered(clusters))
    return estimate(sums, lambda s: s[..., 1:] / s[..., :1], resamples=resamples, seed=seed)


def _renumbered(clusters: Any) -> Any:
    """Number the clusters that occur from 0 without gaps."""
    # Left with gaps, sums would have rows of clusters without a clip, each counted as evidence.
    return np.unique(clusters, return_inverse=True)[1]


def _notes(audit: Calibration) -> list[str]:
    notes = []
    labelled = [(target.label, audit.cells[target.name]) for target in audit.targets]
    flat = [label for label, cells in labelled if not cells.prediction_sd.value]
    if flat:
        notes.append(f"The predictions of {', '.join(flat)} are constant: relations are undefined.")
    # Every finite sample misses 1 by something: only an interval that leaves it out says so.
    slopes = {
        label: cells.label_slope for label, cells in labelled if cells.label_slope.leaves_out(1)
    }
    for words, is_wide in (
        ("wider than is warranted (slope of labels on predictions below 1)", True),
        ("narrower than they could be (slope of labels on predictions above 1)", False),
    ):
        off = [name for name, slope in slopes.items() if ((slope.value or 0.0) < 1) == is_wide]
        if off:
            notes.append(f"The scores of {', '.join(off)} are spread {words}.")
    ratios = [c.sd_ratio.value for c in audit.cells.values() if c.sd_ratio.value is not None]
    if ratios:
        notes.append(
            f"Predictions have {min(ratios):.0%} to {max(ratios):.0%} of the labels' "
            f"sd. Below 100 % is what least squares gives for noisy labels; it means that extreme "
            f"scores are rare whoever is scored."
        )
    # The lower end decides: a difference above 0 may be chance.
    if audit.between is not None and (audit.between.mean_difference.low or 0.0) > 0:
        notes.append(
            "Predicted traits are more alike than labelled ones: part of what is predicted is "
            "one common impression."
        )
    if not audit.coverage:
        notes.append(
            "The predictions state no intervals (no sd_, or low_ and high_ columns), so there is "
            "no coverage to check."
        )
    return notes
