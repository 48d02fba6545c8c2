"""What is drawn of an audit, on the page and in print: audits in, forests and curves out."""

from collections.abc import Iterator
from dataclasses import dataclass

from traitscope.audit.findings import (
    Audit,
    Calibration,
    Cell,
    Fairness,
    Leakage,
    Named,
    PeopleGroup,
    Perturbation,
    Perturbed,
)
from traitscope.report.audits import CALIBRATION, is_clear, slopes_of

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
        # Of one kind alone, what its bar means is all that a legend can tell.
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
    if isinstance(audit, Fairness):
        return [_gaps(audit, target) for target in audit.targets]
    if isinstance(audit, Calibration):
        drawn = (("label_slope", 1.0), ("bias", 0.0), ("sd_ratio", 1.0))
        titles = dict(CALIBRATION)
        return [_measure(audit, key, titles[key], reference) for key, reference in drawn]
    return []


def heats(audit: Audit) -> list[Heat]:
    """Correlations between traits, of labels and of predictions."""
    if not isinstance(audit, Calibration) or audit.between is None:
        return []
    # Letters, since five names do not fit beside a square of cells.
    names = tuple(target.name[:1].upper() for target in audit.targets)
    # A letter hides which way a trait is scored: where the label says it, the title does.
    turned = [target.label for target in audit.targets if "(" in target.label]
    directions = "".join(f" ({label[0].upper()}: {label.partition('(')[2]}" for label in turned)
    sides = (("labels", audit.between.labels), ("predictions", audit.between.predictions))
    return [
        Heat(f"Correlations between {side}{directions}", names, matrix) for side, matrix in sides
    ]


def curves(audit: Audit) -> list[Curves]:
    """Shifts over steps, one figure per perturbation."""
    if not isinstance(audit, Perturbation):
        return []
    return [_curve(audit, entry) for entry in audit.perturbations]


def bars(audit: Audit) -> list[tuple[str, float]]:
    """Shares of scored clips that leaks touch."""
    if not isinstance(audit, Leakage):
        return []
    whole = max(1, audit.clips)
    return [(leak.kind, leak.clips / whole) for leak in audit.findings]


def _gaps(audit: Fairness, target: Named) -> Forest:
    # attributes alone come first, then pairs of them
    drawn = sorted(audit.measured, key=lambda pair: "×" in pair[0].value)
    rows = []
    for group, own in drawn[:SHOWN_GROUPS]:
        cells = own[target.name]
        kinds = (
            ("labels", cells.label_gap),
            ("clear" if is_clear(cells) else "model", cells.prediction_gap),
            ("residual", cells.residual_gap),
        )
        marks = tuple(mark for kind, cell in kinds for mark in _mark(kind, cell))
        if marks:
            rows.append((f"{_named(group)}, n {group.clips}", marks))
    return Forest(target.label, "gap to all others", 0.0, tuple(rows))


def _named(group: PeopleGroup) -> str:
    """A group by its value, where that says what it is of: "female" does, and 2 does not."""
    pairs = zip(group.attribute.split(" × "), group.value.split(" × "), strict=False)
    return " × ".join(f"{name} {value}" if value[:1].isdigit() else value for name, value in pairs)


def _measure(audit: Calibration, measure: str, title: str, reference: float) -> Forest:
    rows = tuple(
        (label, tuple(_mark("model", cell)))
        for label, cell in slopes_of(audit, measure)
        if cell.value is not None
    )
    across = title.partition(" (")[0]
    return Forest(across[:1].upper() + across[1:], across, reference, rows)


def _mark(kind: str, cell: Cell) -> Iterator[Mark]:
    """One mark; none where the value is undefined."""
    if cell.value is not None:
        yield Mark(kind, cell.value, cell.low, cell.high)


def _curve(audit: Perturbation, entry: Perturbed) -> Curves:
    series = []
    for target in audit.targets:
        width = audit.spreads.get(target.name)
        # Where predictions are constant there is no sd to measure a shift in.
        points = [
            (step.value, shift.mean / width, shift.flagged)
            for step in entry.steps
            if width
            and (shift := step.shifts.get(target.name)) is not None
            and shift.mean is not None
        ]
        if entry.neutral is not None and points:
            # Curves go through 0 where nothing changes, between the steps: hence sorted below.
            points.append((entry.neutral, 0.0, False))
        if points:
            steps, moved, flagged = zip(*sorted(points), strict=True)
            series.append((target.label, steps, moved, flagged))
    return Curves(entry.name, entry.unit, tuple(series))
