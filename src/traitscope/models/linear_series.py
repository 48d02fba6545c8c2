"""From scores of frames to a clip: ridge regression on each series, stretched to one length.

System: a second stage of the DeepPersonality benchmark, https://arxiv.org/abs/2210.09138 (Liao et
al., 2022). Its stream is what ``traitscope predict RUN CORPUS --frames --store S`` wrote.

Where we differ: frames without a score are left out, and the penalty is chosen on sources that were
left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt

from traitscope.config import Config as BaseConfig
from traitscope.learners.columns import FARTHEST, moments, standardised
from traitscope.learners.folds import inside, labels_of
from traitscope.learners.graphs import (
    Graph,
    add_inside,
    add_linear,
    add_standardised,
    add_stretched,
)
from traitscope.learners.ridge import ridge
from traitscope.learners.stack import checked
from traitscope.types import Batch, Draw, Rows, Target

Array = NDArray[np.float64]


class Config(BaseConfig):
    """Which stream, how long a series is made, which penalties are tried."""

    stream: str = "frame_scores"
    """The first stage's scores of frames."""
    rows: PositiveInt = 100
    """Points that each series is stretched or shrunk to."""
    longest: PositiveInt = 20_000
    """Rows of a clip that are read; of a longer one the middle."""
    penalties: tuple[PositiveFloat, ...] = (1, 10, 100, 1000, 10_000)
    """Tried for ridge, on standardised columns."""


TINY = Config(rows=4, longest=20, penalties=(1, 100))


def inputs(config: Config) -> dict[str, Draw]:
    """All rows of the first stage."""
    rows = Rows("all", config.longest)
    return {config.stream: Draw(rows, rows)}


class Estimator:
    """A weight per series, point and target."""

    def __init__(self, config: Config, targets: Sequence[Target]) -> None:
        self.config = config
        self.targets = tuple(targets)
        self.mean = self.sd = np.zeros(0)
        self.weights, self.intercept = np.zeros((0, len(targets))), np.zeros(len(targets))

    def fit(self, batch: Batch, groups: Sequence[str]) -> None:
        """Fit on whole series.

        Args:
            batch: the stream (clips, rows, series) with its mask, targets (clips, targets).
            groups: (clips,) what is left out together when the penalty is chosen: the source.

        Raises:
            DataError: a target has fewer than two labels.
        """
        labels = labels_of(batch, self.targets)
        table = self._table(batch)
        self.mean, self.sd = moments(table)
        features = standardised(table, self.mean, self.sd)
        self.weights = np.zeros((features.shape[1], len(self.targets)))
        for place in range(len(self.targets)):
            # Each target has clips of its own where labels are missing, and a penalty of its own.
            known = np.isfinite(labels[:, place])
            fitted = ridge(
                features[known],
                labels[known, place],
                np.asarray(groups)[known],
                self.config.penalties,
            )
            self.weights[:, place], self.intercept[place] = fitted[:2]

    def predict(self, batch: Batch) -> Array:
        """(clips, targets), inside the range of each target."""
        features = standardised(self._table(batch), self.mean, self.sd)
        return inside(features @ self.weights + self.intercept, self.targets)

    def graph(self, graph: Graph, inputs: Mapping[str, str]) -> str:
        """Build what ``predict`` does of operators."""
        values, mask = inputs[self.config.stream], inputs[f"{self.config.stream}_mask"]
        table = add_stretched(graph, values, mask, self.config.rows)
        features = add_standardised(graph, table, self.mean, self.sd, farthest=FARTHEST)
        return add_inside(
            graph, add_linear(graph, features, self.weights, self.intercept), self.targets
        )

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Fitted arrays."""
        names = ("mean", "sd", "weights", "intercept")
        return {name: getattr(self, name) for name in names}, {}

    def restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        """Take back what ``state`` gave.

        Raises:
            DataError: arrays are missing or do not fit each other.
        """
        self.weights = checked(arrays, "weights", (None, len(self.targets)))
        self.mean, self.sd = (checked(arrays, n, (len(self.weights),)) for n in ("mean", "sd"))
        self.intercept = checked(arrays, "intercept", (len(self.targets),))

    def _table(self, batch: Batch) -> Array:
        """Each clip's series at as many points: (clips, points x series), NaN without a row."""
        values = np.asarray(batch.streams[self.config.stream], dtype=np.float64)
        mask = np.asarray(batch.masks[self.config.stream], dtype=bool)
        # Shares of the clip, so that clips of any length have the same columns.
        points = np.linspace(0, 1, self.config.rows)
        table = np.full((len(values), self.config.rows, values.shape[2]), np.nan)
        for clip, (series, there) in enumerate(zip(values, mask, strict=True)):
            length = int(np.flatnonzero(there)[-1]) + 1 if there.any() else 0
            # Of the last row that is there: silence at the end is not part of the clip.
            places = np.flatnonzero(there) / max(1, length - 1)
            for column in range(series.shape[1] if length else 0):
                table[clip, :, column] = np.interp(points, places, series[there, column])
        return table.reshape(len(table), -1)
