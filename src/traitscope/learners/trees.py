"""Trees as arrays: boosted by LightGBM or extra-trees of scikit-learn, walked by NumPy.

Neither library's own format is kept. A forest is a list of nodes; a child always stands behind its
parent, so that a walk ends. What comes from a file is checked before it is walked.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveInt

from traitscope.config import Config
from traitscope.errors import DataError

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Share = Annotated[float, Field(gt=0, le=1)]

DEEPEST = 64
"""Levels of a tree; a file with deeper ones is damaged, and would take for ever."""
_LEAF = -1
_NODES = ("feature", "threshold", "left", "right", "value")
_DATA = {"max_bin": 63, "min_data_in_bin": 1, "num_threads": 1, "verbosity": -1}
"""Settings of LightGBM that its table of data shares; more bins only fit noise."""
_CELLS = 1 << 18  # rows x trees walked at once: what fits the processor's cache


class Boosting(Config):
    """How trees are grown."""

    rounds: PositiveInt = 250
    """Trees per target."""
    lr: Share = 0.04
    """Share of each tree's correction that is kept."""
    leaves: Annotated[int, Field(ge=2, le=1024)] = 12
    """Leaves per tree."""
    per_leaf: PositiveInt = 40
    """Clips per leaf at least; fewer in a small corpus, where 20 leaves must be possible."""
    column_share: Share = 0.5
    """Share of the columns that each tree may use."""
    row_share: Share = 0.8
    """Share of the clips that each tree sees."""
    l2: NonNegativeFloat = 10.0
    """Shrinks the value of a leaf, in clips."""


class ExtraTrees(Config):
    """How extra-trees are grown: cuts are drawn at random, and the best of them is taken."""

    trees: PositiveInt = 500
    """Trees per target."""
    per_leaf: PositiveInt = 5
    """Clips per leaf at least."""
    column_share: Share = 1.0
    """Share of the columns that each cut may choose from."""


