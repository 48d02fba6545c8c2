"""What was noticed of the clips behind some reports: counted for the page, in full for a table."""

from collections.abc import Iterator, Sequence

from traitscope.evaluation.report import Report
from traitscope.notes import Counted, count, kind_of


def noticed(reports: Sequence[Report]) -> tuple[Counted, ...]:
    """Notes of the clips of some reports by kind, the most frequent first; each clip once."""
    notes_of_clips: dict[str, dict[str, None]] = {}
    for report in reports:
        for clip, notes in report.noted.items():
            # Several systems read the same clips: a note that all of them have is one note.
            notes_of_clips.setdefault(clip, {}).update(dict.fromkeys(notes))
    return tuple(count(notes_of_clips))


def every_note(reports: Sequence[Report]) -> Iterator[tuple[str, str, str, str]]:
    """Name of the report, clip, kind and note, one row per note."""
    for report in reports:
        for clip, notes in report.noted.items():
            for note in notes:
                yield report.name, clip, kind_of(note), note
