"""Clips -> what their features are made of, and which of the stored ones are theirs.

Two corpora may give one id to different clips. A stream's row says what it was made of (size and
checksum of the media, the part that was read, the words) and for which corpora, with a checksum of
their labels of the clip. What is compared when:

- Media that are there are compared: the size, then both ends of the file. Words are compared where
  the corpus or a file beside the media has them.
- Without media the record is compared: a corpus of the same name, or one with the same labels of
  the clip, as a corpus that moved or a part of it.
- A row that says nothing, as of stores of before, is taken where no media contradict it.
"""

import hashlib
import os
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from traitscope.errors import ClipError, DataError
from traitscope.extract import table_of
from traitscope.extract.transcript import find_transcript
from traitscope.features.request import Request
from traitscope.features.status import OK, StatusRow, described
from traitscope.features.store import Origin, Store
from traitscope.types import Clip

Media = tuple[int, str]
"""Size in bytes, and a checksum."""

UNSEEN: Media = (0, "")
"""Media that cannot be looked at: whoever reads it says what is wrong."""

_END_BYTES = 2**16
"""Of each end of a file are looked at to tell whether it is what it was."""


def serving(store: Store, clips: Iterable[Clip], *, corpus: str) -> Store:
    """The same store, giving only what was made of these clips; what is of others it refuses.

    Args:
        store: perhaps with features of several corpora.
        clips: that are served.
        corpus: its name.
    """
    return replace(store, chooser=Served({clip.id: clip for clip in clips}, plain(corpus)))


@dataclass
class Served:
    """Clips of one corpus, and what was seen of their media, which are looked at once."""

    clips: Mapping[str, Clip]
    corpus: str
    _media: dict[str, Media | None] = field(default_factory=dict)
    _files: dict[str, dict[str, str]] = field(default_factory=dict)

    def media(self, clip: Clip) -> Media | None:
        """Size and checksum of a clip's media; None if there are none."""
        if clip.id not in self._media:
            self._media[clip.id] = media_of(clip)
        return self._media[clip.id]

    def choose(
        self, store: Store, key: str, rows: Sequence[StatusRow], *, strict: bool = True
    ) -> dict[str, StatusRow]:
        """Choose the row of each clip among those of its id.

        Raises:
            DataError: all rows of a clip are of other media, or of another corpus.
        """
        settings = settings_of(store, key)
        mine = [row for row in rows if row.clip in self.clips]
        relabelled = self.relabelled(mine)
        chosen: dict[str, tuple[tuple[int, ...], StatusRow]] = {}
        others: dict[str, StatusRow] = {}
        for row in mine:
            sure = self.sure(row, settings, relabelled=relabelled)
            if not sure:
                others.setdefault(row.clip, row)
                continue
            known = _same_labels(row, self.clips[row.clip]), self.corpus in row.recorded
            rank = (sure, *known, row.status == OK)
            if row.clip not in chosen or rank > chosen[row.clip][0]:
                chosen[row.clip] = rank, row
        foreign = [row for clip, row in others.items() if clip not in chosen]
        if foreign and strict:
            raise self._refusal(store, key, foreign)
        self._files[key] = {clip: row.file for clip, (_, row) in chosen.items()}
        return {clip: row for clip, (_, row) in chosen.items()}

    def file(self, store: Store, key: str, clip_id: str) -> str:
        """Name the file of a clip's stream, if it is not the plain one."""
        if key not in self._files:
            self.choose(store, key, store.rows(key))
        return self._files[key].get(clip_id, "")

    def sure(self, row: StatusRow, settings: Mapping[str, Any], *, relabelled: bool = False) -> int:
        """Tell whether a row is of the clip of its id here: 2 by the media, 1 by the record."""
        clip = self.clips[row.clip]
        same = self._same(row, clip, settings)
        if same is not None:
            return 2 if same else 0
        by_name = self.corpus in row.recorded and not relabelled
        return int(not row.recorded or by_name or _same_labels(row, clip))

    def relabelled(self, rows: Sequence[StatusRow]) -> bool:
        """Tell whether not one label is what it was: another corpus of the same name, perhaps."""
        labels = [
            (row.recorded[self.corpus], labels_of(self.clips[row.clip]))
            for row in rows
            if row.clip in self.clips and self.corpus in row.recorded
        ]
        known = [(one, other) for one, other in labels if one and other]
        return len(known) > 1 and all(one != other for one, other in known)

    def _same(self, row: StatusRow, clip: Clip, settings: Mapping[str, Any]) -> bool | None:
        """Compare what a row says it was made of with what the clip is; None if nothing can be."""
        said = row.span.split(", ") if row.span else []
        found: list[bool] = []
        if row.media_bytes:
            known = self._media.get(clip.id)
            same = known is not None and known[0] == row.media_bytes
            media = known if same else _seen(row, clip, self.media)
            if media is not None:
                found.append(media == (row.media_bytes, said[0] if said else ""))
                parts = [part for part in said[1:] if part[:5] not in ("text ", "video", "audio")]
                found.append(parts == _part(clip))
        words = next((part for part in said if part.startswith("text ")), None)
        if words is not None and (clip.transcript is not None or clip.path is not None):
            text = words_of(clip, settings)
            if text is not None:
                found.append(words == f"text {crc(text)}")
        return all(found) if found else None

    def _refusal(self, store: Store, key: str, foreign: Sequence[StatusRow]) -> DataError:
        row = foreign[0]
        clip = self.clips[row.clip]
        path = f"{clip.path} in " if clip.path is not None else ""
        return DataError(
            f"{len(foreign)} of {len(self.clips)} clips of {self.corpus} have no {key} of their "
            f"own in {store.folder}: that of clip {row.clip!r} was made of {described(row)}, not "
            f"of {path}{self.corpus}. Make theirs with: traitscope prepare CORPUS --store "
            f"{store.folder} (or: features import); those that are there stay beside them."
        )


