"""What is said in a clip: from the corpus, else from a text or subtitle file beside the media.

Clip in; one row with the words out. Beside ``talk.mp4`` that is ``talk.en.txt``, ``talk.txt``, or
``.srt`` and ``.vtt``, of which only the words are kept, and for a clip that is a part of its file
only the cues of that part. Words that are known to be none are an empty string, not a failure.
"""

import html
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from traitscope.config import Config as BaseConfig
from traitscope.errors import ClipError
from traitscope.types import Clip, Inputs, Stream

VERSION = 1
NEEDS = ("text",)

SUFFIXES = (".txt", ".srt", ".vtt")
_TIMES = re.compile(r"^\s*([\d:]+[.,]\d+)\s*-->\s*([\d:]+[.,]\d+)")
_TAGS = re.compile(r"<[^>]*>|\{\\[^}]*\}")
_NOT_CUES = ("WEBVTT", "NOTE", "STYLE", "REGION")


class Config(BaseConfig):
    """Which transcript is taken."""

    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]+)?$")] = "en"
    """Code in the name of a file beside the media (``talk.en.vtt``), looked for first."""


@dataclass(frozen=True)
class Cue:
    """Words of a subtitle file between two times in seconds."""

    start: float
    end: float
    text: str


class Extractor:
    """Find the words of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def finish(self, inputs: Inputs) -> Stream:
        """Give the words as one row."""
        words, origin = find_transcript(inputs.clip, language=self._config.language)
        return Stream(
            time=np.zeros(1),
            values=np.array([words], dtype=np.str_),
            info={"from": origin, "words": len(words.split())},
        )


def find_transcript(clip: Clip, *, language: str = "en") -> tuple[str, str]:
    """Find what is said in a clip, and say where it was found.

    Args:
        clip: its own transcript counts first, an empty one included.
        language: of the file beside the media that is looked for first.

    Raises:
        ClipError: there are no words (status ``no_text``).
    """
    if clip.transcript is not None:
        return clip.transcript.strip(), "corpus"
    found = next((path for path in _beside(clip, language) if path.is_file()), None)
    if found is None:
        where = f" or beside the media, as {clip.path.stem}.txt" if clip.path else ""
        raise ClipError(
            f"Clip {clip.id!r} has no transcript. Put it into the column 'transcript' of the "
            f"corpus{where}, or give it with --text.",
            status="no_text",
        )
    return _of_part(clip, found), found.name


def read_words(path: Path, *, start: float = 0.0, end: float | None = None) -> str:
    """Read the words of a text or subtitle file, or of the cues in a part of it.

    Args:
        path: a .txt, .srt or .vtt file in UTF-8.
        start: seconds; cues whose middle is earlier are left out.
        end: seconds; cues whose middle is there or later are left out.

    Raises:
        ClipError: the file cannot be read as text (status ``no_text``).
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ClipError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8.",
            status="no_text",
        ) from error
    except OSError as error:
        raise ClipError(f"{path} cannot be read: {error.strerror}.", status="no_text") from error
    if path.suffix.lower() not in {".srt", ".vtt"}:
        return text.strip()
    stop = float("inf") if end is None else end
    return joined([cue for cue in cues(text) if start <= (cue.start + cue.end) / 2 < stop])


def cues(text: str) -> list[Cue]:
    """Parse SRT or WebVTT; blocks without a line of times (headers, notes) are left out."""
    found = []
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n").replace("\r", "\n")):
        lines = block.strip("\n").split("\n")
        places = [number for number, line in enumerate(lines) if _TIMES.match(line)]
        if not places or lines[0].startswith(_NOT_CUES[1:]):
            continue
        for place, after in zip(places, [*places[1:], len(lines) + 1], strict=True):
            times = _TIMES.match(lines[place])
            assert times is not None
            # Without an empty line between cues, the number of the next one is no speech.
            last = (
                after - 1 if after <= len(lines) and lines[after - 1].strip().isdigit() else after
            )
            words = " ".join(_plain(line) for line in lines[place + 1 : last])
            found.append(Cue(_seconds(times[1]), _seconds(times[2]), " ".join(words.split())))
    return found


def joined(found: list[Cue]) -> str:
    """Join the words of cues; a cue that only repeats the one before is said once."""
    spoken = [cue.text for cue in found if cue.text]
    return " ".join(
        text for number, text in enumerate(spoken) if number == 0 or text != spoken[number - 1]
    )


def _beside(clip: Clip, language: str) -> list[Path]:
    """Where the words of a clip may be, best first; subtitles first for a part of a file."""
    if clip.path is None:
        return []
    suffixes = SUFFIXES if not _is_part(clip) else (*SUFFIXES[1:], SUFFIXES[0])
    stems = (f"{clip.path.stem}.{language}", clip.path.stem, clip.path.name)
    if clip.path.suffix.lower() in SUFFIXES:  # the clip is a text file itself
        return [clip.path]
    return [clip.path.with_name(stem + suffix) for suffix in suffixes for stem in stems]


def _is_part(clip: Clip) -> bool:
    return bool(clip.start) or clip.end is not None


def _of_part(clip: Clip, path: Path) -> str:
    if _is_part(clip) and path.suffix.lower() == ".txt":
        raise ClipError(
            f"{path} holds the words of a whole file, and clip {clip.id!r} is a part of it. Give "
            f"subtitles with times (.srt, .vtt), or a transcript for each clip in the corpus.",
            status="no_text",
        )
    return read_words(path, start=clip.start or 0.0, end=clip.end)


def _plain(line: str) -> str:
    return html.unescape(_TAGS.sub("", line))


def _seconds(text: str) -> float:
    seconds = 0.0
    for part in text.replace(",", ".").split(":"):
        seconds = seconds * 60 + float(part)
    return seconds
