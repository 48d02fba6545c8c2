"""What is known of each epoch: losses of batches and predictions in, scores and a row out."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import DataError
from traitscope.escaping import cell
from traitscope.files import read_csv, replacing
from traitscope.statistics import metrics
from traitscope.types import Target

LOGGED = ("mae", "mse", "r2", "ccc", "accuracy", "cosine")
"""What is known of the validation clips after each epoch, macro and target by target."""


def mean_loss(losses: Sequence[tuple[SupportsFloat, int]]) -> float:
    """Mean of the losses of batches, each with its number of clips."""
    # By clips and not by batches: the last batch is smaller.
    total = sum(size for _, size in losses)
    return sum(float(loss) * size for loss, size in losses) / max(1, total)


def split_scores(
    labels: NDArray[np.float64], predictions: NDArray[np.float64], targets: Sequence[Target]
) -> tuple[dict[str, float], dict[str, float]]:
    """Scores of a whole split (clips, targets): macro, and of each target as ``mae/openness``."""
    # Accuracy is one minus the error in shares of the range; z-scores have none.
    spans = [None if t.high is None or t.low is None else t.high - t.low for t in targets]
    names = [target.name for target in targets]
    table = metrics.score_table(labels, predictions, names=names, spans=spans)
    scores = {
        (metric, name): math.nan if cell.value is None else cell.value
        for metric in LOGGED
        for name, cell in table[metric].items()
    }
    macro = {metric: scores[metric, metrics.MACRO] for metric in LOGGED}
    return macro, {f"{m}/{n}": value for (m, n), value in scores.items() if n != metrics.MACRO}


def epochs(path: Path) -> list[dict[str, Any]]:
    """Read a run's ``history.csv``: a row per epoch, numbers where they are numbers."""
    return [{k: v if k == "stage" else _number(v) for k, v in row.items()} for row in _read(path)]


def _number(text: str) -> float | int | None:
    if not text:
        return None
    return int(text) if text.isdecimal() else float(text)


def record(path: Path, row: dict[str, Any]) -> None:
    """Append an epoch, in a file that appears whole: who watches reads it at any time."""
    _write(path, [*_read(path), row])


def cut(path: Path, stages: Sequence[str], *, stage: int, epoch: int) -> None:
    """Take rows out that were written after a state was saved: they are written again.

    Args:
        path: of ``history.csv`` or ``steps.csv``; nothing is done where there is none.
        stages: names of all stages, in order.
        stage: index of the one that goes on.
        epoch: of it, the first that is repeated.
    """
    if not path.is_file():
        return
    order = {name: index for index, name in enumerate(stages)}
    rows = _read(path)
    kept = [row for row in rows if (order[row["stage"]], int(row["epoch"])) < (stage, epoch)]
    if len(kept) < len(rows):
        _write(path, kept, list(rows[0]))


@dataclass(frozen=True)
class StepLog:
    """Loss and rate of every so many batches, added to a file at once; nothing where 0."""

    path: Path
    every: int

    def note(self, stage: str, epoch: int, batch: int, lr: float, loss: Any) -> None:
        """Add a batch, if its turn has come; to look at its loss, the processor waits for it."""
        if not self.every or batch % self.every:
            return
        new = not self.path.is_file()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["stage", "epoch", "batch", "lr", "train_loss"])
            writer.writerow([cell(stage), epoch, batch, lr, float(loss)])


def read_history(path: Path) -> list[dict[str, str]]:
    """Read what a training recorded of its epochs or steps, one dict each.

    Raises:
        DataError: the file is damaged.
    """
    rows = read_csv(path, ("stage", "epoch"), damaged=_CURE)
    if odd := [row["epoch"] for row in rows if not row["epoch"].isdecimal()]:
        raise DataError(f"{path} is damaged (it has the epoch {odd[0]!r}). {_CURE}")
    return rows


def _read(path: Path) -> list[dict[str, Any]]:
    return list(read_history(path)) if path.is_file() else []


def _write(path: Path, rows: Sequence[dict[str, Any]], header: Sequence[str] = ()) -> None:
    with replacing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(header) or list(rows[-1]))
        writer.writeheader()
        writer.writerows({k: cell(v) for k, v in one.items()} for one in rows)


_CURE = "Bring it back from a copy, or delete it: only the curves of earlier epochs are lost."
