"""Groups as tables: cells on a shared scale, footnotes for what is undefined, published rows."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files

from traitscope.report.content import HEADLINE, METRICS, Cell, Group, Metric, Part, Row

CLIPPED = {"r2": -1.0, "skill": -1.0}
"""Where the drawn scale of a metric ends: R2 of a bad system would flatten all others."""


@dataclass(frozen=True)
class Column:
    """A column of numbers, with the constant's place on its scale in percent."""

    label: str
    about: str = ""
    reference: float | None = None


@dataclass(frozen=True)
class Line:
    """A row of a table with its cells, one per column."""

    row: Row
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Systems down, numbers across."""

    caption: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]


@dataclass
class Footnotes:
    """Reasons why numbers are undefined, numbered from 1 in the order they are met."""

    reasons: list[str] = field(default_factory=list)

    def mark(self, cell: Cell) -> Cell:
        """Give an undefined cell the number of its reason."""
        if cell.value is not None:
            return cell
        if cell.reason not in self.reasons:
            self.reasons.append(cell.reason)
        return replace(cell, mark=self.reasons.index(cell.reason) + 1)


def headline(part: Part, notes: Footnotes) -> Table:
    """The macro table: systems down, the main metrics across, each column on its own scale."""
    # A report of others may have none of the usual metrics: then it shows what it has.
    metrics = [key for key in HEADLINE if key in part.metrics] or list(part.metrics)
    rows = [[notes.mark(row.cell(key, "macro")) for key in metrics] for row in part.rows]
    scaled = [_scale(column, key) for column, key in zip(_across(rows), metrics, strict=True)]
    columns = [
        Column(metric(key).label, metric(key).about, _reference(part.rows, cells))
        for key, cells in zip(metrics, scaled, strict=True)
    ]
    return _table("Macro over traits", part.rows, columns, scaled)


def per_trait(group: Group, part: Part, key: str, notes: Footnotes) -> Table:
    """One metric: systems down, macro and traits across, all on one scale."""
    rows = [[notes.mark(row.cell(key, name)) for name in group.labels] for row in part.rows]
    # Flat, so that `_scale` sees all traits at once, and their bars compare.
    flat = _scale([cell for row in rows for cell in row], key)
    width = len(group.labels)
    scaled = _across([flat[i : i + width] for i in range(0, len(flat), width)])
    columns = [
        Column(label, "", _reference(part.rows, cells))
        for label, cells in zip(group.labels.values(), scaled, strict=True)
    ]
    return _table(f"{metric(key).label}: {metric(key).about}", part.rows, columns, scaled)


def metric(key: str) -> Metric:
    """How a metric is headed; an unknown one by its own name."""
    return METRICS.get(key, Metric(key, key, ""))


@dataclass(frozen=True)
class Published:
    """Numbers of a system from the literature: not computed here.

    Attributes:
        system: as its authors call it.
        input: what it looks at.
        macro: metric -> value over traits, with the digits that were published.
        traits: (label, accuracy) per trait, where published.
        clips: how many were scored, empty where that is not said.
        reported_by: who says so.
        source: where the numbers stand.
        verified: ``yes`` where they were found there, ``no``, or ``third party`` where others
            than its authors ran the system.
    """

    system: str
    input: str
    macro: Mapping[str, str]
    traits: tuple[tuple[str, str], ...]
    clips: str
    reported_by: str
    source: str
    verified: str


# Alike in all rows of one system; the rest of a row is one of its numbers.
_ONE_ROW = ("system", "input", "clips", "reported_by", "source", "verified")


def published(group: Group) -> tuple[Published, ...]:
    """Published systems on corpus, split and protocol of a group, from the CSV beside this file.

    Numbers on other clips are no yardstick: a group on another split or protocol has none.
    """
    # What follows the colon says where the corpus lies.
    name = group.corpus.name.split(":")[0]
    protocols = {report.protocol.kind for report in group.reports}
    if name not in {"first_impressions", "fi"} or len(protocols) > 1:
        return ()
    systems: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in _rows("published.csv"):
        if row["split"] == group.split and {row["protocol"]} == protocols:
            systems.setdefault(tuple(row[key] for key in _ONE_ROW), []).append(row)
    return tuple(_published(rows, group) for rows in systems.values())


def _published(rows: Sequence[dict[str, str]], group: Group) -> Published:
    traits = tuple(
        (group.labels[row["target"]], row["value"])
        for row in rows
        if row["target"] in group.labels and row["target"] != "macro"
    )
    return Published(
        macro={row["metric"]: row["value"] for row in rows if row["target"] == "macro"},
        traits=traits,
        **{key: rows[0][key] for key in _ONE_ROW},
    )


def licences() -> list[dict[str, str]]:
    """Licences of third-party files that a run may have used."""
    return _rows("licences.csv")


def _rows(name: str) -> list[dict[str, str]]:
    text = files("traitscope.report").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _across(rows: Sequence[Sequence[Cell]]) -> list[list[Cell]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _table(
    caption: str, rows: Sequence[Row], columns: Sequence[Column], cells: Sequence[Sequence[Cell]]
) -> Table:
    lines = [Line(row, tuple(column[i] for column in cells)) for i, row in enumerate(rows)]
    return Table(caption, tuple(columns), tuple(lines))


def _scale(cells: Sequence[Cell], key: str) -> list[Cell]:
    """Place each value and interval between 2 and 98 percent of the range they all span."""
    ends = [v for c in cells if c.value is not None for v in (c.value, c.low, c.high)]
    known = [max(v, CLIPPED.get(key, v)) for v in ends if v is not None]
    if not known:
        return list(cells)
    # Equal values have no span to divide by.
    low, span = min(known), (max(known) - min(known)) or 1.0

    def place(value: float) -> float:
        # At the very edge half of a mark would be cut off, and a clipped value ends there too.
        return round(min(98.0, max(2.0, 2 + 96 * (value - low) / span)), 1)

    def placed(cell: Cell) -> Cell:
        if cell.value is None:
            return cell
        # Without an interval the bar has no width, and the mark stands alone.
        left = place(cell.value if cell.low is None else cell.low)
        right = place(cell.value if cell.high is None else cell.high)
        return replace(cell, where=(left, round(right - left, 1), place(cell.value)))

    return [placed(cell) for cell in cells]


def _reference(rows: Sequence[Row], cells: Sequence[Cell]) -> float | None:
    for row, cell in zip(rows, cells, strict=True):
        # The first one: of several reports the constants differ little, and one line is drawn.
        if row.role == "constant" and cell.where is not None:
            return cell.where[2]
    return None
