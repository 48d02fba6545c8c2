"""A file of words -> its cues: decode the text, see what kind it is, read it, or refuse it.

The kind is seen from what is written; the suffix only tells plain text from subtitles in which
nothing was understood. What is not read is refused by name: nothing else is counted as words.
"""

import re
from collections.abc import Callable
from pathlib import Path

from traitscope.errors import ClipError
from traitscope.extract import _recognised as recognised
from traitscope.extract import _subtitles as subtitles
from traitscope.extract._cues import Cue
from traitscope.media.limits import WORDS_BYTES

PLAIN = (".txt",)
TIMED = (
    *(".srt", ".vtt", ".ass", ".ssa", ".sbv", ".sub", ".lrc", ".ttml", ".dfxp"),
    *(".textgrid", ".tsv", ".json"),
)
READ = (
    "plain text (.txt), SRT, WebVTT, ASS/SSA, SBV, SubViewer, MicroDVD, MPL2, LRC, TTML, Praat's "
    "TextGrid, and JSON, TSV and CSV of Whisper, WhisperX and faster-whisper"
)

_KINDS: tuple[tuple[Callable[[str], bool], Callable[[str], list[Cue]]], ...] = (
    (recognised.is_json, recognised.read_json),
    (recognised.is_xml, recognised.read_xml),
    (recognised.is_textgrid, recognised.read_textgrid),
    (subtitles.is_substation, subtitles.read_substation),
    (subtitles.is_microdvd, subtitles.read_microdvd),
    (recognised.is_tabular, recognised.read_tabular),
    (subtitles.is_subrip, subtitles.read_subrip),
    (subtitles.is_subviewer, subtitles.read_subviewer),
    (subtitles.is_minutes, subtitles.read_minutes),
    (subtitles.is_stamped, subtitles.read_stamped),
)
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_FOREIGN = re.compile(r"\s*(?:\{\\rtf|%PDF|version https://git-lfs|@UTF8|@Begin)", re.IGNORECASE)
"""Beginnings of text that is not words: documents, a Git LFS pointer, CHAT."""
_HEADER_BYTES = 4096
_WESTERN = 0.3
"""Share of letters beyond ASCII, from which text is not Western: German and French have .05."""


def read_cues(path: Path) -> tuple[list[Cue], list[str]]:
    """Read a file of words.

    Args:
        path: of any kind in `READ`; UTF-8, UTF-16 with or without a mark, or Windows-1252.

    Returns:
        Its cues in order of time (plain text is one, without times), and what was noticed.

    Raises:
        ClipError: it cannot be read, is of no such kind, or has no cue (status ``no_text``).
    """
    text, notes = _decoded(path)
    try:
        if _FOREIGN.match(text):
            raise ClipError("it is not words.", status="no_text")
        reader = next((read for tells, read in _KINDS if tells(text)), None)
        cues = reader(text) if reader else []
    except ClipError as error:
        raise ClipError(
            f"{path} holds no words that can be read: {error} Read are {READ}.", status="no_text"
        ) from error
    if reader is None and path.suffix.lower() in (*PLAIN, ""):
        return [Cue(text)], notes
    if reader is None and path.suffix.lower() not in TIMED:
        raise ClipError(
            f"{path} is of a kind that is not read ({path.suffix}). Read are {READ}. If it holds "
            f"words alone, name it {path.stem}.txt.",
            status="no_text",
        )
    if not cues:
        raise ClipError(
            f"No cue found in {path}: no line of it has times that can be read. If it holds plain "
            f"words, name it {path.stem}.txt; where nothing is said, an empty .txt says so.",
            status="no_text",
        )
    return sorted(cues, key=lambda cue: 0.0 if cue.start is None else cue.start), notes


def holds_words(path: Path) -> bool:
    """Tell whether a .csv or .tsv is a recogniser's words and not a table of clips."""
    if path.suffix.lower() not in {".csv", ".tsv"}:
        return False
    try:
        with path.open("rb") as file:
            start = file.readline(_HEADER_BYTES)
    except OSError:
        return False  # whoever reads it will say so
    encoding = next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")
    return recognised.is_tabular(start.decode(encoding, errors="replace").strip("\ufffd\r\n"))


def _decoded(path: Path) -> tuple[str, list[str]]:
    """Decode a text file; ends of lines become one character."""
    try:
        size = path.stat().st_size
        if size > WORDS_BYTES:
            raise ClipError(
                f"{path} has {size:,} bytes, and words of one clip have at most {WORDS_BYTES:,}. "
                f"Give the words of this clip alone.",
                status="too_large",
            )
        data = path.read_bytes()
    except OSError as error:
        raise ClipError(f"{path} cannot be read: {error.strerror}.", status="no_text") from error
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    encoding = encoding or _unmarked(data)
    try:
        text, notes = data.decode(encoding), []
    except UnicodeDecodeError:
        if b"\0" in data:
            raise _binary(path) from None
        text, notes = _western(data, path), [f"encoding: {path.name} was read as Windows-1252"]
    if re.search(r"[\x00-\x08\x0e-\x1a]", text):
        raise _binary(path)
    return text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff\n "), notes


def _binary(path: Path) -> ClipError:
    return ClipError(
        f"{path} is no text. Read are {READ}, in UTF-8, UTF-16 or Windows-1252.", status="no_text"
    )


def _unmarked(data: bytes) -> str:
    """UTF-16 without a mark has a zero in every other byte of Western text."""
    start = data[:4096]
    for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = start[offset::2].count(0), start[1 - offset :: 2].count(0)
        if zeros > len(start) / 8 and not others:
            return encoding
    return "utf-8"


def _western(data: bytes, path: Path) -> str:
    """Decode Windows-1252; text of another script in it would be letters by chance.

    Raises:
        ClipError: it is some other encoding (status ``no_text``).
    """
    text = data.decode("cp1252", errors="replace")
    letters = [letter for letter in text if letter.isalpha()]
    foreign = sum(ord(letter) > 127 for letter in letters) > _WESTERN * len(letters)
    if foreign or "\ufffd" in text:
        raise ClipError(
            f"{path} is neither UTF-8 nor UTF-16 nor Windows-1252 text. Save it as UTF-8.",
            status="no_text",
        )
    return text
