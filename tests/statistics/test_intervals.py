"""Intervals: exactness of the resampling, paired tests by hand, coverage in simulation."""

import numpy as np
import pytest
from scipy import stats

from traitscope.statistics import metrics
from traitscope.statistics.intervals import (
    Clustered,
    Difference,
    _values,
    cluster,
    compare,
    correct,
    holm,
    intervals,
)
from traitscope.statistics.rank_intervals import spearman_intervals
from traitscope.statistics.resampling import draws


def draw(rng: np.random.Generator, sources: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clips of sources of unequal size, alike in their labels and in their errors."""
    sizes = rng.choice([1, 2, 3, 4, 6], sources, p=[0.3, 0.25, 0.2, 0.15, 0.1])
    owner = np.repeat(np.arange(sources), sizes)
    label, bias = rng.normal(0, 0.12, (sources, 2)), rng.normal(0, 0.07, (sources, 2))
    target = 0.5 + label[owner] + rng.normal(0, 0.09, (len(owner), 2))
    prediction = 0.5 + label[owner] / 2 + bias[owner] + rng.normal(0, 0.04, (len(owner), 2))
    return target, prediction, owner


def clustered(target: np.ndarray, prediction: np.ndarray, owner: np.ndarray) -> Clustered:
    return cluster(target, prediction, owner, constant=np.full(2, 0.5), span=np.ones(2))


def whole(data: Clustered, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Metrics of all clips, macro last."""
    return {m: v[0, 0] for m, v in _values(data.weigh(np.ones((1, data.clusters))), names).items()}


def test_sums_of_sources_give_the_metrics_of_the_table() -> None:
    target, prediction, owner = draw(np.random.default_rng(0), 40)
    target[3, 0] = np.nan
    data = clustered(target, prediction, owner)
    names = (*metrics.FORMULAS, "ccc_pooled")
    values = whole(data, names)
    table = metrics.score_table(
        target, prediction, names=("a", "b"), constants=np.full(2, 0.5), spans=(1.0, 1.0)
    )
    for name in metrics.FORMULAS:
        cells = [table[name][key].value for key in ("a", "b", "macro")]
        assert values[name] == pytest.approx(cells)
    assert values["ccc_pooled"] == pytest.approx(metrics.ccc_pooled(target, prediction).value)


def test_a_resample_draws_as_many_sources_as_there_are() -> None:
    counts = np.concatenate(list(draws(7, 1201, 0)))
    assert counts.shape == (1201, 7)
    assert (counts.sum(axis=1) == 7).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(7), abs=0.1)


def test_the_interval_holds_the_value_and_narrows_with_more_sources() -> None:
    rng = np.random.default_rng(1)
    widths = []
    for sources in (60, 600):
        data = clustered(*draw(rng, sources))
        value = whole(data, ("ccc",))["ccc"]
        ends = intervals(data, metrics=("ccc",), resamples=500)["ccc"]
        assert (ends[:, 0] < value).all()
        assert (value < ends[:, 1]).all()
        widths.append(ends[2, 1] - ends[2, 0])
    assert widths[1] < widths[0] / 2


def test_the_same_seed_gives_the_same_interval() -> None:
    data = clustered(*draw(np.random.default_rng(2), 30))
    one, two, other = (intervals(data, resamples=200, seed=seed)["mae"] for seed in (4, 4, 5))
    assert (one == two).all()
    assert (one != other).any()


def test_copies_of_a_clip_do_not_narrow_the_interval() -> None:
    target, prediction, owner = draw(np.random.default_rng(3), 50)
    once = intervals(clustered(target, prediction, owner), resamples=500)["mae"]
    copies = [np.concatenate([array] * 5) for array in (target, prediction, owner)]
    assert intervals(clustered(*copies), resamples=500)["mae"] == pytest.approx(once)


def test_an_undefined_metric_has_no_interval() -> None:
    target, prediction, owner = draw(np.random.default_rng(4), 30)
    target[:, 0] = 0.5
    ends = intervals(clustered(target, prediction, owner), resamples=200)
    assert np.isnan(ends["pearson"][[0, 2]]).all()
    assert np.isfinite(ends["pearson"][1]).all()


def test_four_sources_are_too_few_for_an_interval() -> None:
    target, prediction, owner = draw(np.random.default_rng(5), 4)
    assert np.isnan(intervals(clustered(target, prediction, owner), resamples=50)["mae"]).all()
    assert np.isnan(spearman_intervals(target, prediction, owner, resamples=50)).all()


