"""Ridge: closed form and leave-one-group-out against refitting; missing values; damage."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from traitscope.errors import DataError
from traitscope.models import functionals
from traitscope.models.functionals import Config, Estimator, _left_out_error, fit_ridge
from traitscope.types import Batch, Target

TARGET = Target("openness", 0, 1, 1)


def data(clips: int = 40, features: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(clips, features))
    y = 0.5 + 0.1 * x[:, 0] - 0.05 * x[:, 1] + 0.02 * rng.normal(size=clips)
    return x, y, np.array([str(i // 4) for i in range(clips)])


def batch(x: np.ndarray, y: np.ndarray, known: np.ndarray | None = None) -> Batch:
    known = np.ones((len(y), 1), bool) if known is None else known
    return Batch(
        clips=tuple(map(str, range(len(y)))),
        streams={"short_term": x},
        masks={},
        targets=y[:, None],
        target_mask=known,
    )


def estimator() -> Estimator:
    return Estimator(Config(streams=("short_term",), penalties=(1, 10)), [TARGET])


def test_weights_equal_those_of_scikit_learn() -> None:
    x, y, groups = data()
    weights, intercept, penalty = fit_ridge(x, y, groups, [7.0])
    model = Ridge(alpha=7.0).fit(x, y)
    np.testing.assert_allclose(weights, model.coef_, rtol=1e-9)
    assert intercept == pytest.approx(model.intercept_)
    assert penalty == 7.0


def test_the_left_out_error_equals_refitting_without_each_group() -> None:
    x, y, groups = data()
    expected = 0.0
    for group in np.unique(groups):
        out = groups == group
        # the closed form keeps the centring of all rows fixed but refits the intercept
        model = Ridge(alpha=3.0).fit(x[~out], y[~out])
        expected += float(np.sum((y[out] - model.predict(x[out])) ** 2))
    centre = x - x.mean(axis=0)
    left, singular, _ = np.linalg.svd(centre, full_matrices=False)
    shrink = singular**2 / (singular**2 + 3.0)
    residual = y - y.mean() - left @ (shrink * (left.T @ (y - y.mean())))
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    assert _left_out_error(left, shrink, residual, members) == pytest.approx(expected, rel=1e-6)


def test_pure_noise_gets_the_largest_penalty_and_signal_a_small_one() -> None:
    x, y, groups = data()
    noise = np.random.default_rng(1).normal(size=len(y))
    assert fit_ridge(x, y, groups, [0.1, 1e5])[2] == 0.1
    assert fit_ridge(x, noise, groups, [0.1, 1e5])[2] == 1e5


def test_missing_values_are_the_mean_and_constant_columns_have_no_say() -> None:
    x, y, groups = data()
    x[:, 4] = 3.0
    x[::5, 2] = np.nan
    x[:, 5] = np.nan
    fitted = estimator()
    fitted.fit(batch(x, y), groups)
    assert np.isfinite(fitted.predict(batch(x, y))).all()
    moved = x.copy()
    moved[:, 4], moved[:, 5] = 99, 99
    np.testing.assert_array_equal(fitted.predict(batch(moved, y)), fitted.predict(batch(x, y)))


def test_a_clip_unlike_any_other_cannot_run_away() -> None:
    x, y, groups = data()
    fitted = estimator()
    fitted.fit(batch(x, y), groups)
    far, farther = np.full((1, 6), 1e3), np.full((1, 6), 1e6)
    near = fitted.predict(batch(far, y[:1]))
    np.testing.assert_array_equal(near, fitted.predict(batch(farther, y[:1])))


def test_too_few_labels_are_an_error() -> None:
    x, y, groups = data()
    known = np.zeros((len(y), 1), bool)
    known[0] = True
    with pytest.raises(DataError, match="'openness' has 1 labels"):
        estimator().fit(batch(x, y, known), groups)


def test_other_columns_than_fitted_are_an_error() -> None:
    x, y, groups = data()
    fitted = estimator()
    fitted.fit(batch(x, y), groups)
    with pytest.raises(DataError, match="fitted on 6 columns and was given 5"):
        fitted.predict(batch(x[:, :5], y))


def test_damaged_arrays_are_an_error() -> None:
    x, y, groups = data()
    fitted = estimator()
    fitted.fit(batch(x, y), groups)
    arrays, facts = fitted.state()
    for name in arrays:
        damaged = {**arrays, name: arrays[name][:-1]}
        with pytest.raises(DataError, match=f"'{name}' of shape"):
            estimator().restore(damaged, facts)
    with pytest.raises(DataError, match="of shape None"):
        estimator().restore({}, facts)
    assert functionals.TINY.streams == ("short_term",)
