"""What is drawn of an audit, on the page and in print: audit dicts in, forests and curves out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from traitscope.report.audits import CALIBRATION, Audit, cells_of, is_clear

SHOWN_GROUPS = 14
"""Groups that a figure draws; attributes alone come before pairs of them."""


@dataclass(frozen=True)
class Mark:
    """One value with its interval in a row of a forest; ends None where there is none.

    ``kind`` is ``labels``, ``model``, ``clear`` (predictions clearly beyond the labels) or
    ``residual``.
    """

    kind: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Forest:
    """Values with intervals, one or more per line, against a reference.

    Attributes:
        title: what is drawn.
        across: title of the axis.
        reference: where a line is drawn.
        rows: label and marks of each line.
    """

    title: str
    across: str
    reference: float
    rows: tuple[tuple[str, tuple[Mark, ...]], ...]

    @property
    def keys(self) -> list[tuple[str, str]]:
        """Kinds of marks that occur, and what they are called."""
        kinds = {mark.kind for _, marks in self.rows for mark in marks}
        words = _KEYS if len(kinds) > 1 else {"model": "value with 95 % interval"}
        return [(kind, text) for kind, text in words.items() if kind in kinds]


_KEYS = {
    "labels": "labels (grey: from no gap to theirs)",
    "model": "predictions",
    "clear": "predictions, clearly beyond the labels",
    "residual": "residuals (predicted − label)",
}


@dataclass(frozen=True)
class Heat:
    """A square of correlations with the names of its rows."""

    title: str
    names: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True)
class Curves:
    """Mean shifts over the steps of one perturbation, in sds of the model's predictions.

    Attributes:
        title: the perturbation.
        across: unit of the steps.
        series: (target, steps, shifts, flagged or not) of each target.
    """

    title: str
    across: str
    series: tuple[tuple[str, tuple[float, ...], tuple[float, ...], tuple[bool, ...]], ...]


def forests(audit: Audit) -> list[Forest]:
    """Values with intervals that are drawn of an audit, one figure per target or measure."""
    if audit["audit"] == "fairness":
        return [_gaps(audit, target) for target in audit["targets"]]
    if audit["audit"] == "calibration":
        drawn = (("label_slope", 1.0), ("bias", 0.0), ("sd_ratio", 1.0))
        titles = dict(CALIBRATION)
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


def _gaps(audit: Audit, target: Mapping[str, Any]) -> Forest:
    drawn = sorted((g for g in audit["groups"] if "cells" in g), key=lambda g: "×" in g["value"])
    rows = []
    for group in drawn[:SHOWN_GROUPS]:
        cells = group["cells"][target["name"]]
        kinds = (
            ("labels", cells["label_gap"]),
            ("clear" if is_clear(cells) else "model", cells["prediction_gap"]),
            ("residual", cells["residual_gap"]),
        )
        marks = tuple(_mark(kind, cell) for kind, cell in kinds if cell["value"] is not None)
        if marks:
            rows.append((f"{group['value']}, n {group['clips']}", marks))
    return Forest(target["label"], "gap to all others", 0.0, tuple(rows))


def _measure(audit: Audit, measure: str, title: str, reference: float) -> Forest:
    rows = tuple(
        (label, (_mark("model", cell),))
        for label, cell in cells_of(audit, audit["cells"], measure)
        if cell["value"] is not None
    )
    across = title.partition(" (")[0]
    return Forest(across[:1].upper() + across[1:], across, reference, rows)


def _mark(kind: str, cell: Mapping[str, Any]) -> Mark:
    return Mark(kind, cell["value"], cell["low"], cell["high"])


def _curve(audit: Audit, entry: Mapping[str, Any]) -> Curves:
    series = []
    for target in audit["targets"]:
        name, width = target["name"], audit["spreads"].get(target["name"])
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
