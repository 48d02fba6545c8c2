"""From prepared features to a run folder and back: fit, resume, refuse, evaluate."""

import json
import multiprocessing
import re
from pathlib import Path

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file, save_file

from tests.support.prepared import data, history, make_corpus, make_store, requests
from traitscope.errors import ConfigError, DataError, TraitscopeError
from traitscope.evaluation.report import read_report
from traitscope.evaluation.trained_runs import evaluate
from traitscope.runs.checkpoint import load
from traitscope.runs.plan import load_run
from traitscope.training.fitting import train

QUICK = ["train.optimizer=adam", "train.schedule=constant", "train.milestones=[]", "train.lr=0.01"]
SHORT = [*QUICK, "train.epochs=4", "train.batch_size=8", "trainer.tensorboard=false"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    address = make_corpus(folder)
    make_store(folder / "store", address, failed=["c001", "c017"])
    return folder


@pytest.fixture(scope="module")
def short(place: Path) -> Path:
    """A run of four epochs, to compare others with."""
    return train("audio_lstm", [*data(place), *SHORT], to=place / "short")


def test_a_ridge_is_fitted_saved_and_scored_beside_baselines(place: Path, tmp_path: Path) -> None:
    run = train("functionals", data(place), to=tmp_path / "run")
    report = evaluate(run)
    row = report.everything.model
    assert row.role == "model"
    assert row.macro("r2").value > 0.9
    assert {"constant", "lookup"} <= {each.role for each in report.everything.rows}
    assert [failure.clip for failure in report.failures] == ["c017"]
    assert report.counts.fitted_clips == 24
    assert read_report(run) == report
    assert "apparent" in (run / "card.md").read_text()


def test_a_network_learns_and_keeps_its_best_epoch(place: Path, tmp_path: Path) -> None:
    settings = [*data(place), *QUICK, "train.epochs=30", "train.batch_size=8"]
    run = train("audio_lstm", settings, to=tmp_path / "run")
    rows = history(run)
    assert len(rows) == 30
    assert float(rows[-1]["train_loss"]) < 0.5 * float(rows[0]["train_loss"])
    best = min(float(row["validation_mae"]) for row in rows)
    kept = json.loads((run / "metrics.json").read_text())["validation"]["mae"]
    assert kept == pytest.approx(best, abs=1e-6)
    assert list((run / "tensorboard").glob("events*"))


def test_the_saved_settings_repeat_the_run(short: Path, tmp_path: Path) -> None:
    again = train(str(short / "run.yaml"), to=tmp_path / "b")
    assert history(short) == history(again)
    assert load_run(str(short)) == load_run(str(again))


def test_examples_read_by_other_processes_are_the_same(
    place: Path, short: Path, tmp_path: Path
) -> None:
    readers: list[int] = []
    told: list[dict[str, str]] = []

    def look(*_: object) -> None:
        children = multiprocessing.active_children()
        readers.append(len(children))
        told.extend(psutil.Process(child.pid).environ() for child in children)

    there = train(
        "audio_lstm",
        [*data(place), *SHORT],
        to=tmp_path / "b",
        workers=1,
        hook=look,
    )
    assert max(readers) == 1  # the same one reads to fit and to select
    assert all("OMP_NUM_THREADS" in each for each in told)  # from the start, before NumPy loads
    assert history(short) == history(there)


def test_another_seed_is_another_run(place: Path, short: Path, tmp_path: Path) -> None:
    other = train("audio_lstm", [*data(place), *SHORT, "seed=1"], to=tmp_path / "b")
    assert history(short) != history(other)


@pytest.mark.parametrize("stopped_after", [1, 2])
def test_a_resumed_run_equals_an_uninterrupted_one(
    place: Path, tmp_path: Path, stopped_after: int
) -> None:
    settings = [*data(place), *SHORT, "model.dropout=0.3"]
    whole = train("audio_lstm", settings, to=tmp_path / "whole")

    def stop(done: int, total: int, news: str) -> None:
        if done == stopped_after + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("audio_lstm", settings, to=tmp_path / "part", hook=stop)
    assert not (tmp_path / "part" / "metrics.json").exists()
    resumed = train("audio_lstm", to=tmp_path / "part", resume=True)
    assert history(resumed) == history(whole)
    for name, tensor in load_file(whole / "model.safetensors").items():
        np.testing.assert_array_equal(tensor, load_file(resumed / "model.safetensors")[name])


def test_settings_other_than_training_cannot_change_on_resume(place: Path, tmp_path: Path) -> None:
    train("audio_lstm", [*data(place), *SHORT], to=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"'seed=7' cannot change in a resumed run"):
        train("audio_lstm", ["seed=7"], to=tmp_path / "run", resume=True)
    with pytest.raises(ConfigError, match=r"no run in .* to resume"):
        train("audio_lstm", to=tmp_path / "nothing", resume=True)


def test_a_run_can_be_trained_longer(place: Path, tmp_path: Path) -> None:
    train("audio_lstm", [*data(place), *SHORT], to=tmp_path / "run")
    train("audio_lstm", ["train.epochs=6"], to=tmp_path / "run", resume=True)
    assert len(history(tmp_path / "run")) == 6


def test_a_run_can_start_from_another(place: Path, tmp_path: Path) -> None:
    first = train("audio_lstm", [*data(place), *SHORT], to=tmp_path / "a")
    second = train("audio_lstm", [*data(place), *SHORT], to=tmp_path / "b", start_from=first)
    assert float(history(second)[0]["train_loss"]) < float(history(first)[0]["train_loss"])
    with pytest.raises(ConfigError, match="cannot start from another run"):
        train("functionals", data(place), to=tmp_path / "c", start_from=first)
    assert not (tmp_path / "c").exists()


def test_fitting_on_train_and_validation_selects_on_nothing(place: Path, tmp_path: Path) -> None:
    settings = [*data(place), *SHORT, "protocol.fit=train+validation"]
    run = train("audio_lstm", settings, to=tmp_path / "run")
    metrics = json.loads((run / "metrics.json").read_text())
    assert (metrics["fitted_clips"], metrics["validation_clips"]) == (31, 0)
    assert "validation_mae" not in history(run)[0]


def test_one_trait_alone_can_be_trained(place: Path, tmp_path: Path) -> None:
    run = train("functionals", [*data(place), "data.targets=[openness]"], to=tmp_path / "run")
    assert [t.name for t in load(run).facts.targets] == ["openness"]
    assert evaluate(run).corpus.targets[0].name == "openness"


def test_a_used_folder_is_never_written_over(place: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is there already"):
        train("functionals", data(place), to=tmp_path / "run")


def test_missing_features_name_the_command_that_makes_them(place: Path, tmp_path: Path) -> None:
    settings = [*data(place), "features.mid_term.segments=7", "model.parts=6"]
    with pytest.raises(DataError) as caught:
        train("audio_lstm", settings, to=tmp_path / "run")
    command = str(caught.value).splitlines()[-1]
    assert re.search(
        r"traitscope prepare table:\S+ --store \S+ --extract mid_term mid_term.segments=7", command
    )
    assert not (tmp_path / "run").exists()


def test_features_of_the_only_backend_in_the_store_are_used(place: Path, tmp_path: Path) -> None:
    run = train("functionals", data(place), to=tmp_path / "run")
    assert load(run).keys["signals"] == requests()["signals"].key


@pytest.mark.shared
def test_a_named_backend_that_is_not_in_the_store_is_an_error(
    place: Path, tmp_path: Path, shared_weights: Path
) -> None:
    settings = [*data(place), "features.signals.backend=mediapipe"]
    with pytest.raises(DataError, match=r"--extract signals signals\.backend=mediapipe"):
        train("functionals", settings, to=tmp_path / "run")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["train.lrr=1"], "unknown key 'lrr'; did you mean 'lr'"),
        (["model.hiden=3"], "unknown key 'hiden'; did you mean 'hidden'"),
        (["train.momentum=0.5", *QUICK], "momentum would have no effect"),
        (["features.faces.size=3"], r"features\.faces has no effect"),
        (["train.fine.lr=1"], "no 'fine' in stages"),
        (["data.targets=[warmth]"], "no target 'warmth'"),
        (["train.loss=msee"], "no 'msee' in losses"),
    ],
)
def test_wrong_settings_are_refused_before_any_work(
    place: Path, tmp_path: Path, settings: list[str], message: str
) -> None:
    with pytest.raises(TraitscopeError, match=message):
        train("audio_lstm", [*data(place), *settings], to=tmp_path / "run")


