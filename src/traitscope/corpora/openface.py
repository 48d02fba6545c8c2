"""OpenFace tables with traits: rows of facial signals per frame instead of videos.

``openface:TABLE.csv`` is one long table (the format of Personality of Head Motion): a row per
video frame with ``ID`` (a number per clip), ``File`` (its name), OpenFace's columns, and the
traits, the same in all rows of a clip. Only the traits are targets; any other column never is.
``openface:FOLDER`` is a folder with one OpenFace CSV per clip, and labels: ``clips.csv`` with
``clips.yaml`` (see ``table``), or the label files of First Impressions.

The path of a clip is the CSV with its rows. In a long table that file holds all clips;
``clip_names`` says which rows are whose. The source is the YouTube id where names are those of
First Impressions, whose ``neuroticism`` is emotional stability; what the column means in other
tables is not known unless a ``clips.yaml`` beside the table declares it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from traitscope.corpora import first_impressions, table
from traitscope.corpora._cells import Cells
from traitscope.corpora._faults import Faults
from traitscope.errors import DataError, some
from traitscope.media.folders import walk
from traitscope.sheets import SUFFIXES, Sheet, as_numbers, open_sheet
from traitscope.types import TRAITS, Clip, Corpus, Kind, Target

ALIASES = {"extroversion": "extraversion"}
"""Column -> trait, where the two are spelt differently."""

EMOTIONS = ("happy", "angry", "surprise", "sad", "fear")
LONG_COLUMNS = frozenset({"id", "file"})
"""A table with one of these columns (in any case) is a long one."""

_PART = 100_000  # rows at a time
_ROWS = "number of rows"
_OF_CLIPS = ("id", "file", "subject", "split")
_OPENFACE = ("frame", "face_id", "timestamp", "confidence", "success")
_OPENFACE_PREFIXES = ("gaze_", "pose_", "eye_lmk_", "AU", "p_", "x_", "y_", "z_", "X_", "Y_", "Z_")


def load(path: Path) -> Corpus:
    """Load the labels of a long table, or of a folder of OpenFace CSVs.

    Raises:
        DataError: labels are missing, outside 0 to 1 or not constant within a clip; lists all.
    """
    if not path.is_dir():
        return _long_table(path)
    # Labels that the user has written go before those that lie in the folder as well.
    if any((path / f"clips{suffix}").is_file() for suffix in SUFFIXES):
        return table.load(path, suffixes=SUFFIXES)
    try:
        corpus = first_impressions.load(path)
    except DataError as error:
        raise DataError(
            f"{path} has no usable labels for OpenFace CSVs: put clips.csv with the columns clip "
            f"and the traits there, or the label files of First Impressions. ({error})"
        ) from error
    # In a fixed order: of two files with one name the same one is taken everywhere.
    tables = (here / n for here, _, names in walk(path) for n in names)
    files = {file.stem: file for file in sorted(tables) if file.suffix.lower() in SUFFIXES}
    names = {clip.id: clip.id.removesuffix(".mp4") for clip in corpus.clips}
    clips = [replace(clip, path=files.get(names[clip.id])) for clip in corpus.clips]
    return replace(corpus.with_clips(clips), name="openface (first_impressions)")


def clip_names(rows: pd.DataFrame) -> "pd.Series[str]":
    """Give the clip of each row of a long table: its ``File``, or its ``ID``.

    Files name the clips if each of them has one ``ID``; where a file was cut into several clips,
    or there is no column ``File``, the numbers do.

    Args:
        rows: with the columns ``ID`` and ``File``, or one of them, in any case.

    Raises:
        DataError: both columns are missing.
    """
    columns = {str(name).strip().lower(): name for name in rows.columns}
    names = {
        name: rows[columns[name]].astype(str).str.strip() for name in LONG_COLUMNS & {*columns}
    }
    if not names:
        raise DataError(
            f"A long OpenFace table needs a column ID or File; there are: "
            f"{some([str(name) for name in rows.columns])}."
        )
    if "file" not in names:
        return names["id"]
    one_to_one = "id" not in names or bool(names["id"].groupby(names["file"]).nunique().max() <= 1)
    return names["file"] if one_to_one else names["id"]


def _long_table(path: Path) -> Corpus:
    sheet = open_sheet(path)
    header = sheet.columns
    traits = _trait_columns(header)
    wanted = [name for name in header if name.lower() in _OF_CLIPS or name in traits]
    frame = _read(sheet, wanted)
    clips = clip_names(frame)
    faults = Faults()
    values = _labels(
        frame.rename(columns=traits),
        clips,
        list(traits.values()),
        faults,
        decimal_comma=sheet.decimal_comma,
    )
    first = ~clips.duplicated()
    names = clips[first].tolist()
    rows = [
        {str(column).lower(): str(cell).strip() for column, cell in row.items()}
        for row in frame[first].to_dict("records")
    ]
    files = [row.get("file", name) for name, row in zip(names, rows, strict=True)]
    # One name of another kind, and the meaning of the labels is no longer certain: see `_meaning`.
    known = all(first_impressions.CLIP_NAME.fullmatch(file) for file in files)
    kind, targets, notes = _meaning(path, list(traits.values()), known=known)
    _check_ranges(values, targets, faults)
    by_clip = values.to_dict("index")
    made = []
    for name, row, file in zip(names, rows, files, strict=True):
        clip = _clip(name, {**row, "file": file}, path, faults)
        labels = {str(trait): v for trait, v in by_clip[name].items() if not math.isnan(v)}
        made += [replace(clip, targets=labels)] if clip else []
    faults.stop(path, where="there")
    sizes = frame[_ROWS].groupby(clips).sum()
    counts = f"{sizes.sum()} rows, {sizes.min()} to {sizes.max()} per clip."
    return Corpus(
        name=f"openface:{path.name}",
        kind=kind,
        targets=targets,
        clips=tuple(made),
        notes=(*notes, *sheet.notes, counts, *_unused(header, list(traits))),
    )


def _read(sheet: Sheet, columns: Sequence[str]) -> pd.DataFrame:
    """Read the different rows that some columns have, as text, and how often each is there.

    A table has millions of rows and few clips, so it is read in parts.
    """
    parts = [
        part.groupby(list(columns), sort=False).size().rename(_ROWS).reset_index()
        for part in sheet.parts(columns, _PART)
    ]
    # A clip may go on in the next part, so counts are added up once more.
    return pd.concat(parts).groupby(list(columns), sort=False)[_ROWS].sum().reset_index()


def _trait_columns(header: Sequence[str]) -> dict[str, str]:
    """Column -> trait, in the order of TRAITS.

    Raises:
        DataError: there is none, or a trait is there twice.
    """
    columns: dict[str, str] = {}
    for name in header:
        plain = name.strip().lower()
        trait = ALIASES.get(plain, plain)
        if trait in TRAITS and trait in columns.values():
            raise DataError(f"The table has two columns of {trait}. Remove one of them.")
        if trait in TRAITS:
            columns[name] = trait
    if not columns:
        raise DataError(
            f"The table has no column of a trait ({', '.join(TRAITS)}). Labels may also lie in "
            f"clips.csv, beside a folder with one OpenFace CSV per clip: openface:FOLDER."
        )
    return dict(sorted(columns.items(), key=lambda item: TRAITS.index(item[1])))


def _labels(
    frame: pd.DataFrame,
    clips: "pd.Series[str]",
    traits: Sequence[str],
    faults: Faults,
    *,
    decimal_comma: bool,
) -> pd.DataFrame:
    """One row of labels per clip; they must be the same in all of its rows."""
    labels = {}
    for trait in traits:
        read, bad = as_numbers(frame[trait], decimal_comma=decimal_comma)
        numbers = pd.Series(read, index=frame.index)
        for clip in clips[bad].unique():
            faults.add(f"{trait}: not a number", str(clip))
        by_clip = numbers.groupby(clips, sort=False)
        spread = by_clip.max() - by_clip.min()
        # count() leaves gaps out, size() does not: between none and all, rows contradict another.
        some_missing = by_clip.count().between(1, by_clip.size() - 1)
        # More than rounding: writers differ in the last digits of a label.
        for clip in spread.index[(spread > 1e-9) | some_missing]:
            faults.add(f"{trait}: not the same in all rows of a clip", str(clip))
        labels[trait] = by_clip.first()
    return pd.DataFrame(labels)


def _meaning(
    path: Path, traits: Sequence[str], *, known: bool
) -> tuple[Kind, tuple[Target, ...], tuple[str, ...]]:
    """What the labels mean: as declared, as in First Impressions, or not known."""
    declared_in = path.parent / table.DECLARATION
    if declared_in.is_file():
        declaration = table.read_declaration(declared_in)
        declared = {target.name: target for target in table.declared_targets(declaration)}
        absent = [name for name in traits if name not in declared]
        if absent:
            raise DataError(f"{declared_in} does not say what {', '.join(absent)} mean. Add them.")
        return declaration.kind, tuple(declared[name] for name in traits), declaration.notes
    # Of the five only this one is written the wrong way round in some tables.
    directions: dict[str, Any] = {"neuroticism": -1 if known else None}
    targets = tuple(Target(name, 0.0, 1.0, directions.get(name, 1)) for name in traits)
    if known:
        return "apparent", targets, first_impressions.NOTES
    note = (
        f"Labels are taken as apparent traits in [0, 1]. Nothing says whether a high neuroticism "
        f"means more or less of it: declare it in {table.DECLARATION} beside the table."
    )
    return "apparent", targets, (note,)


def _check_ranges(values: pd.DataFrame, targets: Sequence[Target], faults: Faults) -> None:
    for target in targets:
        for clip, value in values[target.name].dropna().items():
            if not target.contains(value):
                bounds = (
                    "any number" if target.low is None else f"{target.low:g} to {target.high:g}"
                )
                faults.add(f"{target.name}: outside {bounds}", f"{clip} ({value:g})")


def _clip(name: str, row: Mapping[str, str], path: Path, faults: Faults) -> Clip | None:
    """One clip without labels; None where it cannot be one."""
    of_video = first_impressions.CLIP_NAME.fullmatch(row["file"])
    try:
        return Clip(
            id=name,
            path=path,
            source=of_video[1] if of_video else row["file"],
            subject=row.get("subject") or None,
            split=Cells({**row, "clip": name}, False, faults).split(),
        )
    except DataError as error:
        faults.add(str(error))
        return None


def _unused(header: Sequence[str], traits: Sequence[str]) -> list[str]:
    """Name the columns that are no targets and no signals of OpenFace."""
    emotions = [name for name in header if name.strip().lower() in EMOTIONS]
    others = [
        name
        for name in header
        if name not in (*traits, *emotions, *_OPENFACE)
        and name.lower() not in _OF_CLIPS
        and not name.startswith(_OPENFACE_PREFIXES)
    ]
    notes = [f"Emotions are not used: {', '.join(emotions)}."] if emotions else []
    return [*notes, f"Columns that are not used: {some(others)}."] if others else notes
