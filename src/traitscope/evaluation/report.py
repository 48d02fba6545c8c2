"""The report of an evaluation as one type: written, read and checked here and nowhere else.

Whoever shows, compares or fuses evaluations reads attributes of a frozen ``Report``; a damaged or
foreign ``report.json`` is refused here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, NonNegativeInt, PositiveInt, ValidationError

from traitscope.config import Config
from traitscope.data.protocols import Protocol
from traitscope.errors import DataError, TraitscopeError
from traitscope.files import read_json, write_json
from traitscope.statistics.intervals import RESAMPLES
from traitscope.statistics.metrics import Score
from traitscope.statistics.rank_intervals import RANK_RESAMPLES
from traitscope.types import Corpus, Target

SCHEMA = 2
"""Raised when a key changes its meaning or goes; reports of other schemas are made again."""
Role = Literal[
    "model",
    "ensemble",
    "seed",
    "constant",
    "median",
    "lookup",
    "lookup_shrunk",
    "metadata",
    "permuted",
]
"""What a row is: ``model`` is the system under test (the mean over its seeds, where it has
several, with ``ensemble`` and each ``seed`` beside it); the rest are baselines."""
VerdictKind = Literal[
    "better",
    "no_better",
    "scale",
    "weak",
    "worthless",
    "inverted",
    "undecided",
    "nothing_unseen",
    "other_scale",
    "out_of_range",
    "direction",
    "swapped",
    "above_ceiling",
    "halo",
    "seeds",
    "missing",
]
"""What a verdict says; see ``verdicts``. Kinds are stable: other programs may rely on them."""
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
    clusters: int | None = None
    """Groups by source and person that intervals are over, where these are not the sources."""
    reason: str | None = None
    """Why there are no rows."""

    @property
    def model(self) -> ScoredRow:
        """The row of the system under test; a part without clips has none."""
        return next(row for row in self.rows if row.role == "model")


class Verdict(Config):
    """One sentence on what the numbers mean, the same wherever a report is shown."""

    kind: VerdictKind
    part: str
    """Key of the part that it is about."""
    targets: tuple[str, ...] = ()
    """Names of the targets that it is about; none where it is about all."""
    against: Role | None = None
    """The strongest baseline, where the system was held against one."""
    text: str


class TargetCeiling(Config):
    """How good predictions of one target can get, because raters do not agree."""

    target: str
    raters: int
    clips: int
    per_clip: float
    """Ratings per clip, on average."""
    icc: Mapping[str, Score]
    """Intraclass correlations ``1,1`` and ``1,k``; with crossed raters also ``2,`` and ``3,``."""
    basis: str
    """The coefficient that the ceiling rests on."""
    r_max: Score
    """Correlation with the labels that a perfect system would have: the root of the ICC."""
    accuracy: Score
    """Accuracy that a perfect system would have, with normal errors of the labels."""
    disattenuated: Score
    """Correlation of the model divided by ``r_max``."""


class Ceiling(Config):
    """What the reliability of the labels allows; without targets it is unknown."""

    targets: tuple[TargetCeiling, ...]
    text: str
    """How it was found, or why it is unknown and what others say."""


class Halo(Config):
    """How much of labels, predictions and skill is one general impression of a clip."""

    part: str
    labels: float | None
    """Share of the variance of the labels that one component explains."""
    predictions: float | None
    skill: Score
    """Macro skill left after each clip's mean over traits is removed from all."""
    pearson: Score
    """Macro correlation left then."""
    text: str


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
    verdicts: tuple[Verdict, ...]
    """What the numbers mean, the most important first."""
    warnings: tuple[str, ...]
    ceiling: Ceiling
    halo: Halo | None
    """Null where fewer than three traits were scored."""
    points: Points
    run: Mapping[str, Any]
    """Facts about the system behind the numbers, shown as they are; empty for a mere table."""
    noted: Mapping[str, tuple[str, ...]] = {}
    """Clip -> what was noticed of its media and its people (`traitscope.notes`), where anything
    was."""
    folds: Mapping[str, Repeated] | None = None
    """Metric -> macro scores of each fold apart, for a run per fold."""
    members: Members | None = None
    """Of a fusion."""
    manifest: str | None = None
    """File that gave the splits, with the hash of its content; of no other split."""

    @property
    def everything(self) -> Part:
        """The part of all scored clips."""
        return self.parts["all"]

    @property
    def leading(self) -> str:
        """Key of the part that says what carries over: unseen sources, where some are left."""
        apart = self.parts.get("source_disjoint")
        return "source_disjoint" if apart is not None and apart.rows else "all"

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
        for key in {"clusters", "folds", "manifest", "members", "reason", "seeds"} & set(place):
            if place[key] is None:
                del place[key]
    if not tree["noted"]:
        del tree["noted"]
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


def save_report(report: Report, path: Path) -> Report:
    """Write a report as ``report.json``, and give it back."""
    write_json(path, to_json(report))
    return report


def read_report(run: Path | str, *, split: str = "test") -> Report:
    """Read the report of an evaluated run, or a report file.

    Raises:
        DataError: the run was not evaluated on that split, or the file is damaged or foreign.
    """
    refuse_table(path := Path(run))
    if path.is_dir():
        # a run keeps one folder per split; what evaluate --to wrote is such a folder itself
        places = [path / "evaluation" / split / "report.json", path / "report.json"]
        path = next((place for place in places if place.is_file()), places[0])
    if not path.is_file():
        raise DataError(
            f"There is no {path}. Make it with: traitscope evaluate {run} --split {split}"
        )
    return from_json(read_json(path, damaged=_cure(str(path))), where=str(path))


def refuse_table(path: Path) -> None:
    """Say how a mere table becomes what other verbs take."""
    if path.suffix.lower() in {".csv", ".tsv", ".txt"}:
        raise DataError(
            f"{path} is a table without a report. Score it first, and name the folder: traitscope "
            f"evaluate --predictions {path} --labels CORPUS --to FOLDER"
        )


def _cure(where: str) -> str:
    """The command that writes the file again, as far as its place tells it."""
    place = Path(where).parent
    if place.parent.name != "evaluation":
        return "Evaluate again with: traitscope evaluate"
    return f"Evaluate again with: traitscope evaluate {place.parent.parent} --split {place.name}"
