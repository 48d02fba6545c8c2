"""ChaLearn First Impressions V2: 10 000 clips of people talking, rated by observers.

``fi:FOLDER`` holds ``annotation_{training,validation,test}.pkl``, at most two folders down; beside
them, where there are any, transcripts (``transcription_*.pkl``), ``metadata*.csv`` (age group) and
``eth_gender_annotations_*.csv``. Videos may lie in any folders below, or be missing. The split of a
clip comes from its label file, never from its folder; its source is the YouTube id, the first 11
characters of its name.

The key ``neuroticism`` of the labels is emotional stability: a high value means *less*. The five
traits are the targets; ``interview`` is there on request: ``data.targets=[...,interview]``.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitscope.corpora._cells import SPLIT_WORDS
from traitscope.corpora._faults import Faults
from traitscope.corpora._unpickling import read_pickle
from traitscope.errors import DataError, some
from traitscope.media.folders import walk
from traitscope.sheets import read_table
from traitscope.types import SPLITS, TRAITS, Clip, Corpus, Target

TARGETS = tuple(Target(name, 0.0, 1.0, -1 if name == "neuroticism" else 1) for name in TRAITS)
INTERVIEW = Target("interview", 0.0, 1.0, 1)
NOTES = (
    "ChaLearn First Impressions V2: CC BY-NC 4.0, by registration with ChaLearn (chalearnlap.cvc."
    "uab.cat). The organisers advise against using it to build systems that decide about people.",
    "The key 'neuroticism' of the labels is emotional stability: high = stable.",
    "3060 recordings are of 2764 users, and subjects are not published: a source-disjoint part is "
    "not person-disjoint.",
)
ETHNICITIES = {"1": "Asian", "2": "Caucasian", "3": "African-American"}
GENDERS = {"1": "male", "2": "female"}
_CODES: dict[str, Mapping[str, str | float]] = {
    "age_group": {str(group): float(group) for group in range(1, 9)},
    "ethnicity": ETHNICITIES,
    "gender": GENDERS,
}
SOURCE_CHARACTERS = 11
"""Length of a YouTube id, with which every clip's name begins."""

CLIP_NAME = re.compile(r"([\w-]{11})\.\d{3}(\.mp4)?", re.ASCII)
"""Of a clip: YouTube id, number, perhaps the suffix."""

_LABELS = re.compile(rf"annotation_({'|'.join(SPLIT_WORDS)})\.pkl", re.IGNORECASE)
_TRANSCRIPTS = re.compile(rf"transcription_({'|'.join(SPLIT_WORDS)})\.pkl", re.IGNORECASE)
_AGES = re.compile(r".*metadata.*\.csv", re.IGNORECASE)
_PEOPLE = re.compile(r"eth_gender_annotations.*\.csv", re.IGNORECASE)
_LABELS_DEPTH = 2
_VIDEOS_DEPTH = 5
"""Folders down: labels lie near the top; zips of videos unpack into folders of folders."""


@dataclass(frozen=True)
class _Files:
    """What lies in the folder.

    Attributes:
        labels: split -> its label file.
        transcripts: files of transcripts.
        ages: tables with age groups.
        people: tables with ethnicity and gender.
        videos: name of a clip -> its file.
        zips: folders with zips in them.
    """

    labels: Mapping[str, Path]
    transcripts: tuple[Path, ...]
    ages: tuple[Path, ...]
    people: tuple[Path, ...]
    videos: Mapping[str, Path]
    zips: tuple[Path, ...]


def load(path: Path) -> Corpus:
    """Load the labels of a folder; videos may be missing, or only some of them there.

    Raises:
        DataError: there are no label files, or they have faults: all of them are listed.
    """
    faults = Faults()
    files = _find(path, faults)
    labels, splits = _labels(files, faults)
    transcripts = _transcripts(files, faults)
    attributes, notes = _attributes(files, transcripts)
    # Clips come from the label files alone; what lies there beside them is attached, or told.
    extras = (("transcripts", transcripts), ("attributes", attributes), ("videos", files.videos))
    notes = [*_remarks(files, labels, extras), *notes]
    faults.stop(path, where="in the label files, or copy those again")
    clips = [
        Clip(
            id=name,
            path=files.videos.get(name),
            source=name[:SOURCE_CHARACTERS],
            split=splits[name],
            targets=values,
            transcript=transcripts.get(name),
            attributes=attributes.get(name, {}),
        )
        for name, values in labels.items()
    ]
    # The first release of the labels had no interview: a target without labels is not offered.
    optional = (INTERVIEW,) if any(INTERVIEW.name in clip.targets for clip in clips) else ()
    return Corpus(
        name="first_impressions",
        kind="apparent",
        targets=TARGETS,
        clips=tuple(clips),
        notes=(*NOTES, *notes),
        optional=optional,
    )


