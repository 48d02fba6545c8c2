"""Your own data: a CSV or Parquet table of clips, with ``clips.yaml`` beside it -> Corpus.

Columns: ``clip`` and the targets; optional ``path``, ``source``, ``subject``, ``split``,
``start``, ``end``, ``fps``, ``transcript`` and the attributes that ``clips.yaml`` names. What a
number means is never guessed: ``clips.yaml`` states range and direction of each target.

Every fault of the table is listed in one error; nothing is dropped silently.
"""

import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path, PureWindowsPath
from typing import Any, Literal

from traitscope.config import Config, build, read_yaml
from traitscope.errors import ConfigError, DataError
from traitscope.types import TRAITS, Clip, Corpus, Kind, Target

DECLARATION = "clips.yaml"
COLUMNS = ("clip", "path", "source", "subject", "split", "start", "end", "fps", "transcript")
SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
SUFFIXES = (
    *(".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp"),
    *(".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus"),
)
"""Of media that is looked for by the clip's id, best first."""
_USUAL_ATTRIBUTES = ("age", "gender", "sex", "ethnicity", "race", "language", "country")
_NOTHING = ("", "nan", "na", "n/a", "null")
_SHOWN = 20  # examples of one kind of fault; the rest is counted
_OF_FILES = {"start": "seconds", "end": "seconds", "fps": "frames per second"}


class TargetRange(Config):
    """Range and direction of one target; all three must be written down."""

    low: float | None
    """Lower end of the range; null (with high) for z-scores."""
    high: float | None
    """Upper end of the range."""
    direction: Literal[1, -1] | None
    """1: a high value is more of what the name says; -1: less; null: not known."""


class Declaration(Config):
    """What ``clips.yaml`` says."""

    kind: Kind
    """Whose judgement the labels are: apparent (observers) or self_reported (questionnaires)."""
    targets: dict[str, TargetRange]
    """Target -> its range and direction."""
    name: str | None = None
    """Name of the corpus in reports; the table's file name when left out."""
    attributes: tuple[str, ...] = ()
    """Columns such as age and gender, for baselines and audits only."""
    notes: tuple[str, ...] = ()
    """Facts that readers of results must know: licence, excluded uses."""
    media: str = "."
    """Folder of the media, relative to the table."""


@dataclass(frozen=True)
class _Table:
    """A table as text: rows of column -> cell."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    decimal_comma: bool = False


@dataclass
class _Faults:
    """Faults by kind, each with where it occurred, in the order they were met."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, where: str = "") -> None:
        self.found.setdefault(kind, []).append(where)

    def lines(self) -> list[str]:
        return [f"{kind}{self._places(places)}" for kind, places in self.found.items()]

    def _places(self, places: list[str]) -> str:
        named = [place for place in places if place]
        more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
        return f": {', '.join(named[:_SHOWN])}{more}" if named else ""


def load(path: Path) -> Corpus:
    """Load a table of clips, or the ``clips.csv`` or ``clips.parquet`` of a folder.

    Raises:
        DataError: lists every fault of the table.
        ConfigError: ``clips.yaml`` is wrong, or missing: then it shows one to fill in.
    """
    path = _find(path)
    table = _read(path)
    declared_in = path.parent / DECLARATION
    if not declared_in.exists():
        raise ConfigError(_ask_for_declaration(table, declared_in))
    declaration = build(Declaration, read_yaml(declared_in), where=str(declared_in))
    targets = _targets(declaration)
    faults = _Faults()
    notes = _check_columns(table, declaration, faults)
    clips = _clips(table, declaration, targets, faults)
    if faults.found:
        lines = "\n  ".join(faults.lines())
        raise DataError(f"{path} has faults; mend them there or in {DECLARATION}:\n  {lines}")
    return Corpus(
        name=declaration.name or f"table:{path.name}",
        kind=declaration.kind,
        targets=tuple(targets.values()),
        clips=tuple(clips),
        notes=(*declaration.notes, *notes),
    )


def _find(path: Path) -> Path:
    candidates = [path / "clips.csv", path / "clips.parquet"] if path.is_dir() else [path]
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is None:
        looked = " or ".join(str(candidate) for candidate in candidates)
        raise DataError(f"There is no table {looked}. Write table:PATH of a CSV or Parquet file.")
    return found


def _targets(declaration: Declaration) -> dict[str, Target]:
    """The declared targets, traits first and in their order."""
    order = {name: place for place, name in enumerate(TRAITS)}
    names = sorted(declaration.targets, key=lambda name: order.get(name, len(order)))
    return {name: Target(name=name, **declaration.targets[name].model_dump()) for name in names}