@dataclass(frozen=True)
class Forest:
    """Trees for several outputs; the sum of an output's trees is its prediction.

    Attributes:
        first: (trees + 1,) index of each tree's root, then the number of nodes.
        output: (trees,) which output a tree adds to.
        feature: (nodes,) column that decides, -1 at a leaf.
        threshold: (nodes,) a value up to this goes left.
        left: (nodes,) index of the left child, -1 at a leaf.
        right: (nodes,) index of the right child, -1 at a leaf.
        value: (nodes,) what a leaf adds.
    """

    first: Indices
    output: Indices
    feature: Indices
    threshold: Array
    left: Indices
    right: Indices
    value: Array

    def predict(self, table: Array, outputs: int) -> Array:
        """Sum the leaves that the rows of a table (clips, columns) end in: (clips, outputs)."""
        trees = len(self.output)
        sums = np.zeros((len(table), outputs))
        step = max(1, _CELLS // max(1, trees))
        member = (self.output[:, None] == np.arange(outputs)).astype(np.float64)
        for start in range(0, len(table) if trees else 0, step):
            rows = table[start : start + step]
            sums[start : start + step] = self.value[self._leaves(rows)] @ member
        return sums

    def state(self, name: str) -> dict[str, NDArray[Any]]:
        """Arrays to save, under ``name/...``."""
        return {f"{name}/{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def restore(
        cls, arrays: Mapping[str, NDArray[Any]], name: str, *, columns: int, outputs: int
    ) -> "Forest":
        """Take back what ``state`` gave, checked.

        Args:
            arrays: of a checkpoint.
            name: what the forest was saved under.
            columns: of the tables it will be given.
            outputs: how many it predicts.

        Raises:
            DataError: the arrays are not those of trees.
        """
        parts: dict[str, Any] = {}
        for field in fields(cls):
            array = arrays.get(f"{name}/{field.name}")
            whole = field.name not in {"threshold", "value"}
            if array is None or array.ndim != 1 or array.dtype.kind != ("i" if whole else "f"):
                raise damaged(name, f"{field.name} is missing or of another kind")
            parts[field.name] = array.astype(np.int64 if whole else np.float64)
        forest = cls(**parts)
        forest._check(name, columns, outputs)
        return forest

    def _leaves(self, rows: Array) -> Indices:
        """(rows, trees) index of the leaf each row ends in."""
        node = np.tile(self.first[:-1], (len(rows), 1))
        at = np.arange(len(rows))[:, None]
        while True:
            feature = self.feature[node]
            inner = feature != _LEAF
            if not inner.any():
                return node
            left = rows[at, feature] <= self.threshold[node]  # at a leaf: any column will do
            node = np.where(inner, np.where(left, self.left[node], self.right[node]), node)

    def _check(self, name: str, columns: int, outputs: int) -> None:
        nodes, trees = len(self.feature), len(self.output)
        lengths = {len(a) for a in (self.threshold, self.left, self.right, self.value)}
        starts = len(self.first) == trees + 1 and self.first[0] == 0 and self.first[-1] == nodes
        if lengths != {nodes} or not starts or np.any(np.diff(self.first) < 1):
            raise damaged(name, "its arrays do not fit each other")
        if np.any((self.output < 0) | (self.output >= outputs)):
            raise damaged(name, f"a tree is for an output that is not one of {outputs}")
        if np.any((self.feature < _LEAF) | (self.feature >= columns)):
            raise damaged(name, f"a node looks at a column that is not one of {columns}")
        if not (np.isfinite(self.threshold).all() and np.isfinite(self.value).all()):
            raise damaged(name, "a number is not finite")
        end = np.repeat(self.first[1:], np.diff(self.first))
        inner, here = self.feature != _LEAF, np.arange(nodes)
        for child in (self.left, self.right):
            if np.any((child <= here)[inner]) or np.any((child >= end)[inner]):
                raise damaged(name, "a child does not stand behind its parent, in its tree")
        level = self.first[:-1]
        for _ in range(DEEPEST):
            level = level[self.feature[level] != _LEAF]
            level = np.unique(np.concatenate([self.left[level], self.right[level]]))
        if len(level):
            raise damaged(name, f"a tree has more than {DEEPEST} levels")


def damaged(name: str, why: str) -> DataError:
    """Say that a part of a saved model cannot be used."""
    return DataError(
        f"The saved {name} cannot be used: {why}. The checkpoint is damaged: train again."
    )


def grow(table: Array, labels: Array, boosting: Sequence[Boosting], *, seed: int = 0) -> Forest:
    """Grow trees for each output.

    Args:
        table: (clips, columns), finite.
        labels: (clips, outputs), NaN where one is missing.
        boosting: how, for each output.
        seed: of the shares of clips and columns.
    """

    def one(output: int) -> Any:
        known = np.isfinite(labels[:, output])
        if not known.any():  # of a fold whose clips all lack the label
            return _train(table[:1], np.zeros(1), boosting[output], seed)
        return _train(table[known], labels[known, output], boosting[output], seed)

    # One thread per tree: LightGBM's own threads wait for each other on a busy machine, which can
    # take thirty times as long.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return _forest(list(pool.map(one, range(labels.shape[1]))))


def grow_extra(
    tables: Sequence[Array], labels: Array, settings: ExtraTrees, *, seed: int = 0
) -> Forest:
    """Grow extremely randomised trees (Geurts et al., 2006) for each output.

    Args:
        tables: (clips, columns) of each output, exact in 32 bits; the forest takes all of them
            side by side.
        labels: (clips, outputs), NaN where one is missing.
        settings: how.
        seed: of the cuts.

    Returns:
        Trees whose leaves are shares of the output's mean, so that their sum is the prediction.
    """
    from sklearn.ensemble import ExtraTreesRegressor

    first, outputs, before = [0], list[int](), 0
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in _NODES}
    for output, table in enumerate(tables):
        known = np.isfinite(labels[:, output])
        grower = ExtraTreesRegressor(
            n_estimators=settings.trees,
            min_samples_leaf=settings.per_leaf,
            max_features=settings.column_share,
            max_depth=DEEPEST - 1,
            random_state=seed,
            n_jobs=-1,
        )
        for grown in grower.fit(table[known], labels[known, output]).estimators_:
            # Nodes of all trees stand in one array: children and columns move by what is before.
            tree, start = grown.tree_, first[-1]
            leaf = tree.children_left < 0
            parts["feature"].append(np.where(leaf, _LEAF, tree.feature + before))
            parts["threshold"].append(np.where(leaf, 0.0, tree.threshold))
            parts["left"].append(np.where(leaf, _LEAF, tree.children_left + start))
            parts["right"].append(np.where(leaf, _LEAF, tree.children_right + start))
            parts["value"].append(np.where(leaf, tree.value[:, 0, 0] / settings.trees, 0.0))
            first.append(start + len(leaf))
            outputs.append(output)
        before += table.shape[1]
    nodes = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    return Forest(first=np.array(first), output=np.array(outputs), **nodes)


