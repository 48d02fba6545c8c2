"""Scored parts in, plain sentences on what the numbers mean out: the only place that judges.

Page, command line, JSON and LaTeX show these verdicts and no others. A system is held, clip by
clip, against the strongest of the baselines that see no video; the part of unseen sources leads.
``worthless`` is said only where correlation and concordance cover 0 as well: a system that follows
the labels on a wrong scale carries signal, and that is another fault.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from traitscope.evaluation.report import Ceiling, Halo, Part, Role, ScoredRow, Scoring, Verdict
from traitscope.evaluation.scoring import Row, Truth, short, shown
from traitscope.evaluation.suspicions import suspicions
from traitscope.statistics.intervals import compare
from traitscope.statistics.metrics import Array, Score
from traitscope.statistics.resampling import Estimate, estimate
from traitscope.types import Corpus

CONSTANTS: frozenset[Role] = frozenset({"constant", "median"})
BLIND: frozenset[Role] = CONSTANTS | {"lookup", "lookup_shrunk", "metadata"}
"""Baselines that see no video."""
TELLING = 0.1
"""An interval of the difference in skill that reaches above this leaves the question open."""
_FIRST = ("above_ceiling", "other_scale")
_WRONG = (
    "direction",
    "swapped",
)  # of single columns; where all run backwards, that is the standing
_LOOK_UPS: frozenset[Role] = frozenset({"lookup", "lookup_shrunk"})
_OFF = 0.25  # share of the labels' sd by which a mean may be off before that is said


@dataclass(frozen=True)
class Judged:
    """A part with what its scores were computed from.

    Attributes:
        key: of the part.
        part: its scores.
        truth: its labels.
        rows: the model and its baselines, in the order of the part's rows.
        unseen: no source of it was fitted.
        labels: target -> how it is written.
    """

    key: str
    part: Part
    truth: Truth
    rows: Sequence[Row]
    unseen: bool
    labels: Mapping[str, str]

    @property
    def model(self) -> Row:
        """Predictions of the system under test."""
        return next(row for row in self.rows if row.role == "model")


@dataclass(frozen=True)
class Margin:
    """Skill of the model minus that of a baseline, paired by clip.

    Attributes:
        row: the baseline.
        score: the difference; None where it is undefined.
    """

    row: ScoredRow
    score: Score

    @property
    def better(self) -> bool:
        """Only a whole interval above 0 counts."""
        return self.score.low is not None and self.score.low > 0

    @property
    def outcome(self) -> str:
        """How the model compares where it is not better."""
        worse = self.score.high is not None and self.score.high < 0
        return "worse than" if worse else "no better than"

    @property
    def text(self) -> str:
        """The difference with its interval."""
        return f"difference in skill {shown(self.score)}"


def verdicts(
    judged: Sequence[Judged],
    corpus: Corpus,
    *,
    ceiling: Ceiling,
    halo: Halo | None,
    missing: str,
    scoring: Scoring,
) -> tuple[Verdict, ...]:
    """Say in plain words what the numbers mean, the most important first.

    Args:
        judged: the parts, all clips first, then the unseen ones where they are apart.
        corpus: ranges and directions of the labels.
        ceiling: what the labels allow.
        halo: how much is one general impression.
        missing: the sentence on clips without a score, empty where there are none.
        scoring: resamples and seed.
    """
    everything = judged[0]
    doubts = suspicions(
        everything.key, everything.part, everything.truth, everything.model, corpus, ceiling
    )
    # numbers on another scale, or of labels, mean nothing, whatever they say of the system
    several = len(everything.truth.names)
    leads = {
        v.kind
        for v in doubts
        if v.kind in _FIRST or (v.kind in _WRONG and len(v.targets) < several)
    }
    sentences = [v for v in doubts if v.kind in leads]
    is_rescaled = any(v.kind == "other_scale" for v in doubts)
    # Unseen sources before all clips: new recordings are what a system is for.
    sentences += [_standing(each, scoring, is_rescaled=is_rescaled) for each in reversed(judged)]
    sentences += [v for v in doubts if v.kind not in leads | {"out_of_range"}]
    if halo is not None and _is_halo_alone(halo, sentences):
        text = f"What it knows is one general impression of a clip. {halo.text}"
        sentences.append(Verdict(kind="halo", part=halo.part, text=text))
    leading = next((each for each in reversed(judged) if each.part.rows), everything)
    if alone := _seeds_alone(leading):
        sentences.append(Verdict(kind="seeds", part=leading.key, text=alone))
    if missing:
        sentences.append(Verdict(kind="missing", part="all", text=missing))
    # A few predictions beyond the ends of the range are the least of all faults.
    return (*sentences, *(v for v in doubts if v.kind == "out_of_range"))


def _standing(judged: Judged, scoring: Scoring, *, is_rescaled: bool) -> Verdict:
    """Where the system stands among the baselines on one part."""
    part, where = judged.part, _where(judged)
    if not part.rows:
        text = (
            "No scored clip is from a source that was not fitted, so nothing shows what carries "
            "over to new recordings."
        )
        return Verdict(kind="nothing_unseen", part=judged.key, text=text)
    name = part.model.name
    # every yardstick at once: who beats the constant alone may still have learnt sources by heart
    strongest = None if is_rescaled else _margin(judged, BLIND, scoring)
    if strongest is None:
        return _by_correlation_alone(judged, is_rescaled=is_rescaled)
    baseline, role = the(strongest.row.name), strongest.row.role
    about = {"part": judged.key, "against": role}
    if strongest.score.low is None:
        # few clusters have no interval, and a difference without one proves nothing either way
        few = "1 source is" if part.sources == 1 else f"{part.sources} sources are"
        text = (
            f"{where}, {few} too few to tell whether {name} is better than {baseline} "
            f"({strongest.text})."
        )
        return Verdict.model_validate({"kind": "undecided", "text": text, **about})
    if strongest.better:
        text = (
            f"{where}, {name} is better than every baseline that sees no video; the strongest is "
            f"{baseline} ({strongest.text}). It has skill {shown(part.model.macro('skill'))}, r "
            f"{shown(part.model.macro('pearson'))} and CCC {shown(part.model.macro('ccc'))}."
        )
        return Verdict.model_validate({"kind": "better", "text": text, **about})
    # A system that a look-up beats may still beat one value for every clip: a verdict between.
    level = strongest if role in CONSTANTS else _margin(judged, CONSTANTS, scoring)
    if level is not None and level.better:
        text = (
            f"{where}, {name} is better than {the(level.row.name)}, but {strongest.outcome} "
            f"{baseline}, which sees no video ({strongest.text})."
        )
        if role in _LOOK_UPS:
            text += " Knowing the source or person gives as much."
        return Verdict.model_validate({"kind": "no_better", "text": text, **about})
    return _below(judged, level or strongest, scoring)


def _by_correlation_alone(judged: Judged, *, is_rescaled: bool) -> Verdict:
    """What is left to say where errors mean nothing."""
    model, where = judged.part.model, _where(judged)
    reason = model.macro("skill").reason or "no baseline has a skill"
    why = "are on another scale" if is_rescaled else f"cannot be judged ({reason})"
    signal = _signal(model, judged.labels)
    follows = f"carries signal ({signal})" if signal else "carries no signal that could be seen"
    text = f"{where}, the errors of {model.name} {why}; it {follows}."
    kind = "scale" if signal and is_rescaled else "undecided"
    return Verdict.model_validate({"kind": kind, "part": judged.key, "text": text})


def _where(judged: Judged) -> str:
    """What a sentence on a part begins with."""
    if judged.key != "all":
        return "On sources never seen in fitting"
    units = judged.part.title.rpartition(", ")[2]
    return f"On {units}" + (" (none from a fitted source)" if judged.unseen else "")


def _below(judged: Judged, margin: Margin, scoring: Scoring) -> Verdict:
    """Why a system is no better than one value for every clip."""
    part, model = judged.part, judged.part.model
    r, ccc = model.macro("pearson"), model.macro("ccc")
    head = f"{_where(judged)}, {model.name}"
    against = f"{margin.outcome} {the(margin.row.name)} ({margin.text})"
    about = {"part": judged.key, "against": margin.row.role}

    def verdict(kind: str, text: str) -> Verdict:
        return Verdict.model_validate({"kind": kind, "text": f"{head} {text}", **about})

    # clearly negative is no lack of signal: such scores would be good the other way round
    if r.high is not None and r.high < 0:
        return verdict(
            "inverted",
            f"runs against the labels (r {shown(r)}) and is {against}: is the direction of its "
            f"scores, or the order of its clips, wrong?",
        )
    signal = _signal(model, judged.labels)
    if signal and (wrong := _wrong_scale(judged, scoring)):
        return verdict(
            "scale",
            f"carries signal ({signal}), but its scale or spread is wrong: {wrong}. As it is, it "
            f"is {against}.",
        )
    # absence of evidence: an interval that reaches so far up would also hold a good system
    if margin.score.high is not None and margin.score.high > TELLING:
        seen = f" and carries signal ({signal})" if signal else ""
        return verdict(
            "undecided",
            f"is {against}{seen}; {part.sources} sources leave open whether it is better.",
        )
    if signal:
        return verdict("weak", f"carries signal ({signal}), but too little: it is {against}.")
    if r.value is None:
        why = f"{r.reason.removeprefix('every target: ')}, so it follows nothing"
    else:
        why = f"its correlation ({shown(r)}) and concordance ({shown(ccc)}) cover 0 as well"
    return verdict("worthless", f"is worthless: {against}, and {why}.")


def _margin(judged: Judged, roles: frozenset[Role], scoring: Scoring) -> Margin | None:
    """The model against the strongest of some baselines; None where skill is undefined."""
    scored = [
        (score.value, row, values)
        for row, values in zip(judged.part.rows, judged.rows, strict=True)
        if row.role in roles and (score := row.macro("skill")).value is not None
    ]
    if not scored or judged.part.model.macro("skill").value is None:
        return None
    # the first of equals: on unseen sources a look-up is the constant
    best = max(value for value, _, _ in scored if value is not None)
    row, values = next((r, v.values) for value, r, v in scored if value == best)
    mine = judged.model.values
    # equal predictions have no spread to test: they are worth the same by definition
    if np.array_equal(values, mine):
        return Margin(row, Score(0.0, low=0.0, high=0.0))
    difference = compare(
        judged.truth.cluster(judged.model.replicates),
        judged.truth.cluster(values),
        names=judged.truth.names,
        metrics=("skill",),
        resamples=scoring.resamples,
        seed=scoring.seed,
    )[-1]
    return Margin(row, Score(difference.value, low=difference.low, high=difference.high))


def _signal(model: ScoredRow, labels: Mapping[str, str]) -> str:
    """The relation to the labels that is clearly above 0, in numbers; empty where there is none."""
    for metric, label in (("pearson", "r"), ("ccc", "CCC")):
        score = model.macro(metric)
        if score.low is not None and score.low > 0:
            return f"{label} {shown(score)}"
        if score.value is None:  # some target has no spread; the others may say something
            scores = {name: model.metrics[metric][name] for name in labels}
            clear = {n: s for n, s in scores.items() if s.low is not None and s.low > 0}
            if clear:
                return ", ".join(f"{labels[n]} {label} {shown(s)}" for n, s in clear.items())
    return ""


def _wrong_scale(judged: Judged, scoring: Scoring) -> str:
    """What is wrong with slope or middle of the predictions; empty where nothing clearly is."""
    data = judged.truth.cluster(judged.model.values)

    def statistic(sums: Array) -> Array:
        s = data.total(sums.sum(axis=-3))  # over folds: one scale for all of them
        spread = s.count * s.pp - s.p**2
        # Of labels on predictions: the other way round, a system that rightly keeps to the middle
        # where it is unsure would look wrong.
        slope = (s.count * s.tp - s.t * s.p) / np.where(spread > 0, spread, np.nan)
        off = (s.p - s.t) / s.count
        sd = np.sqrt(s.tt / s.count - (s.t / s.count) ** 2)
        # Predictions of one value have no slope; those of the other targets do.
        return np.concatenate([np.nanmean(slope, axis=-1, keepdims=True), off, off / sd], axis=-1)

    scale = estimate(data.whole, statistic, seed=scoring.seed)
    names, faults = [judged.labels[name] for name in judged.truth.names], []
    slope = _score(scale, 0)
    if slope.value is not None and _excludes(slope, 1.0):
        faults.append(
            f"labels rise by {shown(slope)} per unit of its predictions (slope; 1 is right)"
        )
    off = [_score(scale, place + 1) for place in range(len(names))]
    relative = scale.value[len(names) + 1 :]
    # a bias in all predictions alike costs errors, but no correlation: the cheapest fault to mend
    far = [
        place
        for place, share in enumerate(relative)
        if abs(share) > _OFF and _excludes(off[place], 0)
    ]
    if far:
        faults.append(
            "its mean is off by "
            + ", ".join(f"{scale.value[place + 1]:+.2g} ({names[place]})" for place in far)
        )
    return "; ".join(faults)


def _seeds_alone(judged: Judged) -> str:
    """What one training scores, where there are several: a mean of predictions scores more."""
    seeds = judged.part.model.seeds if judged.part.rows else None
    if seeds is None:
        return ""
    scores = [
        f"{label} {short(each.mean)} (sd {short(each.sd)})"
        for metric, label in (("skill", "skill"), ("pearson", "r"), ("ccc", "CCC"))
        if (each := seeds.metrics[metric]).mean is not None and each.sd is not None
    ]
    where = _where(judged)
    return f"{where}, one of the {len(seeds.seeds)} seeds alone has {', '.join(scores)}."


def _is_halo_alone(halo: Halo, found: Sequence[Verdict]) -> bool:
    """Tell whether a system that is worth something tells the traits of a clip apart no better."""
    better = any(v.kind == "better" and v.part == halo.part for v in found)
    left = [score.low for score in (halo.skill, halo.pearson)]
    return better and all(low is not None and low <= 0 for low in left)


def the(name: str) -> str:
    """A baseline with its article."""
    # "metadata only" takes no article, unlike the look-up and the constant.
    return name if name.startswith(("the ", "a ", "metadata")) else f"the {name}"


def _score(found: Estimate, place: int) -> Score:
    value, low, high = (
        None if np.isnan(each[place]) else float(each[place])
        for each in (found.value, found.low, found.high)
    )
    return Score(value, low=low, high=high)


def _excludes(score: Score, value: float) -> bool:
    return score.low is not None and score.high is not None and not score.low <= value <= score.high
