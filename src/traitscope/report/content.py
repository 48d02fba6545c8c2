"""What a report says, before it is laid out: reports in, groups of tables out.

Reports that share corpus and split become one group: their model rows stand in one table and
equal baselines stand in it once. Numbers are formatted here, once, for every kind of output.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from traitscope.errors import DataError
from traitscope.evaluation.report import CorpusFacts, Report, ScoredRow, TargetFacts, Verdict
from traitscope.statistics.metrics import Score


@dataclass(frozen=True)
class Metric:
    """How a metric is headed, explained and rounded."""

    key: str
    label: str
    about: str
    digits: int = 3


METRICS: Mapping[str, Metric] = {
    m.key: m
    for m in (
        Metric("accuracy", "accuracy", "1 − mean absolute error (ChaLearn); high is good", 4),
        Metric("skill", "skill", "1 − MAE / MAE of the constant; 0 is no better than it"),
        Metric("ccc", "CCC", "concordance; 1 is agreement, 0 none; macro over traits"),
        Metric("pearson", "Pearson r", "linear correlation; blind to offset and scale"),
        Metric("r2", "R²", "share of label variance explained; below 0 is worse than their mean"),
        Metric("mae", "MAE", "mean absolute error; low is good", 4),
        Metric("rmse", "RMSE", "root mean squared error; low is good", 4),
        Metric("mse", "MSE", "mean squared error; low is good", 4),
        Metric("spearman", "Spearman ρ", "rank correlation"),
        Metric("cosine", "cosine", "cosine of the score vectors; high even for a constant"),
    )
}
HEADLINE = ("accuracy", "skill", "ccc", "pearson", "r2", "mae")

ROLES: Mapping[str, tuple[str, str]] = {
    "model": ("model", "the system under test; of several seeds, the mean of their scores"),
    "ensemble": ("ensemble", "the mean of the predictions of all seeds: another system"),
    "seed": ("seed", "one training of the system"),
    "constant": (
        "constant (mean)",
        "one value per trait for every clip: the mean of the fitted labels",
    ),
    "median": ("constant (median)", "the same with their median, which has the least error"),
    "lookup": (
        "look-up by source",
        "the mean fitted label of the source or person; sees no video",
    ),
    "lookup_shrunk": ("look-up by source, shrunk", "the same, pulled towards the constant"),
    "metadata": ("metadata only", "regression on clip attributes; sees no video"),
    "permuted": ("permuted labels", "labels of fitted clips drawn at random: what chance gives"),
}
SYSTEMS = frozenset({"model", "ensemble", "seed"})
"""Roles of rows that stand for what was evaluated, under its own name; the rest are baselines."""
KINDS: Mapping[str, tuple[str, str]] = {
    "apparent": (
        "apparent personality traits",
        "Labels are what observers perceived in a clip, not what the person is like.",
    ),
    "self_reported": (
        "self-reported personality traits",
        "Labels are people's own questionnaire answers, with the errors such answers have.",
    ),
}


@dataclass(frozen=True)
class Cell:
    """One number of a table.

    Attributes:
        value: the number; None when undefined.
        low: lower end of the 95 % interval, when there is one.
        high: upper end.
        sd: over seeds, where the number is a mean over several.
        reason: why the number is undefined.
        digits: decimals to print.
        mark: number of the footnote that gives the reason.
        where: left, width and middle of interval and value on the column's scale, in percent.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    sd: float | None = None
    reason: str = ""
    digits: int = 3
    mark: int = 0
    where: tuple[float, float, float] | None = None

    @property
    def text(self) -> str:
        """The rounded value, or the word undefined."""
        return "undefined" if self.value is None else number(self.value, self.digits)

    @property
    def interval(self) -> str:
        """The rounded 95 % interval, empty when there is none."""
        if self.value is None or self.low is None or self.high is None:
            return ""
        return f"{number(self.low, self.digits)} to {number(self.high, self.digits)}"

    @property
    def spread(self) -> str:
        """The rounded sd over seeds, empty when there are not several."""
        return "" if self.value is None or self.sd is None else f"± {number(self.sd, self.digits)}"