def staged(table: Array, forest: Forest, outputs: int, stages: Sequence[int]) -> Array:
    """Predict with the first trees of each output: (stages, clips, outputs)."""
    number = np.zeros(len(forest.output), dtype=np.int64)
    for output in range(outputs):
        mine = forest.output == output
        number[mine] = np.arange(mine.sum())
    leaves = forest.value[forest._leaves(table)]
    predictions = []
    for stage in stages:
        member = (forest.output[:, None] == np.arange(outputs)) & (number < stage)[:, None]
        predictions.append(leaves @ member.astype(np.float64))
    return np.stack(predictions)


def _train(table: Array, labels: Array, boosting: Boosting, seed: int) -> Any:
    import lightgbm

    share = boosting.row_share if boosting.row_share * len(table) >= 1 else 1.0  # of one clip: all
    settings = {
        "objective": "regression",
        "learning_rate": boosting.lr,
        "num_leaves": boosting.leaves,
        "min_data_in_leaf": min(boosting.per_leaf, max(1, len(table) // 20)),
        "feature_fraction": boosting.column_share,
        "bagging_fraction": share,
        "bagging_freq": 1 if share < 1 else 0,
        "lambda_l2": boosting.l2,
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        **_DATA,
    }
    data = lightgbm.Dataset(table, label=labels, params=_DATA)
    return lightgbm.train(settings, data, num_boost_round=boosting.rounds)


def _forest(boosters: Sequence[Any]) -> Forest:
    """Copy the trees of LightGBM, one booster per output."""
    first, output = [0], list[int]()
    rows: list[tuple[int, float, int, int, float]] = []
    for place, booster in enumerate(boosters):
        for tree in booster.dump_model()["tree_info"]:
            rows.extend(_nodes(tree["tree_structure"], first[-1]))
            first.append(len(rows))
            output.append(place)
    columns = list(zip(*rows, strict=True)) if rows else [()] * 5
    return Forest(
        first=np.array(first, dtype=np.int64),
        output=np.array(output, dtype=np.int64),
        feature=np.array(columns[0], dtype=np.int64),
        threshold=np.array(columns[1], dtype=np.float64),
        left=np.array(columns[2], dtype=np.int64),
        right=np.array(columns[3], dtype=np.int64),
        value=np.array(columns[4], dtype=np.float64),
    )


def _nodes(root: Mapping[str, Any], start: int) -> Iterator[tuple[int, float, int, int, float]]:
    """Lay a tree out level by level: (feature, threshold, left, right, value)."""
    level, after = [root], start + 1
    while level:
        below: list[Mapping[str, Any]] = []
        for node in level:
            if "split_feature" not in node:
                yield _LEAF, 0.0, _LEAF, _LEAF, float(node["leaf_value"])
                continue
            assert node["decision_type"] == "<="
            left = after + len(below)
            yield int(node["split_feature"]), float(node["threshold"]), left, left + 1, 0.0
            below += [node["left_child"], node["right_child"]]
        after += len(below)
        level = below
