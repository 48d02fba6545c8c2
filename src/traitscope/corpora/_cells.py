"""The cells of one row of text -> numbers, labels, times, splits; what cannot be used is noted."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from traitscope.corpora._faults import Faults
from traitscope.sheets import NO_NUMBER, NOTHING
from traitscope.types import Target

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
"""Ways to write a split -> its name."""

_OF_FILES = {"start": "seconds", "end": "seconds", "fps": "frames per second"}


@dataclass(frozen=True)
class Cells:
    """Reads the cells of one row; a cell that cannot be used is noted and left out.

    Attributes:
        row: column -> text, among them ``clip``.
        decimal_comma: numbers may be written 0,5.
        faults: where to note what cannot be used.
    """

    row: Mapping[str, str]
    decimal_comma: bool
    faults: Faults

    def number(self, name: str) -> float | None:
        """A finite number; None where the cell is empty or is none."""
        text = self.row.get(name, "")
        if text.lower() in NO_NUMBER:
            return None
        # Only where columns are not separated by commas: elsewhere 1,5 can only be a slip.
        if self.decimal_comma and re.fullmatch(r"[+-]?\d*,\d+", text):
            text = text.replace(",", ".")
        try:
            number = math.nan if "_" in text else float(text)  # 1_0 is 10 in code alone
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self._note(f"{name}: not a number", text)
            return None
        return number

    def label(self, target: Target) -> float | None:
        """The number of a target, inside its range."""
        number = self.number(target.name)
        if number is None or target.contains(number):
            return number
        self._note(f"{target.name}: outside {target.low:g} to {target.high:g}", f"{number:g}")
        return None

    def labels(self, targets: Sequence[Target]) -> dict[str, float]:
        """The labels that are there."""
        labels = {target.name: self.label(target) for target in targets}
        return {name: label for name, label in labels.items() if label is not None}

    def times(self) -> dict[str, float | None]:
        """Start, end and fps; none of them negative, none of them upside down."""
        times = {name: self.number(name) for name in _OF_FILES}
        for name, unit in _OF_FILES.items():
            value = times[name]
            # A clip may start at 0; one that ends there, or has 0 pictures a second, shows nothing.
            if value is not None and (value < 0 or (value == 0 and name != "start")):
                self._note(f"{name}: not a possible number of {unit}", f"{value:g}")
                times[name] = None
        start, end = times["start"], times["end"]
        if end is not None and end <= (start or 0):
            self._note("end: not after start", f"{start or 0:g} to {end:g}")
            # Which of the two is wrong nobody knows; one without the other would be another clip.
            times["start"] = times["end"] = None
        return times

    def split(self) -> str | None:
        """The split, however it is written."""
        text = self.row.get("split", "")
        if text and text.lower() not in SPLIT_WORDS:
            self._note(f"split: not one of {', '.join(SPLIT_WORDS)}", repr(text))
        return SPLIT_WORDS.get(text.lower())

    def attributes(self, names: Sequence[str]) -> dict[str, str | float]:
        """Numbers where they are numbers, words where they are words, nothing where empty."""
        # A word is no fault here: what `number` notes goes to faults that nobody reads.
        quiet = Cells(self.row, self.decimal_comma, Faults())
        cells = {name: self.row.get(name, "") for name in names}
        filled = {name: text for name, text in cells.items() if text.lower() not in NOTHING}
        numbers = {name: quiet.number(name) for name in filled}
        return {
            name: text if (number := numbers[name]) is None else number
            for name, text in filled.items()
        }

    def _note(self, kind: str, value: str) -> None:
        self.faults.add(kind, f"{self.row.get('clip', '')} ({value})".lstrip())
