"""Faults of label files, by kind, so that one error can list all of them."""

from dataclasses import dataclass, field
from pathlib import Path

from traitscope.errors import DataError, some

_SHOWN = 20  # examples of one kind of fault; the rest is counted


@dataclass
class Faults:
    """Faults by kind, each with where it occurred, in the order they were met."""

    by_kind: dict[str, dict[str, None]] = field(default_factory=dict)

    def add(self, kind: str, where: str = "") -> None:
        """Note a fault of some kind, and where it is; the same place counts once."""
        self.by_kind.setdefault(kind, {})[where] = None

    def lines(self) -> list[str]:
        """One line for each kind of fault, with examples and how many more there are."""
        return [f"{kind}{_places(list(places))}" for kind, places in self.by_kind.items()]

    def stop(self, path: Path, *, where: str) -> None:
        """Raise one error that lists every fault, if there is any.

        Raises:
            DataError: there are faults.
        """
        # One error for all: who mends a table wants the whole list, not one fault per run.
        if self.by_kind:
            lines = "\n  ".join(self.lines())
            raise DataError(f"{path} has faults; mend them {where}:\n  {lines}")


def _places(places: list[str]) -> str:
    named = [place for place in places if place]
    return f": {some(named, _SHOWN)}" if named else ""
