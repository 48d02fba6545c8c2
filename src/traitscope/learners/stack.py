"""Several learners' predictions for held-out clips -> one combination per target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.learners.folds import expansion
from traitscope.learners.graphs import Graph, add_expanded, add_linear
from traitscope.learners.ridge import ridge
from traitscope.learners.trees import damaged
from traitscope.types import Target

Array = NDArray[np.float64]

PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)
"""Tried for the combination, whose columns have a spread of one."""


@dataclass(frozen=True)
class Stack:
    """A ridge on learners' deviations from the mean, then an expansion.

    Attributes:
        scale: spread of each learner's predictions (columns,).
        weights: (columns, targets).
        intercept: (targets,).
        centre: mean label, which the expansion leaves where it is (targets,).
        factor: expansion (targets,).
    """

    scale: Array
    weights: Array
    intercept: Array
    centre: Array
    factor: Array

    def predict(self, columns: Array) -> Array:
        """Combine deviations (clips, columns) into scores (clips, targets)."""
        scores = self.intercept + (columns / self.scale) @ self.weights
        return self.centre + self.factor * (scores - self.centre)

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays to save, under ``stack/...``."""
        return {f"stack/{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[Any]], columns: int, targets: int) -> "Stack":
        """Take back what ``state`` gave, checked."""
        shapes = {"scale": (columns,), "weights": (columns, targets)}
        parts = {
            field.name: checked(arrays, f"stack/{field.name}", shapes.get(field.name, (targets,)))
            for field in fields(cls)
        }
        return cls(**parts)


def add_stack(graph: Graph, columns: str, stack: Stack) -> str:
    """What `Stack.predict` does, as operators."""
    scaled = graph.op("Div", columns, graph.constant(stack.scale))
    scores = add_linear(graph, scaled, stack.weights, stack.intercept)
    return add_expanded(graph, scores, stack.centre, stack.factor)


def fit_stack(
    columns: Array,
    labels: Array,
    folds: NDArray[np.int64],
    groups: NDArray[Any],
    *,
    targets: Sequence[Target],
    expand: bool,
) -> Stack:
    """Fit the combination on held-out predictions.

    Args:
        columns: deviations of held-out predictions from the mean (clips, learners x targets).
        labels: (clips, targets), NaN where one is missing.
        folds: (clips,) the fold in which a clip was held out.
        groups: (clips,) sources, left out whole.
        targets: what the labels are.
        expand: spread the combined predictions; chosen on combinations that were themselves
            fitted on the other folds.
    """
    # So that one penalty means the same to a learner that hardly moves from the mean.
    scale = columns.std(axis=0)
    scale[scale < 1e-12] = np.inf  # a column that says nothing gets the weight zero
    scaled = columns / scale
    count = len(targets)
    weights, intercept = np.zeros((columns.shape[1], count)), np.zeros(count)
    # Without a fold to hold out no expansion is known to be worth it.
    centre, factor = np.nanmean(labels, axis=0), np.ones(count)
    for target in range(count):
        known = np.isfinite(labels[:, target])
        table, wanted, fold = scaled[known], labels[known, target], folds[known]
        fit = ridge(table, wanted, groups[known], PENALTIES)
        weights[:, target], intercept[target], penalty = fit
        if expand and len(np.unique(fold)) > 1:
            # In sample the combination spreads more than it will on new clips: refit without each
            # fold, with the penalty chosen above.
            again = np.zeros(len(wanted))
            for number in np.unique(fold):
                rest = fold == number
                w, b, _ = ridge(table[~rest], wanted[~rest], groups[known][~rest], [penalty])
                again[rest] = b + table[rest] @ w
            factor[target] = expansion(
                again, wanted, centre=float(centre[target]), target=targets[target]
            )
    return Stack(scale, weights, intercept, centre, factor)


def checked(arrays: Mapping[str, NDArray[Any]], name: str, shape: tuple[int | None, ...]) -> Array:
    """Take a saved array of numbers, if its shape is right; None allows any length.

    Raises:
        DataError: it is missing, of another shape, or not numbers.
    """
    array = arrays.get(name)
    if array is None:
        raise damaged("model", f"{name!r} of shape None is there where {shape} is needed")
    fits = len(array.shape) == len(shape) and all(
        want in (None, have) for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        raise damaged("model", f"{name!r} of shape {array.shape} is there where {shape} is needed")
    if array.dtype.kind != "f" or np.isnan(array).any():
        raise damaged("model", f"{name!r} does not hold numbers")
    return array.astype(np.float64)
