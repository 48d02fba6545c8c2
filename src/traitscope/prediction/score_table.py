"""A CSV of scores that grows clip by clip, and from which a stopped call goes on.

Each row ends in a fingerprint of what it follows from: the run, what is extracted how, and the
content of the media. A row counts again where clip, path and fingerprint are the same; so a file
that was changed, another run or another speaker are scored anew.

A Parquet file cannot grow: ``scores.parquet`` is written when all is done, from the rows that
gathered in ``scores.parquet.rows.csv``, which goes then; and it becomes such rows again when a call
goes on from it.
"""

import csv
import hashlib
import io
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from traitscope.errors import ConfigError
from traitscope.escaping import cell, plain
from traitscope.features.origins import UNSEEN, media_of, origin_of
from traitscope.features.request import Request
from traitscope.features.stock import PERMANENT
from traitscope.features.store import OK
from traitscope.files import read_bytes, replacing
from traitscope.notes import joined, parted
from traitscope.prediction.halves import Wishes
from traitscope.prediction.judging import Judge
from traitscope.prediction.scoring import Task
from traitscope.runs.checkpoint import Checkpoint
from traitscope.runs.checksums import learned_checksum
from traitscope.statistics.conformal import LEVEL
from traitscope.types import Caution, Clip, Person, Prediction

_COLUMNS = (
    *("clip", "path", "status", "reason", "notes", "warnings", "coverage"),
    *("person", "speaks", "seen", "fingerprint"),
)
_NUMBERS = ("predicted", "low", "high", "percentile")  # columns of each target
_VARIANCE = "variance"  # a column of each target, where the run states it
_LARGEST_BYTES = 2**31
"""Of a table that is read again: some five million clips."""

Row = dict[str, str]