def test_settings_that_an_estimator_would_ignore_are_refused(place: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fitted in one step"):
        train("functionals", [*data(place), "train.lr=1"], to=tmp_path / "run")


def test_a_run_without_corpus_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.corpus is not set"):
        train("functionals", to=tmp_path / "run")


def test_an_unknown_recipe_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'audio_lstm'"):
        train("audio_lstmm")


def test_a_diverged_training_says_so(place: Path, tmp_path: Path) -> None:
    settings = ["train.lr=1e30" if s.startswith("train.lr") else s for s in SHORT]
    with pytest.raises(TraitscopeError, match=r"diverged.*Lower train\.lr"):
        train("audio_lstm", [*data(place), *settings], to=tmp_path / "run")


def test_damaged_and_unfinished_runs_are_clear_errors(place: Path, tmp_path: Path) -> None:
    run = train("functionals", data(place), to=tmp_path / "run")
    with pytest.raises(DataError, match="is not a run"):
        load(tmp_path)
    facts = json.loads((run / "features.json").read_text())
    for damage, message in [
        ("{", "damaged"),
        (json.dumps({**facts, "format": 99}), "format 99"),
        (json.dumps({k: v for k, v in facts.items() if k != "targets"}), "damaged"),
    ]:
        (run / "features.json").write_text(damage)
        with pytest.raises(DataError, match=message):
            load(run)
    (run / "features.json").write_text(json.dumps(facts))
    (run / "model.safetensors").write_bytes(b"\x00" * 40)
    with pytest.raises(DataError, match="damaged"):
        load(run)
    (run / "model.safetensors").unlink()
    with pytest.raises(DataError, match="not finished"):
        load(run)


def test_a_network_with_tensors_of_other_shapes_is_refused(place: Path, tmp_path: Path) -> None:
    run = train("audio_lstm", [*data(place), *SHORT], to=tmp_path / "run")
    arrays = load_file(run / "model.safetensors")
    arrays["score.bias"] = arrays["score.bias"][:2].copy()
    save_file(arrays, run / "model.safetensors")
    with pytest.raises(DataError, match="does not fit"):
        load(run)


def test_features_of_another_version_are_refused(place: Path, tmp_path: Path) -> None:
    run = train("functionals", data(place), to=tmp_path / "run")
    facts = json.loads((run / "features.json").read_text())
    facts["streams"]["signals"]["fingerprint"]["version"] = 0
    facts["streams"]["signals"]["key"] = "signals-000000000000"
    (run / "features.json").write_text(json.dumps(facts))
    with pytest.raises(DataError, match="version 0"):
        load(run)


def test_an_unevaluated_run_has_no_report(place: Path, tmp_path: Path) -> None:
    run = train("functionals", data(place), to=tmp_path / "run")
    with pytest.raises(DataError, match=r"traitscope evaluate .* --split test"):
        read_report(run)
