"""The checklist of a model card: what a report must state, and whether this one does."""

from collections.abc import Sequence
from dataclasses import dataclass

from traitscope.audit.findings import Audit
from traitscope.evaluation.report import Report, ScoredRow
from traitscope.report.audits import TITLES
from traitscope.report.content import ROLES, SYSTEMS, Group, plain

# Both need labels alone, so no report has an excuse to lack them.
_BASELINES = ("constant", "lookup")


@dataclass(frozen=True)
class Item:
    """One line of the checklist: what is asked for, whether it is stated, and what is said."""

    name: str
    done: bool
    text: str


def checklist(
    report: Report, group: Group, audits: Sequence[Audit], *, has_card: bool
) -> tuple[Item, ...]:
    """Go through what a card must state.

    Args:
        report: one report.
        group: the group it stands in.
        audits: those that were made of its predictions.
        has_card: its author added words or facts.
    """
    kind, notes = group.corpus.kind, group.corpus.notes
    words = "see the run's own card" if has_card else "the general ones above"
    return (
        Item("Kind of target", bool(kind), group.kind[0] if kind else "apparent or self-reported?"),
        Item(
            "Data and licence",
            bool(notes),
            " ".join(notes[:2]) or "the corpus has no notes: add its licence to its declaration",
        ),
        Item(
            # Never open: no report is read without a protocol.
            "Protocol",
            True,
            f"{plain(report.protocol.kind)} split, fitted on {plain(report.fit)}",
        ),
        _baselines(report),
        _intervals(report),
        _audits(audits, has_run=bool(report.run)),
        Item("Intended and excluded uses", True, words),
        Item("Third-party licences", True, "listed below, for all files that a run may use"),
    )


def _rows(report: Report) -> list[ScoredRow]:
    return [row for part in report.parts.values() for row in part.rows]


def _baselines(report: Report) -> Item:
    scored = {row.role for row in _rows(report)} - SYSTEMS
    names = ", ".join(ROLES[role][0] for role in ROLES if role in scored)
    missing = [ROLES[role][0] for role in _BASELINES if role not in scored]
    text = names or "none"
    return Item(
        "Baselines", not missing, f"{text}; missing: {', '.join(missing)}" if missing else text
    )


def _intervals(report: Report) -> Item:
    scores = [
        score
        for row in _rows(report)
        if row.role == "model"
        for targets in row.metrics.values()
        for score in targets.values()
        if score.value is not None
    ]
    with_ends = sum(score.low is not None for score in scores)
    text = f"95 %, clustered by source, on {with_ends} of {len(scores)} numbers of the model"
    return Item("Intervals", with_ends > 0, text)


def _audits(audits: Sequence[Audit], *, has_run: bool) -> Item:
    made = [audit.audit for audit in audits]
    # A table of predictions has no model that could score changed media.
    asked = [name for name in TITLES if has_run or name != "perturbation"]
    missing = [name for name in asked if name not in made]
    text = f"made: {', '.join(made) or 'none'}"
    if missing:
        text += f"; not made: {', '.join(missing)}"
    return Item("Audits", not missing, text)