def test_the_constant_against_itself_has_skill_nought_exactly() -> None:
    target, _, owner = draw(np.random.default_rng(6), 30)
    data = clustered(target, np.full_like(target, 0.5), owner)
    assert intervals(data, metrics=("skill",), resamples=100)["skill"] == pytest.approx(0)


def test_spearman_is_ranked_anew_in_each_resample() -> None:
    target, prediction, owner = draw(np.random.default_rng(7), 40)
    prediction = prediction.round(1)  # ties
    counts = np.concatenate(list(draws(40, 60, 8)))
    values = []
    for row in counts.astype(int):
        clips = np.concatenate([np.repeat(np.flatnonzero(owner == s), row[s]) for s in range(40)])
        values.append(metrics.score("spearman", target[clips, 0], prediction[clips, 0]).value)
    sources = [f"{number:02}" for number in owner]  # sorted as the columns of counts are
    ends = spearman_intervals(target, prediction, sources, resamples=60, seed=8)
    assert ends[0] == pytest.approx(np.quantile(values, [0.025, 0.975]))


def test_two_equal_systems_do_not_differ() -> None:
    data = clustered(*draw(np.random.default_rng(9), 30))
    for difference in compare(data, data, names=("a", "b"), resamples=200):
        assert difference.value == 0
        assert difference.p == 1


def test_p_is_that_of_a_paired_t_test_where_clusters_are_of_one_size() -> None:
    rng = np.random.default_rng(10)
    owner = np.repeat(np.arange(200), 2)
    target, first, second = (rng.random((400, 1)) for _ in range(3))
    apart = (abs(target - first) - abs(target - second)).ravel()
    exact = stats.ttest_1samp(np.bincount(owner, apart), 0).pvalue
    one, two = cluster(target, first, owner), cluster(target, second, owner)
    found = compare(one, two, names=("a",), metrics=("mae",), resamples=20_000)[0]
    assert found.value == pytest.approx(apart.mean())
    assert found.p == pytest.approx(exact, abs=0.02)


def test_p_and_interval_say_the_same() -> None:
    target, prediction, owner = draw(np.random.default_rng(14), 60)
    sides = set()
    for seed in range(12):
        other = np.random.default_rng(seed).normal(0, 0.06, target.shape) + prediction
        pair = clustered(target, prediction, owner), clustered(target, other, owner)
        for found in compare(*pair, names=("a", "b"), metrics=("skill", "pearson"), resamples=400):
            assert found.p is not None
            assert found.low is not None
            assert found.high is not None
            sides.add(found.p < 0.05)
            assert (found.p < 0.05) == (found.low > 0 or found.high < 0)
    assert sides == {True, False}


def test_systems_within_the_margin_are_equivalent_and_others_are_not() -> None:
    target, prediction, owner = draw(np.random.default_rng(15), 200)
    near = prediction + np.random.default_rng(0).normal(0, 0.002, target.shape)
    pair = clustered(target, prediction, owner), clustered(target, near, owner)
    for margin, equivalent in ((0.05, True), (1e-5, False)):
        found = compare(*pair, names=("a", "b"), metrics=("ccc",), resamples=400, margin=margin)
        assert all((each.p_equivalent < 0.05) == equivalent for each in found)


def test_scores_of_seeds_are_averaged_and_widen_the_interval() -> None:
    target, prediction, owner = draw(np.random.default_rng(16), 80)
    # seeds of one system that differ in how much of the signal they keep
    seeds = np.stack([0.5 + scale * (prediction - 0.5) for scale in (0.4, 0.8, 1.2, 1.6)])
    values = [whole(clustered(target, each, owner), ("ccc",))["ccc"] for each in seeds]
    many = clustered(target, seeds, owner)
    apart = [intervals(clustered(target, s, owner), metrics=("ccc",))["ccc"] for s in seeds]
    ends = intervals(many, metrics=("ccc",))["ccc"]
    found = compare(many, clustered(target, seeds[0], owner), names=("a", "b"), metrics=("ccc",))
    assert found[-1].value == pytest.approx(np.mean(values, axis=0)[-1] - values[0][-1])
    assert (np.ptp(ends, axis=1) > 1.1 * np.mean(np.ptp(apart, axis=2), axis=0)).all()
    equal = clustered(target, np.stack([prediction] * 3), owner)
    once = intervals(clustered(target, prediction, owner), metrics=("ccc",))["ccc"]
    assert intervals(equal, metrics=("ccc",))["ccc"] == pytest.approx(once)


