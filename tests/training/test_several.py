"""Several trainings of one system: seeds, side by side, stopped and gone on with."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.prepared import data, history, make_corpus, make_store
from traitscope.corpora import load_corpus
from traitscope.errors import ConfigError, DataError, MissingError
from traitscope.evaluation.comparison import compare_systems
from traitscope.evaluation.fusion import fuse
from traitscope.evaluation.tables import open_predictions
from traitscope.evaluation.trained_runs import evaluate
from traitscope.features.store import Store
from traitscope.runs.checkpoint import load
from traitscope.runs.checksums import forget_checksums, verify_run
from traitscope.training.fitting import train

QUICK = ["train.epochs=2", "train.batch_size=8", "trainer.logger=csv"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("small")
    make_store(place / "store", make_corpus(place, clips=40), streams=["mid_term"])
    return place


@pytest.fixture(scope="module")
def system(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("runs") / "system"
    settings = [*data(place), *QUICK, "seed=3", "seeds=2"]

    def stop(done: int, *_: object) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # in the first training
        train("audio_lstm", settings, to=to, hook=stop, accelerator="cpu")
    with pytest.raises(DataError, match=r"has 0 of its 2 trainings.*--resume"):
        load(to)
    return train("audio_lstm", to=to, resume=True, accelerator="cpu")


def test_a_stopped_system_goes_on_and_its_trainings_are_ordinary_runs(
    place: Path, system: Path, tmp_path: Path
) -> None:
    alone = [*data(place), *QUICK, "seed=4"]
    one = train("audio_lstm", alone, to=tmp_path / "one", accelerator="cpu")
    assert history(one) == history(system / "seed-4")
    assert len(history(system / "seed-3")) == 2
    assert not verify_run(system)
    with pytest.raises(ConfigError, match="is there already"):
        train("audio_lstm", [*alone, "seeds=2"], to=system)


def test_seeds_are_scored_each_and_predict_their_mean(system: Path, tmp_path: Path) -> None:
    report = evaluate(system)
    assert [row.role for row in report.everything.rows][:4] == ["model", "ensemble", "seed", "seed"]
    assert report.run["seed"] == [3, 4]
    table = open_predictions(system / "evaluation" / "test" / "predictions.csv")[1]
    scores = table["predicted_openness"].astype(float)
    means = scores.groupby(table["clip"]).mean()
    checkpoint = load(system)
    corpus = load_corpus(checkpoint.config.data.corpus)
    clips = [clip for clip in corpus.clips if clip.id in means.index]
    examples = checkpoint.examples(clips, Store(Path(checkpoint.config.data.store)))
    together = checkpoint.predict_examples(examples)[:, 0]
    np.testing.assert_allclose(together, means[[clip.id for clip in clips]], atol=1e-6)
    evaluate(system / "seed-3")
    compared = compare_systems([system, system / "seed-3"])
    assert list(compared.seeds.values()) == [2, 1]
    fused = fuse([system, system / "seed-3"], to=tmp_path / "fused")
    assert fused.counts.scored == report.counts.scored


def test_a_system_of_other_features_is_refused(system: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(system, tmp_path / "other"))
    path = other / "seed-4" / "features.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "fitted_clips": 3}))
    forget_checksums(path.parent)
    with pytest.raises(DataError, match=r"other features or clips than .*seed-3"):
        load(other)


def test_seeds_and_folds_or_readers_exclude_one_another(place: Path, tmp_path: Path) -> None:
    both = [*data(place), *QUICK, "seeds=2", "protocol.kind=kfold", "protocol.fold=all"]
    with pytest.raises(ConfigError, match="leave one"):
        train("audio_lstm", both, to=tmp_path / "a")
    with pytest.raises(ConfigError, match="--parallel 2 excludes --workers 1"):
        train("audio_lstm", data(place), to=tmp_path / "a", parallel=2, workers=1)


@pytest.mark.slow
def test_side_by_side_they_are_the_same_trainings(
    place: Path, system: Path, tmp_path: Path
) -> None:
    settings = [*data(place), *QUICK, "seed=3", "seeds=2"]
    how = {"parallel": 2, "accelerator": "cpu"}
    both = train("audio_lstm", settings, to=tmp_path / "both", **how)
    for name in ("seed-3", "seed-4"):
        one, other = history(both / name), history(system / name)
        losses = [[float(row["train_loss"]) for row in rows] for rows in (one, other)]
        np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_a_tracker_that_is_not_installed_is_one_sentence(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    settings = [*data(place), *QUICK[:2], "trainer.logger=wandb"]
    with pytest.raises(MissingError, match=r"trainer.logger=wandb needs.*traitscope\[wandb\]"):
        train("audio_lstm", settings, to=tmp_path / "a", accelerator="cpu")


@pytest.mark.slow
def test_mlflow_has_the_epochs_in_one_record_over_a_resume(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    to, settings = tmp_path / "runs" / "a", [*data(place), "train.epochs=3", "train.batch_size=8"]

    def stop(done: int, *_: object) -> None:
        if done == 1:
            raise KeyboardInterrupt

    settings.append("trainer.logger=mlflow")
    with pytest.raises(KeyboardInterrupt):
        train("audio_lstm", settings, to=to, hook=stop, accelerator="cpu")
    train("audio_lstm", to=to, resume=True, accelerator="cpu")
    files = list((tmp_path / "runs" / "mlruns").glob("*/*/metrics/validation_ccc"))
    assert len(files) == 1
    assert len(files[0].read_text().splitlines()) == 3
    assert files[0].with_name("validation_mae.openness").is_file()


def test_event_files_of_before_are_a_logger_now() -> None:
    from traitscope.runs.plan import load_run

    assert load_run("audio_lstm", ["trainer.tensorboard=false"]).trainer.logger == "csv"
    assert load_run("audio_lstm", ["trainer.tensorboard=true"]).trainer.logger == "tensorboard"
