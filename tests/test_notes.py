"""Notes have kinds that can be counted, and fit into one cell of a table."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from traitscope.notes import KINDS, OTHER, Counted, count, joined, kind_of, meaning, parted

SOURCE = Path(__file__).resolve().parents[1] / "src" / "traitscope"


def test_the_kind_is_the_word_before_the_colon() -> None:
    assert kind_of("truncated: video ends at 2.00 s of 5.00 s") == "truncated"
    assert kind_of("a sentence: of an extractor from outside") == OTHER
    assert meaning("truncated") == KINDS["truncated"]
    assert meaning(OTHER) == "Something else was noticed."


def test_clips_are_counted_once_for_each_kind_the_most_frequent_first() -> None:
    notes = {
        "a": ["track: audio 1 of 2"],
        "b": ["truncated: video ends at 2.00 s of 5.00 s", "truncated: sound ends at 2.10 s"],
        "c": ["truncated: video ends at 1.00 s of 5.00 s"],
    }
    assert count(notes) == [
        Counted("truncated", ("b", "c"), "truncated: video ends at 2.00 s of 5.00 s"),
        Counted("track", ("a",), "track: audio 1 of 2"),
    ]


def test_every_kind_that_the_code_writes_is_explained_and_every_kind_explained_is_written() -> None:
    rooms = ("media", "extract", "tracking", "runs")
    code = "\n".join(p.read_text() for room in rooms for p in (SOURCE / room).rglob("*.py"))
    written = set(re.findall(r"f?\"([a-z]+(?:-[a-z]+)*): ", code))
    assert set(KINDS) <= written


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=5))
def test_notes_in_one_cell_come_apart_as_they_were_put_together(notes: list[str]) -> None:
    cell = joined(notes)
    assert "\n" not in cell
    assert joined(parted(cell)) == cell
    lines = [" ".join(note.replace("|", "/").split()) for note in notes]
    assert parted(cell) == tuple(dict.fromkeys(filter(None, lines)))
