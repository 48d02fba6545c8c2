"""Metrics: values by hand, agreement with scikit-learn and SciPy, refusals and properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn import metrics as reference

from traitscope.statistics import metrics
from traitscope.statistics.metrics import Score, macro, score, score_table

TARGET = [0.2, 0.4, 0.6, 0.8]
PREDICTION = [0.3, 0.4, 0.5, 0.8]
# errors .1 0 -.1 0; variances .05 and .035; covariance .04; means .5 and .5


def value(cell: Score) -> float:
    assert cell.value is not None, cell.reason
    return cell.value


def test_mse_by_hand() -> None:
    assert value(score("mse", TARGET, PREDICTION)) == pytest.approx(0.02 / 4)


def test_mae_by_hand() -> None:
    assert value(score("mae", TARGET, PREDICTION)) == pytest.approx(0.05)


def test_rmse_by_hand() -> None:
    assert value(score("rmse", TARGET, PREDICTION)) == pytest.approx(0.005**0.5)


def test_r2_by_hand() -> None:
    assert value(score("r2", TARGET, PREDICTION)) == pytest.approx(1 - 0.005 / 0.05)


def test_accuracy_by_hand() -> None:
    assert value(score("accuracy", TARGET, PREDICTION, span=1.0)) == pytest.approx(0.95)


def test_accuracy_is_relative_to_the_range() -> None:
    likert = score("accuracy", [1.0, 5.0], [2.0, 4.0], span=4.0)
    assert value(likert) == pytest.approx(0.75)


def test_skill_by_hand() -> None:
    assert value(score("skill", TARGET, PREDICTION, constant=0.5)) == pytest.approx(1 - 0.05 / 0.2)


def test_pearson_by_hand() -> None:
    expected = 0.04 / (0.05 * 0.035) ** 0.5
    assert value(score("pearson", TARGET, PREDICTION)) == pytest.approx(expected)


def test_spearman_by_hand_with_ties() -> None:
    # ranks 1 2 3 4 against 1.5 1.5 3 4
    assert value(score("spearman", [1, 2, 3, 4], [5, 5, 6, 7])) == pytest.approx(4.5 / 22.5**0.5)


def test_ccc_by_hand() -> None:
    assert value(score("ccc", TARGET, PREDICTION)) == pytest.approx(2 * 0.04 / 0.085)


def test_ccc_pays_for_a_shift_that_pearson_forgives() -> None:
    shifted = np.array(TARGET) + 0.1
    assert value(score("pearson", TARGET, shifted)) == pytest.approx(1)
    assert value(score("ccc", TARGET, shifted)) == pytest.approx(0.1 / 0.11)


def test_cosine_by_hand() -> None:
    assert value(score("cosine", [3.0, 4.0], [4.0, 3.0])) == pytest.approx(24 / 25)


def test_pooled_concordance_is_not_the_macro_mean() -> None:
    target = np.array([[0.0, 10.0], [1.0, 11.0]])
    prediction = np.array([[1.0, 11.0], [0.0, 10.0]])
    table = score_table(target, prediction, names=("a", "b"))
    assert value(table["ccc"]["macro"]) == pytest.approx(-1)
    # pooled: variance 25.25 each, covariance 24.75, equal means
    assert value(metrics.ccc_pooled(target, prediction)) == pytest.approx(24.75 / 25.25)


vectors = st.integers(3, 40).flatmap(
    lambda n: st.tuples(
        *[arrays(float, n, elements=st.integers(-300, 300).map(lambda i: i / 100))] * 2
    )
)


def varied(target: np.ndarray, prediction: np.ndarray) -> bool:
    return bool(np.ptp(target) > 0 and np.ptp(prediction) > 0)


@given(vectors)
def test_metrics_agree_with_scikit_learn_and_scipy(pair: tuple[np.ndarray, np.ndarray]) -> None:
    t, p = pair
    assert value(score("mse", t, p)) == pytest.approx(reference.mean_squared_error(t, p))
    assert value(score("mae", t, p)) == pytest.approx(reference.mean_absolute_error(t, p))
    if not varied(t, p):
        return
    assert value(score("r2", t, p)) == pytest.approx(reference.r2_score(t, p), abs=1e-9)
    assert value(score("pearson", t, p)) == pytest.approx(stats.pearsonr(t, p)[0], abs=1e-9)
    assert value(score("spearman", t, p)) == pytest.approx(stats.spearmanr(t, p)[0], abs=1e-9)
    cosine = t @ p / np.sqrt((t @ t) * (p @ p))
    assert value(score("cosine", t, p)) == pytest.approx(cosine, abs=1e-9)


@given(vectors)
def test_a_perfect_prediction_is_perfect(pair: tuple[np.ndarray, np.ndarray]) -> None:
    target, other = pair
    if not varied(target, other):
        return
    for name in ("r2", "pearson", "spearman", "ccc", "cosine"):
        assert value(score(name, target, target)) == pytest.approx(1)
    assert value(score("skill", target, target, constant=9.0)) == 1
    assert value(score("rmse", target, target)) == 0


@given(vectors, st.randoms(use_true_random=False))
def test_the_order_of_clips_does_not_matter(
    pair: tuple[np.ndarray, np.ndarray], random: object
) -> None:
    target, prediction = pair
    order = np.random.default_rng(len(target)).permutation(len(target))
    for name in metrics.METRICS:
        one = score(name, target, prediction, span=6.0, constant=0.1)
        two = score(name, target[order], prediction[order], span=6.0, constant=0.1)
        assert one.value == pytest.approx(two.value, abs=1e-9)


@given(vectors)
def test_concordance_never_exceeds_correlation(pair: tuple[np.ndarray, np.ndarray]) -> None:
    if varied(*pair):
        assert abs(value(score("ccc", *pair))) <= abs(value(score("pearson", *pair))) + 1e-9


@pytest.mark.parametrize("name", ["r2", "pearson", "spearman", "ccc"])
def test_labels_that_do_not_vary_leave_it_undefined(name: str) -> None:
    cell = score(name, [0.3, 0.3, 0.3], [0.1, 0.2, 0.4])
    assert cell == Score(None, "the labels do not vary")


@pytest.mark.parametrize("name", ["pearson", "spearman", "ccc"])
@pytest.mark.parametrize("noise", [0.0, 1e-8])
def test_constant_predictions_leave_relations_undefined(name: str, noise: float) -> None:
    prediction = np.full(4, 0.57) + noise * np.array([1, -1, 1, 1])
    assert score(name, TARGET, prediction).reason == "the predictions do not vary"


@pytest.mark.parametrize("name", ["r2", "pearson", "spearman", "ccc"])
def test_one_clip_is_too_few(name: str) -> None:
    assert score(name, [0.3], [0.4]) == Score(None, "fewer than two clips")


@pytest.mark.parametrize("name", metrics.METRICS)
def test_no_clips_at_all_is_undefined(name: str) -> None:
    assert score(name, [], []) == Score(None, "no labelled clips")


def test_accuracy_of_z_scores_is_undefined() -> None:
    assert (
        score("accuracy", TARGET, PREDICTION, span=None).reason == "accuracy needs a bounded range"
    )


def test_skill_needs_a_constant_that_errs() -> None:
    assert (
        "constant of the fitted clips" in score("skill", TARGET, PREDICTION, constant=None).reason
    )
    exact = score("skill", [0.5, 0.5], [0.5, 0.5], constant=0.5)
    assert exact == Score(None, "the constant is already exact")


def test_cosine_with_a_zero_vector_is_undefined() -> None:
    assert score("cosine", [0.0, 0.0], [1.0, 2.0]).reason == "labels or predictions are all zero"


def test_macro_is_undefined_as_soon_as_one_target_is() -> None:
    cells = {"openness": Score(0.9), "neuroticism": Score(None, "the labels do not vary")}
    assert macro(cells) == Score(None, "neuroticism: the labels do not vary")
    assert macro({"openness": Score(0.9), "neuroticism": Score(0.7)}).value == pytest.approx(0.8)
    assert macro({}) == Score(None, "no targets")


def test_a_missing_label_is_left_out_of_its_target_only() -> None:
    target = np.array([[0.2, np.nan], [0.4, 0.5], [0.6, 0.9]])
    prediction = np.array([[0.3, 0.0], [0.4, 0.6], [0.6, 0.8]])
    table = score_table(target, prediction, names=("a", "b"), spans=(1.0, 1.0))
    assert value(table["mae"]["a"]) == pytest.approx(0.1 / 3)
    assert value(table["mae"]["b"]) == pytest.approx(0.1)


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="must be two vectors of one length"):
        score("mse", [1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="differ in shape"):
        metrics.ccc_pooled([[1.0]], [[1.0, 2.0]])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="1 predictions are NaN or infinite"):
        score("mse", [1.0, 2.0], [1.0, bad])
    with pytest.raises(ValueError, match="1 labels are NaN or infinite"):
        score("mse", [bad, 2.0], [1.0, 1.0])


def test_labels_far_from_zero_keep_their_digits() -> None:
    target, prediction = np.array(TARGET) + 1e5, np.array(PREDICTION) + 1e5
    assert value(score("r2", target * 10, prediction * 10)) == pytest.approx(0.9, abs=1e-6)


def test_macro_scores_are_those_of_the_table() -> None:
    target = np.array([[0.2, 0.5], [0.4, 0.7], [0.6, 0.8]])
    found = metrics.macro_scores(target, target + 0.1)
    assert found["mae"] == pytest.approx(0.1)
    assert set(found) == {"mae", "mse", "r2", "ccc"}
    assert metrics.macro_scores(target[:1], target[:1])["ccc"] is None
