"""What a user names -> clips, with the streams that a table brings along."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from traitscope.corpora.openface import LONG_COLUMNS, clip_names
from traitscope.errors import ConfigError
from traitscope.extract.imported import read_table
from traitscope.runs.checkpoint import Checkpoint
from traitscope.runs.plan import IMPORTED
from traitscope.sheets import SUFFIXES, open_sheet
from traitscope.types import Clip, Stream


def named_paths(media: Sequence[Path | str], text: Path | str | None) -> list[Path]:
    """Paths as the user typed them; the text alone where there is no media.

    Raises:
        ConfigError: one text cannot be of several clips.
    """
    if text is not None and len(media) > 1:
        raise ConfigError(
            f"One text ({text}) cannot be of {len(media)} clips. Give one clip, or put the words "
            f"beside each: NAME.txt."
        )
    return [Path(path) for path in media or ([text] if text is not None else [])]


def named_clips(checkpoint: Checkpoint, path: Path) -> Iterator[tuple[Clip, dict[str, Stream]]]:
    """The clips of one argument, with the streams that it brings along."""
    if path.suffix.lower() not in SUFFIXES:
        yield clip_of(path), {}
        return
    if reads_openface(checkpoint):
        yield from ((clip, {}) for clip in table_clips(path)[0])
        return
    wanted = {
        stream: tuple(getattr(request.config, "columns", ()))
        for stream, request in checkpoint.facts.requests.items()
        if request.name == IMPORTED
    }
    together = list(dict.fromkeys(column for columns in wanted.values() for column in columns))
    table = read_table(path, columns=together, text=True)
    for clip, rows in table.streams.items():
        given = {stream: _only(rows, columns) for stream, columns in wanted.items()}
        yield Clip(id=clip, transcript=table.transcripts.get(clip)), given


def _only(rows: Stream, columns: Sequence[str]) -> Stream:
    assert rows.values is not None
    places = [rows.columns.index(name) for name in columns]
    values = rows.values[:, places]
    valid = np.isfinite(values).any(axis=1)
    return replace(rows, values=values, columns=tuple(columns), valid=valid)


def reads_openface(checkpoint: Checkpoint) -> bool:
    """Tell whether a run takes its signals from OpenFace's tables."""
    configs = [request.config for request in checkpoint.facts.requests.values()]
    return any(getattr(config, "backend", None) == "openface" for config in configs)


def table_clips(path: Path) -> tuple[list[Clip], list[str]]:
    """The clips of an OpenFace table, in its order, and the id of the clip of each row.

    Raises:
        DataError: the file is missing or no table.
    """
    sheet = open_sheet(path)
    named = [name for name in sheet.columns if name.lower() in LONG_COLUMNS]
    rows = sheet.read(named or sheet.columns[:1])
    if not named:
        clip = clip_of(path)
        return [clip], [clip.id] * len(rows)
    names = clip_names(rows).tolist()
    return [Clip(id=name, path=path) for name in dict.fromkeys(names)], names


def clip_of(path: Path) -> Clip:
    """Make a clip of a whole file; its name is its id."""
    name = "".join(c if c.isprintable() and c not in "/\\" else "_" for c in path.name)
    return Clip(id=name or str(path.resolve().name) or "clip", path=path)
