"""Intervals from residuals of held-out people: by hand, and on tables whose noise is planted."""

import math

import numpy as np
import pytest

from traitscope.statistics.conformal import coverage, fewest_groups, half_widths


def test_the_half_width_is_the_first_residual_at_or_beyond_the_level() -> None:
    residuals = np.array([[0.01], [-0.02], [0.03], [-0.04], [0.05], [0.06], [0.07], [0.08], [-0.9]])
    groups = np.arange(9)
    # 9 of 10 weights (one is the new person's) reach .9 at the largest, 8 of 10 at the next.
    assert half_widths(residuals, groups, 0.9) == pytest.approx([0.9])
    assert half_widths(residuals, groups, 0.8) == pytest.approx([0.08])


def test_a_person_with_many_clips_counts_once() -> None:
    residuals = np.array([[0.5]] * 50 + [[0.1]] * 9)
    groups = np.array([0] * 50 + [*range(1, 10)])
    assert half_widths(residuals, groups, 0.8) == pytest.approx([0.1])
    assert half_widths(residuals, np.arange(59), 0.8) == pytest.approx([0.5])


def test_too_few_people_give_no_finite_interval() -> None:
    assert fewest_groups(0.9) == 9
    assert half_widths(np.ones((8, 1)), np.arange(8)) == [math.inf]
    assert half_widths(np.ones((9, 1)), np.arange(9)) == [1.0]
    assert np.isnan(coverage(np.ones((8, 1)), np.arange(8))).all()


def test_missing_labels_are_left_out_target_by_target() -> None:
    residuals = np.array([[0.1, np.nan]] * 5 + [[0.2, 0.3]] * 10)
    assert half_widths(residuals, np.arange(15), 0.9) == pytest.approx([0.2, 0.3])


def planted(seed: int, people: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels whose scatter grows with a feature tenfold, predictions of a model that is off."""
    rng = np.random.default_rng(seed)
    clips = rng.integers(1, 5, people)
    groups = np.repeat(np.arange(people), clips)
    own, size = rng.uniform(size=people), rng.uniform(0.02, 0.2, size=people)
    person = rng.normal(size=people) * size
    labels = own[groups] + person[groups] + rng.normal(size=len(groups)) * size[groups]
    return labels[:, None], 0.8 * own[groups][:, None] + 0.1, groups


def test_intervals_cover_people_of_uneven_noise_as_they_say() -> None:
    shares, stated = [], []
    for seed in range(5):
        truth, predicted, groups = planted(seed, 2000)
        fitted = groups < 1000
        width = half_widths(truth[fitted] - predicted[fitted], groups[fitted])
        inside = np.abs(truth - predicted)[~fitted, 0] <= width
        # Of new people, each of whom counts once.
        shares.append(np.mean([inside[groups[~fitted] == g].mean() for g in range(1000, 2000)]))
        stated.append(coverage(truth[fitted] - predicted[fitted], groups[fitted])[0])
    assert np.mean(shares) == pytest.approx(0.9, abs=0.02)
    assert np.mean(stated) == pytest.approx(0.9, abs=0.02)
