"""What the page and the files show of audits in numbers: audits in, tables out.

Numbers are picked and formatted here, once, for the terminal, the page, PNG, CSV, Markdown and
LaTeX alike; ``audit_sentences`` says in words what was found, ``audit_drawings`` what is drawn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from traitscope.audit.fairness import LEVEL
from traitscope.audit.findings import (
    Audit,
    Calibration,
    Cell,
    Fairness,
    Gaps,
    Leakage,
    Moved,
    Outside,
    PeopleGroup,
    Perturbation,
    Perturbed,
    Step,
)
from traitscope.report.content import number

TITLES = {
    "fairness": "Groups of people",
    "calibration": "Calibration and spread",
    "leakage": "Leakage",
    "perturbation": "Changes of the recording",
}
# In the order of the argument: labels, predictions and their difference; then what is left at equal
# labels and at equal predictions, which leans without any bias (decision 25).
_GAPS = (
    ("label_gap", "labels"),
    ("prediction_gap", "predictions"),
    ("residual_gap", "residuals"),
    ("given_label", "given label"),
    ("given_prediction", "given prediction"),
    ("error_gap", "errors"),
    ("constant_error_gap", "errors of the constant"),
    ("pearson", "r within"),
    ("ccc", "CCC within"),
)
CALIBRATION = (
    ("label_slope", "slope of labels on predictions (1: a score means what it says)"),
    ("label_intercept", "intercept of labels on predictions (0)"),
    ("bias", "mean residual"),
    ("slope", "slope of predictions on labels"),
    ("intercept", "intercept of predictions on labels"),
    ("label_sd", "sd of labels"),
    ("prediction_sd", "sd of predictions"),
    ("sd_ratio", "sd ratio"),
    ("correlation", "correlation"),
)


@dataclass(frozen=True)
class AuditTable:
    """A table of text; ``empty`` says why it has no rows."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    empty: str = ""


def audit_tables(audit: Audit) -> list[AuditTable]:
    """The tables of an audit."""
    if isinstance(audit, Fairness):
        return _fairness(audit)
    if isinstance(audit, Calibration):
        return _calibration(audit)
    return _leakage(audit) if isinstance(audit, Leakage) else _perturbation(audit)


def audit_long(audit: Audit) -> Iterator[tuple[Any, ...]]:
    """Every number of an audit: item, clips, target, measure, value, low, high."""
    if isinstance(audit, Fairness):
        yield from _long_groups(audit)
    elif isinstance(audit, Calibration):
        for target, cells in audit.cells.items():
            for measure, cell in cells:
                yield ("", audit.clips, target, measure, *_ends(cell))
        for row in audit.coverage:
            measure = f"coverage of {row.kind} at {row.nominal:g}"
            yield ("", row.clips, row.target, measure, *_ends(row.coverage))
    elif isinstance(audit, Leakage):
        for leak in audit.findings:
            yield (leak.kind, audit.clips, "", "scored clips", leak.clips, None, None)
    else:
        for entry, step in audit.steps:
            item = f"{entry.name} {_step(entry, step)}"
            for target, shift in step.shifts.items():
                # The mean shift alone has an interval.
                yield (item, step.n, target, "shift: mean", *_ends(shift.cell))
                for name in ("absolute", "share", "relative", "places", "order"):
                    value = getattr(shift, name)
                    yield (item, step.n, target, f"shift: {name}", value, None, None)


def _long_groups(audit: Fairness) -> Iterator[tuple[Any, ...]]:
    for group, own in audit.measured:
        head = (f"{group.attribute} = {group.value}", group.clips)
        for target, cells in own.items():
            for measure, cell in cells:
                # A corpus without two clips of one person has no `follows`.
                if cell is not None:
                    yield (*head, target, measure, *_ends(cell))
            for measure, cell in cells:
                if isinstance(cell, Outside):
                    yield (*head, target, f"{measure}: p after Holm", cell.p_holm, None, None)


def _ends(cell: Cell) -> tuple[float | None, float | None, float | None]:
    return cell.value, cell.low, cell.high


def _step(entry: Perturbed, step: Step) -> str:
    """How much was changed, with its unit; a mirror has no measure."""
    return entry.unit if entry.unit == "mirrored" else f"{step.value:g} {entry.unit}"


def _fairness(audit: Fairness) -> list[AuditTable]:
    header = ("attribute", "value", "clips", *(title for _, title in _GAPS))
    tables = [
        AuditTable(
            f"{target.label}: gaps to all others [95 %]; * clearly beyond the labels' gap; "
            f"† follows the group",
            header,
            tuple(_gap_row(group, own[target.name]) for group, own in audit.measured),
            "no group is large enough",
        )
        for target in audit.targets
    ]
    # Left out, a group would look as if it had been audited without a finding.
    few = tuple((*_group(g), g.reason or "") for g in audit.groups if g.cells is None)
    if few:
        header = ("attribute", "value", "clips", "why")
        tables.append(AuditTable("Groups that are too small for numbers", header, few))
    return tables


