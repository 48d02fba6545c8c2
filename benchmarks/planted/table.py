"""The one table of the benchmark: a row per model, kept as it grows and read by people."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from traitscope.files import write_csv

LIMIT, HIDDEN_LIMIT = 0.6, 0.1


@dataclass(frozen=True)
class Row:
    """What one model reached on new people.

    Attributes:
        model: the case.
        faces: backend that found them, or ``own``.
        seed: of corpus and training.
        clips: of the corpus.
        r2: macro mean over the traits.
        attainable: the same of a ridge on what its streams can carry.
        conscientiousness, neuroticism: R2 of the traits that speech and blinks tell of.
        shows: behaviours that are counted, with their squared correlation.
        hidden: behaviours it cannot know, with theirs.
        leaks: the largest of those.
        minutes: of processor time, of training, scoring and, for a second stage, scoring frames.
        why: what keeps it back, if something is known to.
    """

    model: str
    faces: str
    seed: int
    clips: int
    r2: float
    attainable: float
    conscientiousness: float
    neuroticism: float
    shows: str
    hidden: str
    leaks: float
    minutes: float
    why: str

    @property
    def ratio(self) -> float:
        """Share of what is attainable; 0 where nothing is."""
        return self.r2 / self.attainable if self.attainable > 0 else 0.0

    @property
    def verdict(self) -> str:
        """What of the limits is missed."""
        low = f"below {LIMIT}" if self.ratio < LIMIT else ""
        leaking = (
            f"shows what it cannot know ({self.leaks:.2f})" if self.leaks > HIDDEN_LIMIT else ""
        )
        return ", ".join(part for part in (low, leaking) if part) or "ok"


def read_rows(path: Path) -> list[Row]:
    """The rows that are there; none where no table is."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [
            Row(**{f.name: f.type(line[f.name]) for f in fields(Row)})
            for line in csv.DictReader(file)
        ]


def keep(path: Path, row: Row) -> None:
    """Put a row into the table, in place of an older one of the same model and clips."""

    def key(one: Row) -> tuple[str, str, int, int]:
        return one.model, one.faces, one.seed, one.clips

    rows = [old for old in read_rows(path) if key(old) != key(row)] + [row]
    write_csv(path, [f.name for f in fields(Row)], [list(asdict(one).values()) for one in rows])


def markdown(rows: Sequence[Row]) -> str:
    """The table for people, and below it what is behind each row."""
    lines = [
        f"| model | faces | seed | clips | R2 | attainable | ratio (limit {LIMIT}) | C | N "
        f"| cannot show (limit {HIDDEN_LIMIT}) | CPU minutes | |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        leaks = f"{row.leaks:.2f}" if row.hidden else "-"
        scores = f"{row.conscientiousness:.2f} | {row.neuroticism:.2f}"
        what = f"{row.model} | {row.faces} | {row.seed} | {row.clips}"
        lines.append(
            f"| {what} | {row.r2:.3f} | {row.attainable:.3f} "
            f"| {row.ratio:.2f} | {scores} | {leaks} | {row.minutes:.1f} | {row.verdict} |"
        )
    lines += ["", "Squared correlations with what was planted, traits given:", ""]
    for row in rows:
        reason = f" ({row.why})" if row.why else ""
        lines.append(f"- {row.model}, {row.faces}, seed {row.seed}{reason}: {row.shows}")
    return "\n".join(lines)
