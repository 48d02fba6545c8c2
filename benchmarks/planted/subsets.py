"""One trained run scored with streams taken away: what each of them gives, and what it should give.

Nothing is trained again: a model that learnt with modality dropout must do with whatever a
recording has. A stream that is removed may cost as much R2 as the behaviours explain that no other
stream carries; more would be a model that leans on one stream where another knows as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from benchmarks.planted.cases import FACE, ORDER, VOICE
from benchmarks.planted.measuring import attainable
from benchmarks.planted.running import Place
from traitscope.corpora import load_corpus
from traitscope.data.loader import Loader, reading
from traitscope.data.protocols import Protocol, split
from traitscope.features.remote import open_store
from traitscope.runs.checkpoint import Checkpoint, load

CARRIES = {"signals": (*FACE, *ORDER), "short_term": (*VOICE, *ORDER)}
"""Stream -> behaviours that show in it."""


@dataclass(frozen=True)
class Subset:
    """What is left with some streams.

    Attributes:
        streams: that were shown.
        r2: macro R2 on new people.
        attainable: of a ridge on the behaviours that these streams carry.
    """

    streams: tuple[str, ...]
    r2: float
    attainable: float


def subsets(place: Place, run: Path) -> list[Subset]:
    """Score every subset of a run's streams on the test people, all streams first."""
    checkpoint, corpus = load(run), load_corpus(place.address)
    clips = split(corpus, Protocol()).test
    labels = corpus.with_clips(clips).labels()
    names = tuple(checkpoint.draws)
    every = [shown for count in range(len(names), 0, -1) for shown in combinations(names, count)]
    rows = []
    for shown in every:
        values = _predicted(checkpoint, place, clips, shown)
        r2 = 1 - ((labels - values) ** 2).mean(axis=0) / labels.var(axis=0)
        known = {behaviour for stream in shown for behaviour in CARRIES[stream]}
        hidden = tuple(name for name in (*FACE, *VOICE, *ORDER) if name not in known)
        reach = attainable(place.corpus, corpus, hidden)
        rows.append(Subset(shown, float(r2.mean()), reach))
    return rows


def _predicted(
    checkpoint: Checkpoint, place: Place, clips: Sequence, shown: tuple[str, ...]
) -> np.ndarray:
    """Scores (clips, targets) of clips that have but these streams."""
    examples = checkpoint.examples(clips, open_store(place.store))
    parts, columns = [], examples.columns()
    with reading([examples], 0) as readers:
        for batch in Loader(examples, batch_size=32, readers=readers):
            masks = {n: mask if n in shown else mask & False for n, mask in batch.masks.items()}
            parts.append(checkpoint.predict(replace(batch, masks=masks, columns=columns)))
    return np.concatenate(parts)


def subset_table(rows: Sequence[Subset]) -> str:
    """The subsets for people, and what each stream is worth."""
    whole = rows[0]
    lines = ["| streams | R2 | attainable | ratio | cost of the others | they alone explain |"]
    lines.append("|---|--:|--:|--:|--:|--:|")
    for row in rows:
        cost, explained = whole.r2 - row.r2, whole.attainable - row.attainable
        lines.append(
            f"| {', '.join(row.streams)} | {row.r2:.3f} | {row.attainable:.3f} "
            f"| {row.r2 / row.attainable:.2f} | {cost:.3f} | {explained:.3f} |"
        )
    return "\n".join(lines)
