"""Pooled statistics by hand; missing stays missing."""

import numpy as np
import pytest

from traitscope.data.pooling import POOLS, pool, pooled_columns
from traitscope.errors import ConfigError
from traitscope.types import Stream

TIME = np.array([0.0, 1.0, 2.0, 3.0])


def one(values: list[float], name: str, time: np.ndarray = TIME) -> float:
    return float(pool(Stream(time=time, values=np.array(values)[:, None]), [name])[0])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mean", 3.0),
        ("sd", np.sqrt(3.5)),
        ("min", 1.0),
        ("max", 6.0),
        ("median", 2.5),
        ("q10", 1.3),
        ("q90", 5.1),
        ("slope", 1.6),
        ("change", 5 / 3),
    ],
)
def test_pools_by_hand(name: str, expected: float) -> None:
    assert one([1.0, 2.0, 3.0, 6.0], name) == pytest.approx(expected)


def test_every_pool_has_a_value_by_hand() -> None:
    parameters = test_pools_by_hand.pytestmark[0].args[1]
    assert {name for name, _ in parameters} == set(POOLS)


def test_one_row_has_no_slope_and_no_change() -> None:
    assert one([4.0], "slope", TIME[:1]) == 0
    assert one([4.0], "change", TIME[:1]) == 0


def test_invalid_rows_and_missing_cells_are_left_out() -> None:
    values = np.array([[1.0, np.nan], [100.0, 100.0], [3.0, 5.0], [np.nan, 7.0]])
    valid = np.array([True, False, True, True])
    pooled = pool(Stream(time=TIME, values=values, valid=valid), ["mean", "max"])
    np.testing.assert_allclose(pooled, [2.0, 6.0, 3.0, 7.0])


def test_a_column_that_is_never_there_stays_missing() -> None:
    values = np.array([[1.0, np.nan], [2.0, np.nan]])
    pooled = pool(Stream(time=TIME[:2], values=values), ["mean"])
    np.testing.assert_array_equal(pooled, [1.5, np.nan])


def test_columns_are_named_in_the_order_of_the_values() -> None:
    names = pooled_columns("signals", ["a", "b"], ["mean", "sd"])
    assert names == ("signals.a.mean", "signals.b.mean", "signals.a.sd", "signals.b.sd")


def test_unknown_pools_and_images_are_refused() -> None:
    with pytest.raises(ConfigError, match="no pooling 'average'"):
        pool(Stream(time=TIME, values=np.zeros((4, 1))), ["average"])
    with pytest.raises(ConfigError, match="not images"):
        pool(Stream(time=TIME, images=(b"",) * 4), ["mean"])
