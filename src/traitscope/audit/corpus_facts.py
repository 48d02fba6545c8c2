"""The facts of a corpus as one frozen type, found by ``audit.corpus`` and shown by ``corpus``."""

from collections.abc import Mapping
from typing import Literal

from traitscope.config import Config


class SplitCounts(Config):
    """How much is in one split."""

    clips: int
    sources: int
    subjects: int
    transcripts: int
    empty_transcripts: int


class Sharing(Config):
    """What two splits have in common."""

    sources: int
    subjects: int


class SplitLabels(Config):
    """Labels of one target in one split; numbers are null without labels."""

    labels: int
    mean: float | None
    sd: float | None
    """Of the population."""
    icc_within_source: float | None


class LabelFacts(Config):
    """One target: what it means, and its labels."""

    name: str
    label: str
    low: float | None
    high: float | None
    direction: Literal[1, -1] | None
    optional: bool
    """Scored on request only."""
    icc_within_source: float | None
    splits: Mapping[str, SplitLabels]


class Structure(Config):
    """How targets go together, on clips with all labels; null where that is undefined."""

    clips: int
    correlations: Mapping[str, Mapping[str, float]] | None
    first_component: float | None
    """Share of the traits' variance that one component explains."""


class Missing(Config):
    """Clips without media."""

    count: int
    first: tuple[str, ...]


class Unseen(Config):
    """Test clips by whether their source was fitted."""

    seen: int
    unseen: int


class Reference(Config):
    """Scores of something that needs no model, on the official test clips."""

    name: str
    fit: str | None
    """Splits that it was fitted on."""
    shrinkage: int | None
    """Average clips that a look-up adds to each source."""
    scored: int
    accuracy: Mapping[str, float | None]
    """Target or ``macro``, which leaves optional targets out, -> score."""
    mse: Mapping[str, float | None]
    ccc_macro: float | None
    ccc_pooled: float | None


class Planned(Config):
    """What an evaluation could tell in one metric; see ``statistics.power``."""

    half_width: float
    difference: float


class Planning(Config):
    """What an evaluation on one split could tell."""

    clusters: int
    metrics: Mapping[str, Planned]


class Facts(Config):
    """What there is to know of a corpus before it is used."""

    name: str
    kind: str
    aggregate: str
    notes: tuple[str, ...]
    clips: int
    sources: int
    subjects: int
    missing_media: Missing
    splits: Mapping[str, SplitCounts]
    shared: Mapping[str, Sharing]
    """Pair of splits, such as ``train and test`` -> what both have."""
    targets: tuple[LabelFacts, ...]
    structure: Structure
    attributes: Mapping[str, int]
    """Attribute -> clips that have it."""
    unseen: Mapping[str, Unseen]
    """What was fitted -> test clips."""
    references: tuple[Reference, ...]
    planning: Mapping[str, Planning]
    warnings: tuple[str, ...]