def _find(folder: Path, faults: Faults) -> _Files:
    """Look through the folder once; the first of several copies counts, in order of their paths."""
    labels: dict[str, Path] = {}
    others: dict[re.Pattern[str], list[Path]] = {_TRANSCRIPTS: [], _AGES: [], _PEOPLE: []}
    videos: dict[str, Path] = {}
    zips: dict[Path, None] = {}
    for file, depth in _walk(folder):
        suffix = file.suffix.lower()
        if suffix == ".mp4":
            videos.setdefault(_full(file.name), file)
        elif suffix == ".zip":
            zips[file.parent] = None
        elif depth <= _LABELS_DEPTH and (labels_of := _LABELS.fullmatch(file.name)):
            split = SPLIT_WORDS[labels_of[1].lower()]
            first = labels.setdefault(split, file)
            # A copy of the same labels is no fault: only one that says something else.
            if first != file and first.read_bytes() != file.read_bytes():
                faults.add(f"two different label files of {split}", f"{first} and {file}")
        elif depth <= _LABELS_DEPTH:
            for pattern, files in others.items():
                files += [file] if pattern.fullmatch(file.name) else []
    if not labels:
        raise DataError(_without_labels(folder, tuple(zips)))
    transcripts, ages, people = (tuple(found_there) for found_there in others.values())
    return _Files(labels, transcripts, ages, people, videos, tuple(zips))


def _walk(folder: Path) -> Iterator[tuple[Path, int]]:
    """Files below a folder with how many folders down they are, in a fixed order."""
    for here, below, names in walk(folder):
        depth = len(here.relative_to(folder).parts)
        # In place: the walk goes on with this very list. macOS and editors leave hidden folders.
        below[:] = [n for n in below if n[0] != "."] if depth < _VIDEOS_DEPTH else []
        for name in names:
            if name[0] != ".":  # among them ._NAME.mp4, which macOS leaves on other disks
                yield here / name, depth


def _without_labels(folder: Path, zips: Sequence[Path]) -> str:
    if not folder.is_dir():
        return f"There is no folder {folder}. Write fi:FOLDER of the label files and videos."
    if zips:
        return (
            f"{folder} holds zips and no label files. Zips are not read; unpack them (those with "
            f"labels ask for ChaLearn's password):\n  {_unzip(zips)}"
        )
    return (
        f"{folder} has no label files (annotation_training.pkl, annotation_validation.pkl, "
        f"annotation_test.pkl), nor have its folders two levels down. Put them there."
    )


def _unzip(folders: Sequence[Path]) -> str:
    """The command that unpacks every zip where it lies; unzip itself expands the star."""
    commands = [
        f"unzip -n -q {shlex.quote(str(folder / '*.zip'))} -d {shlex.quote(str(folder))}"
        for folder in folders
    ]
    return "\n  ".join(commands)


