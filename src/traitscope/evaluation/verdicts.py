"""Scored parts in, plain sentences on what the numbers mean out: the only place that judges.

Page, command line, JSON and LaTeX show these verdicts and no others. A system is held, clip by
clip, against the strongest of the baselines that see no video; the part of unseen sources leads.
``worthless`` is said only where correlation and concordance cover 0 as well: a system that follows
the labels on a wrong scale carries signal, and that is another fault.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from traitscope.evaluation.report import Ceiling, Halo, Part, Role, ScoredRow, Scoring, Verdict
from traitscope.evaluation.scoring import Row, Truth, shown
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
    """

    key: str
    part: Part
    truth: Truth
    rows: Sequence[Row]
    unseen: bool

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
    found = [
        verdict for each in reversed(judged) if (verdict := _standing(each, scoring)) is not None
    ]
    doubts = suspicions(
        everything.key, everything.part, everything.truth, everything.model, corpus, ceiling
    )
    # numbers on another scale mean nothing, whatever they say of the system
    found = [v for v in doubts if v.kind == "other_scale"] + found
    found += [v for v in doubts if v.kind not in ("other_scale", "out_of_range")]
    if halo is not None and _is_halo_alone(halo, found):
        text = f"What it knows is one general impression of a clip. {halo.text}"
        found.append(Verdict(kind="halo", part=halo.part, text=text))
    if missing:
        found.append(Verdict(kind="missing", part="all", text=missing))
    return (*found, *(v for v in doubts if v.kind == "out_of_range"))


def _standing(judged: Judged, scoring: Scoring) -> Verdict | None:
    """Where the system stands among the baselines on one part."""
    part = judged.part
    if not part.rows:
        text = f"{part.title}: none are left, so nothing shows what carries over to new recordings."
        return Verdict(kind="nothing_unseen", part=judged.key, text=text)
    name = part.model.name
    strongest = _margin(judged, BLIND, scoring)
    if strongest is None:
        reason = part.model.macro("skill").reason or "no baseline has a skill"
        text = (
            f"{part.title}: the errors of {name} cannot be judged ({reason}). Its correlation is "
            f"{shown(part.model.macro('pearson'))}."
        )
        return Verdict(kind="undecided", part=judged.key, text=text)
    baseline, role = the(strongest.row.name), strongest.row.role
    about = {"part": judged.key, "against": role}
    if strongest.score.low is None:
        text = (
            f"{part.title}: {part.sources} sources are too few to tell whether {name} is better "
            f"than {baseline} ({strongest.text})."
        )
        return Verdict.model_validate({"kind": "undecided", "text": text, **about})
    if strongest.better:
        text = (
            f"{part.title}: {name} is better than every baseline that sees no video; the strongest "
            f"is {baseline} ({strongest.text})."
        )
        return Verdict.model_validate({"kind": "better", "text": text, **about})
    level = strongest if role in CONSTANTS else _margin(judged, CONSTANTS, scoring)
    if level is not None and level.better:
        text = (
            f"{part.title}: {name} is better than {the(level.row.name)}, but {strongest.outcome} "
            f"{baseline}, which sees no video ({strongest.text})."
        )
        return Verdict.model_validate({"kind": "no_better", "text": text, **about})
    return _below(judged, level or strongest, scoring)


