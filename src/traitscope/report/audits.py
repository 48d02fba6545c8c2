"""What the page and the files show of audits: audit dicts in, tables, forests, heats, curves out.

Numbers are picked and formatted here, once, for the terminal, the page, PNG, CSV, Markdown and
LaTeX alike.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from traitscope.errors import some
from traitscope.report.content import number

Audit = Mapping[str, Any]

TITLES = {
    "fairness": "Groups of people",
    "calibration": "Calibration and spread",
    "leakage": "Leakage",
    "perturbation": "Changes of the recording",
}
SHOWN_GROUPS = 14
"""Groups that a figure draws; attributes alone come before pairs of them."""
_GROUP_TABLES = (
    ("residual_gap", "Residual gap: mean residual (predicted − label) minus that of all others"),
    ("residual", "Mean residual, predicted − label"),
    ("error_gap", "Error gap: mean absolute error minus that of all others"),
    ("error", "Mean absolute error"),
)
_CALIBRATION = (
    ("bias", "mean residual"),
    ("slope", "slope of predictions on labels"),
    ("intercept", "intercept"),
    ("label_slope", "slope of labels on predictions"),
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


@dataclass(frozen=True)
class Forest:
    """Values with intervals, one per line, against a reference.

    Attributes:
        title: what is drawn.
        across: title of the axis.
        reference: where a line is drawn.
        rows: (label, value, low, high, stands out); ends None where there is no interval.
    """

    title: str
    across: str
    reference: float
    rows: tuple[tuple[str, float, float | None, float | None, bool], ...]


@dataclass(frozen=True)
class Heat:
    """A square of correlations with the names of its rows."""

    title: str
    names: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True)
class Curves:
    """Mean shifts over the steps of one perturbation, in half widths of the model's interval.

    Attributes:
        title: the perturbation.
        across: unit of the steps.
        series: (target, steps, shifts, flagged or not) of each target.
    """

    title: str
    across: str
    series: tuple[tuple[str, tuple[float, ...], tuple[float, ...], tuple[bool, ...]], ...]


def audit_tables(audit: Audit) -> list[AuditTable]:
    """The tables of an audit."""
    return {
        "fairness": _fairness,
        "calibration": _calibration,
        "leakage": _leakage,
        "perturbation": _perturbation,
    }[audit["audit"]](audit)


def audit_words(audit: Audit) -> str:
    """One sentence that says what was found, never a verdict."""
    if audit["audit"] == "fairness":
        with_cells = [group for group in audit["groups"] if "cells" in group]
        clear = [
            f"{group['value']} ({label})"
            for group in with_cells
            for label, cell in _cells(audit, group["cells"], "residual_gap")
            if _clear(cell)
        ]
        outcome = (
            f"clear gaps: {some(clear, 6)}" if clear else "no gap holds after Holm's correction"
        )
        return f"Groups with enough clips for numbers: {len(with_cells)}; {outcome}."
    if audit["audit"] == "leakage":
        return " ".join(audit["sentences"]) or "Nothing that is known of the clips leaks."
    if audit["audit"] == "perturbation":
        flagged = audit["flagged"]
        steps = [
            f"{f['perturbation']} {f['step']:g} ({_label(audit, f['target'])})" for f in flagged
        ]
        outcome = (
            f"flagged: {some(steps, 6)}" if steps else "no step moves a score by more than that"
        )
        lost = sum(len(step["failed"]) for e in audit["perturbations"] for step in e["steps"])
        copies = "copy" if lost == 1 else "copies"
        gone = f" {lost} changed {copies} could not be scored at all (no face ...)." if lost else ""
        return (
            f"{audit['clips']} clips were scored again after each change. Shifts are held against "
            f"the model's own 95 % interval; {outcome}.{gone}"
        )
    slopes = [cell["value"] for _, cell in _cells(audit, audit["cells"], "slope")]
    known = [value for value in slopes if value is not None]
    if not known:
        return "Labels do not vary, so nothing can be said of calibration."
    return (
        f"A label one unit higher goes with predictions {number(min(known), 2)} to "
        f"{number(max(known), 2)} units higher, depending on the trait (1 would be perfect)."
    )


def audit_long(audit: Audit) -> Iterator[tuple[Any, ...]]:
    """Every number of an audit: item, clips, target, measure, value, low, high."""
    if audit["audit"] == "fairness":
        for group in audit["groups"]:
            item = f"{group['attribute']} = {group['value']}"
            for target, cells in group.get("cells", {}).items():
                for measure, cell in cells.items():
                    ends = (cell["value"], cell["low"], cell["high"])
                    yield (item, group["clips"], target, measure, *ends)
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
            for measure in ("mean", "absolute", "share"):
                low, high = (shift["low"], shift["high"]) if measure == "mean" else (None, None)
                yield (item, step["n"], target, f"shift: {measure}", shift[measure], low, high)


def _step(entry: Mapping[str, Any], step: Mapping[str, Any]) -> str:
    """How much was changed, with its unit; a mirror has no measure."""
    unit = str(entry["unit"])
    return unit if unit == "mirrored" else f"{step['value']:g} {unit}"


def forests(audit: Audit) -> list[Forest]:
    """Values with intervals that are drawn of an audit, one figure per target or measure."""
    if audit["audit"] == "fairness":
        return [_gaps(audit, target) for target in audit["targets"]]
    if audit["audit"] == "calibration":
        drawn = (("slope", 1.0), ("sd_ratio", 1.0), ("bias", 0.0))
        titles = dict(_CALIBRATION)
        return [_measure(audit, key, titles[key], reference) for key, reference in drawn]
    return []


def heats(audit: Audit) -> list[Heat]:
    """Correlations between traits, of labels and of predictions."""
    between = audit.get("between")
    if audit["audit"] != "calibration" or not between:
        return []
    names = tuple(target["name"][:1].upper() for target in audit["targets"])
    turned = [target["label"] for target in audit["targets"] if "(" in target["label"]]
    directions = "".join(f" ({label[0].upper()}: {label.partition('(')[2]}" for label in turned)
    return [
        Heat(
            f"Correlations between {side}{directions}",
            names,
            tuple(tuple(row) for row in between[side]),
        )
        for side in ("labels", "predictions")
    ]


def curves(audit: Audit) -> list[Curves]:
    """Shifts over steps, one figure per perturbation."""
    if audit["audit"] != "perturbation":
        return []
    return [_curve(audit, entry) for entry in audit["perturbations"]]


def bars(audit: Audit) -> list[tuple[str, float]]:
    """Shares of scored clips that leaks touch."""
    if audit["audit"] != "leakage":
        return []
    whole = max(1, audit["clips"])
    return [(row["kind"], row["clips"] / whole) for row in audit["findings"]]


def _fairness(audit: Audit) -> list[AuditTable]:
    labels = [target["label"] for target in audit["targets"]]
    with_cells = [group for group in audit["groups"] if "cells" in group]
    tables = []
    for measure, title in _GROUP_TABLES:
        rows = tuple(
            (*_group(group), *(_shown(cell) for _, cell in _cells(audit, group["cells"], measure)))
            for group in with_cells
        )
        star = "; * holds after Holm's correction" if measure == "residual_gap" else ""
        header = ("attribute", "value", "clips", *labels)
        tables.append(AuditTable(f"{title} [95 %]{star}", header, rows, "no group is large enough"))
    few = tuple((*_group(g), g["reason"]) for g in audit["groups"] if "cells" not in g)
    if few:
        header = ("attribute", "value", "clips", "why")
        tables.append(AuditTable("Groups that are too small for numbers", header, few))
    return tables


def _group(group: Mapping[str, Any]) -> tuple[str, str, str]:
    return group["attribute"], group["value"], str(group["clips"])


def _calibration(audit: Audit) -> list[AuditTable]:
    labels = tuple(target["label"] for target in audit["targets"])
    rows = tuple(
        (title, *(_shown(cell) for _, cell in _cells(audit, audit["cells"], measure)))
        for measure, title in _CALIBRATION
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
            _label(audit, row["target"]),
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
    title = "Mean shift [95 %]; ! mean absolute shift beyond the model's own interval"
    return [AuditTable(title, ("change", "step", "clips", *labels), tuple(rows))]


def _moved(shifts: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    return [
        _shown({"value": s["mean"], **s}) + (" !" if s["flagged"] else "") if s else "–"
        for s in (shifts.get(name) for name in names)
    ]


def _shown(cell: Mapping[str, Any]) -> str:
    if cell["value"] is None:
        return "undefined"
    star = " *" if _clear(cell) else ""
    if cell["low"] is None or cell["high"] is None:
        return f"{_plain(cell['value'])}{star}"
    return f"{_plain(cell['value'])} [{_plain(cell['low'])}, {_plain(cell['high'])}]{star}"


def _plain(value: float | None) -> str:
    return "–" if value is None else number(value, 3)


def _clear(cell: Mapping[str, Any]) -> bool:
    """Whether a gap holds after the correction for how many were looked at."""
    return cell.get("p_holm") is not None and bool(cell["p_holm"] < 0.05)


def _cells(
    audit: Audit, cells: Mapping[str, Any], measure: str
) -> list[tuple[str, Mapping[str, Any]]]:
    return [(target["label"], cells[target["name"]][measure]) for target in audit["targets"]]


def _label(audit: Audit, name: str) -> str:
    return next((t["label"] for t in audit["targets"] if t["name"] == name), name)


def _gaps(audit: Audit, target: Mapping[str, Any]) -> Forest:
    drawn = sorted((g for g in audit["groups"] if "cells" in g), key=lambda g: "×" in g["value"])
    rows = []
    for group in drawn[:SHOWN_GROUPS]:
        cell = group["cells"][target["name"]]["residual_gap"]
        if cell["value"] is not None:
            label = f"{group['value']}, n {group['clips']}"
            rows.append((label, cell["value"], cell["low"], cell["high"], _clear(cell)))
    return Forest(target["label"], "residual gap to all others", 0.0, tuple(rows))


def _measure(audit: Audit, measure: str, title: str, reference: float) -> Forest:
    rows = tuple(
        (label, cell["value"], cell["low"], cell["high"], False)
        for label, cell in _cells(audit, audit["cells"], measure)
        if cell["value"] is not None
    )
    return Forest(title[:1].upper() + title[1:], title, reference, rows)


def _curve(audit: Audit, entry: Mapping[str, Any]) -> Curves:
    series = []
    for target in audit["targets"]:
        name, width = target["name"], audit["half_widths"].get(target["name"])
        points = [
            (step["value"], step["shifts"][name]["mean"] / width, step["shifts"][name]["flagged"])
            for step in entry["steps"]
            if width and name in step["shifts"]
        ]
        if entry["neutral"] is not None and points:
            points.append((entry["neutral"], 0.0, False))
        if points:
            steps, moved, flagged = zip(*sorted(points), strict=True)
            series.append((target["label"], steps, moved, flagged))
    return Curves(entry["name"], entry["unit"], tuple(series))


def _shifts(audit: Audit) -> Iterator[tuple[Any, Any, str, Any]]:
    for entry in audit["perturbations"]:
        for step in entry["steps"]:
            for target, shift in step["shifts"].items():
                yield entry, step, target, shift
