"""What is known of each epoch: losses of batches and predictions in, scores and a row out."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from traitscope.escaping import cell, plain
from traitscope.files import replacing
from traitscope.statistics import metrics
from traitscope.types import Target

LOGGED = ("mae", "mse", "r2", "ccc", "accuracy", "cosine")
"""What is known of the validation clips after each epoch, macro and target by target."""


def mean_loss(losses: Sequence[tuple[SupportsFloat, int]]) -> float:
    """Mean of the losses of batches, each with its number of clips."""
    total = sum(size for _, size in losses)
    return sum(float(loss) * size for loss, size in losses) / max(1, total)


def split_scores(
    labels: NDArray[np.float64], predictions: NDArray[np.float64], targets: Sequence[Target]
) -> tuple[dict[str, float], dict[str, float]]:
    """Scores of a whole split (clips, targets): macro, and of each target as ``mae/openness``."""
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
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{k: plain(v) if k == "stage" else _number(v) for k, v in row.items()} for row in rows]


def _number(text: str) -> float | int | None:
    if not text:
        return None
    return int(text) if text.isdecimal() else float(text)


def record(path: Path, row: dict[str, Any]) -> None:
    """Append an epoch; rows of the same epoch from before an interruption are replaced."""
    rows: list[dict[str, Any]] = []
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            rows = [{k: plain(v) for k, v in old.items()} for old in csv.DictReader(file)]
    same = [
        i
        for i, old in enumerate(rows)
        if old["stage"] == row["stage"] and int(old["epoch"]) >= row["epoch"]
    ]
    # A killed training resumes from the last whole epoch: what it wrote of later ones is repeated.
    rows = [*rows[: same[0] if same else len(rows)], row]
    with replacing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        writer.writeheader()
        writer.writerows({k: cell(v) for k, v in one.items()} for one in rows)