def _labels(files: _Files, faults: Faults) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Labels and split of each clip, in the order of the splits, then of the file."""
    labels: dict[str, dict[str, float]] = {}
    splits: dict[str, str] = {}
    for split in (name for name in SPLITS if name in files.labels):
        file = files.labels[split]
        tree = dict(_items(_mapping(file, faults), file.name, faults))
        for target in (*TARGETS, INTERVIEW):
            if target.name not in tree and target != INTERVIEW:
                faults.add(f"{file.name} has no key {target.name!r}")
            for name, value in _items(
                tree.get(target.name, {}), f"{file.name}: {target.name}", faults
            ):
                clip = _full(name)
                if splits.setdefault(clip, split) != split:
                    faults.add("clips are in two splits", f"{clip} ({splits[clip]} and {split})")
                elif _usable(clip, value, target, faults):
                    labels.setdefault(clip, {})[target.name] = float(value)
    return {name: labels.get(name, {}) for name in splits}, splits


def _usable(clip: str, value: Any, target: Target, faults: Faults) -> bool:
    if not CLIP_NAME.fullmatch(clip):
        faults.add("not the name of a clip (YouTube id, number, .mp4)", repr(clip))
    # The type itself, because True is an int for Python, and no label.
    elif type(value) not in (int, float):
        faults.add(f"{target.name}: not a number", f"{clip} ({type(value).__name__})")
    elif not target.contains(value):
        faults.add(f"{target.name}: outside 0 to 1", f"{clip} ({value:g})")
    else:
        return True
    return False


def _transcripts(files: _Files, faults: Faults) -> dict[str, str]:
    """What is said in each clip; an empty text is a clip in which nothing was understood."""
    texts: dict[str, str] = {}
    for file in files.transcripts:
        for name, text in _items(_mapping(file, faults), file.name, faults):
            if isinstance(text, str):
                texts[_full(name)] = _mended(text)
            else:
                faults.add(f"{file.name}: not text", f"{name} ({type(text).__name__})")
    return texts


def _mended(text: str) -> str:
    """Read text as UTF-8 where its bytes are that; Python 2 pickles do not say what they are."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _attributes(
    files: _Files, transcripts: dict[str, str]
) -> tuple[dict[str, dict[str, str | float]], list[str]]:
    """Age group (1 to 8), ethnicity and gender by clip, and notes on what cannot be used.

    Transcripts that only these tables hold are added to the others.
    """
    attributes: dict[str, dict[str, str | float]] = {}
    unknown: list[str] = []
    faults = Faults()  # of tables that labels do not depend on
    for file in (*files.ages, *files.people):
        for row in _rows(file, faults):
            # Tables differ in how they write the same column: AgeGroup, age_group, AGE_GROUP.
            cells = {name.casefold().replace("_", ""): cell for name, cell in row.items()}
            clip = _full(Path(cells.get("filename") or cells.get("videoname") or "").name)
            if not clip:
                continue
            mine = attributes.setdefault(clip, {})
            if text := cells.get("transcription"):
                transcripts.setdefault(clip, text)
            for name, codes in _CODES.items():
                # Columns with gaps become floats in other programs: 2 is written 2.0 then.
                code = cells.get(name.replace("_", ""), "").removesuffix(".0")
                if code in codes:
                    mine[name] = codes[code]
                elif code:
                    unknown.append(f"{name} {code!r} of {clip}")
    notes = [f"Codes that are not known: {some(unknown, 5)}."] if unknown else []
    return attributes, [*notes, *(f"Not used: {line}." for line in faults.lines())]


def _rows(file: Path, faults: Faults) -> Sequence[Mapping[str, str]]:
    try:
        return read_table(file, tell=faults.add).rows
    except DataError as error:
        faults.add(str(error).rstrip("."))
        return ()


def _remarks(
    files: _Files, labels: Mapping[str, Any], extras: Iterable[tuple[str, Mapping[str, Any]]]
) -> list[str]:
    """What is there without labels, and what is not there."""
    remarks = []
    absent = [split for split in SPLITS if split not in files.labels]
    if absent:
        remarks.append(f"There are no label files of {' and '.join(absent)}.")
    for kind, entries in extras:
        strangers = sorted(set(entries) - set(labels))
        if strangers:
            remarks.append(
                f"{len(strangers)} {kind} have no labels and are left out: {some(strangers, 5)}."
            )
    # Zips that lie beside a full set of videos have been unpacked: nothing to tell.
    if files.zips and len(files.videos) < len(labels):
        remarks.append(f"Zips are not read. Unpack them with: {_unzip(files.zips)}")
    return remarks


def _mapping(file: Path, faults: Faults) -> Any:
    """What a pickle holds; one that cannot be read is a fault beside the others."""
    try:
        return read_pickle(file)
    except DataError as error:
        faults.add(str(error))
        return {}


def _items(tree: Any, where: str, faults: Faults) -> Iterator[tuple[str, Any]]:
    if not isinstance(tree, dict):
        faults.add(f"{where}: no dict, but {type(tree).__name__}")
        return
    for name, value in tree.items():
        yield str(name), value


def _full(name: str) -> str:
    """The name of a clip as the labels write it, with its suffix."""
    # Videos may end in .MP4, and tables name clips without a suffix: ids are those of the labels.
    stem = name[:-4] if name[-4:].lower() == ".mp4" else name
    return f"{stem}.mp4" if stem else ""