def _read(path: Path) -> _Table:
    if path.suffix.lower() == ".parquet":
        return _read_parquet(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}). In Excel, save it "
            f"as 'CSV UTF-8'."
        ) from error
    lines = text.splitlines()
    header = lines[0] if lines else ""
    separator = max(",;\t", key=header.count)
    try:
        reader = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise DataError(f"{path} is not readable as CSV: {error}.") from error
    return _as_table(path, reader, decimal_comma=separator != ",")


def _as_table(path: Path, lines: list[list[str]], *, decimal_comma: bool) -> _Table:
    filled = [(n, line) for n, line in enumerate(lines, 1) if any(cell.strip() for cell in line)]
    if len(filled) < 2:
        raise DataError(f"{path} has no rows. It needs a line of column names, then the clips.")
    columns = tuple(cell.strip() for cell in filled[0][1])
    twice = sorted({name for name in columns if columns.count(name) > 1 and name})
    if twice:
        raise DataError(f"{path} has the column {twice[0]!r} twice. Rename or remove one.")
    odd = [n for n, line in filled[1:] if any(cell.strip() for cell in line[len(columns) :])]
    if odd:
        raise DataError(
            f"{path} has more cells than columns in row {odd[0]} (and {len(odd) - 1} others). "
            f"Put cells that hold the separator in double quotes."
        )
    rows = tuple(
        {name: cell.strip() for name, cell in zip(columns, line, strict=False)}
        for _, line in filled[1:]
    )
    return _Table(path, columns, rows, decimal_comma)


def _read_parquet(path: Path) -> _Table:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(path).read()
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} is not readable as Parquet: {error}") from error
    names = table.column_names
    lines = [[_as_text(row[name]) for name in names] for row in table.to_pylist()]
    return _as_table(path, [names, *lines], decimal_comma=False)


