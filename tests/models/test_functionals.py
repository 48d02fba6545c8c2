"""Ridge and trees: closed forms against refitting, choices, missing values, damage."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import Ridge

from traitscope.errors import DataError
from traitscope.learners.ridge import left_out_error, ridge, ridge_path, together
from traitscope.models import functionals
from traitscope.models.functionals import Config, Estimator
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
    weights, intercept, penalty = ridge(x, y, groups, [7.0])
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
    found = left_out_error(left, shrink, residual, together(groups))
    assert found == pytest.approx(expected, rel=1e-6)


def test_pure_noise_gets_the_largest_penalty_and_signal_a_small_one() -> None:
    x, y, groups = data()
    noise = np.random.default_rng(1).normal(size=len(y))
    assert ridge(x, y, groups, [0.1, 1e5])[2] == 0.1
    assert ridge(x, noise, groups, [0.1, 1e5])[2] == 1e5


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


def trees(**settings: object) -> Estimator:
    small = {"streams": ("short_term",), "learner": "trees", "folds": 3, "rounds": (10, 60)}
    config = Config.model_validate({**small, "leaves": (2, 8), **settings})
    return Estimator(config, [TARGET])


def bent(clips: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A target that no line follows: how far a column is from 0."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(clips, 5))
    y = 0.3 + 0.15 * np.abs(x[:, 2]) + 0.02 * rng.normal(size=clips)
    return x, y, np.array([str(i // 3) for i in range(clips)])


def test_trees_learn_what_no_line_can_and_come_back_from_arrays() -> None:
    x, y, groups = bent()
    lines, forest = estimator(), trees()
    for fitted in (lines, forest):
        fitted.fit(batch(x[:200], y[:200]), groups[:200])
    rest = batch(x[200:], y[200:])
    errors = [np.abs(f.predict(rest)[:, 0] - y[200:]).mean() for f in (lines, forest)]
    assert errors[1] < 0.5 * errors[0]
    arrays, facts = forest.state()
    again = trees()
    again.restore(arrays, facts)
    np.testing.assert_array_equal(again.predict(rest), forest.predict(rest))
    with pytest.raises(DataError, match="'mean' of shape"):
        trees().restore({**arrays, "mean": arrays["mean"][:-1]}, facts)


def test_the_number_of_trees_is_chosen_on_held_out_groups() -> None:
    x, y, groups = bent()
    noise = np.random.default_rng(1).uniform(size=len(y))
    counts = []
    for labels in (y, noise):
        fitted = trees()
        fitted.fit(batch(x, labels), groups)
        assert fitted.forest is not None
        counts.append(len(fitted.forest.output))
    assert counts == [60, 10]


def test_columns_are_chosen_inside_folds() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 400))
    y = 0.5 + 0.1 * x[:, 7] + 0.02 * rng.normal(size=60)
    groups = np.array([str(i) for i in range(60)])
    config = Config(streams=("short_term",), keep=(0.01, 1.0), penalties=(1, 100))
    fitted = Estimator(config, [TARGET])
    fitted.fit(batch(x, y), groups)
    assert fitted.kept[0] == 0.01
    assert np.flatnonzero(fitted.weights[:, 0]).size == 4
    assert int(np.abs(fitted.weights[:, 0]).argmax()) == 7


def test_columns_that_repeat_another_have_no_say() -> None:
    x, y, groups = data()
    once, thrice = estimator(), estimator()
    once.fit(batch(x, y), groups)
    thrice.fit(batch(np.concatenate([x, x, x], axis=1), y), groups)
    np.testing.assert_allclose(thrice.weights[:6], once.weights)
    assert not thrice.weights[6:].any()


def test_a_stream_may_have_its_own_statistics() -> None:
    config = Config(streams=("signals", "mine"), stream_pools={"mine": ("mean",)})
    draws = functionals.inputs(config)
    assert draws["mine"].pool == ("mean",)
    assert draws["signals"].pool == config.pools
    assert "frame" not in draws["signals"].columns


def test_one_source_alone_is_an_error() -> None:
    x, y, _ = data()
    with pytest.raises(DataError, match=r"are of one source \('a'\)"):
        estimator().fit(batch(x, y), ["a"] * len(y))


def test_the_path_of_penalties_equals_scikit_learn_dense_and_sparse() -> None:
    x, y, _ = data()
    x[np.abs(x) < 0.8] = 0
    labels = np.stack([y, y**2], axis=1)
    labels[::3, 1] = np.nan
    penalties = (0.5, 3.0, 50.0)
    for table in (x, csr_array(x)):
        weights, intercepts = ridge_path(table, labels, penalties)
        for place, penalty in enumerate(penalties):
            for target in (0, 1):
                known = np.isfinite(labels[:, target])
                model = Ridge(alpha=penalty).fit(x[known], labels[known, target])
                np.testing.assert_allclose(weights[place, :, target], model.coef_, atol=1e-6)
                assert intercepts[place, target] == pytest.approx(model.intercept_, abs=1e-6)