def settings_of(store: Store, key: str) -> Mapping[str, Any]:
    """Settings of the extractor that made the features of a key, where they are written down."""
    return dict(store.fingerprint(key).get("config", {}))


def origin_of(clip: Clip, request: Request, media: Media | None, *, corpus: str) -> Origin | None:
    """What an extractor reads of a clip; None if it is not there."""
    needs = request.all_needs
    reads_media = bool(needs & {"frames", "tracks", "audio", "table"})
    path = clip.path
    if "table" in needs:
        path = table_of(clip)
        media = _file(path) if path is not None else None
    if reads_media and media is None:
        return None
    size, content = media if reads_media and media else (0, "")
    span = [content] if content else []
    span += _part(clip) if reads_media else []
    span += [
        f"{kind} track {number}"
        for kind, number, readers in (
            ("video", clip.video_track, {"frames", "tracks"}),
            ("audio", clip.audio_track, {"audio"}),
        )
        if number is not None and needs & readers
    ]
    # Words lie in files of their own, which change without the media.
    if "text" in needs:
        span.append(f"text {crc(words_of(clip, request.config.model_dump()) or '')}")
    if "attributes" in needs:
        span.append(f"attributes {crc(repr(sorted(clip.attributes.items())))}")
    return Origin(size, ", ".join(span), _written(path), record(corpus, clip))


def record(corpus: str, clip: Clip) -> str:
    """How a row says whose clip it is of."""
    return f"{plain(corpus)}#{labels_of(clip)}"


def joined(corpora: str, entry: str) -> str:
    """Add a corpus to those that a row names; its labels of today are what counts."""
    name = entry.rpartition("#")[0]
    others = [one for one in corpora.split("; ") if one and one.rpartition("#")[0] != name]
    return "; ".join([*others, entry])


def plain(corpus: str) -> str:
    """A corpus' name as rows have it."""
    return " ".join(corpus.split()).replace("; ", ", ")


