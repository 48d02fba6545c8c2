"""Ridge or boosted trees on streams pooled over each clip: what every network must beat.

Any streams, imported tables among them, as statistics per clip (mean, sd, min, max, change ...).
Settings are chosen per target on sources that were left out: the penalty of ridge by exact
leave-one-source-out, everything else (share of the columns, size and number of trees) by folds of
whole sources. At last predictions are spread out as far as held-out accuracy allows.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from traitscope.config import Config as BaseConfig
from traitscope.errors import DataError
from traitscope.learners.columns import moments, standardised
from traitscope.learners.contributions import contributions
from traitscope.learners.folds import expansion, grouped_folds, inside, labels_of
from traitscope.learners.graphs import (
    Graph,
    add_expanded,
    add_forest,
    add_inside,
    add_linear,
    add_standardised,
)
from traitscope.learners.ridge import ridge, ridge_path
from traitscope.learners.stack import checked
from traitscope.learners.trees import Boosting, Forest, grow, staged
from traitscope.types import Batch, Draw, Target

Array = NDArray[np.float64]
Share = Annotated[float, Field(gt=0, le=1)]
Leaves = Annotated[int, Field(ge=2, le=1024)]

FARTHEST = 3.0
"""Standard deviations from the mean beyond which a column has no more to say: a line fitted on
rendered or studio clips must not be drawn out to whatever a webcam brings."""


SIGNALS_ONLY: dict[str, tuple[str, ...]] = {"signals": ("AU*", "gaze_*", "pose_*")}
"""What a face does, without the bookkeeping (frame number, confidence) of the tracker."""


class Config(BaseConfig):
    """Which streams, how they are pooled, what learns, which settings are tried."""

    streams: tuple[str, ...] = ("signals", "short_term")
    """Extractors, and names of imported tables, to pool."""
    columns: dict[str, tuple[str, ...]] = Field(default_factory=lambda: dict(SIGNALS_ONLY))
    """Extractor -> patterns of the columns to pool; all of an extractor that is not named."""
    pools: tuple[str, ...] = ("mean", "sd", "min", "max", "change")
    """Statistics per column, see ``pooling.POOLS``; of one row per clip only one remains."""
    stream_pools: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Extractor -> its own statistics: ``{signals: [mean, slope]}``."""
    learner: Literal["ridge", "trees"] = "ridge"
    """Ridge regression, or gradient-boosted trees."""
    penalties: tuple[PositiveFloat, ...] = (1, 3, 10, 30, 100, 300, 1000, 3000, 10000)
    """Tried for ridge, on standardised columns."""
    keep: tuple[Share, ...] = (1.0,)
    """Shares of the columns tried for ridge: those that go most with the target."""
    boosting: Boosting = Boosting()
    """How trees are grown, but for their number and size."""
    rounds: tuple[PositiveInt, ...] = (25, 50, 100, 200, 400)
    """Numbers of trees that are tried."""
    leaves: tuple[Leaves, ...] = (4, 12)
    """Leaves per tree that are tried."""
    folds: Annotated[int, Field(ge=2)] = 5
    """Parts, with whole sources, that are held out to choose settings and expansion on."""
    expand: bool = True
    """Spread predictions as far as it costs no accuracy."""
    seed: NonNegativeInt = 0
    """Of folds and trees."""


TINY = Config(streams=("short_term",), pools=("mean",), penalties=(1, 100), folds=3)


def inputs(config: Config) -> dict[str, Draw]:
    """Every stream, pooled."""
    return {
        stream: Draw(
            pool=config.stream_pools.get(stream, config.pools),
            columns=config.columns.get(stream, ()),
        )
        for stream in config.streams
    }


