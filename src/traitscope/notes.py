"""What was noticed of a clip: a note is one line, ``kind: what it is, with its values``.

In: notes, which are made where something is noticed. Out: their kinds, which stay the same when a
sentence is worded anew, so that they can be counted; and notes as one cell of a table.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

KINDS = {
    "truncated": "The file ends before the length that it declares.",
    "damaged": "Parts of the file could not be decoded, and are missing.",
    "track": "The file has several tracks of this kind; one of them was read.",
    "rate": "The declared number of pictures per second is not the one that is there.",
    "assumed-rate": "Pictures have no times, so a rate was assumed.",
    "times": "Times of pictures do not rise as they should, and were mended.",
    "resized": "The size of the pictures changes in the middle.",
    "squared": "Pixels are not square, and were made so.",
    "tone-mapped": "The pictures are of high dynamic range, and were made ordinary ones.",
    "deinterlaced": "The pictures are interlaced, and were deinterlaced.",
    "out-of-phase": "Channels of the sound cancel each other, so one of them is heard.",
    "early-sound": "Sound before the first picture is left out.",
    "others": "Other people were seen; the features are of one person.",
    "tiny-face": "The face is so small that what it shows is coarse.",
    "turned-face": "A face lies on its side or stands on its head.",
    "speakers": "Several people speak, or who speaks is not said.",
    "heard": "The words were heard by a recogniser, not written down.",
    "table": "The table has rows that end early, columns without a name, or other letters.",
    "first-stage": "The first stage had learnt from the clip: its scores flatter it.",
    "encoding": "The file of the words is no Unicode text.",
}
"""Kind -> what it means."""

OTHER = "other"
"""The kind of a note that names none, such as that of an extractor from outside."""

_BETWEEN = " | "


@dataclass(frozen=True)
class Counted:
    """Notes of one kind.

    Attributes:
        kind: a word of `KINDS`, or `OTHER`.
        clips: ids of those that carry such a note, in order.
        example: the first note of the kind.
    """

    kind: str
    clips: tuple[str, ...]
    example: str


def kind_of(note: str) -> str:
    """The kind of a note: the word before its first colon."""
    # Any sentence may hold a colon: only known words before it are kinds.
    kind = note.partition(": ")[0]
    return kind if kind in KINDS else OTHER


def meaning(kind: str) -> str:
    """What a kind of notes means, in a sentence."""
    return KINDS.get(kind, "Something else was noticed.")


def count(notes: Mapping[str, Iterable[str]]) -> list[Counted]:
    """Count notes of clips by kind, the most frequent first.

    Args:
        notes: clip -> its notes.
    """
    by_kind: dict[str, dict[str, str]] = {}
    for clip, own in notes.items():
        for note in own:
            # A clip counts once, with the first of its notes.
            by_kind.setdefault(kind_of(note), {}).setdefault(clip, note)
    counted = [
        Counted(kind, tuple(clips), next(iter(clips.values()))) for kind, clips in by_kind.items()
    ]
    return sorted(counted, key=lambda one: -len(one.clips))


def joined(notes: Iterable[str]) -> str:
    """Put notes into one cell of a table, once each; `parted` takes them apart again."""
    # A bar is what parts two notes.
    lines = (" ".join(note.replace("|", "/").split()) for note in notes)
    return _BETWEEN.join(dict.fromkeys(line for line in lines if line))


def parted(cell: str) -> tuple[str, ...]:
    """The notes of one cell."""
    return tuple(cell.split(_BETWEEN)) if cell else ()
