"""Signs that something went wrong, target by target: scales, directions, swaps, too good scores."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from traitscope.evaluation.report import Ceiling, Part, Verdict
from traitscope.evaluation.scales import below_zero, other_scale
from traitscope.evaluation.scoring import Row, Truth, short, shown
from traitscope.statistics.intervals import holm
from traitscope.statistics.metrics import FORMULAS, Array
from traitscope.statistics.resampling import FEWEST_CLUSTERS, by_cluster, estimate
from traitscope.types import Corpus, Target

SIGNIFICANT = 0.05
"""Of all tests of one kind together, corrected by Holm's method."""
_FEWEST = 10  # clips with labels of all targets that a look for swaps takes
_EXACT = -0.999  # a correlation of -1 but for rounding
_LABELS = 0.99  # correlation that raters do not reach with themselves
_Z_SHARE = 0.2  # of predictions below a range that begins at 0: then they are z-scores


def suspicions(
    key: str, part: Part, truth: Truth, model: Row, corpus: Corpus, ceiling: Ceiling
) -> list[Verdict]:
    """Look at each target for what a table of macro scores would hide.

    Args:
        key: of the part.
        part: its scores.
        truth: its labels.
        model: predictions of the system.
        corpus: ranges and directions of the labels.
        ceiling: what the reliability of the labels allows.
    """
    if not truth.ids:
        return []
    above = list(_above(key, part, ceiling, corpus))
    wrong = wrong_columns(key, truth, model.values, corpus)
    return [
        *_ranges(key, truth, model.values, corpus),
        # Two sentences of one kind would be one suspicion twice; the measured one is kept.
        *(v for v in wrong if not (above and v.kind == "above_ceiling")),
        *above,
    ]


def wrong_columns(key: str, truth: Truth, values: Array, corpus: Corpus) -> list[Verdict]:
    """Columns that seem to hold the opposite, another target, or the labels."""
    return [
        *_directions(key, truth, values, corpus),
        *_swaps(key, truth, values, corpus),
        *_labels_themselves(key, truth, values, corpus),
    ]


def _ranges(key: str, truth: Truth, values: Array, corpus: Corpus) -> Iterator[Verdict]:
    """Predictions that no label can be, with a guess of the scale that they are on."""
    # Targets on one scale share their mistake, so they share a sentence.
    alike: dict[tuple[str, float, float], list[int]] = {}
    for place, name in enumerate(truth.names):
        labels, column = truth.target[:, place], values[:, place]
        low, high = _ends(corpus.target(name), labels[~np.isnan(labels)])
        if name in truth.mismatch or np.isnan(low):
            continue
        guess = other_scale(column, low, high)
        if not guess and low == 0 and float(np.mean(column < 0)) > _Z_SHARE:
            guess = below_zero(column)
        if guess or _outside(corpus.target(name), column).any():
            alike.setdefault((guess, low, high), []).append(place)
    for (guess, low, high), places in alike.items():
        mine, names = values[:, places], [truth.names[place] for place in places]
        outside = [_outside(corpus.target(truth.names[p]), values[:, p]) for p in places]
        share = 100 * float(np.mean(outside))
        # 0.2 % must not read as none.
        percent = f"{share:.0f}" if share >= 1 else f"{share:.2g}"
        text = (
            f"Predictions of {_listed(names, truth, corpus)} lie in {mine.min():.3g} to "
            f"{mine.max():.3g}, labels in {low:g} to {high:g} ({percent} % of them outside)"
        )
        text += f": are they {guess}? Until that is settled errors mean nothing." if guess else "."
        kind = "other_scale" if guess else "out_of_range"
        yield Verdict.model_validate({"kind": kind, "part": key, "targets": names, "text": text})


def _ends(target: Target, labels: Array) -> tuple[float, float]:
    """The range of a target, or of its labels where it has none."""
    if target.low is not None and target.high is not None:
        return target.low, target.high
    return (float(labels.min()), float(labels.max())) if labels.size else (np.nan, np.nan)


def _outside(target: Target, values: Array) -> NDArray[np.bool_]:
    """Which predictions lie outside a bounded range (clips,)."""
    return np.array([not target.contains(value) for value in values], dtype=bool)


def _directions(key: str, truth: Truth, values: Array, corpus: Corpus) -> Iterator[Verdict]:
    """Targets whose predictions clearly fall where labels rise."""
    data = truth.cluster(values)
    r = estimate(data.whole, lambda sums: FORMULAS["pearson"](data.total(sums)))
    # no cluster left out changes an r of exactly -1, so there is no error to test it against
    exact = np.isnan(r.p) & (r.value < _EXACT) & (data.clusters >= FEWEST_CLUSTERS)
    p = holm(np.where(exact, 0.0, r.p))
    against = [
        place for place in range(len(truth.names)) if r.value[place] < 0 and p[place] < SIGNIFICANT
    ]
    if not against:
        return
    listed = ", ".join(
        f"{corpus.target(truth.names[i]).label} (r {short(r.value[i])})" for i in against
    )
    yield Verdict(
        kind="direction",
        part=key,
        targets=tuple(truth.names[place] for place in against),
        text=f"Predictions run against the labels: {listed}. Is the direction right?",
    )