class Estimator:
    """Standardise, fill what is missing with the mean, and regress."""

    def __init__(self, config: Config, targets: Sequence[Target]) -> None:
        self.config = config
        self.targets = tuple(targets)
        self.columns: tuple[str, ...] = ()
        self.mean = self.sd = np.zeros(0)
        self.centre, self.factor = np.zeros(len(targets)), np.ones(len(targets))
        self.weights, self.intercept = np.zeros((0, len(targets))), np.zeros(len(targets))
        self.penalties, self.kept = np.zeros(len(targets)), np.ones(len(targets))
        self.forest: Forest | None = None

    def fit(self, batch: Batch, groups: Sequence[str]) -> None:
        """Fit on pooled streams.

        Args:
            batch: streams (clips, features) by name, targets (clips, targets).
            groups: (clips,) what must stay together when settings are chosen: the source.

        Raises:
            DataError: a target has fewer than two labels, or there is one source only.
        """
        labels = labels_of(batch, self.targets)
        # Names are kept with the weights: explanations and checks of columns read them.
        table, self.columns = self._table(batch), self._names(batch)
        self.mean, self.sd = moments(table)
        # Of infinite spread: zero everywhere once it is standardised, so it shares no weight.
        self.sd[_repeated(table)] = np.inf
        features = standardised(table, self.mean, self.sd, farthest=FARTHEST)
        self.centre = np.nanmean(labels, axis=0)
        folds = grouped_folds(groups, self.config.folds, seed=self.config.seed)
        fit = self._fit_ridge if self.config.learner == "ridge" else self._fit_trees
        held_out = fit(features, labels, folds, np.asarray(groups))
        for index, target in enumerate(self.targets if self.config.expand else ()):
            known = np.isfinite(labels[:, index])
            centre = float(self.centre[index])
            part = held_out[known, index], labels[known, index]
            self.factor[index] = expansion(*part, centre=centre, target=target)

    def predict(self, batch: Batch) -> Array:
        """(clips, targets), inside the range of each target."""
        return inside(self._scores(self._features(batch)), self.targets)

    def contributions(self, batch: Batch) -> tuple[Array, Array]:
        """What each column adds to the scores, exactly: of ridge its product, of trees its share.

        Returns:
            (clips, columns, targets) and the scores (targets,) of a clip that is the mean in every
            column; both add up to the scores, but for what the range of a target cuts off.
        """
        features = self._features(batch)
        mean = np.zeros((1, features.shape[1]))
        if self.forest is not None:
            shares = contributions(self.forest, features, mean[0], len(self.targets))
        else:
            shares = features[:, :, None] * self.weights
        return self.factor * shares, self._scores(mean)[0]

    def graph(self, graph: Graph, inputs: Mapping[str, str]) -> str:
        """Build what ``predict`` does of operators: name of stream -> (clips, features)."""
        table = graph.op("Concat", *(inputs[name] for name in self.config.streams), axis=1)
        features = add_standardised(graph, table, self.mean, self.sd, farthest=FARTHEST)
        if self.forest is not None:
            scores = add_forest(graph, features, self.forest, len(self.targets))
        else:
            scores = add_linear(graph, features, self.weights, self.intercept)
        spread = add_expanded(graph, scores, self.centre, self.factor)
        return add_inside(graph, spread, self.targets)

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Fitted arrays, and facts that JSON can hold."""
        arrays: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in self._shapes()}
        if self.forest is not None:
            arrays |= self.forest.state("trees")
        return arrays, {"columns": list(self.columns)}

    def restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        """Take back what ``state`` gave.

        Raises:
            DataError: arrays are missing or do not fit each other.
        """
        self.columns = tuple(str(name) for name in facts.get("columns", ()))
        for name, shape in self._shapes().items():
            setattr(self, name, checked(arrays, name, shape))
        if self.config.learner == "trees":
            count, targets = len(self.columns), len(self.targets)
            self.forest = Forest.restore(arrays, "trees", columns=count, outputs=targets)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """What is saved beside trees."""
        count, targets = len(self.columns), len(self.targets)
        shapes = dict.fromkeys(("mean", "sd"), (count,)) | dict.fromkeys(
            ("centre", "factor"), (targets,)
        )
        if self.config.learner == "trees":
            return {**shapes}
        one = dict.fromkeys(("intercept", "penalties", "kept"), (targets,))
        return {**shapes, **one, "weights": (count, targets)}

    def _features(self, batch: Batch) -> Array:
        """Standardised columns (clips, columns)."""
        table = self._table(batch)
        if table.shape[1] != len(self.mean):
            raise DataError(
                f"The model was fitted on {len(self.mean)} columns and was given {table.shape[1]}."
            )
        return standardised(table, self.mean, self.sd, farthest=FARTHEST)

    def _scores(self, features: Array) -> Array:
        """(clips, targets), which may leave the range of a target."""
        if self.forest is not None:
            scores = self.forest.predict(features, len(self.targets))
        else:
            scores = features @ self.weights + self.intercept
        spread: Array = self.centre + self.factor * (scores - self.centre)
        return spread

    def _table(self, batch: Batch) -> Array:
        streams = [np.asarray(batch.streams[name], np.float64) for name in self.config.streams]
        return np.concatenate(streams, axis=1)

    def _names(self, batch: Batch) -> tuple[str, ...]:
        names = [c for stream in self.config.streams for c in batch.columns.get(stream, ())]
        width = self._table(batch).shape[1]
        return tuple(names) if len(names) == width else tuple(f"feature_{i}" for i in range(width))

    def _fit_ridge(
        self, features: Array, labels: Array, folds: NDArray[np.int64], groups: NDArray[Any]
    ) -> Array:
        """Fit weights; predictions (clips, targets) of clips that were held out."""
        self.weights = np.zeros((features.shape[1], len(self.targets)))
        held_out = np.tile(self.centre, (len(labels), 1))
        for index in range(len(self.targets)):
            known = np.isfinite(labels[:, index])
            part, wanted, fold = features[known], labels[known, index], folds[known]
            if self.config.keep == (1.0,):
                penalty = ridge(part, wanted, groups[known], self.config.penalties)[2]
                share = 1.0
            else:
                share, penalty = _choose(self.config, part, wanted, fold)
            everything = np.ones(len(wanted), dtype=bool)
            fitted = _fit_share(part, wanted, everything, share, (penalty,))
            self.weights[:, index], self.intercept[index] = fitted[0][0], fitted[1][0]
            self.penalties[index], self.kept[index] = penalty, share
            for number in np.unique(fold):
                rest = fold == number
                if rest.all():  # all labels of the target are in one fold
                    continue
                weights, intercept = _fit_share(part, wanted, ~rest, share, (penalty,))
                held_out[np.flatnonzero(known)[rest], index] = (
                    part[rest] @ weights[0] + intercept[0]
                )
        return held_out

    def _fit_trees(
        self, features: Array, labels: Array, folds: NDArray[np.int64], groups: NDArray[Any]
    ) -> Array:
        """Grow trees; predictions (clips, targets) of clips that were held out."""
        config, targets = self.config, len(self.targets)
        held_out = np.zeros((len(config.leaves), len(config.rounds), *labels.shape))
        for place, leaves in enumerate(config.leaves):
            # The first trees of a long forest are a short one: grown once, scored at every length.
            largest = {"leaves": leaves, "rounds": max(config.rounds)}
            boosting = [config.boosting.model_copy(update=largest)] * targets
            for number in np.unique(folds):
                rest = folds == number
                forest = grow(features[~rest], labels[~rest], boosting, seed=config.seed)
                held_out[place][:, rest] = staged(features[rest], forest, targets, config.rounds)
        errors = np.nanmean((held_out - labels) ** 2, axis=2).reshape(-1, targets)
        best = np.unravel_index(errors.argmin(axis=0), held_out.shape[:2])
        chosen = [
            config.boosting.model_copy(
                update={"leaves": config.leaves[a], "rounds": config.rounds[b]}
            )
            for a, b in zip(*best, strict=True)
        ]
        self.forest = grow(features, labels, chosen, seed=config.seed)
        return np.stack(
            [held_out[a, b, :, t] for t, (a, b) in enumerate(zip(*best, strict=True))], 1
        )


def _repeated(table: Array) -> NDArray[np.bool_]:
    """(columns,) True for a column that an earlier one equals: min and max of a single row."""
    seen: set[bytes] = set()
    repeated = np.zeros(table.shape[1], dtype=bool)
    for index, column in enumerate(np.ascontiguousarray(table.T)):
        repeated[index] = column.tobytes() in seen
        seen.add(column.tobytes())
    return repeated


def _fit_share(
    features: Array,
    labels: Array,
    rows: NDArray[np.bool_],
    share: float,
    penalties: Sequence[float],
) -> tuple[Array, Array]:
    """Ridge on the columns that go most with the labels of some rows.

    Returns:
        Weights (penalties, columns), zero for columns that were left out, and intercepts.
    """
    part, wanted = features[rows], labels[rows]
    kept = np.arange(features.shape[1])
    if share < 1:
        spread = part.std(axis=0)
        along = np.abs((part - part.mean(axis=0)).T @ (wanted - wanted.mean()))
        strength = np.divide(along, spread, out=np.zeros_like(along), where=spread > 1e-12)
        kept = np.argsort(-strength, kind="stable")[: max(1, round(share * len(kept)))]
    fitted, intercepts = ridge_path(part[:, kept], wanted[:, None], penalties)
    weights = np.zeros((len(penalties), features.shape[1]))
    weights[:, kept] = fitted[:, :, 0]
    return weights, intercepts[:, 0]


def _choose(
    config: Config, features: Array, labels: Array, folds: NDArray[np.int64]
) -> tuple[float, float]:
    """Share of the columns and penalty that err least in folds; the columns are chosen in each."""
    errors = np.zeros((len(config.keep), len(config.penalties)))
    for place, share in enumerate(config.keep):
        for number in np.unique(folds) if len(np.unique(folds)) > 1 else ():
            rest = folds == number
            weights, intercepts = _fit_share(features, labels, ~rest, share, config.penalties)
            gap = features[rest] @ weights.T + intercepts - labels[rest][:, None]
            errors[place] += (gap**2).sum(axis=0)
    best, penalty = np.unravel_index(int(errors.argmin()), errors.shape)
    return config.keep[int(best)], config.penalties[int(penalty)]
