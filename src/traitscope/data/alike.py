"""Two sets of clips in, which of them hold the same media or say nearly the same out.

Of one clip: a mark of its media and a hash of its labels, to know them again later.
"""

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from hashlib import file_digest
from io import BytesIO
from itertools import islice
from pathlib import Path

from traitscope.sheets import SUFFIXES as TABLES
from traitscope.types import Clip

_SHINGLE = 5  # words in a row that count as one piece of a transcript
_FEWEST_WORDS = 8  # shorter transcripts are alike by chance
_ALIKE = 0.8  # share of the shorter transcript's pieces that makes two near-identical
_STOCK_PHRASE = 50  # a piece that more transcripts hold is a phrase of everybody's
_HEAD_BYTES = 1 << 16
_DIGITS = 6  # of labels: what a table rounds away is no change
_HASH = 16


def same_media(
    fitted: Sequence[Clip], test: Sequence[Clip], *, media_hash: bool
) -> tuple[tuple[str, str], ...]:
    """Pair test clips with fitted clips of the same file or, on request, the same bytes."""
    owners = {clip.path.resolve(): clip.id for clip in fitted if clip.path}
    asked = {clip.id: clip.path.resolve() for clip in test if clip.path}
    alike = _alike_files(owners, asked.values()) if media_hash else {}
    pairs = []
    for clip, path in asked.items():
        if path in owners:  # one table may hold the rows of many clips
            pairs += [(clip, owners[path])] if path.suffix.lower() not in TABLES else []
            continue
        equal = (other for other in alike.get(path, ()) if _digest(other) == _digest(path))
        pairs += [(clip, owners[other]) for other in islice(equal, 1)]
    return tuple(pairs)


def media_mark(path: Path | None) -> str:
    """Size and hash of the beginning of a media file; empty for what is none, or not there.

    Whole files would take hours for large corpora; two recordings of one size that begin alike
    are not met in practice.
    """
    if path is None or path.suffix.lower() in TABLES or not path.is_file():
        return ""
    size, beginning = _digest(path, _HEAD_BYTES)
    return f"{size}-{beginning[:16]}"


def label_hash(clip: Clip, targets: Collection[str]) -> str:
    """Hash of the labels of a clip for some targets; empty without any."""
    labels = {name: round(v, _DIGITS) for name, v in clip.targets.items() if name in targets}
    if not labels:
        return ""
    text = json.dumps(labels, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH]


def _alike_files(owned: Iterable[Path], asked: Iterable[Path]) -> dict[Path, list[Path]]:
    """Asked file -> owned files of its size that begin with the same bytes: few are read whole."""
    ours, theirs = ([path for path in group if path.is_file()] for group in (owned, asked))
    sizes = {path.stat().st_size for path in ours} & {path.stat().st_size for path in theirs}
    beginnings: dict[tuple[int, str], list[Path]] = defaultdict(list)
    for path in ours:
        if path.stat().st_size in sizes:
            beginnings[_digest(path, _HEAD_BYTES)].append(path)
    candidates = [path for path in theirs if path.stat().st_size in sizes]
    return {path: beginnings.get(_digest(path, _HEAD_BYTES), []) for path in candidates}


def _digest(path: Path, head: int | None = None) -> tuple[int, str]:
    """Size and hash of a file, or of its beginning."""
    with path.open("rb") as file:
        content = file if head is None else BytesIO(file.read(head))
        return path.stat().st_size, file_digest(content, "sha256").hexdigest()


def same_words(fitted: Sequence[Clip], test: Sequence[Clip]) -> tuple[tuple[str, str], ...]:
    """Pair test clips with the fitted clip whose transcript is nearly theirs.

    Stock phrases, which many transcripts hold, are no reason to compare two of them: otherwise
    the work would grow with the square of the clips.
    """
    pieces = {clip.id: _shingles(clip.transcript) for clip in fitted}
    equal = {frozenset(shingles): clip for clip, shingles in pieces.items() if shingles}
    holders: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for clip_id, shingles in pieces.items():
        for shingle in shingles:
            holders[shingle].append(clip_id)
    pairs = []
    for clip in test:
        mine = _shingles(clip.transcript)
        same = equal.get(frozenset(mine))
        rare = (held for piece in mine if len(held := holders.get(piece, ())) <= _STOCK_PHRASE)
        candidates = Counter(other for held in rare for other in held)
        for other in [same] if same else sorted(candidates, key=lambda o: (-candidates[o], o)):
            if len(mine & pieces[other]) >= _ALIKE * min(len(mine), len(pieces[other])):
                pairs.append((clip.id, other))
                break
    return tuple(pairs)


def _shingles(transcript: str | None) -> set[tuple[str, ...]]:
    words = re.findall(r"[\w']+", (transcript or "").casefold())
    if len(words) < _FEWEST_WORDS:
        return set()
    return {tuple(words[i : i + _SHINGLE]) for i in range(len(words) - _SHINGLE + 1)}