def _gap_row(group: PeopleGroup, cells: Gaps) -> tuple[str, ...]:
    shown = {measure: _shown(getattr(cells, measure)) for measure, _ in _GAPS}
    # what is beyond the labels follows the group as well: the stronger mark alone
    if is_clear(cells):
        shown["prediction_gap"] += " *"
    elif follows_group(cells):
        shown["prediction_gap"] += " †"
    return (*_group(group), *shown.values())


def _group(group: PeopleGroup) -> tuple[str, str, str]:
    return group.attribute, group.value, str(group.clips)


def _calibration(audit: Calibration) -> list[AuditTable]:
    labels = tuple(target.label for target in audit.targets)
    rows = tuple(
        (title, *(_shown(cell) for _, cell in slopes_of(audit, measure)))
        for measure, title in CALIBRATION
    )
    tables = [AuditTable("Predictions against labels [95 %]", ("", *labels), rows)]
    if between := audit.between:
        means = (
            ("labels", _shown(between.mean_labels)),
            ("predictions", _shown(between.mean_predictions)),
            ("predictions minus labels", _shown(between.mean_difference)),
        )
        head = ("mean of the pairs", "correlation")
        tables.append(AuditTable("Correlations between traits [95 %]", head, means))
    covered = tuple(
        (
            audit.label_of(row.target),
            row.kind,
            f"{row.nominal:.0%}",
            _shown(row.coverage),
            _plain(row.mean_width),
            str(row.clips),
        )
        for row in audit.coverage
    )
    header = ("target", "interval", "nominal", "covered", "mean width", "clips")
    tables.append(AuditTable("Coverage of stated intervals", header, covered, "none are stated"))
    return tables


def _leakage(audit: Leakage) -> list[AuditTable]:
    rows = tuple(
        (leak.kind, str(leak.clips), ", ".join(leak.shared[:3]) or "–") for leak in audit.findings
    )
    title = f"Of {audit.clips} scored clips, against {audit.fitted_clips} fitted ones"
    return [AuditTable(title, ("what is shared", "scored clips", "such as"), rows)]


def _perturbation(audit: Perturbation) -> list[AuditTable]:
    names = [target.name for target in audit.targets]
    # What shifts are held against comes first, then the control, then the steps.
    rows: list[tuple[str, ...]] = [
        ("own interval, ±", "", "", *(_plain(audit.half_widths.get(n)) for n in names)),
        ("sd of predictions", "", "", *(_plain(audit.spreads.get(n)) for n in names)),
        ("unchanged copy", "", str(audit.control.n), *_moved(audit.control, names)),
    ]
    for entry, step in audit.steps:
        lost = len(step.failed)
        # A crop that loses half of the faces is measured on the other half: the count tells.
        scored = f"{step.n} of {step.n + lost}" if lost else str(step.n)
        rows.append((entry.name, _step(entry, step), scored, *_moved(step, names)))
    header = ("change", "step", "clips", *(target.label for target in audit.targets))
    return [
        AuditTable("Mean shift [95 %]; ! flagged", header, tuple(rows)),
        AuditTable(
            "How far that is: mean absolute shift in sds of the predictions; of 100 places; rank "
            "correlation of before and after",
            header,
            tuple(_far(audit, names)),
        ),
    ]


def _far(audit: Perturbation, names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for entry, step in audit.steps:
        cells = [
            f"{number(s.relative, 2)} sd; {s.places:.0f}; {_plain(s.order)}"
            if s and s.relative is not None
            else "–"
            for s in map(step.shifts.get, names)
        ]
        yield (entry.name, _step(entry, step), str(step.n), *cells)


def _moved(moved: Moved, names: Sequence[str]) -> list[str]:
    return [
        _shown(s.cell) + (" !" if s.flagged else "") if s else "–"
        for s in map(moved.shifts.get, names)
    ]


def _shown(cell: Cell) -> str:
    if cell.value is None:
        return "undefined"
    if cell.low is None or cell.high is None:
        return _plain(cell.value)
    return f"{_plain(cell.value)} [{_plain(cell.low)}, {_plain(cell.high)}]"


def _plain(value: float | None) -> str:
    return "–" if value is None else number(value, 3)


def is_clear(cells: Gaps) -> bool:
    """Whether a group's predictions of a target are clearly beyond its labels, after Holm."""
    return cells.beyond.holds(LEVEL)


def follows_group(cells: Gaps) -> bool:
    """Whether predictions of a target follow the group rather than the person, after Holm."""
    return cells.follows is not None and cells.follows.holds(LEVEL)


def slopes_of(audit: Calibration, measure: str) -> list[tuple[str, Cell]]:
    """One measure of every target, with the target's label."""
    return [(target.label, getattr(audit.cells[target.name], measure)) for target in audit.targets]
