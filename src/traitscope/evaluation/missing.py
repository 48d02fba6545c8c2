"""What scores would be had the clips without one been given the constant: the price of leaving out.

A system that scores only the clips it finds easy looks better than it is. Beside its scores stand
those over all labelled clips, each missing one predicted by the mean of the fitted labels.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from traitscope.evaluation.baselines import constant
from traitscope.evaluation.folds import Fold
from traitscope.evaluation.report import Role
from traitscope.evaluation.scoring import Row, Truth, by_subject, short, truth_of
from traitscope.evaluation.tables import Predictions
from traitscope.statistics.metrics import MACRO, Array, score_table
from traitscope.types import Clip, Corpus

_SHOWN = {"accuracy": "accuracy", "skill": "skill", "ccc": "CCC"}


def without_a_score(
    folds: Sequence[Fold], read: Predictions, corpus: Corpus, *, aggregate: str
) -> str:
    """Write the sentence on clips without a score; empty where every labelled clip has one.

    Args:
        folds: which clips were asked for, and what was fitted for them.
        read: predictions of the clips that have them.
        corpus: the labels.
        aggregate: ``subject`` where clips of a person are averaged.
    """
    names, scored = read.targets, {clip.id for clip in read.clips}
    place = {clip.id: row for row, clip in enumerate(read.clips)}
    # Of several seeds the ensemble alone: the price of the gaps is much the same for each.
    mean = read.values.mean(axis=0)
    clips: list[Clip] = []
    level: list[Array] = []
    fold_of: list[int] = []
    for number, fold in enumerate(folds):
        # A clip without a label has no score to lose.
        asked = [clip for clip in fold.asked if set(names) & set(clip.targets)]
        clips += asked
        level.append(constant(fold.fitted, asked, names))
        fold_of += [number] * len(asked)
    constants = np.concatenate(level)
    lost = len(clips) - len(scored)
    if lost <= 0:
        return ""
    filled = np.array(
        [
            mean[place[clip.id]] if clip.id in place else own
            for clip, own in zip(clips, constants, strict=True)
        ]
    )
    has = np.array([clip.id in scored for clip in clips])
    kept = [clip for clip in clips if clip.id in scored]
    # Both are computed here: the report's scores may be means over seeds, and a change of
    # formula would pass for a price.
    # Within folds, as the report has them: other scores for the same clips would contradict it.
    numbers = np.array(fold_of)
    truth = partial(truth_of, corpus=corpus, names=names)
    before = _scores(
        kept, truth(kept, constants=constants[has], folds=numbers[has]), filled[has], aggregate
    )
    after = _scores(clips, truth(clips, constants=constants, folds=numbers), filled, aggregate)
    shown_scores = ", ".join(
        f"{_SHOWN[metric]} {short(value)} instead of {short(old)}"
        for metric, value in after.items()
        if value is not None and (old := before[metric]) is not None
    )
    what = f"{lost} of {len(clips)} labelled clips have no score"
    return (
        f"{what}. With the constant in their place: {shown_scores}." if shown_scores else f"{what}."
    )


def _scores(
    clips: Sequence[Clip], truth: Truth, values: Array, aggregate: str
) -> dict[str, float | None]:
    """Macro scores; skill against the constants of the truth."""
    names = truth.names
    roles: tuple[tuple[Role, Array], ...] = (("model", values), ("constant", truth.constants))
    rows = [Row(role, role, each) for role, each in roles]
    if aggregate == "subject":
        # Which people are unseen is no question here.
        truth, rows, _ = by_subject(clips, truth, rows, np.ones(len(clips), dtype=bool))
    own, level = (
        score_table(truth.target, row.values, names=names, spans=truth.spans, folds=truth.folds)
        for row in rows
    )
    skills = [
        # A constant without any error leaves nothing to be relative to.
        None if mine is None or not base else 1 - mine / base
        for mine, base in ((own["mae"][n].value, level["mae"][n].value) for n in names)
    ]
    known = [skill for skill in skills if skill is not None]
    return {
        "accuracy": own["accuracy"][MACRO].value,
        # Undefined as soon as one target is, like every other macro score.
        "skill": float(np.mean(known)) if len(known) == len(skills) else None,
        "ccc": own["ccc"][MACRO].value,
    }