def _as_text(value: Any) -> str:
    """A Parquet cell as a CSV cell: nothing for null and NaN, whole floats as integers."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _check_columns(table: _Table, declaration: Declaration, faults: _Faults) -> list[str]:
    """Note faults of the columns, and return notes on those that are not used."""
    declared = [*declaration.targets, *declaration.attributes]
    for name in ("clip", *declared):
        if name not in table.columns:
            near = get_close_matches(name, [c for c in table.columns if c not in COLUMNS], n=1)
            hint = f" (is {near[0]!r} meant?)" if near else ""
            faults.add(f"there is no column {name!r}{hint}")
    for name in declared:
        if name in COLUMNS or (name in declaration.targets and name in declaration.attributes):
            faults.add(f"{name!r} is declared, but it is already something else")
    known = {*COLUMNS, *declared}
    unused = [name for name in table.columns if name and name not in known]
    absent = sorted(known - set(table.columns))
    for name in unused:
        near = get_close_matches(name.lower(), absent, n=1, cutoff=0.75)
        if near and near[0] not in ("clip", *declared):
            faults.add(f"unknown column {name!r}: is {near[0]!r} meant?")
    return [f"Columns that are not used: {', '.join(unused)}."] if unused else []


def _clips(
    table: _Table, declaration: Declaration, targets: Mapping[str, Target], faults: _Faults
) -> list[Clip]:
    find_media = _media_finder(table.path.parent, table.path.parent / declaration.media)
    rows = [row for row in table.rows if row.get("clip")]
    if "clip" in table.columns and len(rows) < len(table.rows):
        faults.add(f"{len(table.rows) - len(rows)} rows have no clip id")
    seen: set[str] = set()
    clips = []
    for row in rows:
        if row["clip"] in seen:
            faults.add("clip ids occur more than once", repr(row["clip"]))
            continue
        seen.add(row["clip"])
        cell = _Cells(row, table.decimal_comma, faults)
        times = cell.times()
        labels = {name: cell.label(target) for name, target in targets.items()}
        try:
            clip = Clip(
                id=row["clip"],
                path=find_media(row["clip"], row.get("path", "")),
                **times,
                source=row.get("source", ""),
                subject=row.get("subject") or None,
                split=cell.split(),
                targets={name: label for name, label in labels.items() if label is not None},
                transcript=row.get("transcript") or None,
                attributes=cell.attributes(declaration.attributes),
            )
        except DataError as error:
            faults.add(str(error))
            continue
        clips.append(clip)
    return clips


@dataclass(frozen=True)
class _Cells:
    """Reads the cells of one row; a cell that cannot be used is noted and left out."""

    row: Mapping[str, str]
    decimal_comma: bool
    faults: _Faults

    def number(self, name: str) -> float | None:
        text = self.row.get(name, "")
        if text.lower() in _NOTHING:
            return None
        if self.decimal_comma and re.fullmatch(r"[+-]?\d*,\d+", text):
            text = text.replace(",", ".")
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self._note(f"{name}: not a number", text)
            return None
        return number

    def label(self, target: Target) -> float | None:
        number = self.number(target.name)
        if number is None or target.contains(number):
            return number
        self._note(f"{target.name}: outside {target.low:g} to {target.high:g}", f"{number:g}")
        return None

    def times(self) -> dict[str, float | None]:
        """Start, end and fps; none of them negative, none of them upside down."""
        times = {name: self.number(name) for name in _OF_FILES}
        for name, unit in _OF_FILES.items():
            value = times[name]
            if value is not None and (value < 0 or (value == 0 and name != "start")):
                self._note(f"{name}: not a possible number of {unit}", f"{value:g}")
                times[name] = None
        start, end = times["start"], times["end"]
        if end is not None and end <= (start or 0):
            self._note("end: not after start", f"{start or 0:g} to {end:g}")
            times["start"] = times["end"] = None
        return times

    def split(self) -> str | None:
        text = self.row.get("split", "")
        if text and text.lower() not in SPLIT_WORDS:
            self._note(f"split: not one of {', '.join(SPLIT_WORDS)}", repr(text))
        return SPLIT_WORDS.get(text.lower())

    def attributes(self, names: Sequence[str]) -> dict[str, str | float]:
        """Numbers where they are numbers, words where they are words, nothing where empty."""
        quiet = _Cells(self.row, self.decimal_comma, _Faults())
        cells = {name: self.row.get(name, "") for name in names}
        filled = {name: text for name, text in cells.items() if text.lower() not in _NOTHING}
        numbers = {name: quiet.number(name) for name in filled}
        return {
            name: text if (number := numbers[name]) is None else number
            for name, text in filled.items()
        }

    def _note(self, kind: str, value: str) -> None:
        self.faults.add(kind, f"{self.row['clip']} ({value})")


def _media_finder(base: Path, media: Path) -> Callable[[str, str], Path | None]:
    """Make the function that finds a clip's media by its path cell, else by its id."""
    by_name = {entry.name: entry for entry in sorted(media.iterdir())} if media.is_dir() else {}
    suffix_rank = {suffix: rank for rank, suffix in enumerate(SUFFIXES)}
    by_stem: dict[str, Path] = {}
    usable = [p for p in by_name.values() if p.suffix.lower() in suffix_rank]
    for entry in sorted(usable, key=lambda p: suffix_rank[p.suffix.lower()]):
        by_stem.setdefault(entry.stem, entry)

    def find(clip: str, cell: str) -> Path | None:
        if not cell:
            return by_name.get(clip) or by_stem.get(clip)
        path = Path(PureWindowsPath(cell).as_posix()) if "\\" in cell else Path(cell)
        beside = base / path
        return media / path if not beside.exists() and (media / path).exists() else beside

    return find


def _ask_for_declaration(table: _Table, path: Path) -> str:
    """Write the error for a missing clips.yaml, with one to copy and fill in."""
    ranges = {name: _observed(table, name) for name in table.columns if name not in COLUMNS}
    numeric = [name for name, seen in ranges.items() if seen and name not in _USUAL_ATTRIBUTES]
    targets = [name for name in numeric if name in (*TRAITS, "interview")] or numeric
    attributes = [name for name in ranges if name in _USUAL_ATTRIBUTES]
    lines = [
        f"name: {table.path.stem}",
        "kind: FILL            # apparent (observers judged) or self_reported (questionnaires)",
        "targets:              # low and high: ends of the scale, null for z-scores",
        *(
            f"  {name}: {{low: FILL, high: FILL, direction: FILL}}   # found: {ranges[name]}"
            for name in targets
        ),
        f"attributes: [{', '.join(attributes)}]",
        "media: .              # folder of the media, relative to the table",
    ]
    return (
        f"There is no {path}. It says what the numbers of {table.path.name} mean, which is never "
        f"guessed. Put this there, with FILL replaced (direction: 1 if a high value is more of "
        f"what the name says, -1 if it is less):\n\n" + "\n".join(lines) + "\n"
    )


def _observed(table: _Table, name: str) -> str:
    """The least and greatest number of a column, empty if it holds none."""
    cells = [_Cells(row, table.decimal_comma, _Faults()) for row in table.rows]
    numbers = [number for cell in cells if (number := cell.number(name)) is not None]
    return f"{min(numbers):g} to {max(numbers):g}" if numbers else ""
