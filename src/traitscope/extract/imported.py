"""Features that somebody else computed: a table, or images and points, by ``features import``.

A table in CSV or Parquet, keyed by ``clip``, or by ``clip`` and ``time`` in seconds, becomes a
stream with names and units (a column ``pitch [Hz]`` is the column ``pitch`` in Hz). Folders of
images and their points are read by ``_folders``. There is nothing to extract from media: what is
lacking, nobody can make.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from traitscope.config import Config as BaseConfig
from traitscope.errors import ClipError, DataError, some
from traitscope.types import Inputs, Stream

if TYPE_CHECKING:
    import pandas as pd

VERSION = 1
NEEDS = ()
CONTRACT = {"extracts": "its features come from a table, not from media"}

PICTURES = ("faces", "frames")
POINTS = "landmarks"
"""What folders of images and their points are called: models take them under these names."""

TEXT = "transcript"
_KEYS = ("clip", "time", TEXT)
_UNIT = re.compile(r"^(?P<name>.*?)\s*\[(?P<unit>[^\]]*)\]$")
_NOTHING = ("", "nan", "NaN", "NA", "N/A", "null")


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
        if self._config.name in (*PICTURES, POINTS):
            from traitscope.extract._folders import read_images, read_points

            if path is not None and path.is_dir():
                fps = inputs.clip.fps
                if self._config.name == POINTS:
                    return read_points(path, None, fps=fps)
                return read_images(path, fps=fps)
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
    """

    streams: Mapping[str, Stream]
    columns: tuple[str, ...]
    units: Mapping[str, str] = field(default_factory=dict)
    transcripts: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> str:
        """Hash of everything a model could see of the table."""
        digest = hashlib.sha256("\x1f".join(self.columns).encode())
        for clip, stream in sorted(self.streams.items()):
            assert stream.values is not None
            digest.update(clip.encode("utf-8", "surrogatepass") + b"\x1e")
            digest.update(stream.time.tobytes() + stream.values.tobytes())
        return digest.hexdigest()[:16]


def read_table(path: Path, *, columns: Sequence[str] | None = None, text: bool = False) -> Table:
    """Read features keyed by clip, or by clip and time.

    Args:
        path: a .csv, .tsv or .parquet file; decimal points, empty cells for what is missing.
        columns: features to take, in this order; all others by default.
        text: leave a column ``transcript`` to ``transcripts``.

    Raises:
        DataError: the table cannot be used; says which columns or rows, and why.
    """
    frame = _frame(path)
    names, units = _named(frame, path)
    frame.columns = names
    if "clip" not in names:
        raise DataError(f"{path} has no column 'clip'. It has: {', '.join(names)}.")
    keys = [name for name in _KEYS if name in names and (text or name != TEXT)]
    every = [name for name in names if name not in keys]
    wanted = every if columns is None else list(columns)
    absent = [name for name in wanted if name not in names]
    if absent or not (wanted or (text and TEXT in names)):
        what = f"no column {absent[0]!r}" if absent else "no column of features"
        raise DataError(f"{path} has {what}. It has: {', '.join(names)}.")
    values = _numbers(frame, wanted, path)
    clips = _clips(frame, path)
    time = _times(frame, clips, path)
    words = frame[TEXT].fillna("").astype(str).tolist() if text and TEXT in names else []
    return Table(
        streams=_streams(clips, time, values, tuple(wanted), units),
        columns=tuple(wanted),
        units={name: unit for name, unit in units.items() if name in wanted},
        transcripts={clip: said for clip, said in zip(clips, words, strict=False) if said.strip()},
    )


def _frame(path: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
        separator = max(",;\t", key=header.count)
        names = [name.strip().strip('"') for name in header.split(separator)]
        return pd.read_csv(
            path,
            sep=separator,
            decimal="." if separator == "," else ",",
            dtype={place: str for place, name in enumerate(names) if name in ("clip", TEXT)},
            keep_default_na=False,
            na_values=list(_NOTHING),
            encoding="utf-8-sig",
            low_memory=False,
        )
    except FileNotFoundError as error:
        raise DataError(f"There is no table {path}.") from error
    except (ValueError, OSError) as error:
        raise DataError(f"{path} is not readable as CSV or Parquet: {error}.") from error


def _named(frame: "pd.DataFrame", path: Path) -> tuple[list[str], dict[str, str]]:
    names, units = [], {}
    for header in map(str, frame.columns):
        found = _UNIT.match(header.strip())
        names.append(found["name"] if found else header.strip())
        if found:
            units[names[-1]] = found["unit"].strip()
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path} has the column {twice[0]!r} twice. Rename or remove one.")
    return names, units


def _numbers(frame: "pd.DataFrame", wanted: Sequence[str], path: Path) -> NDArray[np.float64]:
    import pandas as pd

    numbers = frame[list(wanted)].apply(pd.to_numeric, errors="coerce")
    words = numbers.isna() & frame[list(wanted)].notna()
    bad = [name for name in wanted if bool(words[name].any())]
    if bad:
        example = frame[bad[0]][words[bad[0]]].iloc[0]
        raise DataError(
            f"{path} has columns that are not numbers: {some(bad)} (such as {example!r}). Leave "
            f"them out: name the columns to take with --columns."
        )
    values = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def _clips(frame: "pd.DataFrame", path: Path) -> list[str]:
    empty = frame["clip"].isna()
    if bool(empty.any()):
        raise DataError(f"{path} has {int(empty.sum())} rows without a clip id.")
    return [str(clip).strip() for clip in frame["clip"]]


def _times(frame: "pd.DataFrame", clips: Sequence[str], path: Path) -> NDArray[np.float64]:
    if "time" in frame.columns:
        time = _numbers(frame, ["time"], path)[:, 0]
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
