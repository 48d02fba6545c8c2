"""The report for papers: reports in, PNG figures and CSV, Markdown and LaTeX tables out."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitscope import escaping
from traitscope.audit.findings import Audit
from traitscope.evaluation.report import Report
from traitscope.files import write_csv, write_text
from traitscope.report import audit_plots, plots, tables
from traitscope.report.audits import TITLES, AuditTable, audit_long, audit_tables
from traitscope.report.ceilings import ceiling_view
from traitscope.report.content import Cell, Group, Part, read_groups
from traitscope.report.noticed import every_note

LONG = (
    *("corpus", "split", "part", "role", "system", "metric", "target"),
    *("value", "low", "high", "sd"),
)
AUDIT_LONG = (*("report", "audit", "item", "clips"), *("target", "measure", "value", "low", "high"))
VERDICTS = ("corpus", "split", "report", "part", "kind", "targets", "against", "text")
CEILINGS = ("report", "target", "measure", "value", "low", "high")
# Two, as many as a paper has room for; metrics.csv has all of them.
IN_TRAIT_TABLES = ("accuracy", "ccc")


def export(
    reports: Sequence[Report],
    folder: Path,
    *,
    histories: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    audits: Mapping[str, Sequence[Audit]] | None = None,
) -> list[Path]:
    """Write what the page shows as files to use elsewhere.

    Args:
        reports: one per evaluation.
        folder: where ``metrics.csv`` (every number, one per row), ``failures.csv``, ``notes.csv``,
            ``tables.md``, ``tables.tex`` (both with verdicts and ceilings), ``verdicts.csv``,
            ``ceilings.csv`` and the PNG figures go; it is made. Audits add ``audits.csv``,
            ``audits.md`` and ``audits.tex``.
        histories: report name -> one dict per epoch, drawn too.
        audits: report name -> its audits.

    Returns:
        The files, in the order written.

    Raises:
        DataError: there is no report.
    """
    groups = read_groups(reports)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = [
        write_csv(folder / "metrics.csv", (*LONG, "undefined"), _long_rows(groups)),
        write_csv(folder / "failures.csv", ("report", "clip", "status", "reason"), _lost(groups)),
        write_csv(folder / "notes.csv", ("report", "clip", "kind", "note"), every_note(reports)),
        write_csv(folder / "verdicts.csv", VERDICTS, _judged(groups)),
        write_csv(folder / "ceilings.csv", CEILINGS, _allowed(groups)),
        write_text(folder / "tables.md", _documents(groups, MARKDOWN)),
        write_text(folder / "tables.tex", _documents(groups, LATEX)),
    ]
    # Numbered, since two names may become one on their way into a file name.
    for i, group in enumerate(groups, start=1):
        for part in group.parts:
            if part.rows:
                path = folder / f"comparison-{i}-{_safe(part.key)}.png"
                written.append(plots.comparison(group, part, path))
    for i, report in enumerate(reports, start=1):
        name = report.name
        stem = folder / f"{i}-{_safe(name)}"
        written += plots.traits(report, stem.with_name(f"{stem.name}-traits.png"))
        history = (histories or {}).get(name, ())
        written += plots.history(history, name, stem.with_name(f"{stem.name}-epochs.png"))
        for audit in (audits or {}).get(name, ()):
            path = stem.with_name(f"{stem.name}-{audit.audit}.png")
            written += audit_plots.audit_figure(audit, path)
    return written + _write_audits(folder, audits or {})


def _write_audits(folder: Path, audits: Mapping[str, Sequence[Audit]]) -> list[Path]:
    """Every number of the audits, one per row, and their tables; nothing when there are none."""
    if not any(audits.values()):
        return []
    rows = (
        (name, audit.audit, *row)
        for name, mine in audits.items()
        for audit in mine
        for row in audit_long(audit)
    )
    titled = [
        (f"{name}, {TITLES[audit.audit]}: {table.title}", table)
        for name, mine in audits.items()
        for audit in mine
        for table in audit_tables(audit)
        if table.rows
    ]
    return [
        write_csv(folder / "audits.csv", AUDIT_LONG, rows),
        write_text(folder / "audits.md", "\n".join(_words_markdown(*one) for one in titled)),
        write_text(folder / "audits.tex", "\n".join(_words_latex(*one) for one in titled)),
    ]


def _words_markdown(heading: str, table: AuditTable) -> str:
    lines = [f"### {escaping.markdown(heading)}", "", _md_row(list(table.header))]
    lines.append("|---" * len(table.header) + "|")
    return "\n".join([*lines, *(_md_row(list(row)) for row in table.rows), ""])


def _words_latex(heading: str, table: AuditTable) -> str:
    rows = [" & ".join(map(escaping.latex, row)) + r" \\" for row in (table.header, *table.rows)]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{escaping.latex(heading)}}}",
            rf"\begin{{tabular}}{{{'l' * len(table.header)}}}",
            r"\toprule",
            rows[0],
            r"\midrule",
            *rows[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def markdown(heading: str, table: tables.Table) -> str:
    """A table as GitHub Markdown, with intervals in brackets."""
    lines = [
        f"### {escaping.markdown(heading)}",
        "",
        _md_row(["system", *(c.label for c in table.columns)]),
    ]
    # Numbers to the right, so that their decimals stand below each other.
    lines.append("|---|" + "--:|" * len(table.columns))
    for line in table.lines:
        cells = " | ".join(map(_shown, line.cells))
        lines.append(f"| {escaping.markdown(line.row.label)} | {cells} |")
    return "\n".join(
        [*lines, *(f"\nundefined: {escaping.markdown(why)}" for why in _reasons(table)), ""]
    )


def latex(heading: str, table: tables.Table) -> str:
    """A table for the booktabs package, with intervals in brackets."""
    head = " & ".join(
        escaping.latex(text) for text in ("system", *(c.label for c in table.columns))
    )
    lines = [
        r"\begin{table}",
        rf"\caption{{{escaping.latex(heading)}. 95\,\% intervals in brackets{_over(table)}.}}",
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"\toprule",
        rf"{head} \\",
        r"\midrule",
    ]
    for line in table.lines:
        cells = [line.row.label, *map(_shown, line.cells)]
        lines.append(" & ".join(map(escaping.latex, cells)) + r" \\")
    # Below the rules: as a cell, a sentence would stretch its column over the page.
    notes = [rf"\\ {{\footnotesize undefined: {escaping.latex(why)}}}" for why in _reasons(table)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", *notes, r"\end{table}", ""])


def _over(table: tables.Table) -> str:
    """What stands after the sign of plus and minus, where there is one."""
    some = any(cell.spread for line in table.lines for cell in line.cells)
    return r", $\pm$ standard deviation over seeds" if some else ""


def _where(group: Group) -> str:
    return f"{group.kind[0]} in {group.corpus.name}, {group.split}"


@dataclass(frozen=True)
class Writers:
    """How one kind of document writes a table of numbers, one of text, and verdicts."""

    table: Callable[[str, tables.Table], str]
    words: Callable[[str, AuditTable], str]
    verdicts: Callable[[Group], str]


def _documents(groups: Sequence[Group], write: Writers) -> str:
    """The verdicts of each group, its tables, and what the labels allow."""
    written = []
    for group in groups:
        written.append(write.verdicts(group))
        for part in group.parts:
            if part.rows:
                head = f"{_where(group)}: {part.title}"
                shown = _tables(group, part)
                written += [write.table(f"{head}; {what}", table) for what, table in shown]
        for view in (ceiling_view(report, group) for report in group.reports):
            if view.table.rows:
                written.append(write.words(f"{_where(group)}: {view.table.title}", view.table))
    return "\n".join(written)


def _allowed(groups: Sequence[Group]) -> Iterator[tuple[Any, ...]]:
    """Every number of the ceilings, one per row."""
    for group in groups:
        for report in group.reports:
            for each in report.ceiling.targets:
                scores = {f"ICC({kind})": score for kind, score in each.icc.items()}
                scores |= {"r max": each.r_max, "r disattenuated": each.disattenuated}
                for measure, score in (scores | {"best accuracy": each.accuracy}).items():
                    head = (report.name, group.labels[each.target], measure)
                    yield (*head, score.value, score.low, score.high)


def _md_verdicts(group: Group) -> str:
    lines = [f"- {escaping.markdown(verdict.text)}" for verdict in group.verdicts]
    return "\n".join(
        [f"### {escaping.markdown(_where(group))}: what the numbers say", "", *lines, ""]
    )


def _tex_verdicts(group: Group) -> str:
    # LaTeX takes a list without items for an error.
    if not group.verdicts:
        return ""
    items = [rf"\item {escaping.latex(verdict.text)}" for verdict in group.verdicts]
    head = rf"\paragraph{{{escaping.latex(_where(group))}: what the numbers say}}"
    return "\n".join([head, r"\begin{itemize}", *items, r"\end{itemize}", ""])


def _judged(groups: Sequence[Group]) -> Iterator[tuple[Any, ...]]:
    for group in groups:
        for report in group.reports:
            for v in report.verdicts:
                where = (group.corpus.name, group.split, report.name)
                yield (*where, v.part, v.kind, " ".join(v.targets), v.against or "", v.text)


def _tables(group: Group, part: Part) -> Iterator[tuple[str, tables.Table]]:
    notes = tables.Footnotes()
    yield "macro over traits", tables.headline(part, notes)
    for key in IN_TRAIT_TABLES:
        if key in part.metrics:
            yield f"{tables.metric(key).label} per trait", tables.per_trait(group, part, key, notes)


def _reasons(table: tables.Table) -> list[str]:
    cells = (cell for line in table.lines for cell in line.cells)
    return list(dict.fromkeys(cell.reason for cell in cells if cell.value is None))


def _shown(cell: Cell) -> str:
    ends = f"[{cell.interval.replace(' to ', ', ')}]" if cell.interval else ""
    return " ".join(part for part in (cell.text, cell.spread, ends) if part)


def _long_rows(groups: Sequence[Group]) -> Iterator[tuple[Any, ...]]:
    for group in groups:
        for part in group.parts:
            for row in part.rows:
                head = (group.corpus.name, group.split, part.key, row.role, row.label)
                for key in part.metrics:
                    for target, label in group.labels.items():
                        cell = row.cell(key, target)
                        numbers = cell.value, cell.low, cell.high, cell.sd
                        yield (*head, key, label, *numbers, cell.reason)


def _lost(groups: Sequence[Group]) -> Iterator[tuple[Any, ...]]:
    for group in groups:
        for report in group.reports:
            for failure in report.failures:
                yield (report.name, failure.clip, failure.status, failure.reason)


def _safe(name: str) -> str:
    """A part of a file name, whatever a run is called."""
    # A slash would lead into another folder, and a dot in front hide the file.
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:60] or "report"


def _md_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(escaping.markdown, cells)) + " |"


MARKDOWN = Writers(markdown, _words_markdown, _md_verdicts)
LATEX = Writers(latex, _words_latex, _tex_verdicts)
