"""What a run was fitted on, clip by clip: written when it is trained, read when it is scored.

In: a corpus, its splits and the clips that had features. Out: ``clips.csv`` in the run folder, one
row per clip: its split, what training did with it, source, person, and hashes of labels and media.
Labels themselves are not in it, so that a run can be shared. A table that is edited afterwards
cannot change what was fitted; the record says what it changed.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Literal, get_args

from traitscope.data.alike import label_hash, media_mark
from traitscope.data.moved import place_now
from traitscope.data.protocols import Splits
from traitscope.errors import DataError
from traitscope.files import read_csv, write_csv
from traitscope.types import SPLITS, Clip, Corpus

RECORD = "clips.csv"
Use = Literal["fitted", "left_out", "selection", "held_out", "start", "start_selection"]
"""What training did with a clip: learnt from it; wanted to, but features or labels lacked; chose
epoch or settings by it; nothing. ``start`` and ``start_selection``: the run it began from did."""
LEARNT = frozenset({"fitted", "start"})
SELECTED = frozenset({"selection", "start_selection"})


@dataclass(frozen=True)
class RecordedClip:
    """One clip as it was when a run was trained.

    Attributes:
        clip: its id.
        split: ``train``, ``validation``, ``test``, or empty.
        use: what training did with it.
        source: the recording.
        subject: the person, or empty.
        targets: names of the labels that it had, with spaces between.
        labels: hash of these labels; empty without any.
        media: mark of its media file; empty where there was none to read.
        corpus: address of its corpus.
        fold: number of the fold whose run this is about; empty where there is only one.
    """

    clip: str
    split: str
    use: Use
    source: str
    subject: str
    targets: str
    labels: str
    media: str
    corpus: str
    fold: str = ""


@dataclass(frozen=True)
class Record:
    """The clips of one run."""

    clips: tuple[RecordedClip, ...]

    def used(self, uses: Collection[str]) -> tuple[RecordedClip, ...]:
        """Clips that training used in one of these ways."""
        return tuple(row for row in self.clips if row.use in uses)

    def of(self, address: str) -> tuple[RecordedClip, ...]:
        """Clips of one corpus."""
        known = same_place(address)
        return tuple(row for row in self.clips if same_place(row.corpus) == known)

    @property
    def own(self) -> str:
        """Address of the corpus that the run itself was fitted on."""
        return next((row.corpus for row in self.clips if not row.use.startswith("start")), "")


def same_place(address: str) -> str:
    """An address with its path written out, to tell whether two are the same."""
    # "fi:data" here and "fi:/home/me/data" there may be the same files
    kind, _, path = address.partition(":")
    return f"{kind}:{Path(path).expanduser().resolve()}"


def record_run(
    corpus: Corpus,
    address: str,
    splits: Splits,
    *,
    targets: Sequence[str],
    fitted: Iterable[Clip],
    selected: Iterable[Clip],
    start: Record | None = None,
) -> Record:
    """Note what a run is fitted on, and what the run was fitted on that it begins from.

    Args:
        corpus: the labels.
        address: of the corpus.
        splits: of its clips.
        targets: names of what is regressed.
        fitted: clips it learns from.
        selected: clips that choose the epoch.
        start: the record of the run it begins from.
    """
    part_of = {clip.id: name for name in SPLITS for clip in splits.part(name)}
    wanted = {clip.id for clip in splits.fitted}
    learnt, chosen = {clip.id for clip in fitted}, {clip.id for clip in selected}

    def use(clip: Clip) -> Use:
        if clip.id in learnt:
            return "fitted"
        if clip.id in chosen:
            return "selection"
        return "left_out" if clip.id in wanted else "held_out"

    own = [
        RecordedClip(
            clip=clip.id,
            split=part_of.get(clip.id, ""),
            use=use(clip),
            source=clip.source,
            subject=clip.subject or "",
            targets=" ".join(name for name in targets if name in clip.targets),
            labels=label_hash(clip, targets),
            media=media_mark(clip.path) if clip.id in learnt | chosen else "",
            corpus=address,
        )
        for clip in corpus.clips
    ]
    return _with_start(own, address, start)


def join_records(records: Sequence[Sequence[Record]]) -> list[Record]:
    """Records of systems that are fused, fold by fold: what one member learnt, the fusion learnt.

    Args:
        records: of each member, one per fold.
    """
    strongest: tuple[Use, ...] = (
        "fitted",
        "start",
        "selection",
        "start_selection",
        "left_out",
        "held_out",
    )
    joined = []
    for fold in zip(*records, strict=False):
        rows: dict[tuple[str, str], RecordedClip] = {}
        everything = [row for each in fold for row in each.clips]
        # The strongest use of a clip comes first, and stays.
        for row in sorted(everything, key=lambda row: strongest.index(row.use)):
            rows.setdefault((same_place(row.corpus), row.clip), row)
        joined.append(Record(tuple(rows.values())))
    return joined


def save_records(folder: Path, records: Sequence[Record]) -> None:
    """Write the record of a run, or of the run of each fold in turn, as ``clips.csv``."""
    if not records:  # nobody recorded it: an earlier file would be about something else
        (folder / RECORD).unlink(missing_ok=True)
        return
    several = len(records) > 1
    rows = (
        astuple(replace(row, fold=str(number)) if several else row)
        for number, record in enumerate(records)
        for row in record.clips
    )
    write_csv(folder / RECORD, _COLUMNS, rows)


def read_records(folder: Path) -> list[Record]:
    """Read ``clips.csv`` of a folder: a record per fold, one alone, or none for older runs.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / RECORD
    if not path.is_file():
        return []
    uses = set(get_args(Use))
    try:
        rows = [RecordedClip(**row) for row in read_csv(path, _COLUMNS[:-1], damaged=_CURE)]  # type: ignore[arg-type]
    except TypeError as error:  # a column of nobody's
        raise DataError(f"{path} is damaged ({error}). {_CURE}") from error
    if odd := [row for row in rows if row.use not in uses]:
        raise DataError(f"{path} is damaged: {odd[0].clip} has the use {odd[0].use!r}. {_CURE}")
    by_fold: dict[int, list[RecordedClip]] = {}
    # The corpus may have moved since, together with the run.
    now = {saved: place_now(folder, "corpus", saved) for saved in {row.corpus for row in rows[:1]}}
    for row in rows:
        row = replace(row, corpus=now.get(row.corpus, row.corpus))
        by_fold.setdefault(int(row.fold) if row.fold.isdecimal() else 0, []).append(row)
    return [Record(tuple(by_fold[number])) for number in sorted(by_fold)]


def _with_start(own: Sequence[RecordedClip], address: str, start: Record | None) -> Record:
    """Add what the first run learnt and chose by; a clip of both keeps the stronger use."""
    if start is None:
        return Record(tuple(own))
    earlier = {
        (same_place(row.corpus), row.clip): replace(
            row, use="start" if row.use in LEARNT else "start_selection", split="", fold=""
        )
        for row in start.used(LEARNT | SELECTED)
    }
    rows = []
    for row in own:
        before = earlier.pop((same_place(address), row.clip), None)
        # What the first run learnt weighs more than what this one chooses by.
        weak = row.use in {"left_out", "held_out"} or (
            before is not None and before.use == "start" and row.use == "selection"
        )
        rows.append(replace(row, use=before.use) if before is not None and weak else row)
    return Record((*rows, *earlier.values()))


_COLUMNS = tuple(field.name for field in fields(RecordedClip))
_CURE = "Bring it back from a copy, or train again."
