"""What labels allow: each rater's ratings in, how good any system can get out.

Labels are means of a few raters and so carry error. A system that knew the true score would still
correlate with them at most by the root of their reliability, and miss them by their error. Where
no ratings are known the ceiling is unknown: that is said, with what others report, and nothing is
derived from it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from traitscope.evaluation.report import Ceiling, ScoredRow, TargetCeiling
from traitscope.statistics.metrics import Array, Score
from traitscope.statistics.reliability import Reliability, reliability
from traitscope.types import Corpus

# Quoted, never computed with: a ceiling made of these would look as if it had been measured.
REPORTED: Mapping[str, str] = {
    "first_impressions": (
        "Single votes of First Impressions are not published. Quoted, and not verified here: a "
        "split-half reliability of its votes of openness .53, conscientiousness .69, extraversion "
        ".67, agreeableness .46, neuroticism (high = stable) .62."
    ),
}
"""Name of a corpus -> what others report of its labels."""

_UNKNOWN = (
    "Unknown: this corpus holds no ratings of single raters, so nobody can tell from it how close "
    "to its labels a perfect system would come."
)
_MISS = float(np.sqrt(2 / np.pi))  # mean absolute value of a normal error, in its sd


def ceiling_of(
    corpus: Corpus, model: ScoredRow | None, names: Sequence[str], *, aggregate: str, seed: int = 0
) -> Ceiling:
    """Find what the reliability of the labels allows.

    Args:
        corpus: all clips, with ratings where raters are known.
        model: scores of the system on the part that leads; None where that has no clips.
        names: of the scored targets.
        aggregate: ``subject`` where ratings are averaged over the clips of a person first.
        seed: of the intervals.
    """
    if not corpus.ratings:
        cited = REPORTED.get(corpus.name.split(":")[0], "")
        return Ceiling(targets=(), text=f"{_UNKNOWN} {cited}".strip())
    ceilings = {}
    for name in names:
        ratings, clusters = _table(corpus, name, aggregate)
        ceilings[name] = reliability(ratings, clusters, seed=seed)
    targets = tuple(_target(corpus, name, each, model) for name, each in ceilings.items())
    # One sentence for all targets, so it claims no more than holds of each.
    crossed = all(each.crossed for each in ceilings.values())
    kind = "ICC(3,k): all raters saw all clips" if crossed else "ICC(1,k)"
    text = (
        f"Labels are means of raters; their reliability is {kind}. A perfect system would "
        f"correlate with them by its root (r max) and miss them by their error (best accuracy)."
    )
    return Ceiling(targets=targets, text=text)


def _table(corpus: Corpus, name: str, aggregate: str) -> tuple[Array, list[str]]:
    """Ratings (clips or people, raters) of one target, NaN where there is none; and clusters."""
    raters = sorted({rater for mine in corpus.ratings.values() for rater in mine})
    place = {rater: column for column, rater in enumerate(raters)}
    units: dict[str, list[Array]] = {}
    clusters: dict[str, str] = {}
    for clip in corpus.clips:
        person = aggregate == "subject" and clip.subject is not None
        unit = str(clip.subject) if person else clip.id
        row = np.full(len(raters), np.nan)
        for rater, values in corpus.ratings.get(clip.id, {}).items():
            row[place[rater]] = values.get(name, np.nan)
        units.setdefault(unit, []).append(row)
        # Where labels belong to people each is a cluster: answers are a person's own, also where
        # two share a recording.
        clusters.setdefault(unit, unit if person else clip.source)
    stacked = [np.stack(rows) for rows in units.values()]
    known = [(~np.isnan(rows)).sum(axis=0) for rows in stacked]
    # Not ``nanmean``, which would warn of every rater who did not rate a person.
    means = [
        np.where(count > 0, np.nansum(rows, axis=0) / np.maximum(count, 1), np.nan)
        for rows, count in zip(stacked, known, strict=True)
    ]
    return np.stack(means), list(clusters.values())


def _target(
    corpus: Corpus, name: str, found: Reliability, model: ScoredRow | None
) -> TargetCeiling:
    target = corpus.target(name)
    icc = found.icc[found.basis]
    r_max = Score(None, icc.reason or "raters do not agree at all")
    if icc.value is not None and icc.value > 0:
        # The interval of an ICC may begin below 0, where there is no root.
        r_max = _changed(icc, lambda value: float(np.sqrt(max(value, 0.0))))
    accuracy = Score(None, found.noise.reason or "accuracy needs a bounded range")
    if found.noise.value is not None and target.low is not None and target.high is not None:
        span = target.high - target.low
        turned = _changed(found.noise, lambda value: 1 - _MISS * value / span)
        # The more error the less accuracy, so the ends change places.
        accuracy = replace(turned, low=turned.high, high=turned.low)
    own = model.metrics["pearson"][name] if model else Score(None, "no clips are left")
    return TargetCeiling(
        target=name,
        raters=found.raters,
        clips=found.clips,
        per_clip=round(found.size, 3),
        icc=found.icc,
        basis=found.basis,
        r_max=r_max,
        accuracy=accuracy,
        disattenuated=_disattenuated(own, r_max),
    )


def _disattenuated(own: Score, r_max: Score) -> Score:
    """The correlation with labels free of error; its interval takes the reliability as known."""
    if own.value is None or r_max.value is None:
        return Score(None, own.reason or r_max.reason)
    # More than 1 is not cut off: it shows that labels and ratings do not belong together.
    ceiling = r_max.value
    return _changed(own, lambda value: value / ceiling)


def _changed(score: Score, change: Callable[[float], float]) -> Score:
    ends = [None if end is None else change(end) for end in (score.low, score.high)]
    value = None if score.value is None else change(score.value)
    return Score(value, score.reason, *ends)
