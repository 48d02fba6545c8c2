"""A folder of recordings -> the media in it, and what was left out and why.

What is media is found out by opening it, not by its name: FFmpeg reads some hundred containers. The
usual suffixes are believed without that, so that a damaged ``.mp4`` is a clip that failed and not
a file left out. Text, tables and pictures are known by suffix and bytes. Words beside a recording
(``talk.srt`` beside ``talk.mp4``) are no clip of their own, and neither is its poster.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av

from traitscope.errors import ClipError
from traitscope.media import images
from traitscope.media.info import decoded
from traitscope.media.opening import open_container
from traitscope.media.suffixes import MEDIA

_TABLES = (".csv", ".tsv", ".parquet", ".xlsx", ".xls")
_PICTURES = (*images.SUFFIXES, ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".svg")
_TEXT, _PICTURE = "text", "a picture"
_STILL = ("image2", "ico")
_DECODED = 3
"""Pictures or pieces of sound that are tried: chance bytes look like the start of some format."""
_LOOKED_AT_BYTES = 4096
_ADDED = {9, 10, 12, 13, 27}
"""Control characters that text has: tab, ends of lines and pages, escape."""


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that is no clip, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Listing:
    """What a folder holds.

    Attributes:
        files: media files, and folders of images, each a clip; sorted by path.
        left_out: everything else, sorted by path.
    """

    files: tuple[Path, ...]
    left_out: tuple[LeftOut, ...]


def media_files(folder: Path, *, recursive: bool = False) -> Listing:
    """List the media of a folder; a folder of images (the frames of one clip) is one of them.

    Args:
        folder: looked through in the order of names; links to folders are followed once.
        recursive: look into the folders in it as well.

    Raises:
        ClipError: the folder cannot be read.
    """
    files: list[Path] = []
    left_out: list[LeftOut] = []
    _look_into(folder, files, left_out, {folder.resolve(): folder}, recursive=recursive)
    return Listing(tuple(sorted(files)), tuple(sorted(left_out, key=lambda out: out.path)))


def is_media(path: Path) -> bool:
    """Tell whether a file has a usual suffix of media, or can be opened and decoded as media."""
    return path.suffix.lower() in MEDIA or not _why_not(path)


def _look_into(
    folder: Path,
    files: list[Path],
    left_out: list[LeftOut],
    seen: dict[Path, Path],
    *,
    recursive: bool,
) -> None:
    entries = _entries(folder)
    reasons = {entry: _why_not(entry) for entry in entries if not entry.is_dir()}
    media = [entry for entry, reason in reasons.items() if not reason]
    # The frames of one clip: nothing in such a folder is a clip by itself.
    if _holds_frames(entries, media):
        files.append(folder)
        return
    files += media
    names = {name for clip in media for name in (clip.name, clip.stem)}
    for entry, reason in reasons.items():
        if reason:
            left_out.append(LeftOut(entry, _beside(entry, reason, names)))
    # Folders before links to them, so that files are named by where they are.
    for entry in sorted((e for e in entries if e.is_dir()), key=lambda e: e.is_symlink()):
        real = entry.resolve()
        if not recursive or entry.name.startswith("."):
            hidden = entry.name.startswith(".")
            why = "hidden" if hidden else "a folder; --recursive looks into it"
            left_out.append(LeftOut(entry, why))
        elif real in seen:
            left_out.append(LeftOut(entry, f"the same folder as {seen[real]}"))
        else:
            seen[real] = entry
            try:
                _look_into(entry, files, left_out, seen, recursive=True)
            except ClipError as error:
                left_out.append(LeftOut(entry, str(error)))


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise ClipError(
            f"{folder} cannot be read: {error.strerror}. Give this user the right to.",
            status="unreadable",
        ) from error


def _holds_frames(entries: Sequence[Path], media: Sequence[Path]) -> bool:
    """Tell the frames of one clip, perhaps with its sound, from recordings with a poster."""
    frames = [e for e in entries if e.suffix.lower() in images.SUFFIXES and e.name[0] != "."]
    sounds = [entry for entry in media if entry.suffix.lower() == ".wav"]
    if not frames or len(media) > len(sounds) or len(sounds) > 1:
        return False
    # A picture beside one sound is its poster, unless a rate says that pictures are shown.
    return not sounds or len(frames) > 1 or any(entry.name == "fps.txt" for entry in entries)


def _beside(entry: Path, reason: str, names: set[str]) -> str:
    """Say of words and posters that they belong to a recording: ``talk.en.srt`` to ``talk.mp4``."""
    if not names & {entry.stem, Path(entry.stem).stem}:
        return reason
    if reason == _TEXT or entry.suffix.lower() == ".tsv":  # as Whisper writes words
        return "words beside a recording"
    return "a picture beside a recording" if reason == _PICTURE else reason


def _why_not(path: Path) -> str:
    """Say why a file is no media; nothing if it is."""
    suffix = path.suffix.lower()
    if path.name.startswith("."):
        return "hidden"
    if not path.exists():
        return "a link to what is not there"
    if not path.is_file():
        return "no file"
    if suffix in MEDIA:
        return ""
    if suffix in _TABLES:
        return "a table"
    if suffix in _PICTURES:
        return _PICTURE
    try:
        with path.open("rb") as file:
            start = file.read(_LOOKED_AT_BYTES)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if _is_text(start):
        return _TEXT if start else "empty"
    return _refusal(path)


def _is_text(start: bytes) -> bool:
    """Tell text by its bytes; FFmpeg takes much of it for media (as terminals draw it)."""
    # UTF-16 has zeros in it, which would count as data below.
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    return all(byte >= 32 or byte in _ADDED for byte in start) and b"\x7f" not in start


def _refusal(path: Path) -> str:
    try:
        with open_container(path) as container:
            kind = container.format.name
            # Sound first: beside it, a track of pictures may be a cover.
            tracks = [*container.streams.audio, *container.streams.video]
            stream = next((track for track in tracks if track.codec_context is not None), None)
            if stream is None:
                return f"{kind} without pictures or sound that are known here"
            if kind.endswith("_pipe") or kind in _STILL:
                return _PICTURE
            problems: list[str] = []
            pieces = sum(1 for _ in islice(decoded(container, stream, problems.append), _DECODED))
            moving = stream.type == "audio" or pieces > 1
    except (ClipError, av.error.FFmpegError, OSError, ValueError):
        return "no media that can be opened"
    # Chance bytes give a picture now and then, and more complaints.
    if moving and pieces > len(problems):
        return ""
    return "a single picture" if pieces and not moving else "no media that can be decoded"


def walk(folder: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Go through a folder as ``os.walk`` does, in a fixed order; links to folders are followed.

    Each real folder is visited once, so that links cannot lead in circles; links come after the
    folders beside them. What the caller takes out of the second list is not visited.

    Yields:
        A folder, names of the folders in it, names of its files.
    """
    seen = {os.path.realpath(folder)}
    for place, below, names in os.walk(folder, followlinks=True):
        here = Path(place)
        new: dict[str, str] = {}
        for name in sorted(below, key=lambda name: ((here / name).is_symlink(), name)):
            real = os.path.realpath(here / name)
            # Two links beside each other may lead to one folder, too.
            if real not in seen and real not in new.values():
                new[name] = real
        below[:] = new
        yield here, below, sorted(names)
        # What the caller took out has not been visited: another link may lead to it later.
        seen.update(new[name] for name in below)
