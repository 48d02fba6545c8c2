"""Statistics of a stream over a clip: (rows, columns) with missing values -> one vector."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import ConfigError
from traitscope.types import Stream

Array = NDArray[np.float64]


def _slope(values: Array, time: Array) -> Array:
    """Least-squares change per second."""
    centred = time - time.mean()
    # One row, or several at one time, change by nothing.
    spread = float(centred @ centred)
    return centred @ values / spread if spread > 0 else np.zeros(values.shape[1])


def _change(values: Array, time: Array) -> Array:
    """Mean absolute difference between neighbouring rows."""
    if len(values) < 2:
        return np.zeros(values.shape[1])
    return np.asarray(np.mean(np.abs(np.diff(values, axis=0)), axis=0))


POOLS: dict[str, Callable[[Array, Array], Any]] = {
    "mean": lambda values, time: values.mean(axis=0),
    "sd": lambda values, time: values.std(axis=0),
    "min": lambda values, time: values.min(axis=0),
    "max": lambda values, time: values.max(axis=0),
    "median": lambda values, time: np.median(values, axis=0),
    "q10": lambda values, time: np.quantile(values, 0.1, axis=0),
    "q90": lambda values, time: np.quantile(values, 0.9, axis=0),
    "slope": _slope,
    "change": _change,
}
"""Name -> its function of values (rows, columns) and time (rows,)."""


def pool(stream: Stream, pools: Sequence[str]) -> Array:
    """Reduce the valid rows of a stream to (pools x columns,), pool by pool.

    A column is reduced over the rows where it is finite; a column that is finite nowhere stays
    NaN, so that a backend that lacks it is not mistaken for one that measured zero.

    Raises:
        ConfigError: a pool is unknown, or the stream holds no numbers.
    """
    unknown = [name for name in pools if name not in POOLS]
    if unknown:
        raise ConfigError(f"There is no pooling {unknown[0]!r}. There are: {', '.join(POOLS)}.")
    if stream.values is None or stream.values.dtype.kind not in "fiub":
        raise ConfigError("Only streams of numbers can be pooled, not images or text.")
    values = stream.values[stream.mask].astype(np.float64)
    values = values.reshape(len(values), int(np.prod(stream.values.shape[1:])))
    time = stream.time[stream.mask]
    result = np.full((len(pools), values.shape[1]), np.nan)
    finite = np.isfinite(values)
    # Columns that share their missing rows are reduced together: usually that is all of them.
    patterns = {finite[:, c].tobytes() for c in range(values.shape[1])}
    for pattern in patterns:
        rows = np.frombuffer(pattern, dtype=bool)
        columns = np.flatnonzero((finite == rows[:, None]).all(axis=0))
        if rows.any():
            block, at = values[np.ix_(rows, columns)], time[rows]
            for index, name in enumerate(pools):
                result[index, columns] = POOLS[name](block, at)
    return result.reshape(-1)


def pooled_columns(stream: str, columns: Sequence[str], pools: Sequence[str]) -> tuple[str, ...]:
    """Names of what ``pool`` returns, such as ``signals.AU12_r.mean``."""
    return tuple(f"{stream}.{column}.{name}" for name in pools for column in columns)
