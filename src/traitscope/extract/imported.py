"""Features that somebody else computed: a table, or images and points, by ``features import``.

A table in CSV or Parquet, keyed by ``clip``, or by ``clip`` and ``time`` in seconds, becomes a
stream with names and units (a column ``pitch [Hz]`` is the column ``pitch`` in Hz). Folders of
images and their points are read by ``_folders``. There is nothing to extract from media: what is
lacking, nobody can make.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from traitscope.config import Config as BaseConfig
from traitscope.errors import ClipError, DataError, some
from traitscope.sheets import Sheet, open_sheet
from traitscope.types import Inputs, Stream

if TYPE_CHECKING:
    import pandas as pd

VERSION = 1
NEEDS = ()
CONTRACT = {"extracts": "its features come from a table, not from media"}

PICTURES = ("faces", "frames")
POINTS = "landmarks"
DRAWINGS = "drawings"
"""What folders of images and their points are called: models take them under these names."""

TEXT = "transcript"
_KEYS = ("clip", "time", TEXT)
_UNIT = re.compile(r"^(?P<name>.*?)\s*\[(?P<unit>[^\]]*)\]$")
_NO_FEATURES = frozenset(
    [
        *("openness", "opennesstoexperience", "openmindedness", "conscientiousness"),
        *("extraversion", "extroversion", "agreeableness", "neuroticism", "emotionalstability"),
        *("negativeemotionality", "interview", "label", "labels", "target", "targets"),
        *("age", "agegroup", "gender", "sex", "ethnicity", "race", "nationality", "country"),
        *("split", "fold", "partition", "subset", "source", "subject", "participant", "rater"),
        *("path", "file", "filename", "start", "end", "fps", "index", "level0"),
    ]
)
"""Bare names of columns that are no features: labels, people, splits, where a row is from."""
_AROUND = frozenset(
    ["true", "label", "labels", "target", "gt", "actual", "predicted", "pred", "y", "z", "score"]
)
"""Words that are put before and after the names of labels."""


class Config(BaseConfig):
    """What identifies imported features."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z]\w*$")] = "table"
    """What models call the stream."""
    content: str = ""
    """Hash of names, clips, times and values; empty before the table is known."""
    columns: tuple[str, ...] = ()
    """Names of the features, in order."""


class Extractor:
    """Stand for features that cannot be computed here."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def finish(self, inputs: Inputs) -> Stream:
        """Read a clip that is a folder of images, or say where the features have to come from.

        Raises:
            ClipError: with status ``missing`` for all that is no such folder.
        """
        path = inputs.clip.path
        if self._config.name in (*PICTURES, POINTS, DRAWINGS):
            from traitscope.extract._folders import read_images, read_points

            if path is not None and path.is_dir():
                fps = inputs.clip.fps
                if self._config.name == POINTS:
                    return read_points(path, None, fps=fps)
                return read_images(path, fps=fps, drawn=self._config.name == DRAWINGS)
            raise ClipError(
                f"The {self._config.name} of clip {inputs.clip.id!r} have to be read, not found: "
                f"the run was trained on images from elsewhere. Give a folder of such images, with "
                f"their points.",
                status="missing",
            )
        raise ClipError(
            f"The features {self._config.name!r} of clip {inputs.clip.id!r} come from a table. "
            f"For new clips: traitscope predict RUN TABLE.csv; for a corpus: traitscope features "
            f"import STORE TABLE.csv --name {self._config.name} --corpus CORPUS",
            status="missing",
        )


@dataclass(frozen=True)
class Table:
    """A read table.

    Attributes:
        streams: clip id -> its rows.
        columns: names of the features, in order.
        units: column -> unit, where the header gives one.
        transcripts: clip id -> words, of rows that have some.
        left_out: columns that were not taken, because they are named like labels.
        notes: what was noticed of the file.
    """

    streams: Mapping[str, Stream]
    columns: tuple[str, ...]
    units: Mapping[str, str] = field(default_factory=dict)
    transcripts: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """Hash of everything a model could see of the table."""
        digest = hashlib.sha256("\x1f".join(self.columns).encode())
        for clip, stream in sorted(self.streams.items()):
            assert stream.values is not None
            digest.update(clip.encode("utf-8", "surrogatepass") + b"\x1e")
            digest.update(stream.time.tobytes() + stream.values.tobytes())
        return digest.hexdigest()[:16]


def read_table(
    path: Path,
    *,
    columns: Sequence[str] | None = None,
    text: bool = False,
    labels: Iterable[str] = (),
) -> Table:
    """Read features keyed by clip, or by clip and time.

    Args:
        path: a CSV, TSV or Parquet file; empty cells for what is missing.
        columns: features to take, in this order; by default all others that are named like no
            label, attribute or split.
        text: leave a column ``transcript`` to ``transcripts``.
        labels: names of further columns that are no features.

    Raises:
        DataError: the table cannot be used; says which columns or rows, and why.
    """
    sheet = open_sheet(path, fold=("clip", TEXT))
    headers, units = _named(sheet.columns, path)
    names = list(headers)
    if "clip" not in names:
        said = "".join(f" {note}" for note in sheet.notes)
        raise DataError(f"{path} has no column 'clip'. It has: {', '.join(names)}.{said}")
    keys = [name for name in _KEYS if name in names and (text or name != TEXT)]
    every = [name for name in names if name not in keys]
    left_out = [] if columns is not None else labels_among(every, labels)
    wanted = [n for n in every if n not in left_out] if columns is None else list(columns)
    absent = [name for name in wanted if name not in names]
    if absent or not (wanted or (text and TEXT in names)):
        what = f"no column {absent[0]!r}" if absent else "no column of features"
        said = f" No features by their names: {', '.join(left_out)}." if left_out else ""
        raise DataError(f"{path} has {what}. It has: {', '.join(names)}.{said}")
    frame = _read(sheet, keys, {headers[n]: n for n in (*keys, *wanted)}, columns is None)
    values = _finite(frame[wanted].to_numpy(dtype=np.float64))
    clips = _clips(frame, path)
    time = _times(frame, clips, path)
    words = frame[TEXT].tolist() if text and TEXT in names else []
    return Table(
        streams=_streams(clips, time, values, tuple(wanted), units),
        columns=tuple(wanted),
        units={name: unit for name, unit in units.items() if name in wanted},
        transcripts={clip: said for clip, said in zip(clips, words, strict=False) if said},
        left_out=tuple(left_out),
        notes=sheet.notes,
    )


def labels_among(names: Sequence[str], further: Iterable[str] = ()) -> list[str]:
    """Find the columns that are named like labels, attributes of people, splits or row numbers.

    A table of features often holds them too; a model that sees them scores perfectly and has
    learnt nothing. ``true_openness``, ``Openness (label)`` and ``OPENMINDEDNESS_Z`` are labels,
    ``f_openness`` is none; the letters O, C, E, A, N are, where all five are there.

    Args:
        names: of columns.
        further: names that are labels or attributes too, such as those of a corpus.
    """
    known = _NO_FEATURES | {_bare(name) for name in further}
    bare = {name: _bare(name) for name in names}
    if set("ocean") <= set(bare.values()):
        known |= set("ocean")
    return [name for name in names if bare[name] in known]


def _bare(name: str) -> str:
    """A name in small letters without what is put around the names of labels."""
    words = [word for word in re.split(r"[\W_]+", name.casefold()) if word]
    while len(words) > 1 and words[0] in _AROUND:
        words = words[1:]
    while len(words) > 1 and words[-1] in _AROUND:
        words = words[:-1]
    return "".join(words)


def _named(columns: Sequence[str], path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Name without unit -> header, in order; and name -> unit."""
    headers: dict[str, str] = {}
    units = {}
    for header in columns:
        found = _UNIT.match(header)
        name = found["name"] if found else header
        if name in headers:
            raise DataError(f"{path} has the column {name!r} twice. Rename or remove one.")
        headers[name] = header
        if found:
            units[name] = found["unit"].strip()
    return headers, units


