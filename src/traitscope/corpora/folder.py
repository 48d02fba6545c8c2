"""Plain recordings without labels: a folder of them -> Corpus, for features alone.

``folder:DIR`` takes every recording that FFmpeg reads, in the folder and in all folders below it;
links are followed. One file is one clip, and so is a folder of images. The id of a clip is its
name, with the folders it lies in before it: ``monday/talk.mp4`` is ``monday__talk.mp4``.

There are no targets: features can be prepared, shown, exported and brought in, and nothing can be
trained or evaluated.
"""

from pathlib import Path

from traitscope.errors import ClipError, DataError, some
from traitscope.media.folders import LeftOut, media_files
from traitscope.types import Clip, Corpus

BETWEEN = "__"
"""Stands in ids where paths have a slash."""


def load(path: Path) -> Corpus:
    """List the recordings of a folder.

    Raises:
        DataError: there is no folder, no recording in it, or two would have the same id.
    """
    if not path.is_dir():
        raise DataError(f"There is no folder {path}. Write folder:DIR of a folder of recordings.")
    try:
        listing = media_files(path, recursive=True)
    except ClipError as error:
        raise DataError(str(error)) from error
    # Hidden files are nobody's recordings: .DS_Store needs no note.
    others = [out for out in listing.left_out if not out.path.name.startswith(".")]
    if not listing.files:
        raise DataError(
            f"{path} holds no recordings. {_said(others, path) or 'It is empty.'} Give a folder of "
            f"video or sound files."
        )
    by_name: dict[str, Path] = {}
    for file in listing.files:
        name = _id(file, path)
        if name in by_name:
            raise DataError(
                f"{by_name[name]} and {file} would both be the clip {name!r}. Rename one of them."
            )
        by_name[name] = file
    clips = [Clip(id=name, path=file) for name, file in by_name.items()]
    notes = ["There are no labels here: for features only."]
    return Corpus(
        name=f"folder:{path.name or path}",
        kind="apparent",
        targets=(),
        clips=tuple(clips),
        notes=(*notes, *([_said(others, path)] if others else [])),
    )


def _id(file: Path, folder: Path) -> str:
    # A folder of images is a clip by itself: its own name, which "." alone does not have.
    parts = file.relative_to(folder).parts or (folder.resolve().name,)
    name = BETWEEN.join(parts)
    # Ids become file names: what is no sign to print, or ends a folder, must not be in them.
    return "".join(c if c.isprintable() and c not in "/\\" else "_" for c in name)


def _said(left_out: list[LeftOut], folder: Path) -> str:
    if not left_out:
        return ""
    names = [f"{out.path.relative_to(folder).as_posix()} ({out.reason})" for out in left_out]
    return f"Left out: {some(names)}."
