"""What of the planted behaviours can be known of a trait, and what shows in predictions."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from traitscope.corpora.synthetic import BEHAVIOURS
from traitscope.data.protocols import Protocol, split
from traitscope.learners.ridge import ridge
from traitscope.types import Clip, Corpus

PENALTIES = (0.1, 1, 10, 100)


def behaviours(corpus: Path) -> tuple[tuple[str, ...], dict[str, list[float]]]:
    """Names of the planted behaviours, and their values of each clip."""
    with (corpus.parent / f"{corpus.name}-truth" / "behaviours.csv").open(newline="") as file:
        rows = {row.pop("clip"): [float(v) for v in row.values()] for row in csv.DictReader(file)}
    return tuple(BEHAVIOURS), rows


def attainable(corpus: Path, labels: Corpus, without: Sequence[str] = ()) -> float:
    """Macro R2 on the test clips of a ridge on the planted behaviours, some left out.

    Args:
        corpus: folder of the generated corpus, beside which its behaviours lie.
        labels: the clips that are looked at.
        without: behaviours.
    """
    names, rows = behaviours(corpus)
    kept = [place for place, name in enumerate(names) if name not in without]
    parts = split(labels, Protocol())

    def table(clips: Sequence[Clip]) -> tuple[np.ndarray, np.ndarray]:
        values = np.array([rows[c.id] for c in clips])[:, kept]
        return values, labels.with_clips(clips).labels()

    (x, y), (x_test, y_test) = table(parts.fitted), table(parts.test)
    mean, sd = x.mean(axis=0), x.std(axis=0)
    groups = np.array([clip.subject for clip in parts.fitted])
    scores = []
    for column in range(y.shape[1]):
        weights, offset, _ = ridge((x - mean) / sd, y[:, column], groups, PENALTIES)
        error = y_test[:, column] - (x_test - mean) / sd @ weights - offset
        scores.append(1 - (error**2).mean() / y_test[:, column].var())
    return float(np.mean(scores))


def scored(table: Path, clips: Sequence[str] | None = None) -> list[dict[str, str]]:
    """Rows of a table of predictions, of some clips alone if they are named."""
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return rows if clips is None else [row for row in rows if row["clip"] in set(clips)]


def skill(rows: Sequence[Mapping[str, str]]) -> dict[str, float]:
    """R2 of each trait, of the rows of a table of predictions."""
    traits = [key.removeprefix("true_") for key in rows[0] if key.startswith("true_")]
    found = {}
    for trait in traits:
        true, predicted = (
            np.array([float(row[f"{kind}_{trait}"]) for row in rows])
            for kind in ("true", "predicted")
        )
        found[trait] = float(1 - ((true - predicted) ** 2).mean() / true.var())
    return found


def traces(corpus: Path, rows: Sequence[Mapping[str, str]]) -> dict[str, float]:
    """Squared correlation of each behaviour with the prediction of its trait, given all traits."""
    names, planted_rows = behaviours(corpus)
    planted = np.array([planted_rows[row["clip"]] for row in rows])
    traits = [key.removeprefix("true_") for key in rows[0] if key.startswith("true_")]
    true = np.array([[float(row[f"true_{t}"]) for t in traits] for row in rows])
    given = np.column_stack([np.ones(len(true)), true])
    found = {}
    for place, name in enumerate(names):
        (trait,) = BEHAVIOURS[name].weights
        predicted = np.array([float(row[f"predicted_{trait}"]) for row in rows])
        left = [
            v - given @ np.linalg.lstsq(given, v, rcond=None)[0]
            for v in (planted[:, place], predicted)
        ]
        found[name] = float(np.corrcoef(*left)[0, 1] ** 2) if left[1].std() > 1e-9 else 0.0
    return found
