"""Ridge regression on streams pooled over each clip: the baseline every network must beat.

Closed form, one penalty per target, chosen by leave-one-group-out prediction, which the hat matrix
gives without refitting: with H = X (X'X + alpha I)^-1 X', the residuals of a group g that was left
out are (I - H_gg)^-1 r_g (Golub, Heath and Wahba, 1979, https://doi.org/10.2307/1268518, for
groups of one).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat

from traitscope.config import Config as BaseConfig
from traitscope.errors import DataError
from traitscope.types import Batch, Draw, Target

Array = NDArray[np.float64]

FARTHEST = 3.0
"""Standard deviations from the mean beyond which a column has no more to say: a line fitted on
rendered or studio clips must not be drawn out to whatever a webcam brings."""


SIGNALS_ONLY: dict[str, tuple[str, ...]] = {"signals": ("AU*", "gaze_*", "pose_*")}
"""What a face does, without the bookkeeping (frame number, confidence) of the tracker."""


class Config(BaseConfig):
    """Which streams, how they are pooled, which penalties are tried."""

    streams: tuple[str, ...] = ("signals", "short_term")
    """Extractors to pool."""
    columns: dict[str, tuple[str, ...]] = Field(default_factory=lambda: dict(SIGNALS_ONLY))
    """Extractor -> patterns of the columns to pool; all of an extractor that is not named."""
    pools: tuple[str, ...] = ("mean", "sd", "min", "max", "change")
    """Statistics per column, see ``pooling.POOLS``."""
    penalties: tuple[PositiveFloat, ...] = (1, 3, 10, 30, 100, 300, 1000, 3000, 10000)
    """Ridge penalties, for standardised columns."""


TINY = Config(streams=("short_term",), pools=("mean",), penalties=(1, 100))


def inputs(config: Config) -> dict[str, Draw]:
    """Every stream, pooled."""
    return {
        stream: Draw(pool=config.pools, columns=config.columns.get(stream, ()))
        for stream in config.streams
    }


class Estimator:
    """Standardise, fill what is missing with the mean, and regress."""

    def __init__(self, config: Config, targets: Sequence[Target]) -> None:
        self.config = config
        self.targets = tuple(targets)
        self.columns: tuple[str, ...] = ()
        self.mean = self.sd = np.zeros(0)
        self.weights = np.zeros((0, len(self.targets)))
        self.intercept = np.zeros(len(self.targets))
        self.penalties = np.zeros(len(self.targets))

    def fit(self, batch: Batch, groups: Sequence[str]) -> None:
        """Fit on pooled streams.

        Args:
            batch: streams (clips, features) by name, targets (clips, targets).
            groups: (clips,) what must stay together when the penalty is chosen: the source.

        Raises:
            DataError: a target has fewer than two labels.
        """
        table, self.columns = self._table(batch), self._names(batch)
        with np.errstate(invalid="ignore"):
            finite = np.isfinite(table)
            known = np.maximum(finite.sum(axis=0), 1)
            self.mean = np.where(finite, table, 0).sum(axis=0) / known
            spread = np.where(finite, table - self.mean, 0)
            self.sd = np.sqrt((spread**2).sum(axis=0) / known)
        self.sd[self.sd <= 1e-9 * np.maximum(1.0, np.abs(self.mean))] = np.inf  # constant: no say
        features = self._standardise(table)
        self.weights = np.zeros((features.shape[1], len(self.targets)))
        labels = np.asarray(batch.targets, dtype=np.float64)
        for index, target in enumerate(self.targets):
            rows = np.asarray(batch.target_mask)[:, index]
            if rows.sum() < 2:
                raise DataError(f"Target {target.name!r} has {rows.sum()} labels to fit on.")
            fit = fit_ridge(
                features[rows],
                labels[rows, index],
                np.asarray(groups)[rows],
                self.config.penalties,
            )
            self.weights[:, index], self.intercept[index], self.penalties[index] = fit

    def predict(self, batch: Batch) -> Array:
        """(clips, targets), inside the range of each target."""
        scores = self._standardise(self._table(batch)) @ self.weights + self.intercept
        low = [-np.inf if target.low is None else target.low for target in self.targets]
        high = [np.inf if target.high is None else target.high for target in self.targets]
        return np.clip(scores, low, high)

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Fitted arrays, and facts that JSON can hold."""
        arrays = {"mean": self.mean, "sd": self.sd, "weights": self.weights}
        arrays |= {"intercept": self.intercept, "penalties": self.penalties}
        return arrays, {"columns": list(self.columns)}

    def restore(self, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> None:
        """Take back what ``state`` gave.

        Raises:
            DataError: arrays are missing or do not fit each other.
        """
        self.columns = tuple(str(name) for name in facts.get("columns", ()))
        count, targets = len(self.columns), len(self.targets)
        shapes = {"mean": (count,), "sd": (count,), "weights": (count, targets)}
        shapes |= {"intercept": (targets,), "penalties": (targets,)}
        for name, shape in shapes.items():
            found = arrays[name].shape if name in arrays else None
            if found != shape:
                raise DataError(
                    f"The saved model has {name!r} of shape {found} where {shape} is needed. "
                    f"The checkpoint is damaged: train again."
                )
            setattr(self, name, np.asarray(arrays[name], dtype=np.float64))

    def _table(self, batch: Batch) -> Array:
        streams = [np.asarray(batch.streams[name], np.float64) for name in self.config.streams]
        return np.concatenate(streams, axis=1)

    def _names(self, batch: Batch) -> tuple[str, ...]:
        names = [c for stream in self.config.streams for c in batch.columns.get(stream, ())]
        width = self._table(batch).shape[1]
        return tuple(names) if len(names) == width else tuple(f"feature_{i}" for i in range(width))

    def _standardise(self, table: Array) -> Array:
        if table.shape[1] != len(self.mean):
            raise DataError(
                f"The model was fitted on {len(self.mean)} columns and was given {table.shape[1]}."
            )
        scaled = np.nan_to_num((table - self.mean) / self.sd, nan=0.0)
        return np.clip(scaled, -FARTHEST, FARTHEST)


def fit_ridge(
    features: Array, labels: Array, groups: NDArray[Any], penalties: Sequence[float]
) -> tuple[Array, float, float]:
    """Fit one target: weights (features,), intercept, chosen penalty.

    Args:
        features: (clips, features), standardised over at least these clips.
        labels: (clips,).
        groups: (clips,) left out together.
        penalties: tried in order; ties go to the larger.
    """
    centre, offset = features.mean(axis=0), labels.mean()
    left, singular, right = np.linalg.svd(features - centre, full_matrices=False)
    projected = left.T @ (labels - offset)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    errors = []
    for penalty in penalties:
        shrink = singular**2 / (singular**2 + penalty)
        residual = labels - offset - left @ (shrink * projected)
        errors.append(_left_out_error(left, shrink, residual, members))
    best = len(penalties) - 1 - int(np.argmin(errors[::-1]))
    penalty = float(penalties[best])
    weights = right.T @ (singular / (singular**2 + penalty) * projected)
    return weights, float(offset - centre @ weights), penalty


def _left_out_error(
    left: Array, shrink: Array, residual: Array, members: Sequence[NDArray[np.intp]]
) -> float:
    """Sum of squared errors when each group in turn is left out of the fit."""
    total = 0.0
    for rows in members:
        # 1/n is the share of the unpenalised intercept in the hat matrix.
        hat = (left[rows] * shrink) @ left[rows].T + 1 / len(residual)
        gap = np.eye(len(rows)) - hat
        total += float(np.sum(np.linalg.lstsq(gap, residual[rows], rcond=None)[0] ** 2))
    return total
