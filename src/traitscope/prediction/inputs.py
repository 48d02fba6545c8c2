"""What a user names -> clips to score, with the streams that a table brings along."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np

from traitscope.errors import ConfigError
from traitscope.extract.transcript import holds_words, read_words
from traitscope.features.request import Request
from traitscope.media.folders import LeftOut, Listing, media_files
from traitscope.prediction.scoring import Task
from traitscope.runs.checkpoint import Checkpoint
from traitscope.runs.plan import IMPORTED
from traitscope.sheets import SUFFIXES, open_sheet
from traitscope.types import Clip, Stream

log = logging.getLogger(__name__)


def named_paths(media: Sequence[Path | str], text: Path | str | None) -> list[Path]:
    """Paths of what the user named, media in place of their folders; the text alone without media.

    Raises:
        ConfigError: one text cannot be of several clips.
    """
    named = tuple(Path(path) for path in media or ([text] if text is not None else []))
    listing = media_in(named)
    if text is not None and len(listing.files) > 1:
        raise ConfigError(
            f"One text ({text}) cannot be of {len(listing.files)} clips. Give one clip, or put the "
            f"words beside each: NAME.txt."
        )
    if listing.files != named:  # the command line lists folders before, and says so itself
        for out in listing.left_out:
            log.warning("left out: %s (%s)", out.path, out.reason)
    return list(listing.files)


def media_in(paths: Sequence[Path], *, recursive: bool = False) -> Listing:
    """Put the media in place of their folders; every other path is one clip.

    Args:
        paths: as the user typed them; a folder of images is one clip, and so is one of nothing
            else, which fails with its reason.
        recursive: look into the folders of a folder as well.

    Returns:
        Paths of clips in the order of the arguments, and what the folders hold beside them.
    """
    files: list[Path] = []
    left_out: list[LeftOut] = []
    for path in (one for named in paths for one in _matching(named)):
        # A folder of images is one clip to `media_files`, which knows its layout.
        found = media_files(path, recursive=recursive) if path.is_dir() else Listing((path,), ())
        files += found.files or (path,)
        left_out += found.left_out
    return Listing(tuple(files), tuple(left_out))


def _matching(path: Path) -> list[Path]:
    """What a pattern such as ``clips/*.mp4`` stands for, where no shell has replaced it."""
    # A file may be called so: what is there is meant.
    if not any(mark in str(path) for mark in "*?[") or path.exists():
        return [path]
    # What matches nothing stays, and fails with its reason.
    start = Path(path.anchor or ".")
    return sorted(start.glob(str(path.relative_to(path.anchor)))) or [path]


def clip_names(paths: Sequence[Path]) -> list[str]:
    """An id for the clip of each path: its name, with its folders' where others have it too."""
    names = [path.name for path in paths]
    # Folder by folder from the file upwards, and only where names meet: short names stay short.
    for depth in range(1, max((len(path.parts) for path in paths), default=0)):
        different = dict.fromkeys(zip(paths, names, strict=True))
        twice = {name for name, count in Counter(n for _, n in different).items() if count > 1}
        if not twice:
            break
        names = [
            "_".join(path.parts[-1 - depth :]) if name in twice else name
            for path, name in zip(paths, names, strict=True)
        ]
    return names


def unused(name: str, taken: set[str]) -> str:
    """The name, or the first of ``name (2)``, ``name (3)`` ... that nobody has; now it is taken."""
    numbered = (f"{name} ({number})" for number in count(2))
    free = name if name not in taken else next(other for other in numbered if other not in taken)
    taken.add(free)
    return free


def speaker_of(requests: Mapping[str, Request]) -> str | None:
    """Whose words the requests read, if only one speaker's."""
    chosen = (getattr(request.config, "speaker", None) for request in requests.values())
    return next((name for name in chosen if name is not None), None)


def tasks_of(
    checkpoint: Checkpoint,
    media: Sequence[Path | str],
    *,
    text: Path | str | None = None,
    speaker: str | None = None,
) -> list[Task]:
    """The clips of all that a user names, each with an id of its own.

    Args:
        checkpoint: the run, which says what of a table is read.
        media: paths as they were typed.
        text: the words of the one clip; a clip itself where there is no media.
        speaker: whose words of the text.

    Raises:
        ConfigError: one text cannot be of several clips.
        DataError: a table lacks columns.
    """
    paths, taken = named_paths(media, text), set[str]()
    # Without media the text is the clip itself, and is found as any clip's words are.
    beside = None if text is None or not media else read_words(Path(text), speaker=speaker)
    tasks = []
    for path, name in zip(paths, clip_names(paths), strict=True):
        for clip, given in named_clips(checkpoint, path, name):
            clip = replace(clip, id=unused(clip.id, taken))
            if beside is not None:
                clip = replace(clip, transcript=beside.words)
            tasks.append(Task(clip, path, given, beside.notes if beside is not None else ()))
    return tasks


def named_clips(
    checkpoint: Checkpoint, path: Path, name: str = ""
) -> Iterator[tuple[Clip, dict[str, Stream]]]:
    """The clips of one argument, with the streams that it brings along.

    Args:
        checkpoint: the run.
        path: of a clip, or of a table of clips.
        name: id of a clip, if not the name of the file.
    """
    if path.suffix.lower() not in SUFFIXES or holds_words(path):
        yield clip_of(path, name), {}
        return
    if reads_openface(checkpoint):
        yield from ((clip, {}) for clip in table_clips(path)[0])
        return
    # Whatever a run was fitted on as imported columns, the table has to bring along by name.
    wanted = {
        stream: tuple(getattr(request.config, "columns", ()))
        for stream, request in checkpoint.facts.requests.items()
        if request.name == IMPORTED
    }
    from traitscope.extract.imported import read_table

    # The table is read once, whatever number of streams takes columns of it.
    together = list(dict.fromkeys(column for columns in wanted.values() for column in columns))
    table = read_table(path, columns=together, text=True)
    for clip, rows in table.streams.items():
        given = {stream: _only(rows, columns) for stream, columns in wanted.items()}
        yield Clip(id=clip, transcript=table.transcripts.get(clip)), given


def _only(rows: Stream, columns: Sequence[str]) -> Stream:
    assert rows.values is not None
    places = [rows.columns.index(name) for name in columns]
    values = rows.values[:, places]
    # A row may lack this stream's columns and have another's: it is missing here alone.
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
    # Imported here: pandas takes longer to load than a clip to score, and few have tables.
    from traitscope.corpora.openface import LONG_COLUMNS
    from traitscope.corpora.openface import clip_names as table_names

    sheet = open_sheet(path)
    named = [name for name in sheet.columns if name.lower() in LONG_COLUMNS]
    rows = sheet.read(named or sheet.columns[:1])
    if not named:  # a table of one clip, as OpenFace writes it, is named by its file
        clip = clip_of(path)
        return [clip], [clip.id] * len(rows)
    names = table_names(rows).tolist()
    return [Clip(id=name, path=path) for name in dict.fromkeys(names)], names


def clip_of(path: Path, name: str = "") -> Clip:
    """Make a clip of a whole file; the name of the file is its id if no other is given."""
    name = "".join(c if c.isprintable() and c not in "/\\" else "_" for c in name or path.name)
    return Clip(id=name or str(path.resolve().name) or "clip", path=path)
