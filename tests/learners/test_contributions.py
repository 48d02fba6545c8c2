"""Shares of columns in trees: by hand, and equal to Shapley values that were counted out."""

from itertools import permutations

import numpy as np

from traitscope.learners.contributions import contributions
from traitscope.learners.trees import Boosting, Forest, grow

INT, FLOAT = np.int64, np.float64


def stump(column: int, low: float, high: float) -> Forest:
    """One tree with one cut at 0."""
    return Forest(
        first=np.array([0, 3], INT),
        output=np.array([0], INT),
        feature=np.array([column, -1, -1], INT),
        threshold=np.array([0.0, 0, 0], FLOAT),
        left=np.array([1, -1, -1], INT),
        right=np.array([2, -1, -1], INT),
        value=np.array([0, low, high], FLOAT),
    )


def both(value: float) -> Forest:
    """One tree that gives ``value`` where columns 0 and 1 are above 0, and nothing else."""
    return Forest(
        first=np.array([0, 5], INT),
        output=np.array([0], INT),
        feature=np.array([0, -1, 1, -1, -1], INT),
        threshold=np.zeros(5),
        left=np.array([1, -1, 3, -1, -1], INT),
        right=np.array([2, -1, 4, -1, -1], INT),
        value=np.array([0, 0, 0, 0, value], FLOAT),
    )


def test_one_cut_gives_all_to_its_column() -> None:
    table = np.array([[1.0, 5.0], [-1.0, 5.0]])
    shares = contributions(stump(0, 2.0, 7.0), table, np.array([-1.0, 0.0]), 1)
    assert shares[:, :, 0].tolist() == [[5.0, 0.0], [0.0, 0.0]]


def test_columns_that_matter_together_share() -> None:
    table = np.array([[1.0, 1.0], [1.0, -1.0]])
    shares = contributions(both(6.0), table, np.array([-1.0, -1.0]), 1)
    assert shares[:, :, 0].tolist() == [[3.0, 3.0], [0.0, 0.0]]


def test_shares_equal_shapley_values_over_all_orders() -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(size=(200, 4))
    labels = np.stack([table[:, 0] * (table[:, 1] > 0), table[:, 2] + table[:, 3] ** 2], axis=1)
    settings = [Boosting(rounds=8, leaves=6, per_leaf=5, lr=0.3, column_share=1.0)] * 2
    forest, reference = grow(table, labels, settings), rng.normal(size=4)
    shares = contributions(forest, table[:3], reference, 2)
    counted = np.zeros_like(shares)
    for order in (orders := list(permutations(range(4)))):
        for clip in range(3):
            at = reference.copy()
            before = forest.predict(at[None], 2)[0]
            for column in order:
                at[column] = table[clip, column]
                after = forest.predict(at[None], 2)[0]
                counted[clip, column] += (after - before) / len(orders)
                before = after
    np.testing.assert_allclose(shares, counted, atol=1e-12)
    whole = forest.predict(table[:3], 2) - forest.predict(reference[None], 2)
    np.testing.assert_allclose(shares.sum(axis=1), whole, atol=1e-12)
