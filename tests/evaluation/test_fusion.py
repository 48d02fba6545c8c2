"""Fusion and comparison of evaluated systems: joined by id, and refused where they do not fit."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.evaluated_systems import FAST, frame, write_evaluated
from tests.support.prepared import make_corpus
from tests.support.udiva_files import write_udiva
from traitscope import evaluate, load_corpus, train
from traitscope.corpora.synthetic import Config, generate
from traitscope.data.protocols import Protocol
from traitscope.errors import ConfigError, DataError
from traitscope.evaluation.comparison import compare_systems
from traitscope.evaluation.fusion import combine, fit_weights, fuse
from traitscope.evaluation.report import read_report
from traitscope.evaluation.systems import read_system
from traitscope.features.preparation import prepare
from traitscope.runs.plan import requests_for
from traitscope.types import TRAITS


@pytest.fixture
def address(tmp_path: Path) -> str:
    return make_corpus(tmp_path / "corpus", clips=100)


def system(folder: Path, address: str, *, noise: float = 0.1, seed: int = 0) -> Path:
    frames = {
        split: frame(address, split, noise=noise, seed=seed + (split == "test"))
        for split in ("validation", "test")
    }
    return write_evaluated(folder, address, frames)


def test_weights_by_hand() -> None:
    target = np.array([[0.0], [1.0], [0.0], [1.0]])
    right, opposite = target.copy(), 1 - target
    half = 0.5 + (target - 0.5) / 2
    constant = np.array([0.5])
    weights = fit_weights(np.stack([right, opposite]), target, constant)
    assert weights.ravel() == pytest.approx([1, 0])
    assert fit_weights(np.stack([half]), target, constant).ravel() == pytest.approx([2])
    gap = target.copy()
    gap[0] = np.nan
    assert fit_weights(np.stack([half]), gap, constant).ravel() == pytest.approx([2])
    assert combine(np.stack([half]), np.array([[2.0]]), constant) == pytest.approx(target)


@given(st.integers(1, 4), st.integers(0, 5))
def test_a_mean_is_the_mean_and_weights_are_never_negative(members: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, target = rng.uniform(size=(members, 30, 2)), rng.uniform(size=(30, 2))
    equal = np.full((members, 2), 1 / members)
    assert combine(values, equal) == pytest.approx(values.mean(axis=0))
    assert combine(values, equal, np.array([0.3, 0.6])) == pytest.approx(values.mean(axis=0))
    assert (fit_weights(values, target, np.array([0.5, 0.5])) >= 0).all()


def test_a_mean_of_seeds_has_mean_sd_and_ensemble(tmp_path: Path, address: str) -> None:
    runs = [system(tmp_path / f"a-{seed}", address, seed=10 * seed) for seed in range(3)]
    report = fuse(runs, to=tmp_path / "a", scoring=FAST)
    scores = report.members.scores.metrics["mae"]
    alone = [read_report(run).everything.model.macro("mae").value for run in runs]
    assert scores.values == pytest.approx(alone)
    assert scores.mean == pytest.approx(np.mean(alone))
    assert scores.sd == pytest.approx(np.std(alone, ddof=1))
    model = report.everything.model
    assert model.macro("mae").value < min(alone)
    assert model.name == str(tmp_path / "a")
    assert read_report(tmp_path / "a") == report
    with (tmp_path / "a/evaluation/test/predictions.csv").open(newline="") as file:
        fused = {row["clip"]: float(row["predicted_openness"]) for row in csv.DictReader(file)}
    tables = [
        pd.read_csv(run / "evaluation/test/predictions.csv", index_col="clip") for run in runs
    ]
    mean = np.mean([table["predicted_openness"] for table in tables], axis=0)
    assert fused == pytest.approx(dict(zip(tables[0].index, mean, strict=True)))


def test_runs_of_one_recipe_become_replicates(tmp_path: Path, address: str) -> None:
    runs = []
    for seed in range(3):
        frames = {"test": frame(address, "test", seed=seed).assign(seed=seed)}
        runs.append(write_evaluated(tmp_path / f"a-{seed}", address, frames))
        (runs[-1] / "run.yaml").write_text(f"seed: {seed}\ntrain: {{lr: 0.1}}\n")
    report = fuse(runs, to=tmp_path / "a", method="seeds", scoring=FAST)
    alone = [read_report(run).everything.model.macro("mae").value for run in runs]
    model = report.everything.model
    assert model.macro("mae").value == pytest.approx(np.mean(alone))
    assert model.seeds.seeds == (0, 1, 2)
    together = fuse(runs, to=tmp_path / "mean", scoring=FAST).everything.model
    ensemble = next(row for row in report.everything.rows if row.role == "ensemble")
    assert ensemble.macro("mae").value == pytest.approx(together.macro("mae").value)
    found = compare_systems([tmp_path / "a", tmp_path / "mean", runs[0]], scoring=FAST)
    assert found.seeds == {str(tmp_path / "a"): 3, str(tmp_path / "mean"): 1, str(runs[0]): 1}
    assert found.notes[0].endswith("Compare ensembles with ensembles of as many.")
    (runs[1] / "run.yaml").write_text("seed: 1\ntrain: {lr: 0.2}\n")
    with pytest.raises(DataError, match="differ in more than their seed: train"):
        fuse(runs, to=tmp_path / "b", method="seeds", scoring=FAST)
    again = write_evaluated(tmp_path / "c", address, {"test": frame(address, "test")})
    with pytest.raises(DataError, match="all different"):
        fuse([runs[0], again], to=tmp_path / "b", method="seeds", scoring=FAST)


def test_fitted_weights_leave_noise_out(tmp_path: Path, address: str) -> None:
    good = system(tmp_path / "good", address, noise=0.02, seed=1)
    noise = system(tmp_path / "noise", address, noise=5, seed=2)
    report = fuse([good, noise], to=tmp_path / "both", method="fitted", scoring=FAST)
    weights = report.members.weights
    assert all(weights[str(good)][name] == pytest.approx(1, abs=0.15) for name in TRAITS)
    assert all(weights[str(noise)][name] < 0.02 for name in TRAITS)
    model = report.everything.model
    assert model.macro("r2").value > 0.9
    assert report.run["model"] == "fusion (fitted)"
    saved = json.loads((tmp_path / "both/fusion.json").read_text())
    assert (saved["corpus"], saved["weights"]) == (address, weights)
    assert read_system(tmp_path / "both").address == address


def test_clips_are_joined_by_id_and_those_that_one_lacks_are_named(
    tmp_path: Path, address: str
) -> None:
    one = write_evaluated(tmp_path / "one", address, {"test": frame(address, "test", noise=0)})
    shuffled = frame(address, "test", noise=0).iloc[1:].sample(frac=1, random_state=0)
    two = write_evaluated(tmp_path / "two", address, {"test": shuffled})
    report = fuse([one, two], to=tmp_path / "both", scoring=FAST)
    (failure,) = report.failures
    assert (failure.clip, failure.status) == ("c016", "missing")
    assert failure.reason == f"{two}: the predictions have no row for it"
    assert report.everything.model.macro("mae").value < 1e-9


@pytest.mark.slow
def test_sight_and_sound_together_err_less_than_either(tmp_path: Path) -> None:
    shape = Config(subjects=32, clips_per_source=1, seconds=4, size=192, fps=10, workers=1)
    address = f"synthetic:{generate(tmp_path / 'corpus', config=shape)}"
    asked = requests_for("functionals", ["signals.backend=dlib"])
    prepare(load_corpus(address), asked, store=tmp_path / "store", workers=0)
    data = [f"data.corpus={address}", f"data.store={tmp_path / 'store'}"]
    runs = [
        train("functionals", [*data, f"model.streams=[{stream}]"], to=tmp_path / stream)
        for stream in ("signals", "short_term")
    ]
    for run in runs:
        evaluate(run, split="validation", scoring=FAST)
        evaluate(run, scoring=FAST)
    for method in ("mean", "fitted"):
        both = fuse(runs, to=tmp_path / method, method=method, scoring=FAST)  # type: ignore[arg-type]
        error = both.everything.model.macro("mae").value
        assert error < min(both.members.scores.metrics["mae"].values)  # .067 of .082 and .082
        assert both.everything.clips == 16


def test_what_does_not_fit_together_is_refused(tmp_path: Path, address: str) -> None:
    one = system(tmp_path / "one", address)
    other = make_corpus(tmp_path / "other", clips=100)
    elsewhere = system(tmp_path / "elsewhere", other)
    with pytest.raises(DataError, match=r"one was evaluated on table:.*, .*elsewhere on table:"):
        fuse([one, elsewhere], to=tmp_path / "x")
    with pytest.raises(DataError, match="Evaluate them on the same corpus"):
        compare_systems([one, elsewhere])
    few = frame(address, "test").drop(columns="predicted_openness")
    fewer = write_evaluated(tmp_path / "fewer", address, {"test": few})
    with pytest.raises(DataError, match=r"have different targets(.|\n)*\n  openness \(0 to 1"):
        fuse([one, fewer], to=tmp_path / "x")
    fold = Protocol(kind="kfold")
    everything = pd.concat([frame(address, s) for s in ("train", "validation", "test")])
    folded = write_evaluated(tmp_path / "folded", address, {"test": everything}, protocol=fold)
    with pytest.raises(DataError, match="have different protocols, so they cannot be fused"):
        fuse([one, folded], to=tmp_path / "x")
    for name, other in (
        ("parts", Protocol(kind="kfold", fold=1)),
        ("dealt", Protocol(kind="kfold", seed=1)),
        ("more", Protocol(kind="kfold", fit="train+validation")),
    ):
        again = write_evaluated(tmp_path / name, address, {"test": everything}, protocol=other)
        with pytest.raises(DataError, match=rf"folded and .*{name} have different protocols"):
            fuse([folded, again], to=tmp_path / "x")
    with pytest.raises(DataError, match=r"different protocols \(official and kfold"):
        compare_systems([one, folded])
    with pytest.raises(DataError, match=r"has no predictions of train. Make them with: traitscope"):
        fuse([one, fewer], to=tmp_path / "x", split="train")
    with pytest.raises(DataError, match=r"fewer has no predictions of validation"):
        compare_systems([one, fewer], split="validation")
    with pytest.raises(DataError, match="two or more different systems"):
        fuse([one, one], to=tmp_path / "x")
    assert not (tmp_path / "x").exists()
    with pytest.raises(ConfigError, match="is there already"):
        fuse([one, system(tmp_path / "two", address)], to=one)


def test_weights_are_not_fitted_on_fitted_clips(tmp_path: Path, address: str) -> None:
    both = Protocol(fit="train+validation")
    runs = [
        write_evaluated(tmp_path / name, address, {"test": frame(address, "test")}, protocol=both)
        for name in ("one", "two")
    ]
    with pytest.raises(ConfigError, match="Use --method mean"):
        fuse(runs, to=tmp_path / "x", method="fitted")


def test_fitted_weights_need_the_validation_split_of_each(tmp_path: Path, address: str) -> None:
    one = system(tmp_path / "one", address)
    two = write_evaluated(tmp_path / "two", address, {"test": frame(address, "test", seed=4)})
    with pytest.raises(DataError, match=r"two has no predictions of validation.*evaluate .*two"):
        fuse([one, two], to=tmp_path / "x", method="fitted")


def test_tables_are_compared_with_labels_and_runs_bring_their_own(
    tmp_path: Path, address: str
) -> None:
    run = system(tmp_path / "run", address, noise=0.02)
    paths = []
    for name, noise in (("a.csv", 0.05), ("b.csv", 0.3)):
        paths.append(tmp_path / name)
        frame(address, "test", noise=noise, seed=3).to_csv(paths[-1], index=False)
    with pytest.raises(DataError, match=r"Nothing says which labels .*--labels fi:/data/fi"):
        compare_systems(paths)
    found = compare_systems(paths, labels=address, fit_on="train+validation", scoring=FAST)
    assert (found.clips, found.fit) == (20, "train+validation")
    mae = compare_systems([run, *paths], metrics=("mae",), scoring=FAST)
    assert mae.scores[str(paths[0])]["mae"]["macro"] < 0.06
    first = next(d for d in mae.differences if d.target == "macro")
    assert first.value == pytest.approx(
        mae.scores[str(run)]["mae"]["macro"] - mae.scores[str(paths[0])]["mae"]["macro"]
    )
    other = make_corpus(tmp_path / "other", clips=100)
    with pytest.raises(DataError, match="--labels on table:"):
        compare_systems([run, *paths], labels=other)
    with pytest.raises(DataError, match="A system is named twice"):
        compare_systems([run, run])


def test_people_are_averaged_where_labels_are_theirs(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sessions = {
        split: {str(start + n): [2 * (start + n), 2 * (start + n) + 1] for n in range(12)}
        for split, start in (("train", 0), ("valid", 20), ("test", 40))
    }
    scores = {str(n): rng.normal(0, 1, 5).tolist() for n in range(120)}
    tasks = ("talk", "lego")
    address = f"udiva:{write_udiva(tmp_path / 'udiva', sessions, scores, tasks=tasks)}"
    runs = [
        write_evaluated(tmp_path / name, address, {"test": frame(address, "test", seed=seed)})
        for seed, name in enumerate(("one", "two"))
    ]
    found = compare_systems(runs, scoring=FAST)
    assert (found.aggregate, found.clips, found.sources) == ("subject", 24, 24)
    by_clip = compare_systems(runs, scoring=FAST.model_copy(update={"aggregate": "clip"}))
    assert by_clip.clips == 48
    report = fuse(runs, to=tmp_path / "both", scoring=FAST)
    assert report.everything.clips == 24
    apart = report.members.scores.metrics["mae"].values
    assert apart == pytest.approx(
        [read_report(run).everything.model.macro("mae").value for run in runs]
    )


def test_a_damaged_report_names_itself_and_the_cure(tmp_path: Path, address: str) -> None:
    run = system(tmp_path / "run", address)
    path = run / "evaluation/test/report.json"
    whole = json.loads(path.read_text())
    row = whole["parts"]["all"]["rows"][0]
    cure = rf"Evaluate again with: traitscope evaluate {run} --split test"
    for damaged, fault in (
        ({**whole, "schema": 9}, "has the schema 9; this version reads 2"),
        ([1, 2], "is no report"),
        ({k: v for k, v in whole.items() if k != "counts"}, "counts: Field required"),
        ({**whole, "parts": {}}, "no part of all clips"),
        (
            {**whole, "parts": {"all": {**whole["parts"]["all"], "rows": [{**row, "role": "x"}]}}},
            r"parts\.all\.rows\.0\.role: Input should be 'model'",
        ),
        ({**whole, "predicted": [{"name": "openness", "low": 1, "high": 0}]}, "the range 1"),
    ):
        path.write_text(json.dumps(damaged))
        with pytest.raises(DataError, match=rf"report\.json .*{fault}.* {cure}"):
            read_system(run)
    path.write_text('{"schema": 1, ')
    with pytest.raises(DataError, match=rf"report\.json is damaged \(Expecting.* {cure}"):
        read_report(run)


def test_a_report_without_an_address_needs_the_labels(tmp_path: Path, address: str) -> None:
    run = system(tmp_path / "run", address)
    path = run / "evaluation/test/report.json"
    report = json.loads(path.read_text())
    report["corpus"]["address"] = None
    path.write_text(json.dumps(report))
    with pytest.raises(DataError, match=r"does not say where its labels are\. Evaluate again"):
        read_system(run)


def test_members_on_another_scale_are_refused_and_ensembles_named(
    tmp_path: Path, address: str
) -> None:
    good = system(tmp_path / "good", address)
    table = frame(address, "test", seed=3)
    scores = [name for name in table if name.startswith("predicted_")]
    per_cent = {"test": table.assign(**{name: 100 * table[name] for name in scores})}
    wrong = write_evaluated(tmp_path / "per-cent", address, per_cent)
    with pytest.raises(DataError, match=r"per-cent cannot be fused.* are they per cent\?"):
        fuse([good, wrong], to=tmp_path / "no", scoring=FAST)
    assert not (tmp_path / "no").exists()
    seeds = pd.concat([frame(address, "test", seed=n).assign(seed=n) for n in range(2)])
    several = write_evaluated(tmp_path / "several", address, {"test": seeds})
    report = fuse([good, several], to=tmp_path / "both", scoring=FAST)
    assert any("has 2 seeds: the mean of their predictions was fused" in w for w in report.warnings)


def test_a_comparison_says_what_is_wrong_with_a_column(tmp_path: Path, address: str) -> None:
    good = system(tmp_path / "good", address)
    table = frame(address, "test", noise=0.02, seed=3)
    table["predicted_openness"] = 1 - table["predicted_openness"]
    wrong = write_evaluated(tmp_path / "wrong", address, {"test": table})
    notes = " ".join(compare_systems([good, wrong], scoring=FAST).notes)
    assert f"{wrong}: Predictions run against the labels: openness" in notes
    assert f"{good}: Predictions run" not in notes
