"""Planning: by-hand widths, and what clusters and alike systems do to them."""

import numpy as np
import pytest
from scipy import stats

from traitscope.statistics.power import ALIKE, CORRELATION, plan


def test_the_width_of_an_accuracy_is_that_of_a_mean_of_errors() -> None:
    rng = np.random.default_rng(0)
    target = rng.normal(0.5, 0.15, (400, 1))
    found = {each.metric: each for each in plan(target, np.arange(400), spans=[1.0])}
    assert set(found) == {"accuracy", "skill", "ccc", "pearson"}
    # errors of a calibrated model are normal with variance (1 - r^2) of the labels'
    spread = target.std() * np.sqrt(1 - CORRELATION**2) * np.sqrt(1 - 2 / np.pi)
    expected = stats.t.ppf(0.975, 399) * spread / 20
    assert found["accuracy"].half_width == pytest.approx(expected, rel=0.1)
    error = (1 - CORRELATION**2) / 20
    assert found["pearson"].half_width == pytest.approx(1.96 * error, rel=0.2)


def test_clips_of_the_same_people_tell_less() -> None:
    rng = np.random.default_rng(1)
    level = rng.normal(0.5, 0.15, (60, 2))
    target = np.repeat(level, 5, axis=0) + rng.normal(0, 0.05, (300, 2))
    people = np.repeat(np.arange(60), 5)
    for one, other in zip(plan(target, people), plan(target, np.arange(300)), strict=True):
        assert one.half_width > 1.5 * other.half_width
        # errors that correlate .8 leave two fifths of the variance; 80 % power asks for 2.8 of 1.96
        expected = np.sqrt(2 * (1 - ALIKE)) * 2.8 / 1.96
        assert one.difference / one.half_width == pytest.approx(expected, rel=0.4)


def test_four_people_and_targets_without_labels_are_too_little() -> None:
    target = np.random.default_rng(2).normal(size=(20, 2))
    assert plan(target, np.repeat(np.arange(4), 5)) == ()
    target[:, 0] = np.nan
    assert plan(target, np.arange(20)) == ()
