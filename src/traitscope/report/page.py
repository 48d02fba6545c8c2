"""One self-contained HTML page: reports in, a file that needs no network out.

Everything that comes from data (clip names, reasons, run names) is escaped by the template or by
``svg``; styles and scripts are inlined, and nothing is requested: the page forbids itself any
request and any script but its own, should something ever slip through.
"""

from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from traitscope.audit.findings import Audit
from traitscope.errors import DataError, some
from traitscope.evaluation.report import Report
from traitscope.files import write_text
from traitscope.notes import Counted, meaning
from traitscope.report import figures, tables
from traitscope.report.audit_drawings import bars
from traitscope.report.audit_figures import audit_panels
from traitscope.report.audit_sentences import audit_words
from traitscope.report.audits import TITLES, AuditTable, audit_tables
from traitscope.report.ceilings import CeilingView, ceiling_view
from traitscope.report.checklist import Item, checklist
from traitscope.report.content import ROLES, Group, Part, flatten, plain, read_groups
from traitscope.report.noticed import noticed

History = Sequence[Mapping[str, Any]]
Card = Mapping[str, Any] | str


@dataclass(frozen=True)
class FailureView:
    """A clip without a score, and the reports that could not score it."""

    clip: str
    status: str
    reason: str
    reports: tuple[str, ...]


@dataclass(frozen=True)
class PartView:
    """One part of the clips, as tables."""

    part: Part
    headline: tables.Table
    by_metric: tuple[tuple[str, tables.Table], ...]
    headline_notes: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class AuditView:
    """One audit, ready for the template."""

    title: str
    words: str
    panels: tuple[figures.Panel, ...]
    bars: tuple[tuple[str, float], ...]
    tables: tuple[AuditTable, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class SystemView:
    """One report: its figures, facts, history, audits and card."""

    name: str
    report: Report
    traits: tuple[tuple[str, tuple[figures.Panel, ...]], ...]
    history: tuple[figures.Panel, ...]
    facts: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, str], ...]
    coverage: tuple[tuple[str, float], ...]
    card: tuple[tuple[str, str], ...]
    words: str
    audits: tuple[AuditView, ...]
    checklist: tuple[Item, ...]

    @property
    def clips(self) -> list[str]:
        """Ids of the scored clips, for the read-out under the pointer."""
        return list(self.report.points.clip)


@dataclass(frozen=True)
class GroupView:
    """One group of reports, ready for the template."""

    group: Group
    facts: tuple[tuple[str, str], ...]
    ceilings: tuple[CeilingView, ...]
    parts: tuple[PartView, ...]
    published: tuple[tables.Published, ...]
    systems: tuple[SystemView, ...]
    failures: tuple[FailureView, ...]
    statuses: tuple[tuple[str, int], ...]
    noticed: tuple[Counted, ...]


@dataclass(frozen=True)
class Beside:
    """What is shown beside the reports, by report name."""

    histories: Mapping[str, History]
    cards: Mapping[str, Card]
    audits: Mapping[str, Sequence[Audit]]


