"""What is known of each epoch: losses of batches and predictions in, scores and a row out."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import DataError
from traitscope.files import read_csv, write_csv
from traitscope.statistics import metrics
from traitscope.types import Target

LOGGED = ("mae", "mse", "r2", "ccc", "accuracy", "cosine")
"""What is known of the validation clips after each epoch, macro and target by target."""


def mean_loss(losses: Sequence[tuple[float, int]]) -> float:
    """Mean of the losses of batches, each with its number of clips."""
    return sum(loss * size for loss, size in losses) / max(1, sum(size for _, size in losses))


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


def record(path: Path, row: dict[str, Any]) -> None:
    """Append an epoch; rows of the same epoch from before an interruption are replaced."""
    rows: list[dict[str, Any]] = list(read_history(path)) if path.is_file() else []
    same = [
        i
        for i, old in enumerate(rows)
        if old["stage"] == row["stage"] and int(old["epoch"]) >= row["epoch"]
    ]
    # A killed training resumes from the last whole epoch: what it wrote of later ones is repeated.
    rows = [*rows[: same[0] if same else len(rows)], row]
    write_csv(path, list(row), ([one.get(name, "") for name in row] for one in rows))


def read_history(path: Path) -> list[dict[str, str]]:
    """Read what a training recorded of its epochs, one dict each.

    Raises:
        DataError: the file is damaged.
    """
    rows = read_csv(path, ("stage", "epoch"), damaged=_CURE)
    if odd := [row["epoch"] for row in rows if not row["epoch"].isdecimal()]:
        raise DataError(f"{path} is damaged (it has the epoch {odd[0]!r}). {_CURE}")
    return rows


_CURE = "Bring it back from a copy, or delete it: only the curves of earlier epochs are lost."