def _below(judged: Judged, margin: Margin, scoring: Scoring) -> Verdict:
    """Why a system is no better than one value for every clip."""
    part, model = judged.part, judged.part.model
    r, ccc = model.macro("pearson"), model.macro("ccc")
    head = f"{part.title}: {model.name} is {margin.outcome} {the(margin.row.name)} ({margin.text})"
    about = {"part": judged.key, "against": margin.row.role}

    def verdict(kind: str, text: str) -> Verdict:
        return Verdict.model_validate({"kind": kind, "text": text, **about})

    if r.high is not None and r.high < 0:
        return verdict(
            "inverted",
            f"{head}, and runs against the labels (r {shown(r)}): is the direction of its scores, "
            f"or the order of its clips, wrong?",
        )
    signal = _signal(model, judged.truth.names)
    if signal:
        wrong = _wrong_scale(judged, scoring)
        if wrong:
            return verdict(
                "scale",
                f"{head}. It carries signal ({signal}), but its scale or spread is wrong: {wrong}.",
            )
        return verdict("weak", f"{head}. It carries signal ({signal}), but too little to err less.")
    if margin.score.high is not None and margin.score.high > TELLING:
        return verdict(
            "undecided",
            f"{head}, but {part.sources} sources leave open whether it is of worth: nothing more "
            f"can be said from them.",
        )
    where = ": on sources it has never seen it is worthless" if judged.unseen else ": worthless"
    if r.value is None:
        why = f"{_without_every_target(r.reason)}, so it follows nothing"
    else:
        why = f"its correlation ({shown(r)}) and concordance ({shown(ccc)}) cover 0 as well"
    return verdict("worthless", f"{head}{where}; {why}.")


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
        judged.truth.cluster(mine),
        judged.truth.cluster(values),
        names=judged.truth.names,
        metrics=("skill",),
        resamples=scoring.resamples,
        seed=scoring.seed,
    )[-1]
    return Margin(row, Score(difference.value, low=difference.low, high=difference.high))


def _signal(model: ScoredRow, names: Sequence[str]) -> str:
    """The relation to the labels that is clearly above 0, in numbers; empty where there is none."""
    for metric, label in (("pearson", "r"), ("ccc", "CCC")):
        score = model.macro(metric)
        if score.low is not None and score.low > 0:
            return f"{label} {shown(score)}"
        if score.value is None:  # some target has no spread; the others may say something
            scores = {name: model.metrics[metric][name] for name in names}
            clear = [n for n, s in scores.items() if s.low is not None and s.low > 0]
            if clear:
                return ", ".join(f"{name} {label} {shown(scores[name])}" for name in clear)
    return ""


def _wrong_scale(judged: Judged, scoring: Scoring) -> str:
    """What is wrong with slope or middle of the predictions; empty where nothing clearly is."""
    data = judged.truth.cluster(judged.model.values)

    def statistic(sums: Array) -> Array:
        s = data.total(sums)
        spread = s.count * s.pp - s.p**2
        slope = (s.count * s.tp - s.t * s.p) / np.where(spread > 0, spread, np.nan)
        off = (s.p - s.t) / s.count
        sd = np.sqrt(s.tt / s.count - (s.t / s.count) ** 2)
        return np.concatenate([np.nanmean(slope, axis=-1, keepdims=True), off, off / sd], axis=-1)

    found = estimate(data.sums, statistic, seed=scoring.seed)
    names, said = judged.truth.names, []
    slope = _score(found, 0)
    if slope.value is not None and _excludes(slope, 1.0):
        said.append(
            f"for each 1 that it predicts more, labels rise by {shown(slope)} (slope; 1 is right)"
        )
    off, relative = found.value[1 : len(names) + 1], found.value[len(names) + 1 :]
    far = [place for place, share in enumerate(relative) if abs(share) > _OFF]
    if far:
        said.append(
            "its mean is off by "
            + ", ".join(f"{off[place]:+.3g} ({names[place]})" for place in far)
        )
    return "; ".join(said)


def _is_halo_alone(halo: Halo, found: Sequence[Verdict]) -> bool:
    """Tell whether a system that is worth something tells the traits of a clip apart no better."""
    better = any(v.kind == "better" and v.part == halo.part for v in found)
    left = [score.low for score in (halo.skill, halo.pearson)]
    return better and all(low is not None and low <= 0 for low in left)


def the(name: str) -> str:
    """A baseline with its article."""
    return name if name.startswith(("the ", "a ")) else f"the {name}"


def _score(found: Estimate, place: int) -> Score:
    value, low, high = (
        None if np.isnan(each[place]) else float(each[place])
        for each in (found.value, found.low, found.high)
    )
    return Score(value, low=low, high=high)


def _excludes(score: Score, value: float) -> bool:
    return score.low is not None and score.high is not None and not score.low <= value <= score.high


def _without_every_target(reason: str) -> str:
    return reason.removeprefix("every target: ")
