"""What the labels allow, as the page shows it: a report in, sentences and a table out."""

from dataclasses import dataclass

from traitscope.evaluation.report import Report
from traitscope.report.audits import AuditTable
from traitscope.report.content import Group, number
from traitscope.statistics.metrics import Score


@dataclass(frozen=True)
class CeilingView:
    """The ceiling of one report, ready for the template."""

    name: str
    text: str
    table: AuditTable
    halo: str


def ceiling_view(report: Report, group: Group) -> CeilingView:
    """Lay out the ceiling and the halo of a report."""
    # Targets differ in their ICCs: those of crossed ratings need every rater on every clip.
    kinds = list(dict.fromkeys(kind for each in report.ceiling.targets for kind in each.icc))
    header = (
        *("target", "r max", "r disattenuated", "best accuracy", "clips", "ratings per clip"),
        *(f"ICC({kind})" for kind in kinds),
    )
    rows = [
        (
            group.labels[each.target],
            *map(_shown, (each.r_max, each.disattenuated, each.accuracy)),
            f"{each.clips}",
            f"{each.per_clip:.3g} of {each.raters} raters",
            *(_shown(each.icc.get(kind, Score(None))) for kind in kinds),
        )
        for each in report.ceiling.targets
    ]
    title = f"{report.name}: reliability of the labels, and what it allows"
    table = AuditTable(title=title, header=header, rows=tuple(rows), empty="")
    halo = report.halo.text if report.halo else ""
    return CeilingView(report.name, report.ceiling.text, table, halo)


def _shown(score: Score) -> str:
    if score.value is None:
        return "undefined"
    value = number(score.value, 2)
    if score.low is None or score.high is None:
        return value
    return f"{value} [{number(score.low, 2)}, {number(score.high, 2)}]"
