"""The report of an evaluation as one type: written, read and checked here and nowhere else.

In: what an evaluation found, or a ``report.json``. Out: a frozen ``Report``, or the file. Whoever
shows, compares or fuses evaluations reads attributes; a damaged or foreign file is refused here.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, NonNegativeInt, PositiveInt, ValidationError

from traitscope.config import Config
from traitscope.data.protocols import Protocol
from traitscope.errors import DataError, TraitscopeError
from traitscope.files import write_json
from traitscope.statistics.intervals import RANK_RESAMPLES, RESAMPLES
from traitscope.statistics.metrics import Score
from traitscope.types import Corpus, Target

SCHEMA = 1
"""Raised when a key changes its meaning or goes; reports of other schemas are made again."""
Role = Literal["model", "constant", "lookup", "lookup_shrunk", "metadata", "permuted"]
Columns = Mapping[str, tuple[float | None, ...]]
"""Target -> one value per clip, None where a label is missing."""


class Scoring(Config):
    """How predictions are scored."""

    aggregate: Literal["clip", "subject"] | None = None
    """subject: average predictions and labels over the clips of a person before any metric; null:
    as the corpus says, which is by subject where labels belong to people."""
    resamples: PositiveInt = RESAMPLES
    """Resamples of the clustered intervals."""
    rank_resamples: PositiveInt = RANK_RESAMPLES
    """Resamples of Spearman's intervals."""
    media_hash: bool = True
    """Compare the bytes of media files of equal size in the leakage check."""
    seed: NonNegativeInt = 0
    """Of intervals, tests and permuted labels."""

    def for_corpus(self, corpus: Corpus) -> "Scoring":
        """Fill in what the corpus decides."""
        return self.model_copy(update={"aggregate": self.aggregate or corpus.aggregate})


class Failure(Config):
    """A clip that was asked for and could not be scored."""

    clip: str
    status: str
    """The word for it: ``missing``, ``nan``, ``no_label``, ``no_face`` ..."""
    reason: str


class TargetFacts(Config):
    """One target as the labels mean it."""

    name: str
    label: str
    """The name as tables write it, with the direction where it surprises."""
    low: float | None
    high: float | None
    direction: Literal[1, -1] | None

    @property
    def target(self) -> Target:
        """Without the label, which follows from the rest."""
        return Target(self.name, self.low, self.high, self.direction)


class CorpusFacts(Config):
    """Where the labels come from."""

    name: str
    kind: str
    targets: tuple[TargetFacts, ...]
    notes: tuple[str, ...]
    address: str | None
    """Where the labels are found again; null where they were given in memory."""


class Counts(Config):
    """How much was asked for, scored and fitted."""

    clips: int
    scored: int
    failed: int
    sources: int
    subjects: int | None
    fitted_clips: int


class Repeated(Config):
    """One macro score of every repetition; mean and sd are null where a score is undefined."""

    values: tuple[float | None, ...]
    mean: float | None
    sd: float | None


