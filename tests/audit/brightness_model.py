"""An estimator from outside that sees nothing but how bright the face chips are."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from traitscope.config import Config as Base
from traitscope.types import Batch, Draw, Rows, Target


class Config(Base):
    """No settings."""


TINY = Config()


def inputs(config: Config) -> dict[str, Draw]:
    """Four chips of each clip."""
    return {"faces": Draw(train=Rows("even", 4), evaluate=Rows("even", 4), size=32)}


class Estimator:
    """Least squares of the targets on the mean brightness."""

    def __init__(self, config: Config, targets: Sequence[Target]) -> None:
        self.weights = np.zeros((2, len(targets)))

    def fit(self, batch: Batch, groups: Sequence[str]) -> None:
        labels = np.asarray(batch.targets, float)
        self.weights = np.linalg.lstsq(self._table(batch), labels, rcond=None)[0]

    def predict(self, batch: Batch) -> np.ndarray:
        return self._table(batch) @ self.weights

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return {"weights": self.weights}, {}

    def restore(self, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        self.weights = arrays["weights"]

    def _table(self, batch: Batch) -> np.ndarray:
        images = np.asarray(batch.streams["faces"], float)
        there = np.asarray(batch.masks["faces"], float)
        light = (images.mean(axis=(2, 3, 4)) * there).sum(axis=1) / there.sum(axis=1)
        return np.column_stack([np.ones(len(light)), light])
