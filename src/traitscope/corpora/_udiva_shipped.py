"""UDIVA in the layout of its publishers: tables of sessions and of participants -> their rows.

``SPLIT/metadata/metadata_SPLIT/sessions_SPLIT.csv`` (``ID``, ``PART.1``, ``PART.2``) and
``parts_SPLIT.csv`` (``ID``, ``GENDER``, ``AGE``, ``COUNTRY``, ``MAXIMUM_STUDIES_LEVEL`` and five
z-scores, ``OPENMINDEDNESS_Z`` to ``NEGATIVEEMOTIONALITY_Z``), and the recordings
``SPLIT/recordings/TASK_recordings_SPLIT/SESSION/FC1_T.mp4``. ``PART.1`` is seen by ``FC1``.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from traitscope.corpora._cells import SPLIT_WORDS, Cells
from traitscope.corpora._faults import Faults
from traitscope.sheets import read_table
from traitscope.types import Target

RECORDINGS = "*/recordings/*/*/FC[12]_?*"
"""Where recordings lie in this layout."""

_DEPTHS = ("", "*/", "*/*/", "*/*/*/")
_TRAITS = {
    "openmindedness": "openness",
    "conscientiousness": "conscientiousness",
    "extraversion": "extraversion",
    "agreeableness": "agreeableness",
    "negativeemotionality": "neuroticism",
}
"""As the BFI-2 calls a trait -> its name."""

_OTHERS = {"maximumstudieslevel": "education"}


@dataclass(frozen=True)
class Person:
    """What is known of a participant: trait -> z-score, and attributes."""

    labels: Mapping[str, float]
    attributes: Mapping[str, str | float]


def session_files(folder: Path) -> dict[str, Path]:
    """Split -> its table of sessions; empty where this is not the layout."""
    tables: dict[str, Path] = {}
    # Of several spellings the first counts, and of several copies the one nearest to the top.
    for word, split in SPLIT_WORDS.items():
        for depth in _DEPTHS:
            for file in sorted(folder.glob(f"{depth}sessions_{word}.csv")):
                tables.setdefault(split, file)
    return tables


def sessions(file: Path, faults: Faults) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Session and its two participants, by ``FC1`` and ``FC2``."""
    for row in _rows(file, faults):
        yield row.get("id", ""), {f"FC{n}": row[f"part{n}"] for n in "12" if row.get(f"part{n}")}


def people(
    file: Path, targets: tuple[Target, ...], attributes: tuple[str, ...], faults: Faults
) -> dict[str, Person]:
    """Participant -> labels and attributes, from the table beside that of the sessions."""
    parts = file.with_name(file.name.replace("sessions_", "parts_"))
    if not parts.is_file():
        faults.add("files are missing", str(parts))
        return {}
    known = {}
    for row in _rows(parts, faults):
        # OPENMINDEDNESS_Z arrives here as openmindednessz: `_rows` made the names plain.
        plain = {_TRAITS.get(n.removesuffix("z"), _OTHERS.get(n, n)): c for n, c in row.items()}
        plain["clip"] = f"participant {plain.get('id', '')}"
        # No decimal comma is left: `_rows` has made points of them.
        cells = Cells(plain, False, faults)
        known[plain_number(plain.get("id", ""))] = Person(
            cells.labels(targets), cells.attributes(attributes)
        )
    return known


def plain_number(text: str) -> str:
    """A number without leading zeros, other names as they are."""
    # Tables and folders need not agree on leading zeros: 001001 and 1001 are one session. Digits
    # such as a raised 2, which int() refuses, are no decimals.
    return str(int(text)) if text.isdecimal() else text


def _rows(file: Path, faults: Faults) -> Iterator[dict[str, str]]:
    """Rows with names of columns in small letters, without dots and underscores."""
    table = read_table(file, tell=faults.add)
    for row in table.rows:
        cells = {re.sub(r"[\W_]", "", name).casefold(): cell for name, cell in row.items()}
        if table.decimal_comma:
            cells = {n: re.sub(r"^([+-]?\d*),(\d+)$", r"\1.\2", c) for n, c in cells.items()}
        yield cells
