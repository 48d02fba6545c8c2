"""Fitted arrays -> a graph of plain ONNX operators, node by node.

In: what an estimator has learnt. Out: a model that ONNX Runtime walks without the estimator's code.
Arithmetic is in 64 bits, as NumPy does it: half a unit at a tree's threshold is another leaf.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from traitscope.extras import require
from traitscope.learners.trees import Forest
from traitscope.types import Target

OPSET, TREES = 20, 3
"""Versions of the plain operators and of those of trees; the exporter of networks takes the first
as well, so that both can be one graph."""
_LEAF = -1

Array = NDArray[np.float64]


class Graph:
    """A graph that grows by one operator at a time; values are known by their names.

    It may begin with what the exporter made of a network, whose outputs it goes on from.
    """

    def __init__(self, network: Any = None) -> None:
        self._onnx = require("onnx", extra="onnx", why="Exporting a model")
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []
        self._network = network
        self._count = 0

    def input(self, name: str, kind: Any, shape: Sequence[str | int]) -> str:
        """Declare an input: a kind of NumPy, and names for axes of any length."""
        helper = self._onnx.helper
        element = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        self._inputs.append(helper.make_tensor_value_info(name, element, list(shape)))
        return name

    def constant(self, values: ArrayLike, kind: Any = np.float64) -> str:
        """Keep an array in the graph."""
        name = self._name("constant")
        array = np.ascontiguousarray(np.asarray(values, dtype=kind))
        self._constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Apply an operator; the name of what it gives."""
        name = self._name(kind.lower())
        # An attribute that is None is left out, as the operator's default wants it.
        given = {key: value for key, value in attributes.items() if value is not None}
        node = self._onnx.helper.make_node(kind, list(inputs), [name], domain=domain, **given)
        self._nodes.append(node)
        return name

    def cast(self, value: str, kind: Any) -> str:
        """Change the kind of numbers."""
        to = self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        return self.op("Cast", value, to=to)

    def total(self, value: str, axis: int, *, kept: bool = False) -> str:
        """Sum over an axis."""
        axes = self.constant([axis], np.int64)
        return self.op("ReduceSum", value, axes, keepdims=int(kept))

    def model(self, output: str, name: str, width: int) -> Any:
        """Finish: a checked model whose one output (clips, width) has a name."""
        helper, element = self._onnx.helper, self._onnx.TensorProto.DOUBLE
        self._nodes.append(helper.make_node("Identity", [output], [name]))
        outputs = [helper.make_tensor_value_info(name, element, ["clips", width])]
        versions = {"": OPSET, "ai.onnx.ml": TREES}
        if self._network is not None:
            before = self._network
            before.graph.node.extend(self._nodes)
            before.graph.initializer.extend(self._constants)
            before.graph.input.extend(self._inputs)
            del before.graph.output[:]
            before.graph.output.extend(outputs)
            versions = {one.domain: one.version for one in before.opset_import} | {
                "ai.onnx.ml": TREES
            }
            graph, functions = before.graph, list(before.functions)
        else:
            parts = (self._nodes, "estimator", self._inputs, outputs, self._constants)
            graph, functions = helper.make_graph(*parts), []
        imports = [helper.make_opsetid(domain, version) for domain, version in versions.items()]
        model = helper.make_model(graph, opset_imports=imports, functions=functions)
        # Of this package's oldest ONNX Runtime; the helper would write its own newest.
        model.ir_version = 10
        self._onnx.checker.check_model(model)
        return model

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"fitted_{kind}_{self._count}"


def add_standardised(graph: Graph, table: str, mean: Array, sd: Array, *, farthest: float) -> str:
    """What `columns.standardised` does with (clips, columns)."""
    # An infinite sd silences its column: whatever is divided by it is zero.
    scaled = graph.op("Div", graph.op("Sub", table, graph.constant(mean)), graph.constant(sd))
    known = graph.op("Where", graph.op("IsNaN", scaled), graph.constant(0.0), scaled)
    return graph.op("Clip", known, graph.constant(-farthest), graph.constant(farthest))


def add_linear(graph: Graph, table: str, weights: Array, intercept: Array | None = None) -> str:
    """(clips, columns) times weights (columns, targets), and an intercept (targets,)."""
    product = graph.op("MatMul", table, graph.constant(weights))
    return product if intercept is None else graph.op("Add", product, graph.constant(intercept))


def add_expanded(graph: Graph, scores: str, centre: Array, factor: Array) -> str:
    """Spread scores (clips, targets) from their centre."""
    apart = graph.op("Sub", scores, graph.constant(centre))
    wide = graph.op("Mul", apart, graph.constant(factor))
    return graph.op("Add", wide, graph.constant(centre))


def add_inside(graph: Graph, scores: str, targets: Sequence[Target]) -> str:
    """Keep scores (clips, targets) in the range of each target, as `folds.inside` does."""
    low = [-np.inf if target.low is None else target.low for target in targets]
    high = [np.inf if target.high is None else target.high for target in targets]
    return graph.op("Min", graph.op("Max", scores, graph.constant(low)), graph.constant(high))


