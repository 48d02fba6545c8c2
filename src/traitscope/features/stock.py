"""A corpus and one feature of a store -> for each clip what is there, and where it goes if not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from traitscope.features.origins import (
    UNSEEN,
    Served,
    another_file,
    joined,
    labels_of,
    origin_of,
    plain,
    record,
)
from traitscope.features.request import Request
from traitscope.features.store import OK, Origin, StatusRow, Store, file_name
from traitscope.types import Clip, Corpus

PERMANENT = frozenset(
    {
        *("empty", "no_audio", "no_face", "no_text", "no_video", "silent", "too_short"),
        "undecodable",
    }
)
"""Failures that the same media have each time, with the same version of an extractor."""


@dataclass(frozen=True)
class State:
    """What is there of one clip.

    Attributes:
        entry: how a row says whose clip it is of.
        row: of what is there already.
        origin: what the stream is, or would be, made of; None where that is not there.
        changed: what was there is of earlier media of the same clip.
        missing: the row to write where there is nothing to make the stream of.
    """

    entry: str
    row: StatusRow | None
    origin: Origin | None
    changed: bool = False
    missing: StatusRow | None = None

    def done(self, *, retry: bool) -> bool:
        """Tell whether there is nothing to do."""
        if self.row is None:
            return False
        return self.row.status == OK or (self.row.status in PERMANENT and not retry)

    def confirmed(self) -> StatusRow | None:
        """The row with the corpus as it is now; None if it says so already."""
        assert self.row is not None
        corpora = joined(self.row.corpora, self.entry)
        if set(corpora.split("; ")) == set(self.row.corpora.split("; ")):
            return None
        media = self.row.media or (self.origin.media if self.origin is not None else "")
        return replace(self.row, corpora=corpora, media=media)


class Stock:
    """What a store holds of one feature, for the clips of one corpus."""

    def __init__(self, corpus: Corpus, served: Served, store: Store, key: str) -> None:
        self._name = corpus.name
        self._served = served
        self._rows: dict[str, list[StatusRow]] = {}
        for row in store.rows(key):
            self._rows.setdefault(row.clip, []).append(row)

    def state(self, clip: Clip, request: Request) -> State:
        """Compare what is asked for with what is stored."""
        rows = self._rows.get(clip.id, [])
        entry = record(self._name, clip)
        reads_media = bool(request.all_needs & {"frames", "tracks", "audio"})
        media = self._served.media(clip)
        origin = origin_of(clip, request, media, corpus=self._name)
        if origin is None or (reads_media and media == UNSEEN):
            # Finished features stay where the media is gone or unreadable.
            # Somebody may have deleted media that take too much room; what was made of them is
            # good.
            kept = self._best([row for row in rows if row.status == OK and self._may_be(row, clip)])
            if kept is not None or origin is None:
                missing = self._missing(clip, rows, entry) if kept is None else None
                return State(entry, kept, None, missing=missing)
        return self._compared(clip, rows, origin, entry)

    def _compared(self, clip: Clip, rows: Sequence[StatusRow], origin: Origin, entry: str) -> State:
        made_of = (origin.media_bytes, origin.span)
        row = self._best([row for row in rows if (row.media_bytes, row.span) == made_of])
        if row is not None:
            corpora = joined(row.corpora, entry)
            return State(entry, row, replace(origin, file=row.file, corpora=corpora))
        ours = next((row for row in rows if self._is_earlier(row, clip, origin)), None)
        if ours is not None:
            origin = replace(origin, file=ours.file)
            return State(entry, None, origin, changed=ours.status == OK)
        return State(entry, None, replace(origin, file=_free(clip, rows, origin)))

    def _best(self, rows: Sequence[StatusRow]) -> StatusRow | None:
        name = plain(self._name)
        # One that is there before one that failed; then that of this corpus by name.
        return max(rows, key=lambda row: (row.status == OK, name in row.recorded), default=None)

    def _may_be(self, row: StatusRow, clip: Clip) -> bool:
        recorded, labels = row.recorded, labels_of(clip)
        known = plain(self._name) in recorded or (labels and labels in recorded.values())
        return bool(not recorded or known)

    def _is_earlier(self, row: StatusRow, clip: Clip, origin: Origin) -> bool:
        """Tell whether a row is of the same clip before its media changed, not of another's."""
        if row.status != OK and not row.recorded:
            return True
        if plain(self._name) not in row.recorded:
            return False
        if row.status == "missing":
            return True
        labels = row.recorded[plain(self._name)]
        return row.media == origin.media and (bool(row.media) or labels == labels_of(clip))

    def _missing(self, clip: Clip, rows: Sequence[StatusRow], entry: str) -> StatusRow | None:
        reason = (
            f"There is no file {clip.path}." if clip.path else "No media file was found for it."
        )
        origin = Origin(corpora=entry)
        ours = next((row for row in rows if self._is_earlier(row, clip, origin)), None)
        file = ours.file if ours is not None else _free(clip, rows, origin)
        row = StatusRow(clip.id, "missing", reason, corpora=entry, file=file)
        said = ours is not None and ours == row and ours.corpora == entry
        return None if said else row


def _free(clip: Clip, rows: Sequence[StatusRow], origin: Origin) -> str:
    """A file that no other clip of the id has."""
    name = file_name(clip.id)
    return another_file(clip, origin, name) if name in {row.stem for row in rows} else ""