@dataclass(frozen=True)
class Row:
    """One system in a table: a model or a baseline, with its metrics.

    Attributes:
        name: the model, or the report that the baseline was computed for.
        role: a key of ROLES.
        metrics: metric -> target or ``macro`` -> score.
        twin: the table has another baseline of this role, so the label must tell them apart.
        people: people are known, so that look-ups go by them as well.
    """

    name: str
    role: str
    metrics: Mapping[str, Mapping[str, Score]]
    twin: bool = False
    people: bool = False

    @property
    def label(self) -> str:
        """The model's name, or what the baseline is called."""
        if self.role in SYSTEMS:
            return self.name
        label = ROLES[self.role][0]
        if self.people:
            label = label.replace("by source", "by source and person")
        return f"{label} (beside {self.name})" if self.twin else label

    @property
    def about(self) -> str:
        """One line on what the system is."""
        return ROLES[self.role][1]

    def cell(self, metric: str, target: str) -> Cell:
        """Read one number; what is absent or not finite is undefined, with a reason."""
        score = self.metrics.get(metric, {}).get(target)
        digits = METRICS[metric].digits if metric in METRICS else 3
        if score is None:
            return Cell(None, reason="not in this report", digits=digits)
        value = finite(score.value)
        # A blank would be taken for a fault of the page.
        reason = score.reason or ("" if value is not None else "no reason was given")
        ends = finite(score.low), finite(score.high)
        return Cell(value, *ends, finite(score.sd), reason, digits)


@dataclass(frozen=True)
class Part:
    """The rows of one part of the clips (all, source-disjoint)."""

    key: str
    title: str
    clips: tuple[int, ...]
    sources: tuple[int, ...]
    clusters: tuple[int, ...]
    rows: tuple[Row, ...]
    reason: str = ""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that any row has: known ones in their usual order, then others by name."""
        scored = {key for row in self.rows for key in row.metrics}
        return (*(k for k in METRICS if k in scored), *sorted(scored - set(METRICS)))


@dataclass(frozen=True)
class Group:
    """Reports on one corpus and split, side by side."""

    reports: tuple[Report, ...]
    targets: tuple[TargetFacts, ...]
    parts: tuple[Part, ...]
    verdicts: tuple[Verdict, ...] = ()
    warnings: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def corpus(self) -> CorpusFacts:
        """Name, kind, targets and notes of the corpus."""
        return self.reports[0].corpus

    @property
    def split(self) -> str:
        """The split that was scored."""
        return self.reports[0].split

    @property
    def units(self) -> str:
        """What was scored: clips, or people where their clips were averaged."""
        return "people" if self.reports[0].scoring.aggregate == "subject" else "clips"

    @property
    def kind(self) -> tuple[str, str]:
        """What was measured, and a sentence on what that means."""
        return kind_of(self.corpus)


def read_groups(reports: Sequence[Report]) -> tuple[Group, ...]:
    """Sort reports into groups by corpus and split, in the order given.

    Raises:
        DataError: there is no report.
    """
    if not reports:
        raise DataError("There is no report to write. Give at least one report.json.")
    together: dict[tuple[str, str], list[Report]] = {}
    for report in reports:
        together.setdefault((report.corpus.name, report.split), []).append(report)
    return tuple(_group(tuple(members)) for members in together.values())


def kind_of(corpus: CorpusFacts) -> tuple[str, str]:
    """What a corpus measures, and a sentence on what that means."""
    return KINDS.get(corpus.kind, (f"{corpus.kind} traits", ""))


def number(value: float, digits: int) -> str:
    """Round for people, with a real minus sign and no minus zero."""
    text = f"{value:.{digits}f}"
    if float(text) == 0:  # "-0.000" would claim a direction that rounding took away
        text = text.lstrip("-")
    return text.replace("-", "−")


def finite(value: Any) -> float | None:
    """Return a finite float, or None for what is absent, infinite or not a number."""
    # a bool is an int to Python, and would be drawn as 0 or 1
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Walk nested settings as dotted keys with their values as text."""
    for key, value in tree.items():
        name = f"{prefix}{key}"
        # An empty mapping is a value too: walked into, its key would vanish.
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{name}.")
        else:
            yield name, plain(value)


