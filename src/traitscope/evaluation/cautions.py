"""Scored clips in, sentences out on what a reader must know of them beside the numbers."""

from collections.abc import Sequence

from traitscope.errors import some
from traitscope.evaluation.scoring import Truth
from traitscope.evaluation.tables import Predictions
from traitscope.types import Clip, Corpus

FEW_CLUSTERS = 30
"""Below so many sources or people, intervals are called rough."""


def cautions(read: Predictions, truth: Truth, corpus: Corpus, asked: Sequence[Clip]) -> list[str]:
    """What a reader must know about the clips and targets behind the numbers."""
    extra = [target.name for target in corpus.optional if target.name in read.targets]
    said = []
    if extra:
        said.append(
            f"Macro scores include {', '.join(extra)}: published ones are over the traits alone."
        )
    if read.failures:
        names = [f"{failure.clip} ({failure.status})" for failure in read.failures]
        said.append(
            f"{len(names)} of {len(asked)} clips are not scored: {some(names)}. "
            f"Compare with others on the same clips only."
        )
    known = any(clip.source != clip.id for clip in asked)
    if known and all(clip.subject is None for clip in asked):
        said.append(
            f"{corpus.name}: subjects are not known, so sources that were not fitted may show "
            f"people who were: what is source-disjoint is not person-disjoint."
        )
    clusters = len(set(truth.clusters))
    if clusters < FEW_CLUSTERS:
        said.append(f"Only {clusters} sources or people: intervals are rough, or missing.")
    if len(read.seeds) > 1:
        said.append(
            f"Scores are means over {len(read.seeds)} seeds, and their intervals are over seeds "
            f"and people; the ensemble, which averages predictions, has a row of its own."
        )
    return said


def unknown_clusters(clips: Sequence[Clip]) -> list[str]:
    """Say that clips are taken for independent because nothing tells which belong together."""
    if any(clip.subject is not None or clip.source != clip.id for clip in clips):
        return []
    return [
        "Neither source nor subject of the clips is known: intervals and tests take each clip for "
        "another person's. Where people occur twice they are too narrow, and nothing tells seen "
        "from unseen people. Add a column subject or source to the labels."
    ]
