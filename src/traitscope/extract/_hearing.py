"""Sound -> the words that are said in it, by a recogniser on disk (extra ``asr``).

The recogniser is any Whisper model in the form of faster-whisper (https://arxiv.org/abs/2212.04356,
https://github.com/SYSTRAN/faster-whisper). What is read is data alone, and nothing is fetched.
"""

from dataclasses import dataclass
from functools import lru_cache
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import DataError, MissingError
from traitscope.extras import require
from traitscope.weights import HEARING, model_folder

_FILES = ("model.bin", "tokenizer.json")
"""Without the second the library would ask a hub for it."""


@dataclass(frozen=True)
class Heard:
    """What was heard.

    Attributes:
        words: of all of the sound; empty where nobody speaks.
        language: as a code, such as ``en``.
        note: what a reader must know of these words.
    """

    words: str
    language: str
    note: str


def hear(samples: NDArray[np.float32], recogniser: str, expected: str) -> Heard:
    """Hear what is said.

    Args:
        samples: mono sound at 16 kHz.
        recogniser: ``whisper:NAME``, ``pypi:NAME`` or a folder.
        expected: code of the language that readers of the words expect.

    Raises:
        MissingError: the recogniser, or faster-whisper, is not on this machine.
        DataError: it cannot be read.
    """
    model = _opened(recogniser)
    # One temperature: the others draw at random, and a clip would have other words each time. No
    # text before: after a word misheard a recogniser that reads its own words repeats it for ever.
    # Silence is cut out first, because recognisers invent words there.
    segments, info = model.transcribe(
        np.ascontiguousarray(samples, np.float32),
        temperature=0.0,
        condition_on_previous_text=False,
        vad_filter=True,
    )
    words = " ".join(" ".join(segment.text.split()) for segment in segments)
    language = str(info.language)
    note = f"heard: the words were heard by {recogniser}, not written down"
    # A model of one language cannot tell that it hears another.
    if model.model.is_multilingual:
        note += f"; the language is {language!r} ({info.language_probability:.0%} sure)"
    if language != expected.partition("-")[0].casefold():
        note += f", and {expected!r} was expected"
    return Heard(words, language, note)


@lru_cache(maxsize=1)  # clip after clip has the same, and it takes memory
def _opened(recogniser: str) -> Any:
    whisper = require("faster_whisper", extra="asr", why=HEARING)
    folder = model_folder(recogniser)
    lacking = [name for name in _FILES if not (folder / name).is_file()]
    if lacking:
        raise MissingError(
            f"There is no {' and no '.join(lacking)} in {folder}, which should hold a recogniser "
            f"of faster-whisper. Fetch one with: traitscope weights fetch whisper:base.en"
        )
    # Its progress bars, which nobody sees, share a semaphore between processes; a worker that is
    # ended leaves it behind, with a warning. One of threads is enough.
    tqdm = require("tqdm", extra="asr", why=HEARING).tqdm
    tqdm.set_lock(RLock())
    # Eight bits, as its authors advise for processors: files hold halves, which few processors
    # compute with. On a minute of talk a word in thirty was another one.
    try:
        return whisper.WhisperModel(str(folder), compute_type="int8", local_files_only=True)
    except (RuntimeError, ValueError, OSError) as error:
        raise DataError(
            f"The recogniser in {folder} cannot be read: {error}. Fetch another one with: "
            f"traitscope weights fetch whisper:base.en"
        ) from error
