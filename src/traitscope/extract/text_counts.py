"""How somebody talks, as numbers: length, variety, pauses, fillers, questions, readability.

Transcript in; one row of named columns out. A share of nothing (no words, no sentences) is
missing, not zero. Pauses are ``...`` and ``--``, marks are ``[UNKNOWN]`` and the like.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from traitscope.extract._text import TextConfig, text_of
from traitscope.types import Inputs, Stream

VERSION = 2
NEEDS = ("stream:transcript",)

Language = Literal["en", "de", "es", "fr"]
Array = NDArray[np.float64]

UNITS = {
    "words": "count",
    "characters": "count",
    "word_length": "letters",
    "word_length_sd": "letters",
    "long_words": "share of words",
    "types": "share of words",
    "root_types": "types per root of words",
    "once": "share of words",
    "sentences": "count",
    "sentence_length": "words",
    "punctuation": "per word",
    "commas": "per word",
    "questions": "share of sentences",
    "exclamations": "share of sentences",
    "pauses": "count",
    "pause_rate": "per word",
    "fillers": "share of words",
    "repeats": "share of words",
    "first_person": "share of words",
    "first_plural": "share of words",
    "second_person": "share of words",
    "negations": "share of words",
    "apostrophes": "share of words",
    "capitals": "share of letters",
    "names": "share of words",
    "numbers": "share of words",
    "marks": "count",
    "ends_open": "0 or 1",
    "syllables": "per word",
    "reading_ease": "Flesch, of the language",
    "readability_index": "US school years",
}
"""Column -> its unit, in order."""
COLUMNS = tuple(UNITS)

_LONG = 7  # letters, from which a word counts as long, as in the readability index LIX
_WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*|\d+(?:[.,]\d+)*")
_PAUSE = re.compile(r"\.{2,}|…|-{2,}|–|—")
_MARK = re.compile(r"\[[^\]]*\]|\([^)]*\)|\*[^*]+\*")
_SENTENCE_END = re.compile(r"(?<!\.)[.](?!\.)|[!?]+")
_VOWELS = re.compile(r"[aeiouyäöüáéíóúàèìòùâêîôûëïœæ]+")

_WORDS: dict[str, dict[str, frozenset[str]]] = {
    language: {kind: frozenset(words.split()) for kind, words in kinds.items()}
    for language, kinds in {
        "en": {
            "fillers": "um uh uhm umm er erm ah hmm mm mhm like well basically actually literally "
            "okay ok so anyway",
            "first_person": "i me my mine myself i'm i've i'll i'd im ive",
            "first_plural": "we us our ours ourselves we're we've we'll we'd",
            "second_person": "you your yours yourself you're you've you'll you'd",
            "negations": "no not never nothing nobody none don't doesn't didn't can't won't isn't "
            "wasn't aren't couldn't wouldn't shouldn't haven't hasn't ain't",
        },
        "de": {
            "fillers": "äh ähm öh öhm hm mhm halt also quasi sozusagen irgendwie naja tja genau",
            "first_person": "ich mich mir mein meine meiner meinem meinen",
            "first_plural": "wir uns unser unsere unserem unseren unserer",
            "second_person": "du dich dir dein deine sie ihnen ihr euch euer",
            "negations": "nein nicht nie niemals nichts niemand kein keine keinen keiner",
        },
        "es": {
            "fillers": "eh em este pues bueno o sea digamos vale mmm ah",
            "first_person": "yo me mi mis mío mía conmigo mí",
            "first_plural": "nosotros nosotras nos nuestro nuestra nuestros nuestras",
            "second_person": "tú te tu tus ti usted ustedes vosotros vos contigo",
            "negations": "no nunca jamás nada nadie ninguno ninguna ningún tampoco",
        },
        "fr": {
            "fillers": "euh heu hum ben bah bon alors voilà quoi genre donc enfin",
            "first_person": "je j'ai j'étais moi me mon ma mes",
            "first_plural": "nous notre nos on",
            "second_person": "tu toi te ton ta tes vous votre vos",
            "negations": "non ne pas jamais rien personne aucun aucune",
        },
    }.items()
}
_EASE: dict[Language, tuple[float, float, float]] = {
    "en": (206.835, 1.015, 84.6),  # Flesch 1948
    "de": (180.0, 1.0, 58.5),  # Amstad 1978
    "es": (206.84, 1.02, 60.0),  # Fernández Huerta 1959
    "fr": (207.0, 1.015, 73.6),  # Kandel and Moles 1958
}
"""Constant, weight of words per sentence, weight of syllables per word."""


class Config(TextConfig):
    """Settings of the counts."""

    language: Language = "en"
    """Whose fillers, pronouns and readability formula; also of the transcript."""


class Extractor:
    """Count the words of one clip."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def finish(self, inputs: Inputs) -> Stream:
        """Give one row of counts."""
        transcript = inputs.streams["transcript"]
        values = text_counts(text_of(inputs), language=self._config.language)
        info: dict[str, Any] = {"units": UNITS, **transcript.info}
        return Stream(time=transcript.time, values=values[None], columns=COLUMNS, info=info)