class ScoreTable:
    """The table of one call: rows of before, rows as they come, all in order at the end."""

    def __init__(
        self,
        path: Path,
        checkpoint: Checkpoint,
        requests: Mapping[str, Request],
        tasks: Sequence[Task],
        *,
        judge: Judge,
        wishes: Wishes,
    ) -> None:
        self._parquet = path if path.suffix.lower() == ".parquet" else None
        self._path = path.with_name(f"{path.name}.rows.csv") if self._parquet else path
        self._backend, self._tasks = checkpoint.backend, tasks
        self._targets = [target.name for target in checkpoint.facts.targets]
        # The intervals of a row that is read again follow from it.
        self._has_variance = judge.multiples is not None or checkpoint.states_variance
        kinds = (*_NUMBERS, _VARIANCE) if self._has_variance else _NUMBERS
        self._header = [*_COLUMNS, *(f"{kind}_{name}" for kind in kinds for name in self._targets)]
        self._judge = judge
        # Before anything is read: what changes in the meantime will be noticed the next time.
        run = learned_checksum(checkpoint.folder)
        if (asked := replace(wishes, level=LEVEL)) != Wishes():  # the level changes no score
            run = f"{run} {asked}"
        self._fingerprints = [fingerprint_of(run, task, requests) for task in tasks]

    def before(self) -> dict[int, list[Prediction]]:
        """Predictions that are there already, by place; the file is ready for more after this.

        Raises:
            ConfigError: the file holds something else.
            OSError: it cannot be written.
        """
        # A pipe or /dev/stdout cannot be read again; it gets the whole table at the end.
        if self._is_a_pipe():
            return {}
        if self._parquet and not self._path.exists() and self._parquet.exists():
            self._write(self._unpacked(self._parquet))
        rows, whole = self._read()
        if not whole:  # new, or its last row was cut when a run was killed
            self._write([row.values() for row in rows])
        known: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in rows:
            known[row["path"], row["fingerprint"]].append(row)
        found: dict[int, list[Prediction]] = {}
        for place, (task, mark) in enumerate(zip(self._tasks, self._fingerprints, strict=True)):
            own = [
                row
                for row in known.get((str(task.path or ""), mark), ())
                if row["clip"] == task.clip.id or row["clip"].startswith(f"{task.clip.id}#")
            ]
            predictions = self._predictions(own) if mark else None
            if predictions is not None:
                found[place] = predictions
        return found

    def add(self, place: int, predictions: Sequence[Prediction]) -> None:
        """Append the rows of one clip in one write."""
        # Opened for each row: a row takes seconds, and nothing stays open where a hook raises.
        if not self._is_a_pipe():
            with self._path.open("ab") as file:
                file.write(_lines(self._rows(place, predictions)))

    def finish(self, predictions: Sequence[Sequence[Prediction]]) -> None:
        """Leave the clips of this call alone, in their order; a file that is so stays untouched."""
        rows = [row for place, some in enumerate(predictions) for row in self._rows(place, some)]
        if self._is_a_pipe() or self._path.read_bytes() != _lines([self._header, *rows]):
            self._write(rows)
        if self._parquet:
            self._pack(self._parquet, rows)

    def _pack(self, path: Path, rows: Sequence[Sequence[Any]]) -> None:
        """Write all rows as Parquet, numbers as numbers; those beside it are superfluous then."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns: dict[str, Any] = {}
        for place, name in enumerate(self._header):
            cells = [row[place] for row in rows]
            is_number = name.partition("_")[0] in {*_NUMBERS, _VARIANCE}
            kind = pa.float64() if is_number else pa.string()
            columns[name] = pa.array([None if is_number and c == "" else c for c in cells], kind)
        with replacing(path) as draft:
            pq.write_table(pa.table(columns), draft)
        self._path.unlink()

    def _unpacked(self, path: Path) -> list[list[Any]]:
        """The rows of a Parquet file that was written before."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(path)
        except (pa.ArrowException, OSError) as error:
            raise self._foreign(path) from error
        if table.column_names != self._header:
            raise self._foreign(path)
        columns = [table.column(name).to_pylist() for name in self._header]
        return [["" if c is None else c for c in row] for row in zip(*columns, strict=True)]

    def _foreign(self, path: Path) -> ConfigError:
        return ConfigError(
            f"{path} is there, and is no table of scores of such a run: it has not the "
            f"columns {', '.join(self._header)}. Name another file, or delete it."
        )

    def _is_a_pipe(self) -> bool:
        return self._path.exists() and not self._path.is_file()

    def _write(self, rows: Iterable[Iterable[Any]]) -> None:
        with replacing(self._path) as draft:
            draft.write_bytes(_lines([self._header, *rows]))

    def _read(self) -> tuple[list[Row], bool]:
        """Rows of the file, and whether it holds nothing else; a cut row is left out."""
        if not self._path.exists() or not self._path.stat().st_size:
            return [], False
        data = read_bytes(self._path, largest=_LARGEST_BYTES)
        text = io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")
        try:
            lines = list(csv.reader(text))
        except csv.Error:
            lines = []
        # The columns name the targets, so the table of a run with other traits is refused as well.
        if not lines or lines[0] != self._header:
            raise self._foreign(self._path)
        # A killed run may have left a part of its last row, whose end is then not there.
        ended = data.endswith(b"\n")
        rows = [line for line in lines[1 : None if ended else -1] if len(line) == len(lines[0])]
        named = [dict(zip(self._header, map(plain, line), strict=True)) for line in rows]
        return named, len(rows) == len(lines) - 1

    def _rows(self, place: int, predictions: Sequence[Prediction]) -> list[list[Any]]:
        return [self._row(place, one, len(predictions)) for one in predictions]

    def _row(self, place: int, prediction: Prediction, people: int) -> list[Any]:
        coverage = "; ".join(f"{name}={share!r}" for name, share in prediction.coverage.items())
        warnings = joined(f"{one.kind}: {one.sentence}" for one in prediction.warnings)
        facts = [prediction.clip, prediction.path, prediction.status, prediction.reason]
        facts += [joined(prediction.notes), warnings, coverage]
        person = prediction.person
        # With their number, so that a clip of whose people some rows are lost is scored again.
        facts += [f"{person.number}/{people}" if person else ""]
        facts += [_SPEAKS[person.speaks] if person else "", str(person.share) if person else ""]
        cells = [dict(prediction.scores), *_ends(prediction), dict(prediction.percentiles)]
        cells += [dict(prediction.variance)] if self._has_variance else []
        numbers = [part.get(name, "") for part in cells for name in self._targets]
        return [*facts, self._fingerprints[place], *numbers]

    def _predictions(self, rows: Sequence[Row]) -> list[Prediction] | None:
        """What the rows of a clip say; None where some are lost or damaged."""
        found = [self._prediction(row) for row in rows]
        people = {row["person"].partition("/")[2] for row in rows}
        if not rows or people not in ({""}, {str(len(rows))}) or ({""} == people and rows[1:]):
            return None
        known = [one for one in found if one is not None]
        return known if len(known) == len(rows) else None

    def _prediction(self, row: Row) -> Prediction | None:
        """What a row says; None where it is damaged, or the clip may have another outcome now."""
        status, scores, variance = row["status"], {}, {}
        try:
            # Failures have no scores, and their cells are empty.
            if status == OK:
                scores = {name: float(row[f"predicted_{name}"]) for name in self._targets}
                if self._has_variance:
                    # Of weights of several epochs, each for its target, there is none.
                    stated = {name: row[f"{_VARIANCE}_{name}"] for name in self._targets}
                    variance = {name: float(text) for name, text in stated.items() if text}
            pairs = [pair.rpartition("=") for pair in row["coverage"].split("; ") if pair]
            coverage = {name: float(share) for name, _, share in pairs}
            person = _person(row)
        except (ValueError, LookupError):
            return None
        finite = all(map(math.isfinite, (*scores.values(), *variance.values())))
        if not finite or status not in {OK, *PERMANENT}:
            return None
        warnings = [line.partition(": ") for line in parted(row["warnings"])]
        # Intervals and percentiles follow from the scores, as they did when the row was written.
        return self._judge.judged(
            Prediction(
                clip=row["clip"],
                scores=scores,
                status=status,
                reason=row["reason"],
                coverage=coverage,
                backend=self._backend,
                notes=parted(row["notes"]),
                path=row["path"],
                warnings=tuple(Caution(kind, sentence) for kind, _, sentence in warnings),
                person=person,
                variance=variance,
            )
        )


