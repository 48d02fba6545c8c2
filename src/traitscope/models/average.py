"""From scores of frames to a clip: their plain mean, which every second stage has to beat.

Its stream is what ``traitscope predict RUN CORPUS --frames --store S`` wrote. Nothing is fitted.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.config import Config as BaseConfig
from traitscope.errors import DataError
from traitscope.learners.folds import inside
from traitscope.learners.graphs import Graph, add_inside
from traitscope.learners.stack import checked
from traitscope.learners.trees import damaged
from traitscope.types import Batch, Draw, Target

Array = NDArray[np.float64]


class Config(BaseConfig):
    """Which stream."""

    stream: str = "frame_scores"
    """The first stage's scores of frames: a series for each target, of its name."""


TINY = Config()


def inputs(config: Config) -> dict[str, Draw]:
    """The mean over the rows that are there."""
    return {config.stream: Draw(pool=("mean",))}


class Estimator:
    """Take the mean of each target's series."""

    def __init__(self, config: Config, targets: Sequence[Target]) -> None:
        self.config = config
        self.targets = tuple(targets)
        self.places = np.arange(len(targets))

    def fit(self, batch: Batch, groups: Sequence[str]) -> None:
        """Find the series of each target; labels and groups have no say.

        Raises:
            DataError: a target has no series.
        """
        columns = batch.columns.get(self.config.stream, ())
        if not columns:
            return  # a table without names has the targets in their order
        # A pooled column is named after its stream and statistic: frame_scores.openness.mean.
        series = [".".join(column.split(".")[1:-1]) for column in columns]
        for place, target in enumerate(self.targets):
            if target.name not in series:
                raise DataError(
                    f"{self.config.stream} has no series {target.name!r}; there are "
                    f"{', '.join(series)}. The first stage has to be trained on the same targets."
                )
            self.places[place] = series.index(target.name)

    def predict(self, batch: Batch) -> Array:
        """(clips, targets), inside the range of each target."""
        means = np.asarray(batch.streams[self.config.stream], dtype=np.float64)
        return inside(means[:, self.places], self.targets)

    def graph(self, graph: Graph, inputs: Mapping[str, str]) -> str:
        """Build what ``predict`` does of operators."""
        places = graph.constant(self.places, np.int64)
        means = graph.op("Gather", inputs[self.config.stream], places, axis=1)
        return add_inside(graph, means, self.targets)

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Which series is whose."""
        return {"places": self.places.astype(np.float64)}, {}

    def restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        """Take back what ``state`` gave.

        Raises:
            DataError: the places are none.
        """
        places = checked(arrays, "places", (len(self.targets),)).astype(np.intp)
        if places.min() < 0:
            raise damaged("model", "a place of a series is negative")
        self.places = places