def add_stretched(graph: Graph, values: str, mask: str, points: int) -> str:
    """Series at as many points between the first row and the last that is there, interpolated.

    Args:
        graph: that grows.
        values: (clips, rows, series) of 32 bits.
        mask: (clips, rows).
        points: how many.

    Returns:
        (clips, points x series), NaN for a clip without a row.
    """
    whole = np.int64
    none, zero, one = (graph.constant(number, whole) for number in (-1, 0, 1))
    second, last = (graph.constant([axis], whole) for axis in (1, 2))
    rows = graph.op("Gather", graph.op("Shape", mask), one)
    # (1, 1, rows) beside (clips, points, 1): every point looks at every row.
    place = graph.op("Unsqueeze", graph.op("Range", zero, rows, one), graph.constant([0, 1], whole))
    there = graph.op("Unsqueeze", mask, second)
    ends = graph.op("ReduceMax", graph.op("Where", there, place, none), last, keepdims=1)
    share = graph.constant(np.linspace(0, 1, points)[None, :, None])
    wanted = graph.op("Mul", share, graph.cast(graph.op("Max", ends, zero), np.float64))
    at = graph.cast(place, np.float64)
    before = graph.op("And", there, graph.op("LessOrEqual", at, wanted))
    after = graph.op("And", there, graph.op("GreaterOrEqual", at, wanted))
    left = graph.op("ReduceMax", graph.op("Where", before, place, none), last, keepdims=0)
    right = graph.op("ReduceMin", graph.op("Where", after, place, rows), last, keepdims=0)
    # Ahead of the first row that is there, its value holds; the last one is the end itself.
    left = graph.op("Where", graph.op("Less", left, zero), right, left)
    safe = [graph.op("Min", side, graph.op("Sub", rows, one)) for side in (left, right)]
    wide, (low, high) = graph.cast(values, np.float64), safe
    ends_of = [_rows_at(graph, wide, side) for side in (low, high)]
    # How far between its neighbours a point lies; on a row itself the gap is zero.
    start, gap = (graph.cast(x, np.float64) for x in (low, graph.op("Sub", high, low)))
    flat = graph.op("Squeeze", wanted, last)
    apart = graph.op("Max", gap, graph.constant(1.0))
    part = graph.op("Div", graph.op("Sub", flat, start), apart)
    part = graph.op("Unsqueeze", graph.op("Max", part, graph.constant(0.0)), last)
    step = graph.op("Mul", part, graph.op("Sub", ends_of[1], ends_of[0]))
    series = graph.op("Add", ends_of[0], step)
    known = graph.op("GreaterOrEqual", ends, zero)
    series = graph.op("Where", known, series, graph.constant(np.nan))
    return graph.op("Reshape", series, graph.constant([0, -1], whole))


def _rows_at(graph: Graph, values: str, places: str) -> str:
    """Rows (clips, points, series) of values (clips, rows, series) at places (clips, points)."""
    return graph.op(
        "GatherND",
        values,
        graph.op("Unsqueeze", places, graph.constant([2], np.int64)),
        batch_dims=1,
    )


def add_forest(graph: Graph, table: str, forest: Forest, outputs: int) -> str:
    """Sum the leaves that (clips, columns) end in: (clips, outputs)."""
    if not len(forest.output):
        zeros = np.zeros((1, outputs))
        return graph.op("Mul", graph.total(table, 1, kept=True), graph.constant(zeros))
    helper = require("onnx.helper", extra="onnx", why="Exporting trees")
    leaf = forest.feature == _LEAF
    # The operator numbers the nodes of each tree from zero.
    start = np.repeat(forest.first[:-1], np.diff(forest.first))
    tree = np.repeat(np.arange(len(forest.output)), np.diff(forest.first))
    place = np.arange(len(tree)) - start

    def doubles(name: str, values: Array) -> Any:
        return helper.make_tensor(name, helper.np_dtype_to_tensor_dtype(np.dtype(np.float64)),
                                  (len(values),), values.tolist())  # fmt: skip

    def whole(values: NDArray[Any]) -> list[int]:
        return [int(value) for value in values]

    nodes: Mapping[str, Any] = {
        "nodes_treeids": whole(tree),
        "nodes_nodeids": whole(place),
        "nodes_featureids": whole(np.where(leaf, 0, forest.feature)),
        "nodes_values_as_tensor": doubles("thresholds", np.where(leaf, 0.0, forest.threshold)),
        "nodes_modes": ["LEAF" if end else "BRANCH_LEQ" for end in leaf],
        "nodes_truenodeids": whole(np.where(leaf, 0, forest.left - start)),
        "nodes_falsenodeids": whole(np.where(leaf, 0, forest.right - start)),
        "target_treeids": whole(tree[leaf]),
        "target_nodeids": whole(place[leaf]),
        "target_ids": whole(forest.output[tree[leaf]]),
        "target_weights_as_tensor": doubles("leaves", forest.value[leaf]),
    }
    name = "TreeEnsembleRegressor"
    sums = graph.op(name, table, domain="ai.onnx.ml", n_targets=outputs, **nodes)
    return graph.cast(sums, np.float64)
