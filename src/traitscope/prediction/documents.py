"""Predictions -> one JSON document of a published shape, with what a reader must know of them.

``prediction.schema.json`` beside this file is made from the classes here (`schema`), for programs
in any language. A field may be added under the same version, and readers must bear it; one that
goes or changes its meaning raises `SCHEMA_VERSION`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field

from traitscope.answers import Prediction
from traitscope.prediction.judging import reference_of
from traitscope.runs.card import KINDS
from traitscope.statistics.conformal import LEVEL

if TYPE_CHECKING:
    from traitscope.media.folders import LeftOut
    from traitscope.runs.checkpoint import Checkpoint

SCHEMA_VERSION = 1
SCHEMA_FILE = Path(__file__).with_name("prediction.schema.json")

NOT = (
    "Not a statement about a person's character: a model's guess at {what}, "
    "trained on the corpus {corpus}. Not for decisions about people."
)

Share = Annotated[float, Field(ge=0, le=1)]
Percent = Annotated[float, Field(ge=0, le=100)]


class TargetPart(BaseModel):
    """One estimated quantity."""

    name: str
    label: str = Field(description="The name, with the direction where it surprises.")
    low: float | None = Field(description="Lower end of the range; null for z-scores.")
    high: float | None = Field(description="Upper end of the range; null for z-scores.")


class IntervalPart(BaseModel):
    """Where the label of a new person lies, with a probability."""

    low: float
    high: float
    level: Share


class CautionPart(BaseModel):
    """A reason to doubt the scores."""

    kind: str
    sentence: str


class PersonPart(BaseModel):
    """Whom of the recording the scores are of."""

    number: Annotated[int, Field(ge=1)]
    share: Share = Field(description="Of the looked-at pictures, those the person is in.")
    speaks: bool | None = Field(description="Lips move with the sound; null: cannot be told.")
    thumbnail: str = Field(description="A small JPEG of the face in base64, or empty.")


class TimelinePart(BaseModel):
    """Scores of windows along the recording."""

    starts: list[float] = Field(description="Seconds.")
    ends: list[float] = Field(description="Seconds; a window does not hold its end.")
    scores: dict[str, list[float | None]] = Field(description="Null where there is none.")
    spread: dict[str, float] = Field(description="Standard deviation over windows.")


class ClipPart(BaseModel):
    """The answer about one person in one clip, or the reason why there is none."""

    clip: str
    path: str
    status: str = Field(description="``ok``, or the kind of failure.")
    reason: str
    scores: dict[str, float] = Field(description="By target; empty unless ``ok``.")
    coverage: dict[str, Share] = Field(description="By stream: share of it that was there.")
    notes: list[str]
    backend: str | None = Field(description="What found the faces.")
    intervals: dict[str, IntervalPart]
    percentiles: dict[str, Percent] = Field(description="Training labels below the score.")
    warnings: list[CautionPart]
    person: PersonPart | None
    timeline: TimelinePart | None
    variance: dict[str, float] = Field(description="The model's own, where it has one.")


class LeftOutPart(BaseModel):
    """A file of a folder that is no clip."""

    file: str
    reason: str


class Document(BaseModel):
    """Predictions of one run."""

    schema_version: Literal[1]
    run: str
    model: str
    kind: str = Field(description="``apparent`` or ``self_reported``.")
    corpus: str = Field(description="What the run was trained on.")
    backend: str | None
    targets: list[TargetPart]
    note: str = Field(description="What the numbers are not.")
    covers: str = Field(description="What the intervals cover, in words; empty without them.")
    clips: list[ClipPart]
    left_out: list[LeftOutPart]


def schema() -> dict[str, Any]:
    """The JSON schema of a document, draft 2020-12."""
    tree = Document.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **tree}


def explain_use(checkpoint: "Checkpoint") -> str:
    """Say in one sentence what the numbers of a run are not."""
    facts = checkpoint.facts
    return NOT.format(what=KINDS[facts.kind].split(":")[0], corpus=facts.corpus)


def explain_intervals(members: "Sequence[Checkpoint]", level: float = LEVEL) -> str:
    """Say what the intervals of a run, or of the mean of several, cover."""
    return reference_of(members).explain(level)


def to_document(
    run: "Checkpoint | Sequence[Checkpoint]",
    predictions: Sequence[Prediction],
    left_out: "Sequence[LeftOut]" = (),
    *,
    level: float = LEVEL,
) -> dict[str, Any]:
    """Predictions with what a reader must know of them, as JSON values.

    Args:
        run: that made them; or several, whose mean they are.
        predictions: of its clips.
        left_out: files of the folders that are no clips.
        level: of the intervals.
    """
    members = run if isinstance(run, Sequence) else [run]
    checkpoint = members[0]
    facts = checkpoint.facts
    return {
        "schema_version": SCHEMA_VERSION,
        "run": ", ".join(str(one.folder) for one in members),
        "model": checkpoint.config.model["name"],
        "kind": facts.kind,
        "corpus": facts.corpus,
        "backend": checkpoint.backend,
        "targets": [
            {"name": t.name, "label": t.label, "low": t.low, "high": t.high} for t in facts.targets
        ],
        "note": explain_use(checkpoint),
        "covers": explain_intervals(members, level),
        "clips": [one.to_dict() for one in predictions],
        "left_out": [{"file": str(out.path), "reason": out.reason} for out in left_out],
    }
