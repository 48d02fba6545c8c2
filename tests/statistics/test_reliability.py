"""Agreement: the numbers of Shrout and Fleiss, and what is undefined."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traitscope.statistics.reliability import agreement

SHROUT_FLEISS = [
    [9, 2, 5, 8],
    [6, 1, 3, 2],
    [8, 4, 6, 8],
    [7, 1, 2, 6],
    [10, 5, 6, 9],
    [6, 2, 4, 7],
]


def test_the_example_of_shrout_and_fleiss() -> None:
    found = agreement(SHROUT_FLEISS)
    assert found.single == pytest.approx(0.17, abs=0.005)
    assert found.mean == pytest.approx(0.44, abs=0.005)
    assert (found.size, found.groups, found.values) == (4, 6, 24)


def test_full_agreement_is_1_and_none_is_below_0() -> None:
    assert agreement([[1, 1], [2, 2], [3, 3]]).single == 1
    assert agreement([[1, 2], [1, 2], [2, 1]]).single == pytest.approx(-1)


@pytest.mark.parametrize("groups", [[], [[1, 2]], [[1], [2], [3]], [[2, 2], [2, 2]], [[], [1, 2]]])
def test_without_two_groups_or_any_spread_it_is_undefined(groups: list[list[float]]) -> None:
    found = agreement(groups)
    assert (found.single, found.mean) == (None, None)


@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=5), min_size=3, max_size=8))
def test_shifting_changes_nothing_and_one_is_the_limit(groups: list[list[float]]) -> None:
    found = agreement(groups)
    if found.single is None or np.std(np.concatenate(groups)) < 1e-3:
        return
    assert found.single <= 1 + 1e-9
    moved = agreement([[3 * value + 5 for value in group] for group in groups])
    assert moved.single == pytest.approx(found.single, abs=1e-6)
