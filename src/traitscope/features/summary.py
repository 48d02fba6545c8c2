"""What a preparation did: counts, failures by reason, coverage, rate and size."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from traitscope.features.store import OK, StatusRow, Store
from traitscope.notes import Counted, count
from traitscope.types import Clip, Corpus


@dataclass(frozen=True)
class FeatureSummary:
    """One feature over the clips of a corpus.

    Attributes:
        key: of its folder in the store.
        ok: how many clips have it.
        failures: status -> how many clips have it not.
        coverage: mean share of rows that are there, over the clips that have it.
        size_bytes: of the whole folder.
    """

    key: str
    ok: int
    failures: Mapping[str, int]
    coverage: float | None
    size_bytes: int


@dataclass(frozen=True)
class Summary:
    """What a preparation did.

    Attributes:
        clips: in the corpus.
        features: one entry for each feature asked for.
        failures: (key, row) of each clip that has not what was asked for, in corpus order.
        extracted: clips worked on this time.
        skipped: clips that were finished before.
        untried: clips that failed before for a reason that lasts, and were not tried again.
        changed: ids that were extracted again, because their media is not what it was.
        notes: what was noticed of clips, by kind, the most frequent first.
        seconds: from start to end.
    """

    clips: int
    features: tuple[FeatureSummary, ...]
    failures: tuple[tuple[str, StatusRow], ...]
    extracted: int = 0
    skipped: int = 0
    untried: int = 0
    changed: tuple[str, ...] = ()
    notes: tuple[Counted, ...] = ()
    seconds: float = 0.0

    @property
    def failed(self) -> tuple[str, ...]:
        """Ids of the clips that lack something, in corpus order."""
        return tuple(dict.fromkeys(row.clip for _, row in self.failures))

    @property
    def clips_per_second(self) -> float:
        """Clips worked on per second, start-up included."""
        return self.extracted / self.seconds if self.seconds > 0 else 0.0

    @property
    def size_bytes(self) -> int:
        """Of all features asked for."""
        return sum(feature.size_bytes for feature in self.features)


def summarise(corpus: Corpus, keys: Iterable[str], store: Store) -> Summary:
    """Read what is in the store now for the clips of a corpus, whoever put it there."""
    rows = {key: _of_corpus(corpus, store.statuses(key)) for key in keys}
    return Summary(
        # From the rows, not from what this run did: others may have filled the store beside it.
        clips=len(corpus.clips),
        features=tuple(
            _feature(key, statuses, store.size_bytes(key)) for key, statuses in rows.items()
        ),
        failures=tuple(
            (key, statuses[place])
            for place in range(len(corpus.clips))
            for key, statuses in rows.items()
            if statuses[place].status != OK
        ),
        notes=tuple(count(_by_clip(rows.values()))),
    )


def noted(store: Store, keys: Iterable[str], clips: Sequence[Clip]) -> dict[str, tuple[str, ...]]:
    """What was noticed of each clip while its features were made; clips without a note are not in.

    Args:
        store: where the features are.
        keys: of the features.
        clips: whose notes.
    """
    statuses = [store.statuses(key) for key in keys]
    return _by_clip([rows[clip.id] for clip in clips if clip.id in rows] for rows in statuses)


def _by_clip(features: Iterable[Sequence[StatusRow]]) -> dict[str, tuple[str, ...]]:
    """Clip -> the notes of all its features, once each."""
    found: dict[str, dict[str, None]] = {}
    for rows in features:
        for row in rows:
            if row.notes:
                found.setdefault(row.clip, {}).update(dict.fromkeys(row.noted))
    return {clip: tuple(notes) for clip, notes in found.items()}


def _of_corpus(corpus: Corpus, rows: Mapping[str, StatusRow]) -> list[StatusRow]:
    """One row for each clip: what has none is not finished, and must not look as if it were."""
    lost = "Its row was lost, to another 'prepare' of this store perhaps. Run the command again."
    # Two runs that write one status.csv may lose a row; the stream itself is there.
    return [rows.get(clip.id) or StatusRow(clip.id, "unknown", lost) for clip in corpus.clips]


def _feature(key: str, rows: Sequence[StatusRow], size_bytes: int) -> FeatureSummary:
    # Failed clips have no rows, so a coverage of theirs would be zero whatever the reason.
    coverage = [row.coverage for row in rows if row.status == OK]
    failures = Counter(row.status for row in rows if row.status != OK)
    return FeatureSummary(
        key=key,
        ok=len(coverage),
        failures=dict(failures.most_common()),
        coverage=sum(coverage) / len(coverage) if coverage else None,
        size_bytes=size_bytes,
    )
