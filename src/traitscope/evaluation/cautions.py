"""Scored clips in, sentences out on what a reader must know of them beside the numbers."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from traitscope.errors import counted, some
from traitscope.evaluation.scoring import Truth
from traitscope.evaluation.systems import System
from traitscope.evaluation.tables import Predictions, open_predictions
from traitscope.runs.card import searched_words
from traitscope.types import Clip, Corpus

# a convention: `benchmarks/intervals` was run with 60 clusters, and of few nothing was measured
FEW_CLUSTERS = 30
"""Below so many sources or people, intervals are called rough."""


def cautions(read: Predictions, truth: Truth, corpus: Corpus, asked: Sequence[Clip]) -> list[str]:
    """What a reader must know about the clips and targets behind the numbers."""
    # published macro scores leave "interview" out, so that ours are not theirs where it is in
    extra = [target.name for target in corpus.optional if target.name in read.targets]
    sentences = []
    if extra:
        sentences.append(
            f"Macro scores include {', '.join(extra)}: published ones are over the traits alone."
        )
    if read.failures:
        names = [f"{failure.clip} ({failure.status})" for failure in read.failures]
        sentences.append(
            f"{len(names)} of {len(asked)} clips are not scored: {some(names)}. "
            f"Compare with others on the same clips only."
        )
    # recordings are not people: one who was filmed twice may be on both sides
    known = any(clip.source != clip.id for clip in asked)
    if known and all(clip.subject is None for clip in asked):
        sentences.append(
            f"{corpus.name}: subjects are not known, so sources that were not fitted may show "
            f"people who were: what is source-disjoint is not person-disjoint."
        )
    clusters = len(set(truth.clusters))
    if clusters < FEW_CLUSTERS:
        few = counted(clusters, "source or person", "sources or people")
        sentences.append(f"Only {few}: intervals are rough, or missing.")
    copies = [
        f"{one} and {other}"
        for (one, first), (other, second) in combinations(
            zip(read.seeds, read.values, strict=True), 2
        )
        # Two trainings never come so close, even where both learnt next to nothing.
        if np.allclose(first, second, rtol=0, atol=1e-9)
    ]
    if copies:
        sentences.append(
            f"Seeds {some(copies)} have equal predictions: they are copies, and what another "
            f"training would give is underestimated."
        )
    if len(read.seeds) > 1:
        sentences.append(
            f"Scores are means over {len(read.seeds)} seeds, and their intervals are over seeds "
            f"and people; the ensemble, which averages predictions, has a row of its own."
        )
    return sentences


def unused_columns(system: System) -> list[str]:
    """Say that a table speaks of splits or folds, which are not those of its evaluation."""
    _, frame, _ = open_predictions(system.table)
    sentences = []
    if "fold" in frame and system.protocol.fold != "all":
        sentences.append(
            "The predictions have a column fold, which is not used because the labels have a split "
            "of their own. Predictions of cross-validation were fitted on scored clips: score them "
            "on labels without a split."
        )
    # a table of another split fits by chance where ids repeat; then it is scored as what it is not
    splits = set(frame["split"].astype(str)) - {"", "nan", "None"} if "split" in frame else set()
    if splits and system.split not in splits:
        sentences.append(
            f"The column split of the predictions says {some(sorted(splits))}, and they are scored "
            f"as {system.split}, as the labels have it."
        )
    return sentences


def searched(system: System) -> list[str]:
    """Say that a search has looked at the validation clips."""
    facts = system.run.get("searched")
    words = searched_words(facts) if isinstance(facts, Mapping) else ""
    return [words] if words else []


def unknown_clusters(clips: Sequence[Clip]) -> list[str]:
    """Say that clips are taken for independent because nothing tells which belong together."""
    # a clip without a source is its own: one alone that has another tells that sources are known
    if any(clip.subject is not None or clip.source != clip.id for clip in clips):
        return []
    return [
        "Neither source nor subject of the clips is known: intervals and tests take each clip for "
        "another person's. Where people occur twice they are too narrow, and nothing tells seen "
        "from unseen people. Add a column subject or source to the labels."
    ]
