r"""What each column adds to a prediction of fitted trees: forest and table in, exact shares out.

Shapley values of the game "a column has the value of this clip, or that of the reference": shares
add up to the difference between both predictions, columns that no tree looks at get none, and
columns that only matter together share what they do (Lundberg et al., 2020, interventional,
https://doi.org/10.1038/s42256-019-0138-9). No sampling: each tree is walked once for each clip. At
a node where clip and reference part ways, both ways are walked::

    x <= 3?   clip: yes, reference: no      left is reached only with the clip's x      mine = {x}
     /   \                                  right is reached only with the other's      other = {x}
    ..   ..

A leaf of value v that needs a columns of the clip and b of the reference gives each of the former
v (a-1)! b! / (a+b)!, and takes v a! (b-1)! / (a+b)! from each of the latter.
"""

from functools import lru_cache
from math import comb

import numpy as np
from numpy.typing import NDArray

from traitscope.learners.trees import Forest

Array = NDArray[np.float64]
_LEAF = -1


def contributions(forest: Forest, table: Array, reference: Array, outputs: int) -> Array:
    """Share every prediction among the columns.

    Args:
        forest: fitted trees.
        table: (clips, columns), finite.
        reference: (columns,) the values that say nothing.
        outputs: how many the forest predicts.

    Returns:
        (clips, columns, outputs); the sum over columns is the prediction minus the reference's.
    """
    shares = np.zeros((len(table), table.shape[1], outputs))
    # Lists: a walk looks at single numbers, which NumPy is slow at handing out.
    nodes = tuple(
        array.tolist()
        for array in (forest.feature, forest.threshold, forest.left, forest.right, forest.value)
    )
    other = reference.tolist()
    for clip, row in enumerate(table.tolist()):
        for root, output in zip(forest.first[:-1].tolist(), forest.output.tolist(), strict=True):
            for column, share in _walk(nodes, root, row, other):
                shares[clip, column, output] += share
    return shares


def _walk(
    nodes: tuple[list[float], ...], root: int, row: list[float], other: list[float]
) -> list[tuple[int, float]]:
    """Shares (column, value) that one tree gives for one clip."""
    feature, threshold, left, right, value = nodes
    given: list[tuple[int, float]] = []
    waiting: list[tuple[int, tuple[int, ...], tuple[int, ...]]] = [(root, (), ())]
    while waiting:
        node, mine, theirs = waiting.pop()
        column = int(feature[node])
        if column == _LEAF:
            given += _leaf(value[node], mine, theirs)
            continue
        here = int(left[node] if row[column] <= threshold[node] else right[node])
        there = int(left[node] if other[column] <= threshold[node] else right[node])
        # A column that was settled above goes the way of whoever it was settled for.
        if here == there or column in mine:
            waiting.append((here, mine, theirs))
        elif column in theirs:
            waiting.append((there, mine, theirs))
        else:
            waiting.append((here, (*mine, column), theirs))
            waiting.append((there, mine, (*theirs, column)))
    return given


def _leaf(value: float, mine: tuple[int, ...], theirs: tuple[int, ...]) -> list[tuple[int, float]]:
    a, b = len(mine), len(theirs)
    plus = value * _weight(a, b) if a else 0.0
    minus = value * _weight(b, a) if b else 0.0
    return [*((column, plus) for column in mine), *((column, -minus) for column in theirs)]


@lru_cache(maxsize=4096)
def _weight(own: int, others: int) -> float:
    """(own - 1)! others! / (own + others)!: how often a column comes last of those needed."""
    return 1 / (own * comb(own + others, own))