def _swaps(key: str, truth: Truth, values: Array, corpus: Corpus) -> Iterator[Verdict]:
    """Pairs of targets whose predictions match each other's labels clearly better."""
    whole = ~np.isnan(truth.target).any(axis=1)
    pairs = list(combinations(range(len(truth.names)), 2))
    if whole.sum() < _FEWEST or not pairs:
        return
    t, p = truth.target[whole], values[whole]
    _, index = np.unique(np.asarray(truth.sources, dtype=str)[whole], return_inverse=True)
    # five traits correlate, so a pair is compared with itself swapped, not with the best match
    sums = by_cluster(_cross_terms(t, p), index)
    targets = len(truth.names)
    first, second = (np.array(side) for side in zip(*pairs, strict=True))

    def gain(sums: Array) -> Array:
        r = _cross(sums, targets)
        own = r[..., first, first] + r[..., second, second]
        return np.asarray(r[..., first, second] + r[..., second, first] - own)

    with np.errstate(divide="ignore", invalid="ignore"):
        r = _cross(sums.sum(axis=0), targets)
    candidates = [
        n
        for n, (i, j) in enumerate(pairs)
        # Both columns must gain, with correlations above 0: the sum could be one column's alone.
        if r[i, j] > max(r[i, i], 0) and r[j, i] > max(r[j, j], 0)
    ]
    if not candidates:
        return
    # All pairs are tested, not the candidates alone: the same clips chose these.
    gains = estimate(sums, gain)
    corrected = holm(gains.p)
    for place in candidates:
        if corrected[place] < SIGNIFICANT:
            i, j = pairs[place]
            one, other = (corpus.target(truth.names[k]).label for k in (i, j))
            yield Verdict(
                kind="swapped",
                part=key,
                targets=(truth.names[i], truth.names[j]),
                text=(
                    f"Predictions of {one} and {other} match the labels better swapped (r "
                    f"{short(r[i, j])} and {short(r[j, i])}, not {short(r[i, i])} and "
                    f"{short(r[j, j])}): are "
                    f"the two columns swapped?"
                ),
            )


def _cross_terms(t: Array, p: Array) -> Array:
    """What each clip adds to the correlations of every prediction with every label."""
    # Squares of values far from 0 would lose the digits in which clips differ.
    t, p = t - t.mean(axis=0), p - p.mean(axis=0)
    products = (p[:, :, None] * t[:, None, :]).reshape(len(t), -1)
    return np.concatenate([np.ones((len(t), 1)), p, t, p * p, t * t, products], axis=1)


def _cross(sums: Array, targets: int) -> Array:
    """Correlations (..., predictions, labels) from sums (..., terms)."""
    n = sums[..., :1]
    # Laid out by ``_cross_terms``:  n | p | t | pp | tt | p x t, row by row of p
    ends = np.cumsum([1, targets, targets, targets, targets])
    p, t, pp, tt, pt = (part / n for part in np.split(sums, ends, axis=-1)[1:])
    covariance = pt.reshape(*pt.shape[:-1], targets, targets) - p[..., :, None] * t[..., None, :]
    spread = (pp - p * p)[..., :, None] * (tt - t * t)[..., None, :]
    return np.asarray(covariance / np.sqrt(np.where(spread > 1e-24, spread, np.nan)))


def _above(key: str, part: Part, ceiling: Ceiling, corpus: Corpus) -> Iterator[Verdict]:
    """Correlations and accuracies that labels of this reliability do not allow."""
    metrics = part.model.metrics
    excesses, names = [], []
    for each in ceiling.targets:
        limits = (("pearson", "r", each.r_max), ("accuracy", "accuracy", each.accuracy))
        for metric, word, limit in limits:
            own = metrics[metric][each.target]
            # both ends uncertain: only an interval wholly above the other is more than luck
            most = limit.value if limit.high is None else limit.high
            if own.low is not None and most is not None and own.low > most:
                label = corpus.target(each.target).label
                excesses.append(f"{word} of {label} {shown(own)} (at most {shown(limit)})")
                names.append(each.target)
    if excesses:
        yield Verdict(
            kind="above_ceiling",
            part=key,
            targets=tuple(dict.fromkeys(names)),
            text=(
                f"Better than a perfect system could be with labels of this reliability: "
                f"{', '.join(excesses)}. Has it seen the labels?"
            ),
        )


def _labels_themselves(key: str, truth: Truth, values: Array, corpus: Corpus) -> Iterator[Verdict]:
    """Targets whose predictions are all but their labels, which no recording tells so well."""
    names = []
    for place, name in enumerate(truth.names):
        known = ~np.isnan(truth.target[:, place])
        pair = truth.target[known, place], values[known, place]
        if known.sum() < _FEWEST or min(map(np.ptp, pair)) == 0:
            continue
        if np.corrcoef(*pair)[0, 1] > _LABELS:
            names.append(name)
    if names:
        yield Verdict(
            kind="above_ceiling",
            part=key,
            targets=tuple(names),
            text=(
                f"Predictions of {_listed(names, truth, corpus)} are all but the labels (r above "
                f"{_LABELS:g}): were labels read where predictions should be?"
            ),
        )


def _listed(names: Sequence[str], truth: Truth, corpus: Corpus) -> str:
    if len(names) == len(truth.names) and len(names) > 1:
        return "all targets"
    return ", ".join(corpus.target(name).label for name in names)