def text_counts(text: str, *, language: Language = "en") -> Array:
    """Count what ``COLUMNS`` names in a text: (columns,), NaN where there is nothing to share."""
    marks = _MARK.findall(text)
    # Marks go before words are looked for: [LAUGHTER] is none that was said.
    plain = _MARK.sub(" ", text)
    spoken = _WORD.findall(plain)
    words = [word.lower().replace("’", "'") for word in spoken]
    pauses = len(_PAUSE.findall(plain))
    ends = [mark.group() for mark in _SENTENCE_END.finditer(plain)]
    # What follows the last full stop is a sentence, too, though it has no end.
    sentences = max(len(ends) + (not re.search(r"[.!?]\W*$", plain)), 1) if words else 0
    columns: dict[str, float] = {
        "words": len(words),
        "characters": len("".join(plain.split())),
        "sentences": sentences,
        "pauses": pauses,
        "marks": len(marks),
        "ends_open": float(bool(words) and not re.search(r"[.!?]\W*$", plain)),
        "questions": _share(sum("?" in end for end in ends), sentences),
        "exclamations": _share(sum("!" in end for end in ends), sentences),
        "punctuation": _share(len(re.findall(r"[^\w\s]", plain)), len(words)),
        "commas": _share(plain.count(","), len(words)),
        "pause_rate": _share(pauses, len(words)),
        "capitals": _capitals(plain),
        **_words(spoken, words, language),
        **_readability(words, sentences, language),
    }
    return np.array([columns[name] for name in COLUMNS])


def _share(part: float, whole: float) -> float:
    return part / whole if whole else np.nan


def _capitals(text: str) -> float:
    letters = [letter for letter in text if letter.isalpha()]
    return _share(sum(letter.isupper() for letter in letters), len(letters))


def _words(spoken: Sequence[str], words: Sequence[str], language: Language) -> dict[str, float]:
    """Counts over words, which are ``spoken`` in lower case."""
    total, lengths = len(words), [len(word) for word in words]
    kinds, occurs = _WORDS[language], Counter(words)
    later = list(pairwise(spoken))
    columns = {
        "word_length": float(np.mean(lengths)) if total else np.nan,
        "word_length_sd": float(np.std(lengths)) if total else np.nan,
        "long_words": _share(sum(length >= _LONG for length in lengths), total),
        "types": _share(len(occurs), total),
        "root_types": _share(len(occurs), np.sqrt(total)),
        "once": _share(sum(count == 1 for count in occurs.values()), total),
        "repeats": _share(sum(a.lower() == b.lower() for a, b in later), total),
        "apostrophes": _share(sum("'" in word for word in words), total),
        # A capital inside a sentence, other than the English I.
        "names": _share(sum(b[0].isupper() and len(b) > 1 for a, b in later), total),
        "numbers": _share(sum(word[0].isdigit() for word in words), total),
    }
    for kind, listed in kinds.items():
        columns[kind] = _share(sum(word in listed for word in words), total)
    return columns


def _readability(words: Sequence[str], sentences: int, language: Language) -> dict[str, float]:
    names = ("sentence_length", "syllables", "reading_ease", "readability_index")
    if not words:
        return dict.fromkeys(names, np.nan)
    length = len(words) / sentences
    syllables = sum(_syllables(word, language) for word in words) / len(words)
    constant, per_length, per_syllable = _EASE[language]
    ease = constant - per_length * length - per_syllable * syllables
    letters = sum(map(len, words)) / len(words)
    automated = 4.71 * letters + 0.5 * length - 21.43  # Smith and Senter 1967: no syllables
    return dict(zip(names, (length, syllables, ease, automated), strict=True))


def _syllables(word: str, language: Language) -> int:
    """Groups of vowels; the silent e at the end of English and French words is not one."""
    groups = len(_VOWELS.findall(word))
    silent = language in {"en", "fr"} and re.search(r"[^aeiouyl]e$", word)
    return max(1, groups - bool(silent and groups > 1))
