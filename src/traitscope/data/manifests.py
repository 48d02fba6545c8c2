"""Splits as a file: written from a corpus, or given by others, and dealt to a corpus by clip id.

A manifest is a table with ``clip`` and ``split`` (train, validation, test; empty: left out) or
``fold`` (0, 1 ...), and ``labels``, a hash of each clip's labels, where we wrote it. A folder with
a list of names for each split (``train.txt``, ``val.txt``, ``test.txt``; ids, file names or paths,
one a line) is one, too: so benchmarks such as DeepPersonality give theirs.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from traitscope.data.alike import label_hash
from traitscope.errors import DataError, some
from traitscope.files import write_csv
from traitscope.sheets import open_sheet
from traitscope.types import SPLITS, Corpus

LISTS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
"""Split -> how lists of its clips are called, before a ``.txt`` or ``.csv``."""
_MARK = 12


@dataclass(frozen=True)
class Manifest:
    """Given splits.

    Attributes:
        path: where they come from.
        mark: hash of the content, to name it by.
        splits: clip -> split, or empty for a clip that is left out; of a manifest with folds, none.
        folds: clip -> number of the fold that tests it; of a manifest with splits, none.
        labels: clip -> hash of its labels, where the manifest has them.
    """

    path: Path
    mark: str
    splits: Mapping[str, str]
    folds: Mapping[str, int]
    labels: Mapping[str, str]


def write_manifest(
    path: Path, corpus: Corpus, places: Mapping[str, str | int], *, column: str = "split"
) -> str:
    """Write a manifest; returns its mark.

    Args:
        path: the file.
        corpus: whose clips.
        places: clip -> its split, or its fold.
        column: ``split`` or ``fold``.
    """
    names = _label_names(corpus)
    rows = [[c.id, places.get(c.id, ""), label_hash(c, names)] for c in corpus.clips]
    write_csv(path, ["clip", column, "labels"], rows)
    return read_manifest(path).mark


def read_manifest(path: Path, *, folds: bool = False) -> Manifest:
    """Read a manifest.

    Args:
        path: a table, or a folder of lists.
        folds: take its column ``fold`` where it has ``split`` as well, as predictions have.

    Raises:
        DataError: it is missing, has no column or list that we know, or a split of another name.
    """
    if path.is_dir():
        return _lists(path)
    frame = open_sheet(path, fold=("clip", "split", "fold", "labels")).read()
    column = next((name for name in _columns(folds) if name in frame), None)
    if "clip" not in frame or column is None:
        raise DataError(
            f"{path} needs the columns clip, and split or fold; it has: "
            f"{', '.join(map(str, frame.columns))}. Make one with: traitscope corpus manifest"
        )
    cells = frame.fillna("").astype(str)
    clips = [clip.strip() for clip in cells["clip"]]
    rows = set(zip(clips, (cell.strip() for cell in cells[column]), strict=True))
    _refuse_twice(path, [clip for clip, _ in rows])  # a row per seed says the same twice
    given = dict(rows)
    hashes = dict(zip(clips, cells["labels"], strict=True)) if "labels" in cells else {}
    mark = hashlib.sha256(path.read_bytes()).hexdigest()[:_MARK]
    if column == "split":
        return Manifest(path, mark, _known_splits(path, given), {}, hashes)
    if odd := [clip for clip, cell in given.items() if not cell]:
        raise DataError(f"{path} has no fold for {some(sorted(odd))}. Write one.")
    # others count from 1, or give names
    names = sorted(set(given.values()), key=lambda name: (len(name), name))
    return Manifest(path, mark, {}, {c: names.index(cell) for c, cell in given.items()}, hashes)


def deal(corpus: Corpus, manifest: Manifest) -> dict[str, str | int]:
    """Give each clip of a corpus its split or fold.

    Raises:
        DataError: the manifest names clips that the corpus has not, lacks some, or was written
            for other labels; names the clips.
    """
    given: Mapping[str, str | int] = manifest.splits or manifest.folds
    own = {clip.id: clip for clip in corpus.clips}
    # Others name clips with a suffix, or without one: talk.mp4 may be the clip talk.
    stems = {_stem(clip_id): clip_id for clip_id in own}
    names = {name: name if name in own else stems.get(_stem(name), "") for name in given}
    dealt = {names[name]: place for name, place in given.items() if names[name]}
    hashed = _label_names(corpus)
    faults = {
        "it names clips that the corpus has not": [n for n, clip in names.items() if not clip],
        "it lacks clips of the corpus": [clip for clip in own if clip not in dealt],
        "clips have other labels than when it was written": [
            names[name]
            for name, known in manifest.labels.items()
            if names[name] and known != label_hash(own[names[name]], hashed)
        ],
    }
    wrong = [f"{what}: {len(clips)} ({some(clips, 5)})" for what, clips in faults.items() if clips]
    if wrong:
        raise DataError(
            f"The manifest {manifest.path} ({manifest.mark}) does not fit {corpus.name}: "
            f"{'; '.join(wrong)}. Use the labels it was written for; a clip that is to be left out "
            f"gets an empty split."
        )
    return dealt


def _lists(folder: Path) -> Manifest:
    """Read a folder with one list of clips for each split."""
    given: dict[str, str] = {}
    content = hashlib.sha256()
    clips: list[str] = []
    for split, stems in LISTS.items():
        files = [p for stem in stems for p in sorted(folder.glob(f"{stem}.*")) if p.is_file()]
        lists = [p for p in files if p.suffix.lower() in {".txt", ".csv", ".lst"}]
        for path in lists:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
            # a list may have more columns behind the name, and paths of another machine
            listed = [PureWindowsPath(line.split(",")[0].strip()).name for line in lines]
            clips += [name for name in listed if name]
            given |= {name: split for name in listed if name}
            content.update(path.read_bytes())
    if not given:
        raise DataError(
            f"{folder} has no list of clips such as train.txt, val.txt or test.txt. Name a table "
            f"with the columns clip and split."
        )
    _refuse_twice(folder, clips)
    return Manifest(folder, content.hexdigest()[:_MARK], given, {}, {})


def _known_splits(path: Path, given: Mapping[str, str]) -> dict[str, str]:
    words = {word: split for split, stems in LISTS.items() for word in stems} | {"": ""}
    odd = sorted({split for split in given.values() if split.lower() not in words})
    if odd:
        raise DataError(f"{path} has the splits {some(odd)}; there are: {', '.join(SPLITS)}.")
    return {clip: words[split.lower()] for clip, split in given.items()}


def _refuse_twice(path: Path, clips: Sequence[str]) -> None:
    twice = sorted({clip for clip in clips if clips.count(clip) > 1}) if _repeats(clips) else []
    if twice:
        raise DataError(f"{path} names clips twice: {some(twice)}. Keep one row of each.")


def _columns(folds: bool) -> tuple[str, str]:
    return ("fold", "split") if folds else ("split", "fold")


def _repeats(clips: Sequence[str]) -> bool:
    return len(set(clips)) < len(clips)


def _stem(name: str) -> str:
    # ids of First Impressions have a point in them, which begins no suffix
    return re.sub(r"\.(mp4|avi|mkv|mov|webm|m4v|wav)$", "", name, flags=re.IGNORECASE)


def _label_names(corpus: Corpus) -> list[str]:
    return [target.name for target in corpus.targets]
