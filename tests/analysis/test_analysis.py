"""Signals against traits: planted pairs and no others, clusters that count, circles told."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from scipy.stats import false_discovery_control, pearsonr, rankdata, spearmanr

from tests.support.planted_signals import PLANTED, make, pairs
from tests.support.prepared import make_corpus, make_store
from traitscope.analysis.correlations import (
    METHODS,
    correlate_signals,
    measure,
    write_table,
)
from traitscope.analysis.heat_maps import draw
from traitscope.analysis.naming import readable
from traitscope.corpora import load_corpus
from traitscope.corpora.synthetic._behaviours import BEHAVIOURS, plan
from traitscope.errors import ConfigError, DataError
from traitscope.evaluation.trained_runs import evaluate
from traitscope.experiments.ablations import ablate
from traitscope.statistics.correlation import correlate
from traitscope.training.fitting import train
from traitscope.types import TRAITS

LEVEL = 0.05


def found(result) -> set[tuple[str, str, str]]:
    """Pairs that hold after correction by either method."""
    return {
        (row["signal"], row["statistic"], row["target"])
        for row in result["rows"]
        if any(row[m]["q"] is not None and row[m]["q"] <= LEVEL for m in METHODS)
    }


def test_correlations_equal_scipys_and_missing_values_are_left_out() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=40), rng.normal(size=(40, 2))
    x[3], y[7, 1] = np.nan, np.nan
    alone = np.arange(40)
    for method, reference in (("pearson", pearsonr), ("spearman", spearmanr)):
        mine = correlate(x, y, alone, method=method)
        assert list(mine.counts) == [39, 38]
        for target in range(2):
            both = np.isfinite(x) & np.isfinite(y[:, target])
            assert mine.value[target] == pytest.approx(reference(x[both], y[both, target])[0])


def test_what_does_not_vary_or_has_few_clusters_is_undefined() -> None:
    y = np.random.default_rng(0).normal(size=(20, 1))
    flat = correlate(np.full(20, 3.0), y, np.arange(20))
    assert np.isnan(flat.value[0])
    assert np.isnan(flat.p[0])
    few = correlate(np.arange(20.0), y, np.arange(20) % 4)
    assert np.isfinite(few.value[0])
    assert np.isnan(few.p[0])


def test_clips_of_one_person_are_not_independent() -> None:
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(30), 10)
    naive = robust = 0
    for _ in range(200):
        x, y = rng.normal(size=(2, 30))[:, person] + 0.3 * rng.normal(size=(2, 300))
        naive += pearsonr(x, y)[1] < LEVEL
        robust += correlate(x, y[:, None], person).p[0] < LEVEL
    assert naive / 200 > 0.3
    assert robust / 200 < 0.09


def family(seed: int, subjects: int = 32) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Robust and naive p-values of a synthetic corpus' family of tests, and which are planted."""
    planned, rng = plan(subjects, 2, 2, seed=seed), np.random.default_rng(seed + 1000)
    labels = np.array([[clip.targets[t] for t in TRAITS] for clip in planned])
    person = np.array([clip.subject_index for clip in planned])
    columns, drivers = [], []
    for name in PLANTED.values():
        shown = np.array([clip.behaviours[name] for clip in planned])
        noise = rng.standard_normal(len(planned))
        columns.append((shown - shown.mean()) / shown.std() + 0.5 * noise)
        drivers.append(set(BEHAVIOURS[name].weights))
    for _ in range(44 - len(PLANTED)):
        own, shared = rng.standard_normal(len(planned)), rng.standard_normal(subjects)[person]
        columns.append(own + shared)
        drivers.append(set())
    robust = [correlate(x, labels, person, method=m).p for x in columns for m in METHODS]
    # every column with every target at once: Spearman's correlation is Pearson's of ranks
    table = np.array(columns).T
    both = ((table, labels), (rankdata(table, axis=0), rankdata(labels, axis=0)))
    naive = np.stack([pearsonr(x[:, :, None], y[:, None], axis=0)[1] for x, y in both], axis=1)
    planted = [[t in driver for t in TRAITS] for driver in drivers for _ in METHODS]
    return np.ravel(robust), np.ravel(naive), np.ravel(planted)


@pytest.mark.slow
def test_planted_pairs_are_found_and_false_discoveries_stay_below_5_percent_over_20_seeds() -> None:
    shares, naive_shares = [], []
    for seed in range(20):
        robust, naive, planted = family(seed)
        held = false_discovery_control(robust) <= LEVEL
        assert held[planted].mean() > 0.9
        shares.append((held & ~planted).sum() / held.sum())
        careless = false_discovery_control(naive) <= LEVEL
        naive_shares.append((careless & ~planted).sum() / careless.sum())
    assert np.mean(shares) <= LEVEL
    assert np.mean(naive_shares) > 0.15  # what the clusters are for


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("planted")
    corpus, store = make(folder / "store", seed=2)
    return corpus, store, correlate_signals(corpus, store)


def test_the_whole_way_from_a_store_finds_the_planted_pairs(planted) -> None:
    _, _, result = planted
    assert result["family"] == 2 * 2 * 22 * 5
    assert pairs() <= found(result)
    assert len(found(result) - pairs()) <= 1
    blink = next(
        row
        for row in result["rows"]
        if (row["signal"], row["statistic"], row["target"]) == ("AU45_r", "mean", "neuroticism")
    )
    assert blink["pearson"]["high"] < -0.5
    assert blink["name"] == "AU45 blink"