def labels_of(clip: Clip) -> str:
    """A checksum of a clip's labels; nothing of one without."""
    return crc(repr(sorted(clip.targets.items()))) if clip.targets else ""


def another_file(clip: Clip, origin: Origin, plain_name: str) -> str:
    """A file for a clip whose id another clip has."""
    said = f"{origin.corpora}|{origin.media}|{origin.media_bytes}|{origin.span}"
    digest = hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain_name}+{digest}"


def media_of(clip: Clip) -> Media | None:
    """Size and checksum of a clip's file, or of the files of its folder; None if it is not there.

    What cannot be looked at is `UNSEEN`: whoever reads it says what is wrong, and what was made
    of it before stays.
    """
    if clip.path is None:
        return None
    try:
        # Looked at once: of 10^5 files each further look is a tenth of what finding nothing to do
        # takes.
        facts = clip.path.stat()
        if not stat.S_ISDIR(facts.st_mode):
            return _file(clip.path, facts)
        sound = clip.path.with_name(f"{clip.path.name}.wav")
        files = [path for path in (*clip.path.iterdir(), sound) if path.is_file()]
        sizes = {path.name: path.stat().st_size for path in sorted(files)}
        return sum(sizes.values()), crc(str(sizes))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return UNSEEN


def words_of(clip: Clip, settings: Mapping[str, Any]) -> str | None:
    """The words of a clip as an extractor of these settings finds them; None if it finds none."""
    language = str(settings.get("language", "en"))
    try:
        return find_transcript(clip, language=language, speaker=settings.get("speaker")).words
    except (ClipError, OSError):  # becomes its status row when the clip's turn comes
        return None


def crc(content: bytes | str) -> str:
    """A short checksum."""
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    return f"{zlib.crc32(data):08x}"


def _file(path: Path, facts: os.stat_result | None = None) -> Media:
    """Size and a checksum of both ends: edited sound has the size it had."""
    facts = facts or path.stat()
    size = facts.st_size
    if not stat.S_ISREG(facts.st_mode):  # opening a pipe would wait for a writer
        return size, ""
    with path.open("rb") as file:
        ends = file.read(_END_BYTES)
        # The end too: containers keep their index there, and edits of the sound move it. Of a short
        # file it is the same again.
        file.seek(max(0, size - _END_BYTES))
        return size, crc(ends + file.read())


def _seen(row: StatusRow, clip: Clip, look: Callable[[Clip], Media | None]) -> Media | None:
    """What a row's stream would be made of today: the media, or the table of OpenFace beside it.

    Sizes that differ say enough: then nothing is read.
    """
    sizes = []
    try:
        for path in _places(clip):
            if not path.is_file():
                continue
            sizes.append(path.stat().st_size)
            if sizes[-1] == row.media_bytes:
                return _file(path) if path != clip.path else look(clip)
    except OSError:
        return None
    if sizes:
        return sizes[0], ""
    seen = look(clip)  # a folder of images
    return None if seen in (None, UNSEEN) else seen


def _places(clip: Clip) -> Iterator[Path]:
    """The media, and then, which is sought only if that is another, the table beside it."""
    if clip.path is not None:
        yield clip.path
    table = table_of(clip)
    if table is not None:
        yield table


def _part(clip: Clip) -> list[str]:
    """The part of the media that is the clip, as rows say it."""
    if not (clip.start or clip.end is not None or clip.fps):
        return []
    end = "" if clip.end is None else f"{clip.end!r}"
    return [f"{clip.start or 0.0!r}-{end}" + (f" at {clip.fps!r}" if clip.fps else "")]


def _written(path: Path | None) -> str:
    return "" if path is None else str(path.absolute())


def _same_labels(row: StatusRow, clip: Clip) -> bool:
    labels = labels_of(clip)
    return bool(labels) and labels in row.recorded.values()