def write_report(
    reports: Sequence[Report],
    path: Path,
    *,
    histories: Mapping[str, History] | None = None,
    cards: Mapping[str, Card] | None = None,
    audits: Mapping[str, Sequence[Audit]] | None = None,
    opening: Markup | None = None,
) -> Path:
    """Write one or several reports as one HTML page that needs no network.

    Args:
        reports: one per evaluation; those on the same corpus and split stand in one table.
        path: the page; its folder is made.
        histories: report name -> one dict per epoch (``epoch``, ``train_loss``,
            ``validation_ccc`` ...).
        cards: report name -> what its author adds to the model card, as facts or as text.
        audits: report name -> its audits, as ``traitscope audit`` saved them.
        opening: a section before the others, such as the ranks of a suite; escaped already.

    Returns:
        The path that was written.

    Raises:
        DataError: there is no report, or ``path`` is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path} is a folder. Name a file, for example {path / 'report.html'}")
    beside = Beside(histories or {}, cards or {}, audits or {})
    views = [_view(group, beside) for group in read_groups(reports)]
    script = _asset("page.js")
    text = _template().render(
        views=views,
        opening=opening,
        title=_title(reports),
        # Of the newest report, not of this moment: the same reports give the same page.
        created=max(report.created for report in reports)[:19],
        style=Markup(_asset("page.css")),
        script=Markup(script),
        # the page's own policy allows this one script, so text from data can never run
        script_hash=f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}",
        licences=tables.licences(),
        roles=ROLES,
    )
    return write_text(path, text)


def _asset(name: str) -> str:
    return files("traitscope.report").joinpath(name).read_text(encoding="utf-8")


def _template() -> Any:
    # Whatever comes from data is escaped, and a field that the views lack is an error, not a blank.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["plain"] = plain
    environment.filters["some"] = some
    environment.filters["meaning"] = meaning
    environment.globals["metric"] = tables.metric
    return environment.from_string(_asset("page.html"))


def _title(reports: Sequence[Report]) -> str:
    names = list(dict.fromkeys(report.name for report in reports))
    return names[0] if len(names) == 1 else f"{len(names)} systems side by side"


def _view(group: Group, beside: Beside) -> GroupView:
    failures = _failures(group)
    return GroupView(
        group=group,
        facts=_facts(group),
        ceilings=tuple(ceiling_view(report, group) for report in group.reports),
        parts=tuple(_part(group, part) for part in group.parts),
        published=tables.published(group),
        systems=tuple(_system(report, group, beside) for report in group.reports),
        failures=failures,
        statuses=tuple(Counter(failure.status for failure in failures).most_common()),
        noticed=noticed(group.reports),
    )


def _part(group: Group, part: Part) -> PartView:
    notes = tables.Footnotes()
    headline = tables.headline(part, notes)
    # Kept before the tables of traits add reasons: each list stands below its own tables.
    first = tuple(notes.reasons)
    # the first tab is open: it must not be a column of "undefined"
    keys = sorted(part.metrics, key=lambda key: not _is_defined(part, key))
    by_metric = tuple((key, tables.per_trait(group, part, key, notes)) for key in keys)
    return PartView(part, headline, by_metric, first, tuple(notes.reasons))


def _is_defined(part: Part, metric: str) -> bool:
    return any(row.cell(metric, "macro").value is not None for row in part.rows)


def _system(report: Report, group: Group, beside: Beside) -> SystemView:
    name = report.name
    card, audits = beside.cards.get(name, ""), beside.audits.get(name, ())
    # coverage is drawn as bars where it is a share; the rest of a run is listed as it is
    run = dict(report.run)
    coverage = run.pop("coverage", None) or {}
    shares = [(k, v) for k, v in coverage.items() if isinstance(v, (int, float))]
    rest = {k: v for k, v in coverage.items() if not isinstance(v, (int, float))}
    if rest:
        run["coverage"] = rest
    return SystemView(
        name=name,
        report=report,
        traits=tuple(
            (trait.label, tuple(figures.panels(trait, name)))
            for trait in figures.read_traits(report)
        ),
        history=tuple(figures.history_panels(beside.histories.get(name, ()))),
        facts=tuple(flatten(run)),
        settings=tuple(flatten(report.model_dump(mode="json", include={"protocol", "scoring"}))),
        coverage=tuple((str(k), float(v)) for k, v in shares),
        card=() if isinstance(card, str) else tuple(flatten(card)),
        words=card if isinstance(card, str) else "",
        audits=tuple(_audit(audit) for audit in audits),
        checklist=checklist(report, group, audits, has_card=bool(card)),
    )


def _audit(audit: Audit) -> AuditView:
    return AuditView(
        title=TITLES[audit.audit],
        words=audit_words(audit),
        panels=tuple(audit_panels(audit)),
        bars=tuple(bars(audit)),
        tables=tuple(audit_tables(audit)),
        notes=audit.notes,
    )


def _facts(group: Group) -> tuple[tuple[str, str], ...]:
    """What was measured on what; values that differ between reports stand side by side."""
    readers: dict[str, Callable[[Report], Any]] = {
        "fitted on": lambda report: report.fit,
        "clips": lambda report: report.counts.clips,
        "scored": lambda report: report.counts.scored,
        "failed": lambda report: report.counts.failed,
        "sources": lambda report: report.counts.sources,
        "subjects": lambda report: report.counts.subjects,
        "clips fitted on": lambda report: report.counts.fitted_clips,
    }
    facts = [("corpus", group.corpus.name), ("split", group.split)]
    for key, read in readers.items():
        values = dict.fromkeys(plain(read(report)) for report in group.reports)
        facts.append((key, " / ".join(values)))
    protocols = dict.fromkeys(map(_protocol, group.reports))
    return (*facts, ("protocol", " / ".join(protocols)))


def _protocol(report: Report) -> str:
    """The settings that matter for this kind of protocol; all of them stand in the card."""
    protocol = report.protocol
    # The other settings change nothing there, and a reader would take their defaults for choices.
    keys = {"kfold": ("folds", "fold", "group"), "random": ("shares", "group")}
    settings = {key: getattr(protocol, key) for key in (*keys.get(protocol.kind, ()), "few")}
    shown = [f"{key} {plain(value)}" for key, value in settings.items() if value is not None]
    given = [f"manifest {report.manifest}"] if report.manifest else []
    return ", ".join([protocol.kind, *shown, *given])


def _failures(group: Group) -> tuple[FailureView, ...]:
    """Clips without a score, each once; a fusion repeats the reasons of its members."""
    seen: dict[tuple[str, str], list[str]] = {}
    reasons: dict[tuple[str, str], str] = {}
    for report in group.reports:
        for failure in report.failures:
            # One clip may fail one system by its pictures and another by its sound: both are told.
            key = (failure.clip, failure.status)
            seen.setdefault(key, []).append(report.name)
            reasons.setdefault(key, failure.reason)
    return tuple(FailureView(*key, reasons[key], tuple(names)) for key, names in seen.items())