def test_folds_of_unlike_means_are_neither_skill_nor_correlation() -> None:
    rng = np.random.default_rng(17)
    fold, owner = np.repeat(np.arange(5), 40), np.repeat(np.arange(100), 2)
    level = np.array([0.2, 0.4, 0.5, 0.6, 0.8])[fold][:, None]
    target = level + rng.normal(0, 0.1, (200, 2))
    extra = {"constant": 1 - level + np.zeros((200, 2)), "span": np.ones(2), "folds": fold}
    constant = cluster(target, 1 - level + np.zeros((200, 2)), owner, **extra)
    values, ends = whole(constant, ("skill", "pearson", "ccc")), intervals(constant)
    assert (values["skill"] == 0).all()
    assert (ends["skill"] == 0).all()
    assert np.isnan(values["pearson"]).all()
    # what is right within folds is right, whatever the folds' own levels are
    model = cluster(target, target - 2 * level, owner, **extra)
    assert whole(model, ("pearson",))["pearson"] == pytest.approx(1)
    table = metrics.score_table(
        target, target - 2 * level, names=("a", "b"), constants=extra["constant"], folds=fold
    )
    for name in ("pearson", "spearman"):
        assert table[name]["macro"].value == pytest.approx(1)
    assert table["ccc"]["macro"].value == pytest.approx(whole(model, ("ccc",))["ccc"][-1])
    assert spearman_intervals(target, target - 2 * level, owner, folds=fold, resamples=20) == (
        pytest.approx(1)
    )


def test_a_better_system_is_found_in_concordance_too() -> None:
    target, prediction, owner = draw(np.random.default_rng(11), 80)
    better = (target + prediction) / 2
    one, two = clustered(target, better, owner), clustered(target, prediction, owner)
    for found in compare(one, two, names=("a", "b"), resamples=1000):
        assert found.p_holm is not None
        assert found.p_holm < 0.01
        assert found.low is not None
        assert found.high is not None
        assert found.low > 0 if found.metric == "ccc" else found.high < 0


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.01, np.nan, 0.04]) == pytest.approx([0.02, np.nan, 0.04], nan_ok=True)
    pairs = [Difference("mae", "a", 0.1, p=0.01), Difference("mae", "b", None)]
    assert [d.p_holm for d in correct(pairs)] == [0.01, None]


def test_systems_on_different_clips_are_not_compared() -> None:
    target, prediction, owner = draw(np.random.default_rng(12), 20)
    one, two = (
        clustered(target, prediction, owner),
        clustered(target[2:], prediction[2:], owner[2:]),
    )
    with pytest.raises(ValueError, match="same clips only"):
        compare(one, two, names=("a", "b"), resamples=10)


def test_systems_with_other_labels_are_not_compared() -> None:
    target, prediction, owner = draw(np.random.default_rng(13), 20)
    one, two = clustered(target, prediction, owner), clustered(target + 1, prediction, owner)
    with pytest.raises(ValueError, match="same labels only"):
        compare(one, two, names=("a", "b"), resamples=10)


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="do not belong together"):
        cluster(np.zeros((3, 1)), np.zeros((3, 1)), ["a", "b"])
    with pytest.raises(ValueError, match="1 predictions are NaN"):
        cluster(np.zeros((2, 1)), np.array([[0.0], [np.nan]]), ["a", "b"])


@pytest.mark.slow
def test_intervals_cover_the_truth_and_naive_ones_do_not() -> None:
    names = ("accuracy", "skill", "r2", "pearson", "ccc", "ccc_pooled")
    everyone = clustered(*draw(np.random.default_rng(1), 300_000))
    truth = whole(everyone, names)
    covered, naive = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    rng = np.random.default_rng(0)
    for seed in range(1000):
        target, prediction, owner = draw(rng, 300)
        data = clustered(target, prediction, owner)
        clips = clustered(target, prediction, np.arange(len(owner)))
        by_source = intervals(data, metrics=names, resamples=1000, seed=seed)
        by_clip = intervals(clips, metrics=names, resamples=200, seed=seed)
        for name in names:
            for ends, hits in ((by_source, covered), (by_clip, naive)):
                low, high = ends[name][-1]
                hits[name] += bool(low <= truth[name][-1] <= high)
    print(covered, naive)
    for name in names:
        assert 935 <= covered[name] <= 965, (name, covered)
        assert naive[name] < 900, (name, naive)
