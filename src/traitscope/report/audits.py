"""What the page and the files show of audits in numbers: audit dicts in, tables out.

Numbers are picked and formatted here, once, for the terminal, the page, PNG, CSV, Markdown and
LaTeX alike; ``audit_sentences`` says in words what was found, ``audit_drawings`` what is drawn.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from traitscope.audit.fairness import LEVEL
from traitscope.report.content import number

Audit = Mapping[str, Any]

TITLES = {
    "fairness": "Groups of people",
    "calibration": "Calibration and spread",
    "leakage": "Leakage",
    "perturbation": "Changes of the recording",
}
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
    return {
        "fairness": _fairness,
        "calibration": _calibration,
        "leakage": _leakage,
        "perturbation": _perturbation,
    }[audit["audit"]](audit)


def audit_long(audit: Audit) -> Iterator[tuple[Any, ...]]:
    """Every number of an audit: item, clips, target, measure, value, low, high."""
    if audit["audit"] == "fairness":
        for group in audit["groups"]:
            item = f"{group['attribute']} = {group['value']}"
            for target, cells in group.get("cells", {}).items():
                for measure, cell in cells.items():
                    ends = (cell["value"], cell["low"], cell["high"])
                    yield (item, group["clips"], target, measure, *ends)
                held = cells["beyond"]["p_holm"]
                yield (item, group["clips"], target, "beyond: p after Holm", held, None, None)
    elif audit["audit"] == "calibration":
        for target, cells in audit["cells"].items():
            for measure, cell in cells.items():
                ends = (cell["value"], cell["low"], cell["high"])
                yield ("", audit["clips"], target, measure, *ends)
        for row in audit["coverage"]:
            cell = row["coverage"]
            measure = f"coverage of {row['kind']} at {row['nominal']:g}"
            ends = (cell["value"], cell["low"], cell["high"])
            yield ("", row["clips"], row["target"], measure, *ends)
    elif audit["audit"] == "leakage":
        for row in audit["findings"]:
            yield (row["kind"], audit["clips"], "", "scored clips", row["clips"], None, None)
    else:
        for entry, step, target, shift in _shifts(audit):
            item = f"{entry['name']} {_step(entry, step)}"
            for measure in ("mean", "absolute", "share", "relative", "places", "order"):
                low, high = (shift["low"], shift["high"]) if measure == "mean" else (None, None)
                yield (item, step["n"], target, f"shift: {measure}", shift[measure], low, high)


def _step(entry: Mapping[str, Any], step: Mapping[str, Any]) -> str:
    """How much was changed, with its unit; a mirror has no measure."""
    unit = str(entry["unit"])
    return unit if unit == "mirrored" else f"{step['value']:g} {unit}"


def _fairness(audit: Audit) -> list[AuditTable]:
    with_cells = [group for group in audit["groups"] if "cells" in group]
    header = ("attribute", "value", "clips", *(title for _, title in _GAPS))
    tables = [
        AuditTable(
            f"{target['label']}: gaps to all others [95 %]; * clearly beyond the labels' gap",
            header,
            tuple(_gap_row(group, target["name"]) for group in with_cells),
            "no group is large enough",
        )
        for target in audit["targets"]
    ]
    few = tuple((*_group(g), g["reason"]) for g in audit["groups"] if "cells" not in g)
    if few:
        header = ("attribute", "value", "clips", "why")
        tables.append(AuditTable("Groups that are too small for numbers", header, few))
    return tables


def _gap_row(group: Mapping[str, Any], target: str) -> tuple[str, ...]:
    cells = group["cells"][target]
    shown = {measure: _shown(cells[measure]) for measure, _ in _GAPS}
    if is_clear(cells):
        shown["prediction_gap"] += " *"
    return (*_group(group), *shown.values())


def _group(group: Mapping[str, Any]) -> tuple[str, str, str]:
    return group["attribute"], group["value"], str(group["clips"])


def _calibration(audit: Audit) -> list[AuditTable]:
    labels = tuple(target["label"] for target in audit["targets"])
    rows = tuple(
        (title, *(_shown(cell) for _, cell in cells_of(audit, audit["cells"], measure)))
        for measure, title in CALIBRATION
    )
    tables = [AuditTable("Predictions against labels [95 %]", ("", *labels), rows)]
    between = audit.get("between")
    if between:
        sides = ("mean_labels", "labels"), ("mean_predictions", "predictions")
        means = tuple((name, _shown(between[key])) for key, name in sides)
        extra = ("predictions minus labels", _shown(between["mean_difference"]))
        head = ("mean of the pairs", "correlation")
        tables.append(AuditTable("Correlations between traits [95 %]", head, (*means, extra)))
    covered = tuple(
        (
            label_of(audit, row["target"]),
            row["kind"],
            f"{row['nominal']:.0%}",
            _shown(row["coverage"]),
            number(row["mean_width"], 3),
            str(row["clips"]),
        )
        for row in audit["coverage"]
    )
    header = ("target", "interval", "nominal", "covered", "mean width", "clips")
    tables.append(AuditTable("Coverage of stated intervals", header, covered, "none are stated"))
    return tables


def _leakage(audit: Audit) -> list[AuditTable]:
    rows = tuple(
        (row["kind"], str(row["clips"]), ", ".join(row["shared"][:3]) or "–")
        for row in audit["findings"]
    )
    title = f"Of {audit['clips']} scored clips, against {audit['fitted_clips']} fitted ones"
    return [AuditTable(title, ("what is shared", "scored clips", "such as"), rows)]


def _perturbation(audit: Audit) -> list[AuditTable]:
    labels = tuple(target["label"] for target in audit["targets"])
    names = [target["name"] for target in audit["targets"]]
    widths = tuple(_plain(audit["half_widths"].get(name)) for name in names)
    control = audit["control"]["shifts"]
    rows = [
        ("own interval, ±", "", "", *widths),
        ("unchanged copy", "", str(audit["control"]["n"]), *_moved(control, names)),
    ]
    for entry in audit["perturbations"]:
        for step in entry["steps"]:
            lost = len(step["failed"])
            scored = f"{step['n']} of {step['n'] + lost}" if lost else str(step["n"])
            head = (entry["name"], _step(entry, step), scored)
            rows.append((*head, *_moved(step["shifts"], names)))
    header = ("change", "step", "clips", *labels)
    title = "Mean shift [95 %]; ! flagged"
    spreads = ("sd of predictions", "", "", *(_plain(audit["spreads"].get(n)) for n in names))
    return [
        AuditTable(title, header, (rows[0], spreads, *rows[1:])),
        AuditTable(
            "How far that is: mean absolute shift in sds of the predictions; of 100 places; rank "
            "correlation of before and after",
            header,
            tuple(_far(audit, names)),
        ),
    ]


def _far(audit: Audit, names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for entry in audit["perturbations"]:
        for step in entry["steps"]:
            found = [step["shifts"].get(name) for name in names]
            cells = [
                f"{number(s['relative'], 2)} sd; {s['places']:.0f}; {_plain(s['order'])}"
                if s and s["relative"] is not None
                else "–"
                for s in found
            ]
            yield (entry["name"], _step(entry, step), str(step["n"]), *cells)


def _moved(shifts: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    return [
        _shown({"value": s["mean"], **s}) + (" !" if s["flagged"] else "") if s else "–"
        for s in (shifts.get(name) for name in names)
    ]


def _shown(cell: Mapping[str, Any]) -> str:
    if cell["value"] is None:
        return "undefined"
    if cell["low"] is None or cell["high"] is None:
        return _plain(cell["value"])
    return f"{_plain(cell['value'])} [{_plain(cell['low'])}, {_plain(cell['high'])}]"


def _plain(value: float | None) -> str:
    return "–" if value is None else number(value, 3)


def is_clear(cells: Mapping[str, Any]) -> bool:
    """Whether a group's predictions of a target are clearly beyond its labels, after Holm."""
    p = cells["beyond"]["p_holm"]
    return p is not None and bool(p < LEVEL)


def cells_of(
    audit: Audit, cells: Mapping[str, Any], measure: str
) -> list[tuple[str, Mapping[str, Any]]]:
    """One measure of every target, with the target's label."""
    return [(target["label"], cells[target["name"]][measure]) for target in audit["targets"]]


def label_of(audit: Audit, name: str) -> str:
    """What a target is called."""
    return next((t["label"] for t in audit["targets"] if t["name"] == name), name)


def _shifts(audit: Audit) -> Iterator[tuple[Any, Any, str, Any]]:
    for entry in audit["perturbations"]:
        for step in entry["steps"]:
            for target, shift in step["shifts"].items():
                yield entry, step, target, shift
