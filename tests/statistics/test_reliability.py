"""Agreement: the numbers of Shrout and Fleiss, and what is undefined."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traitscope.statistics.reliability import agreement, reliability

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


def test_raters_who_saw_every_clip_have_all_six_coefficients() -> None:
    found = reliability(np.array(SHROUT_FLEISS, dtype=float), list("abcdef"))
    values = {name: round(score.value or 0, 2) for name, score in found.icc.items()}
    # table 4 of Shrout & Fleiss (1979)
    assert values == {"1,1": 0.17, "1,k": 0.44, "2,1": 0.29, "2,k": 0.62, "3,1": 0.71, "3,k": 0.91}
    assert found.basis == "3,k"
    assert all(score.low < score.value < score.high for score in found.icc.values())
    # residual mean square 1.02, a label is the mean of four: sqrt(1.02 / 4)
    assert found.noise.value == pytest.approx(0.505, abs=0.001)


def test_raters_who_saw_some_of_the_clips_have_the_one_way_coefficients() -> None:
    ratings = np.array(SHROUT_FLEISS, dtype=float)
    ratings[0, 1] = ratings[1, 2] = np.nan
    found = reliability(ratings, list("abcdef"))
    one_way = agreement([row[~np.isnan(row)] for row in ratings])
    assert set(found.icc) == {"1,1", "1,k"}
    assert found.icc["1,1"].value == pytest.approx(one_way.single)
    assert found.icc["1,k"].value == pytest.approx(one_way.mean)
    assert (found.basis, found.raters, found.size) == ("1,k", 4, pytest.approx(22 / 6))


def test_the_error_of_a_label_is_that_of_the_mean_of_its_ratings() -> None:
    rng = np.random.default_rng(3)
    true = rng.normal(0, 1, 2000)
    ratings = true[:, None] + rng.normal(0, 0.6, (2000, 4))
    found = reliability(ratings, [str(i) for i in range(2000)])
    assert found.noise.value == pytest.approx(0.3, abs=0.01)
    assert found.icc["1,k"].value == pytest.approx(1 / 1.09, abs=0.01)
    assert (found.icc["1,k"].value or 0) ** 0.5 == pytest.approx(
        np.corrcoef(true, ratings.mean(axis=1))[0, 1], abs=0.01
    )


def test_without_two_ratings_of_a_clip_reliability_is_undefined() -> None:
    found = reliability(np.array([[1.0, np.nan], [np.nan, 2.0], [3.0, np.nan]]), list("abc"))
    assert found.icc["1,k"].value is None
    assert "no clip has two ratings" in found.icc["1,k"].reason
    assert reliability(np.full((2, 2), np.nan), list("ab")).icc["1,1"].value is None
