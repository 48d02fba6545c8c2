"""Counts by hand, nothing where there is nothing, other languages."""

import numpy as np
import pytest

from traitscope.extract.text_counts import COLUMNS, UNITS, text_counts
from traitscope.features.extraction import extract_clip
from traitscope.features.request import make_request
from traitscope.types import Clip, Stream

TEXT = "So um... I I like Paris -- do you? Don't we [UNKNOWN] go in 2014!"


def counted(text: str, language: str = "en") -> dict[str, float]:
    return dict(zip(COLUMNS, text_counts(text, language=language), strict=True))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("words", 13),  # So um I I like Paris do you Don't we go in 2014
        ("characters", 42),
        ("word_length", 35 / 13),
        ("types", 12 / 13),
        ("root_types", 12 / np.sqrt(13)),
        ("once", 11 / 13),
        ("sentences", 2),
        ("sentence_length", 6.5),
        ("questions", 1 / 2),
        ("exclamations", 1 / 2),
        ("pauses", 2),
        ("pause_rate", 2 / 13),
        ("fillers", 3 / 13),  # so um like
        ("repeats", 1 / 13),
        ("first_person", 2 / 13),
        ("first_plural", 1 / 13),
        ("second_person", 1 / 13),
        ("negations", 1 / 13),
        ("apostrophes", 1 / 13),
        ("names", 2 / 13),  # Paris Don't
        ("numbers", 1 / 13),
        ("marks", 1),
        ("ends_open", 0),
        ("punctuation", 8 / 13),  # ... -- ? ' !
        ("capitals", 5 / 30),
    ],
)
def test_counts_by_hand(column: str, expected: float) -> None:
    assert counted(TEXT)[column] == pytest.approx(expected)


def test_readability_by_hand() -> None:
    found = counted("The cat sat on the mat.")  # 6 words, 6 syllables, 17 letters
    assert found["syllables"] == 1
    assert found["reading_ease"] == pytest.approx(206.835 - 1.015 * 6 - 84.6)
    assert found["readability_index"] == pytest.approx(4.71 * 17 / 6 + 3 - 21.43)


def test_nothing_said_is_zero_counts_and_missing_shares() -> None:
    for text in ("", "   ", "[UNKNOWN]"):
        found = counted(text)
        assert found["words"] == found["sentences"] == found["pauses"] == 0
        assert np.isnan(found["types"])
        assert np.isnan(found["reading_ease"])
    assert counted("[UNKNOWN]")["marks"] == 1


def test_other_languages_have_their_own_words() -> None:
    assert counted("Also ich bin halt da", "de")["first_person"] == pytest.approx(1 / 5)
    assert counted("Also ich bin halt da", "de")["fillers"] == pytest.approx(2 / 5)
    assert counted("Also ich bin halt da", "en")["first_person"] == 0


def test_the_stream_names_columns_and_units() -> None:
    request = make_request("text_counts", {"language": "es"})
    stream = extract_clip(Clip("a", transcript="Yo no sé."), [request])[request.key]
    assert isinstance(stream, Stream)
    assert stream.columns == COLUMNS
    assert stream.info["units"] == UNITS
    assert request.upstream[0].config.model_dump() == {"language": "es", "speaker": None}
