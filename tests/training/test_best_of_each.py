"""train.keep=per_target: each target is predicted with the weights of the epoch best for it."""

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.prepared import data, make_corpus, make_store
from tests.support.prepared_streams import fill_store, tiny_settings
from traitscope.corpora import load_corpus
from traitscope.data.batches import collate
from traitscope.data.drawing import draw_example
from traitscope.errors import ConfigError, DataError
from traitscope.evaluation.trained_runs import evaluate
from traitscope.features.store import Store
from traitscope.files import read_json
from traitscope.prediction.frames import score_frames
from traitscope.runs.best_epochs import BestOfEach
from traitscope.runs.checkpoint import Checkpoint, load, load_weights
from traitscope.runs.checksums import verify_run
from traitscope.runs.export import export
from traitscope.training import stages
from traitscope.training.fitting import train
from traitscope.types import TRAITS, Draw, Rows, Stream

SETTINGS = ["train.keep=per_target", "train.epochs=6", "train.optimizer=adam", "train.lr=0.1"]
SETTINGS += ["train.batch_size=6", "trainer.tensorboard=false", "trainer.keep_every=1", "seed=3"]
SETTINGS += ["train.schedule=constant", "train.milestones=[]", "train.weight_decay=0"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus and a store."""
    folder = tmp_path_factory.mktemp("sound")
    make_store(folder / "store", make_corpus(folder), streams=["mid_term"])
    return folder


@pytest.fixture(scope="module")
def run(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose learning rate is so high that traits are best at different epochs."""
    to = tmp_path_factory.mktemp("run") / "run"
    return train("audio_lstm", [*data(sound), *SETTINGS], to=to, accelerator="cpu")


def scored(checkpoint: Checkpoint, sound: Path) -> tuple[Any, Any]:
    """Labels and predictions (clips, targets) of the validation clips."""
    corpus = load_corpus(f"table:{sound / 'clips.csv'}")
    clips = [clip for clip in corpus.clips if clip.split == "validation"]
    examples = checkpoint.examples(clips, Store(sound / "store"))
    return examples.labels(), checkpoint.predict_examples(examples)


def test_each_column_is_that_of_the_epoch_with_the_least_error_of_it(
    sound: Path, run: Path
) -> None:
    checkpoint = load(run)
    labels, predictions = scored(checkpoint, sound)
    network = checkpoint.fitted.overall
    of_epoch = []
    for folder in sorted((run / "epochs").iterdir()):
        load_weights(folder, network)
        plain = Checkpoint(**{**vars(checkpoint), "fitted": network})
        of_epoch.append(scored(plain, sound)[1])
    errors = np.abs(np.stack(of_epoch) - labels).mean(axis=1)  # (epochs, targets)
    best = errors.argmin(axis=0)
    assert len(set(best.tolist())) > 1  # else there is nothing to see here
    assert read_json(run / "best_epochs.json") == dict(zip(TRAITS, best.tolist(), strict=True))
    wanted = np.stack([of_epoch[e][:, i] for i, e in enumerate(best)], axis=1)
    np.testing.assert_array_equal(predictions, wanted)
    mae = read_json(run / "metrics.json")["validation"]["mae"]
    assert mae == pytest.approx(errors.min(axis=0).mean(), abs=1e-9)
    assert mae < errors.mean(axis=1).min()
    assert len(list(run.glob("model_epoch_*"))) == len(set(best.tolist()))
    assert f"openness {best[0]}" in (run / "card.md").read_text()


@pytest.mark.parametrize("place", ["_save", pytest.param("keep", marks=pytest.mark.slow)])
def test_a_run_that_crashed_around_its_state_keeps_the_same_epochs(
    sound: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    kept = sorted(set(read_json(run / "best_epochs.json").values()))
    owner: Any = stages._Saving if place == "_save" else stages.Loop
    inner = getattr(owner, place)

    def crash(own: Any, *given: Any) -> None:
        inner(own, *given)  # of "_save": the state is written, and the weights are not
        module = own if isinstance(own, stages.Loop) else given[0].lightning_module
        if module.current_epoch == kept[1]:
            raise KeyboardInterrupt

    settings = [*data(sound), *SETTINGS]
    with monkeypatch.context() as patched:
        patched.setattr(owner, place, crash)
        with pytest.raises(KeyboardInterrupt):
            train("audio_lstm", settings, to=tmp_path / "run", accelerator="cpu")
    train("audio_lstm", to=tmp_path / "run", resume=True, accelerator="cpu")
    names = [path.name for path in run.glob("model*")] + ["best_epochs.json", "metrics.json"]
    assert len(names) > 4
    assert sorted(p.name for p in (tmp_path / "run").glob("model*")) == sorted(names[:-2])
    for name in names:
        assert (tmp_path / "run" / name).read_bytes() == (run / name).read_bytes(), name


@pytest.mark.slow
def test_frozen_tensors_lie_there_once(sound: Path, tmp_path: Path) -> None:
    settings = [*data(sound), *SETTINGS, "train.freeze=[lstm.*]"]
    frozen = train("audio_lstm", settings, to=tmp_path / "run", accelerator="cpu")
    whole = (frozen / "model.safetensors").stat().st_size
    assert all(2 * p.stat().st_size < whole for p in frozen.glob("model_epoch_*"))
    labels, predictions = scored(load(frozen), sound)
    mae = read_json(frozen / "metrics.json")["validation"]["mae"]
    assert np.abs(predictions - labels).mean() == pytest.approx(mae, abs=1e-9)


def test_other_files_than_training_wrote_are_named(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "copy")
    one, other = sorted(copy.glob("model_epoch_*"))[:2]
    one.write_bytes(other.read_bytes())
    assert [difference.path for difference in verify_run(copy)] == [one]
    with pytest.raises(DataError, match=rf"{one.name} is not what training wrote"):
        load(copy)
    (copy / "checksums.json").unlink()
    load(copy)  # of the same shapes: without checksums nobody can know
    one.unlink()
    with pytest.raises(DataError, match=rf"{one.name} is missing"):
        load(copy)
    (copy / "best_epochs.json").write_text('{"openness": "../../x"}')
    with pytest.raises(DataError, match=r"best_epochs\.json is damaged"):
        load(copy)


@pytest.mark.slow
def test_without_validation_clips_the_last_epoch_is_that_of_all(
    sound: Path, tmp_path: Path
) -> None:
    settings = [*data(sound), *SETTINGS, "protocol.fit=train+validation"]
    run = train("audio_lstm", settings, to=tmp_path / "run", accelerator="cpu")
    assert not isinstance(load(run).fitted, BestOfEach)
    assert not list(run.glob("model_epoch_*"))


def test_a_stage_with_one_behind_it_keeps_one_network(sound: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "two.yaml"
    first, second = "{name: first, keep: per_target}", "{name: second}"
    recipe.write_text(f"model: {{name: audio_lstm}}\nstages: [{first}, {second}]\n")
    with pytest.raises(ConfigError, match=r"keep=per_target is for the last stage, .*'first'"):
        train(str(recipe), data(sound), to=tmp_path / "run")


@pytest.mark.slow
def test_folds_each_have_their_epochs(sound: Path, tmp_path: Path) -> None:
    folds = ["protocol.kind=kfold", "protocol.folds=3", "protocol.fold=all"]
    settings = [*data(sound), *SETTINGS, *folds]
    run = train("audio_lstm", settings, to=tmp_path / "run", accelerator="cpu")
    report = evaluate(run)
    assert report.everything.clips == 40
    rows = {row["clip"]: row for row in predictions(run)}
    clips = {clip.id: clip for clip in load_corpus(f"table:{sound / 'clips.csv'}").clips}
    for fold in sorted(run.glob("fold-*")):
        checkpoint, (own, *_) = load(fold), predictions(fold)
        assert isinstance(checkpoint.fitted, BestOfEach)
        examples = checkpoint.examples([clips[own["clip"]]], Store(sound / "store"))
        wanted = [float(rows[own["clip"]][f"predicted_{name}"]) for name in TRAITS]
        np.testing.assert_allclose(checkpoint.predict_examples(examples)[0], wanted, atol=1e-6)


def predictions(run: Path) -> list[dict[str, str]]:
    with (run / "evaluation" / "test" / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_graph_of_it_scores_as_it_does(sound: Path, run: Path, tmp_path: Path) -> None:
    exported = export(run, tmp_path / "model", int8=True)
    assert exported.difference < 1e-4
    small = load(tmp_path / "model")
    np.testing.assert_allclose(scored(small, sound)[1], scored(load(run), sound)[1], atol=0.05)


@pytest.mark.slow
def test_frames_are_scored_by_the_epoch_of_each_and_described_by_one(tmp_path: Path) -> None:
    address = make_corpus(tmp_path, clips=20)
    tiny = tiny_settings("image_backbone")
    fill_store(tmp_path / "store", address, "image_backbone", tiny)
    high = [s for s in SETTINGS if "keep_every" not in s]
    run = train("image_backbone", [*data(tmp_path), *tiny, *high], to=tmp_path / "run")
    assert isinstance(load(run).fitted, BestOfEach)
    store, corpus = Store(tmp_path / "store"), load_corpus(address)
    requests = score_frames(run, corpus, store).requests
    made = {request.config.name: request.key for request in requests}  # type: ignore[attr-defined]
    series, checkpoint = store.read(made["frame_scores"], "c007"), load(run)
    frames = store.read(checkpoint.keys["frames"], "c007")
    assert frames.images is not None
    one = Stream(time=frames.time[3:4], images=frames.images[3:4])
    draw = {"frames": Draw(evaluate=Rows("even", 1), size=32)}
    example = draw_example(corpus.clips[7], {"frames": one}, draw, rng=None, scalers={})
    scores = checkpoint.predict(collate([example], TRAITS))
    np.testing.assert_allclose(series.values[3], scores[0], atol=1e-5)
    # What a frame looks like is told by one network, or its columns would mean five things.
    network = checkpoint.fitted.overall
    features = store.read(made["frame_features"], "c007").values[3].astype(np.float32)
    with torch.no_grad():
        again = network.to_range(network.network.get_classifier()(torch.from_numpy(features)))
    plain = Checkpoint(**{**vars(checkpoint), "fitted": network})
    np.testing.assert_allclose(again, plain.predict(collate([example], TRAITS))[0], atol=1e-5)