def plain(value: Any) -> str:
    """Write a setting as people read it."""
    # 0 and False are answers, and no dashes: they equal none of these.
    if value is None or value in ("", [], {}):
        return "–"
    # Before the numbers: to Python a bool is one of them.
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        # Groups of three from five digits on: four may be a year.
        return f"{value:,}".replace(",", " ") if abs(value) >= 10000 else str(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(item) for item in value)
    return str(value)


def target_label(facts: TargetFacts) -> str:
    """The name of a target as tables write it, with its direction where that surprises.

    The declared direction decides, not the label in the file: a key called neuroticism that means
    its opposite is never shown under the plain name.
    """
    return facts.target.label if facts.direction == -1 else facts.label


def _group(reports: tuple[Report, ...]) -> Group:
    # Reports need not have the same targets: a table shows all that any of them has.
    targets: dict[str, TargetFacts] = {}
    for report in reports:
        for facts in report.corpus.targets:
            targets.setdefault(facts.name, facts)
    keys = dict.fromkeys(key for report in reports for key in report.parts)
    parts = tuple(_part(key, reports) for key in keys)
    return Group(
        reports=reports,
        targets=tuple(targets.values()),
        parts=parts,
        verdicts=tuple(dict.fromkeys(v for report in reports for v in report.verdicts)),
        warnings=_warnings(reports, parts),
        labels={"macro": "macro", **{n: target_label(t) for n, t in targets.items()}},
    )


def _part(key: str, reports: Sequence[Report]) -> Part:
    having = [report for report in reports if key in report.parts]
    parts = [report.parts[key] for report in having]
    models: list[Row] = []
    baselines: list[Row] = []
    for report, part in zip(having, parts, strict=True):
        for scored in part.rows:
            people = report.counts.subjects is not None
            row = Row(_name(scored, report), scored.role, scored.metrics, people=people)
            (models if row.role in SYSTEMS else baselines).append(row)
    return Part(
        key=key,
        title=parts[0].title,
        clips=tuple(sorted({part.clips for part in parts})),
        sources=tuple(sorted({part.sources for part in parts})),
        # Where people are not known, sources are the clusters.
        clusters=tuple(sorted({part.clusters or part.sources for part in parts})),
        rows=(*models, *_once(baselines)),
        reason="; ".join(dict.fromkeys(part.reason for part in parts if part.reason)),
    )


def _name(row: ScoredRow, report: Report) -> str:
    return row.name if row.role in SYSTEMS else report.name


def _once(rows: Sequence[Row]) -> list[Row]:
    """Keep equal baselines once; where they differ, the name says which report one is from."""
    order = list(ROLES)
    kept: list[Row] = []
    for row in rows:
        # Equal to the last digit: computed on the same clips from the same fitted labels.
        if not any(row.role == other.role and row.metrics == other.metrics for other in kept):
            kept.append(row)
    roles = [row.role for row in kept]
    named = [replace(row, twin=roles.count(row.role) > 1) for row in kept]
    # from the simplest to the strangest, wherever a report has them
    return sorted(named, key=lambda row: order.index(row.role))


def _warnings(reports: Sequence[Report], parts: Sequence[Part]) -> tuple[str, ...]:
    warnings = [warning for report in reports for warning in report.warnings]
    if len(reports) > 1:
        warnings += [
            f"{part.title}: the systems were scored on different numbers of clips "
            f"({', '.join(map(str, part.clips))}), so their rows are not strictly comparable."
            for part in parts
            if len(part.clips) > 1
        ]
        if len({report.fit for report in reports}) > 1:
            warnings.append("The systems were fitted on different splits; see the facts of each.")
    # Reports on one corpus warn alike.
    return tuple(dict.fromkeys(warnings))