_SPEAKS = {True: "yes", False: "no", None: ""}


def _ends(prediction: Prediction) -> tuple[dict[str, float], dict[str, float]]:
    ends = prediction.intervals.items()
    return {name: one.low for name, one in ends}, {name: one.high for name, one in ends}


def _person(row: Row) -> Person | None:
    """Whom a row is of; the picture of the face is not in a table."""
    if not row["person"]:
        return None
    speaks = {word: value for value, word in _SPEAKS.items()}[row["speaks"]]
    number = int(row["person"].partition("/")[0])
    return Person(number, share=float(row["seen"]), speaks=speaks)


def fingerprint_of(run: str, task: Task, requests: Mapping[str, Request]) -> str:
    """A short checksum of all that the scores of a clip follow from; empty if it is not there.

    Args:
        run: checksum of the run.
        task: the clip.
        requests: how its streams are extracted.
    """
    clip = task.clip
    # The rows of a table have no media of their own: the table is what may change.
    source = clip if clip.path is not None else Clip(clip.id, path=task.path)
    media = media_of(source)
    if media is None or media == UNSEEN:
        return ""
    made_of: list[Any] = [run, clip.transcript]
    for name, request in requests.items():
        if name in task.given:
            made_of.append([request.key, clip.id, *media])
            continue
        origin = origin_of(clip, request, media, corpus="")
        if origin is None:
            return ""
        made_of.append([request.key, origin.media_bytes, origin.span])
    text = json.dumps(made_of)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _lines(rows: Iterable[Iterable[Any]]) -> bytes:
    """Rows of CSV; names of files that are no Unicode stay the bytes they are."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([cell(value) for value in row] for row in rows)
    return text.getvalue().encode("utf-8", "surrogateescape")