class Spread(Config):
    """Macro scores of each repetition (seed or member) apart.

    In the file the metrics stand beside ``seeds``, so they are the keys that are not declared.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Repeated]

    seeds: tuple[int, ...]

    @property
    def metrics(self) -> Mapping[str, Repeated]:
        """Metric -> its scores."""
        return self.__pydantic_extra__


class ScoredRow(Config):
    """The scores of the model, or of one baseline."""

    name: str
    role: Role
    metrics: Mapping[str, Mapping[str, Score]]
    """Metric -> target or ``macro`` -> score with interval, or the reason why there is none."""
    pooled: Mapping[str, Score]
    """Metric -> its score over all targets as one long vector."""
    seeds: Spread | None = None
    """Of a system that was trained several times."""

    def macro(self, metric: str) -> Score:
        """The score over all targets."""
        return self.metrics[metric]["macro"]


class Part(Config):
    """Rows on the same clips: all of them, or those from sources that were never fitted."""

    title: str
    clips: int
    sources: int
    rows: tuple[ScoredRow, ...]
    reason: str | None = None
    """Why there are no rows."""

    @property
    def model(self) -> ScoredRow:
        """The row of the system under test; a part without clips has none."""
        return next(row for row in self.rows if row.role == "model")


class Points(Config):
    """Labels and predictions to plot, clip by clip."""

    clip: tuple[str, ...]
    true: Columns
    predicted: Columns
    baselines: Mapping[str, Columns]
    """Role of a baseline -> its predictions."""
    source: tuple[str, ...]


class Members(Config):
    """What a fusion was made of."""

    members: tuple[str, ...]
    method: str
    weights: Mapping[str, Mapping[str, float]]
    """Member -> target -> weight."""
    scores: Spread
    """Of the members, on the clips that all of them have."""


class Report(Config):
    """Everything one evaluation says: the content of ``report.json``."""

    name: str
    created: str
    corpus: CorpusFacts
    predicted: tuple[Target, ...] | None
    """What a model of another corpus predicted, before directions and ranges were aligned."""
    protocol: Protocol
    scoring: Scoring
    split: str
    fit: tuple[str, ...]
    counts: Counts
    failures: tuple[Failure, ...]
    parts: Mapping[str, Part]
    """``all``, and ``source_disjoint`` where some sources were fitted."""
    warnings: tuple[str, ...]
    points: Points
    run: Mapping[str, Any]
    """Facts about the system behind the numbers, shown as they are; empty for a mere table."""
    folds: Mapping[str, Repeated] | None = None
    """Metric -> macro scores of each fold apart, for a run per fold."""
    members: Members | None = None
    """Of a fusion."""

    @property
    def everything(self) -> Part:
        """The part of all scored clips."""
        return self.parts["all"]

    @property
    def targets(self) -> tuple[Target, ...]:
        """What was predicted: the targets of the labels, or of the corpus that was fitted."""
        predicted = {target.name: target for target in self.predicted or ()}
        return tuple(predicted.get(facts.name, facts.target) for facts in self.corpus.targets)


def to_json(report: Report) -> dict[str, Any]:
    """Write a report as JSON values; what only some reports have is left out of the others."""
    tree = {"schema": SCHEMA, **report.model_dump(mode="json")}
    # keys that most reports lack stay absent, as readers of older files expect
    parts = list(tree["parts"].values())
    rows = [row for part in parts for row in part["rows"]]
    for place in (tree, *parts, *rows):
        for key in {"folds", "members", "reason", "seeds"} & set(place):
            if place[key] is None:
                del place[key]
    return tree


def from_json(tree: Any, *, where: str) -> Report:
    """Check JSON values and make a report of them.

    Args:
        tree: what the file holds.
        where: what the values came from, for the message.

    Raises:
        DataError: they are no report, or one of another version.
    """
    schema = tree.get("schema") if isinstance(tree, dict) else None
    if schema != SCHEMA:
        what = "is no report" if schema is None else f"has the schema {schema!r}"
        raise DataError(f"{where} {what}; this version reads {SCHEMA}. {_cure(where)}")
    try:
        report = Report.model_validate({k: v for k, v in tree.items() if k != "schema"})
    except ValidationError as error:
        first, *others = error.errors(include_url=False, include_input=False)
        place = ".".join(map(str, first["loc"]))
        more = f" (and {len(others)} more faults)" if others else ""
        raise DataError(
            f"{where} is damaged: {place}: {first['msg']}{more}. {_cure(where)}"
        ) from error
    except TraitscopeError as error:  # a value that checks itself, such as the range of a target
        raise DataError(f"{where} is damaged: {error} {_cure(where)}") from error
    if "all" not in report.parts:
        raise DataError(f"{where} is damaged: it has no part of all clips. {_cure(where)}")
    return report


def save_report(report: Report, path: Path) -> None:
    """Write a report as ``report.json``."""
    write_json(path, to_json(report))


def read_report(run: Path | str, *, split: str = "test") -> Report:
    """Read the report of an evaluated run, or a report file.

    Raises:
        DataError: the run was not evaluated on that split, or the file is damaged or foreign.
    """
    path = Path(run)
    if path.is_dir():
        # a run keeps one folder per split; what evaluate --to wrote is such a folder itself
        places = [path / "evaluation" / split / "report.json", path / "report.json"]
        path = next((place for place in places if place.is_file()), places[0])
    if not path.is_file():
        raise DataError(
            f"There is no {path}. Make it with: traitscope evaluate {run} --split {split}"
        )
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is damaged: {error}. {_cure(str(path))}") from error
    return from_json(tree, where=str(path))


def _cure(where: str) -> str:
    """The command that writes the file again, as far as its place tells it."""
    place = Path(where).parent
    if place.parent.name != "evaluation":
        return "Evaluate again with: traitscope evaluate"
    return f"Evaluate again with: traitscope evaluate {place.parent.parent} --split {place.name}"