@pytest.mark.slow
def test_the_table_and_the_pictures_hold_every_pair(planted, tmp_path: Path) -> None:
    _, _, result = planted
    with write_table(result, tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 220
    assert {"pearson", "pearson_low", "pearson_q", "spearman", "spearman_p"} <= set(rows[0])
    pictures = draw(result, tmp_path)
    assert [path.name for path in pictures] == [
        "signals-traits-pearson.png",
        "signals-traits-spearman.png",
    ]
    assert all(imread(path).shape[1] > 1500 for path in pictures)


def test_signals_have_readable_names() -> None:
    assert readable("AU12_r") == "AU12 lip corner puller"
    assert readable("pose_Ry") == "head yaw"
    assert readable("delta_mfcc_1") == "change of timbre 1"
    assert readable("somebody_s_own") == "somebody_s_own"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Path, Path]:
    """A corpus' address, its store, and runs that read signals and sound."""
    folder = tmp_path_factory.mktemp("small")
    address = make_corpus(folder / "corpus")
    make_store(folder / "store", address)
    data = [f"data.corpus={address}", f"data.store={folder / 'store'}"]
    sees = [*data, "model.streams=[signals]", "features.signals.backend=dlib"]
    seeing = train("functionals", sees, to=folder / "seeing")
    hearing = train("functionals", [*data, "model.streams=[short_term]"], to=folder / "hearing")
    for run in (seeing, hearing):
        evaluate(run)
    return address, folder / "store", seeing, hearing


def test_a_models_own_inputs_are_refused_and_the_circle_is_named(small, tmp_path: Path) -> None:
    address, store, seeing, hearing = small
    corpus = load_corpus(address)
    with pytest.raises(ConfigError, match=r"reads 'signals' itself.*add --circular"):
        correlate_signals(corpus, store, predictions=seeing)
    forced = correlate_signals(corpus, store, predictions=seeing, circular=True)
    assert forced["circular"]
    assert forced["notes"][0].startswith("CIRCULAR")
    plain = correlate_signals(corpus, store, predictions=hearing)
    assert not plain["circular"]
    assert plain["against"] == f"predictions of {hearing}"
    assert plain["clips"] == 8
    said = [imread(draw(r, tmp_path)[0]) for r in (forced, plain)]
    reddish = [((p[..., 0] > 0.6) & (p[..., 1:3] < 0.1).all(axis=-1)).sum() for p in said]
    assert reddish[0] > 1000
    assert reddish[1] == 0


def test_mistakes_name_the_cure(small, planted) -> None:
    address, store, *_ = small
    corpus, other, _ = planted
    with pytest.raises(DataError, match=r"has no 'landmarks'; it has: .*--extract landmarks"):
        correlate_signals(load_corpus(address), store, stream="landmarks")
    with pytest.raises(ConfigError, match="no effect without --predictions"):
        correlate_signals(corpus, other, circular=True)
    with pytest.raises(DataError, match=r"None of 0 clips has signals-.*traitscope prepare"):
        measure(other, next(iter(other.fingerprints())), [])


def test_ablation_trains_each_set_on_its_own_columns(small, tmp_path: Path) -> None:
    address, store, *_ = small
    sets = {"all": ("AU*", "gaze_*"), "gaze": ("gaze_*",)}
    settings = ["features.signals.backend=dlib"]
    result = ablate(address, store, to=tmp_path, sets=sets, settings=settings)
    assert result["split"] == "validation"  # choosing signals is a choice: test has no say
    assert not (tmp_path / "all" / "evaluation" / "test").exists()
    assert [row["set"] for row in result["rows"][:2]] == ["all", "gaze"]
    assert result["rows"][2]["set"].startswith("constant")
    for name, count in (("all", 6), ("gaze", 1)):
        facts = json.loads((tmp_path / name / "features.json").read_text())
        columns = facts["streams"]["signals"]["columns"]
        assert len({column.split(".")[1] for column in columns}) == count
    skill = [row["metrics"]["skill"]["macro"]["value"] for row in result["rows"][:2]]
    assert skill[0] > 0.5 > skill[1]  # the prepared signals carry the labels in AU0 to AU4


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_planted_pairs_survive_rendering_and_shuffled_labels_find_nothing(tmp_path: Path) -> None:
    from traitscope.corpora.synthetic import Config, generate
    from traitscope.features.preparation import prepare

    generate(tmp_path / "corpus", config=Config(seconds=3.0, size=256, workers=1))
    corpus = load_corpus(f"synthetic:{tmp_path / 'corpus'}")
    prepare(corpus, {"signals": {"backend": "dlib"}}, store=tmp_path / "store", workers=0)
    result = correlate_signals(corpus, tmp_path / "store")
    absent = {"gaze_angle_x"}  # dlib measures no gaze
    expected = {pair for pair in pairs() if pair[0] not in absent}
    assert expected <= found(result)
    assert any("Not measured" in note for note in result["notes"])
    measured = measure_all(corpus, tmp_path / "store", result["key"])
    assert shuffled_discoveries(measured, seeds=20) <= 2


def measure_all(corpus, folder: Path, key: str):
    from traitscope.features.store import Store

    return measure(Store(folder), key, corpus.clips)


def shuffled_discoveries(measured, *, seeds: int) -> int:
    """In how many shuffles anything holds when people get each other's labels."""
    people = sorted({clip.subject for clip in measured.clips})
    number = np.array([people.index(clip.subject) for clip in measured.clips])
    labels = np.array([[clip.targets[t] for t in TRAITS] for clip in measured.clips])
    columns = measured.values.reshape(len(labels), -1).T
    held = 0
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(people))
        moved = np.concatenate([labels[number == order[n]] for n in range(len(people))])
        placed = np.empty_like(labels)
        placed[np.argsort(number, kind="stable")] = moved
        p = [correlate(x, placed, number, method=m).p for x in columns for m in METHODS]
        there = np.ravel(p)[np.isfinite(np.ravel(p))]
        held += bool((false_discovery_control(there) <= LEVEL).any())
    return held
