"""Trees as arrays: equal to the library, by hand, and damage that is told instead of walked."""

import lightgbm
import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor

from traitscope.errors import DataError
from traitscope.learners.trees import Boosting, ExtraTrees, Forest, _train, grow, grow_extra, staged

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(400, 6))
LABELS = np.stack([TABLE[:, 0] + 0.3 * TABLE[:, 1] ** 2, np.sign(TABLE[:, 4])], axis=1)
LABELS += 0.1 * RNG.normal(size=LABELS.shape)
SMALL = Boosting(rounds=30)


@pytest.fixture(scope="module")
def forest() -> Forest:
    return grow(TABLE, LABELS, [SMALL, SMALL])


def test_predictions_equal_those_of_the_library(forest: Forest) -> None:
    fresh = RNG.normal(size=(1000, 6)) * 2
    found = forest.predict(fresh, 2)
    for output in (0, 1):
        booster = _train(TABLE, LABELS[:, output], SMALL, 0)
        np.testing.assert_allclose(found[:, output], booster.predict(fresh), atol=1e-6)
        some = staged(fresh, forest, 2, [7])[0, :, output]
        np.testing.assert_allclose(some, booster.predict(fresh, num_iteration=7), atol=1e-6)
    assert lightgbm.__version__


def test_trees_by_hand() -> None:
    forest = Forest(
        first=np.array([0, 3, 4]),
        output=np.array([0, 1]),
        feature=np.array([1, -1, -1, -1]),
        threshold=np.array([0.5, 0, 0, 0]),
        left=np.array([1, -1, -1, -1]),
        right=np.array([2, -1, -1, -1]),
        value=np.array([0.0, 10.0, 20.0, 7.0]),
    )
    rows = np.array([[9.0, 0.5], [9.0, 0.6]])
    np.testing.assert_array_equal(forest.predict(rows, 2), [[10, 7], [20, 7]])


def test_missing_labels_have_no_say() -> None:
    labels = LABELS.copy()
    labels[::2, 0] = np.nan
    found = grow(TABLE, labels, [SMALL, SMALL]).predict(TABLE, 2)
    booster = _train(TABLE[1::2], LABELS[1::2, 0], SMALL, 0)
    np.testing.assert_allclose(found[:, 0], booster.predict(TABLE), atol=1e-6)


@pytest.mark.parametrize(("known", "mean"), [(0, 0.0), (1, 0.25)])
def test_a_fold_may_have_one_label_or_none(known: int, mean: float) -> None:
    labels = np.full((9, 1), np.nan)
    labels[:known] = 0.25
    found = grow(TABLE[:9], labels, [Boosting(rounds=2)]).predict(TABLE[:9], 1)
    np.testing.assert_allclose(found, mean, atol=1e-6)


def test_a_forest_comes_back_from_arrays(forest: Forest) -> None:
    again = Forest.restore(forest.state("trees"), "trees", columns=6, outputs=2)
    np.testing.assert_array_equal(again.predict(TABLE, 2), forest.predict(TABLE, 2))


def damage(arrays: dict[str, np.ndarray], name: str, place: int, value: float) -> None:
    arrays[f"trees/{name}"] = arrays[f"trees/{name}"].copy()
    arrays[f"trees/{name}"][place] = value


@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        ("left", 0, 0, "does not stand behind its parent"),  # a walk without end
        ("right", 1, 0, "does not stand behind its parent"),
        ("left", 0, 10**9, "does not stand behind its parent"),
        ("right", 0, -5, "does not stand behind its parent"),
        ("feature", 0, 6, "not one of 6"),
        ("feature", 0, -2, "not one of 6"),
        ("output", 0, 2, "not one of 2"),
        ("threshold", 0, np.nan, "not finite"),
        ("value", -1, np.inf, "not finite"),
        ("first", 1, 0, "do not fit each other"),
        ("first", -1, 3, "do not fit each other"),
    ],
)
def test_damage_is_told(forest: Forest, name: str, place: int, value: float, message: str) -> None:
    arrays = forest.state("trees")
    damage(arrays, name, place, value)
    with pytest.raises(DataError, match=f"The saved trees cannot be used.*{message}"):
        Forest.restore(arrays, "trees", columns=6, outputs=2)


def test_arrays_of_another_kind_or_length_are_told(forest: Forest) -> None:
    arrays = forest.state("trees")
    for name in arrays:
        for other in (None, arrays[name][:-1], arrays[name][:, None], arrays[name].astype("U9")):
            changed = {**arrays, name: other} if other is not None else {**arrays}
            if other is None:
                del changed[name]
            with pytest.raises(DataError, match="cannot be used"):
                Forest.restore(changed, "trees", columns=6, outputs=2)


def test_a_tree_without_end_is_told() -> None:
    nodes = 2001  # a chain: each inner node has a leaf and the next inner node
    inner = np.arange(nodes) % 2 == 0
    inner[-1] = False
    here = np.arange(nodes)
    chain = Forest(
        first=np.array([0, nodes]),
        output=np.array([0]),
        feature=np.where(inner, 0, -1),
        threshold=np.zeros(nodes),
        left=np.where(inner, here + 1, -1),
        right=np.where(inner, here + 2, -1),
        value=np.zeros(nodes),
    )
    with pytest.raises(DataError, match="more than 64 levels"):
        Forest.restore(chain.state("trees"), "trees", columns=1, outputs=1)


def halves(table: np.ndarray) -> list[np.ndarray]:
    """A table of its own for each output, exact in 32 bits."""
    return np.split(table.astype(np.float32).astype(np.float64), 2, axis=1)


def test_extra_trees_equal_those_of_the_library_each_on_its_table() -> None:
    labels = LABELS.copy()
    labels[::3, 1] = np.nan
    settings = ExtraTrees(trees=20, per_leaf=3, column_share=0.7)
    forest = grow_extra(halves(TABLE), labels, settings, seed=5)
    fresh = halves(RNG.normal(size=(1000, 6)) * 2)
    found = forest.predict(np.concatenate(fresh, axis=1), 2)
    for output, (table, asked) in enumerate(zip(halves(TABLE), fresh, strict=True)):
        known = np.isfinite(labels[:, output])
        library = ExtraTreesRegressor(
            20, min_samples_leaf=3, max_features=0.7, max_depth=63, random_state=5
        ).fit(table[known], labels[known, output])
        np.testing.assert_allclose(found[:, output], library.predict(asked), atol=1e-6)


def test_extra_trees_with_one_leaf_predict_the_mean() -> None:
    forest = grow_extra(halves(TABLE), LABELS, ExtraTrees(trees=3, per_leaf=400))
    assert len(forest.feature) == 6
    np.testing.assert_allclose(forest.predict(TABLE[:4], 2), np.tile(LABELS.mean(axis=0), (4, 1)))


def test_extra_trees_come_back_from_arrays_however_deep_they_would_grow() -> None:
    column = 2.0 ** np.arange(-20, 127)[:, None]  # a random cut takes off the last few only
    labels = np.arange(147.0)[:, None]
    library = ExtraTreesRegressor(9, random_state=0).fit(column, labels[:, 0])
    assert max(tree.tree_.max_depth for tree in library.estimators_) > 64
    forest = grow_extra([column], labels, ExtraTrees(trees=9, per_leaf=1))
    again = Forest.restore(forest.state("trees"), "trees", columns=1, outputs=1)
    np.testing.assert_array_equal(again.predict(column, 1), forest.predict(column, 1))