def _read(
    sheet: Sheet, keys: Sequence[str], names: Mapping[str, str], choose: bool
) -> "pd.DataFrame":
    """Read columns by their headers, and call them by their names; keys but the time as text."""
    texts = [header for header, name in names.items() if name in keys and name != "time"]
    numbers = {header: np.float64 for header in names if header not in texts}
    try:
        return sheet.read(texts, numbers).rename(columns=dict(names))
    except DataError as error:
        more = " Name the columns to take with --columns." if choose else ""
        raise DataError(f"{error}{more}") from error


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(values), values, np.nan)


def _clips(frame: "pd.DataFrame", path: Path) -> list[str]:
    clips = [str(clip) for clip in frame["clip"]]
    if "" in clips:
        raise DataError(f"{path} has {clips.count('')} rows without a clip id.")
    return clips


def _times(frame: "pd.DataFrame", clips: Sequence[str], path: Path) -> NDArray[np.float64]:
    if "time" in frame.columns:
        time = _finite(frame["time"].to_numpy(dtype=np.float64))
        bad = [clip for clip, t in zip(clips, time, strict=True) if not t >= 0]
        if bad:
            raise DataError(
                f"{path} has {len(bad)} rows whose time is missing or negative (clips "
                f"{some(bad)}). Times are seconds from the start of the clip."
            )
        return time
    seen: set[str] = set()
    twice = sorted({clip for clip in clips if clip in seen or seen.add(clip)})  # type: ignore[func-returns-value]
    if twice:
        raise DataError(
            f"{path} has several rows for {len(twice)} clips ({some(twice)}), and no column "
            f"'time' that tells them apart. Add one, in seconds, or keep one row per clip."
        )
    return np.zeros(len(clips))


def _streams(
    clips: Sequence[str],
    time: NDArray[np.float64],
    values: NDArray[np.float64],
    columns: tuple[str, ...],
    units: Mapping[str, str],
) -> dict[str, Stream]:
    rows: dict[str, list[int]] = {}
    for row, clip in enumerate(clips):
        rows.setdefault(clip, []).append(row)
    info: dict[str, Any] = {"units": {c: units[c] for c in columns if c in units}}
    streams = {}
    for clip, mine in rows.items():
        order = np.array(mine)[np.argsort(time[mine], kind="stable")]
        there = np.isfinite(values[order]).any(axis=1)
        streams[clip] = Stream(
            time=time[order], values=values[order], valid=there, columns=columns, info=info
        )
    return streams
