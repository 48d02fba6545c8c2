"""A CSV of scores that grows clip by clip, and from which a stopped call goes on.

Each row ends in a fingerprint of what it follows from: the run, what is extracted how, and the
content of the media. A row counts again where clip, path and fingerprint are the same; so a file
that was changed, another run or another speaker are scored anew.
"""

import csv
import hashlib
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
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
from traitscope.prediction.scoring import Task
from traitscope.runs.checkpoint import Checkpoint
from traitscope.runs.checksums import learned_checksum
from traitscope.types import Clip, Prediction

_COLUMNS = ("clip", "path", "status", "reason", "notes", "coverage", "fingerprint")
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
    ) -> None:
        self._path, self._backend, self._tasks = path, checkpoint.backend, tasks
        self._targets = [target.name for target in checkpoint.facts.targets]
        self._header = [*_COLUMNS, *(f"predicted_{name}" for name in self._targets)]
        # Before anything is read: what changes in the meantime will be noticed the next time.
        run = learned_checksum(checkpoint.folder)
        self._fingerprints = [fingerprint_of(run, task, requests) for task in tasks]

    def before(self) -> dict[int, Prediction]:
        """Predictions that are there already, by place; the file is ready for more after this.

        Raises:
            ConfigError: the file holds something else.
            OSError: it cannot be written.
        """
        # A pipe or /dev/stdout cannot be read again; it gets the whole table at the end.
        if self._is_a_pipe():
            return {}
        rows, whole = self._read()
        if not whole:  # new, or its last row was cut when a run was killed
            self._write([row.values() for row in rows])
        known: dict[tuple[str, str], Row] = {(row["clip"], row["path"]): row for row in rows}
        found: dict[int, Prediction] = {}
        for place, (task, mark) in enumerate(zip(self._tasks, self._fingerprints, strict=True)):
            row = known.get((task.clip.id, str(task.path or "")))
            prediction = self._prediction(row) if row and mark == row["fingerprint"] else None
            if prediction is not None and mark:
                found[place] = prediction
        return found

    def add(self, place: int, prediction: Prediction) -> None:
        """Append the row of one clip in one write."""
        # Opened for each row: a row takes seconds, and nothing stays open where a hook raises.
        if not self._is_a_pipe():
            with self._path.open("ab") as file:
                file.write(_lines([self._row(place, prediction)]))

    def finish(self, predictions: Sequence[Prediction]) -> None:
        """Leave the clips of this call alone, in their order; a file that is so stays untouched."""
        rows = [self._row(place, one) for place, one in enumerate(predictions)]
        if self._is_a_pipe() or self._path.read_bytes() != _lines([self._header, *rows]):
            self._write(rows)

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
            raise ConfigError(
                f"{self._path} is there, and is no table of scores of such a run: it has not the "
                f"columns {', '.join(self._header)}. Name another file, or delete it."
            )
        # A killed run may have left a part of its last row, whose end is then not there.
        ended = data.endswith(b"\n")
        rows = [line for line in lines[1 : None if ended else -1] if len(line) == len(lines[0])]
        named = [dict(zip(self._header, map(plain, line), strict=True)) for line in rows]
        return named, len(rows) == len(lines) - 1

    def _row(self, place: int, prediction: Prediction) -> list[Any]:
        coverage = "; ".join(f"{name}={share!r}" for name, share in prediction.coverage.items())
        facts = [prediction.clip, prediction.path, prediction.status, prediction.reason]
        facts += [joined(prediction.notes), coverage, self._fingerprints[place]]
        return [*facts, *(prediction.scores.get(name, "") for name in self._targets)]

    def _prediction(self, row: Row) -> Prediction | None:
        """What a row says; None where it is damaged, or the clip may have another outcome now."""
        status, scores = row["status"], {}
        try:
            # Failures have no scores, and their cells are empty.
            if status == OK:
                scores = {name: float(row[f"predicted_{name}"]) for name in self._targets}
            pairs = [pair.rpartition("=") for pair in row["coverage"].split("; ") if pair]
            coverage = {name: float(share) for name, _, share in pairs}
        except ValueError:
            return None
        if not all(map(math.isfinite, scores.values())) or status not in {OK, *PERMANENT}:
            return None
        return Prediction(
            clip=row["clip"],
            scores=scores,
            status=status,
            reason=row["reason"],
            coverage=coverage,
            backend=self._backend,
            notes=parted(row["notes"]),
            path=row["path"],
        )


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
