"""Scores of frames as streams: which network, which frames, and what a second stage makes of it."""

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.media_files import write_video
from tests.support.prepared import data, make_corpus
from tests.support.prepared_streams import fill_store, tiny_settings
from traitscope.corpora import load_corpus
from traitscope.data.batches import collate
from traitscope.data.drawing import draw_example
from traitscope.errors import ConfigError, DataError
from traitscope.evaluation.trained_runs import evaluate
from traitscope.features.preparation import prepare
from traitscope.features.store import Store
from traitscope.prediction.clips import predict
from traitscope.prediction.frames import score_frames
from traitscope.prediction.series import open_first_stage
from traitscope.runs.checkpoint import load
from traitscope.runs.first_stage import FEATURES, SCORES, SEEN
from traitscope.training.fitting import train
from traitscope.types import TRAITS, Draw, Rows, Stream

FOLDS = ["protocol.kind=kfold", "protocol.folds=3", "protocol.fold=all"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus with frames, and a network on one frame, once plain and once in folds."""
    folder = tmp_path_factory.mktemp("frames")
    address = make_corpus(folder, clips=20)
    settings = tiny_settings("image_backbone")
    fill_store(folder / "store", address, "image_backbone", settings)
    for name, further in (("plain", []), ("folds", FOLDS)):
        given = [*data(folder), *settings, "train.epochs=1", *further]
        train("image_backbone", given, to=folder / name)
    return folder


def series(place: Path, run: str, name: str = SCORES) -> Any:
    """The series of every clip, by its id."""
    corpus = load_corpus(f"table:{place / 'clips.csv'}")
    store = Store(place / "store")
    scored = score_frames(place / run, corpus, store)
    key = next(r.key for r in scored.requests if r.config.name == name)  # type: ignore[attr-defined]
    return {clip.id: store.read(key, clip.id) for clip in corpus.clips}


def test_a_frame_scores_as_a_clip_of_this_frame_alone(place: Path) -> None:
    stream = series(place, "plain")["c007"]
    assert stream.columns == TRAITS
    assert stream.mask.tolist() == [True, False, *[True] * 6]
    run = load(place / "plain")
    frames = Store(place / "store").read(run.keys["frames"], "c007")
    assert frames.images is not None
    one = Stream(time=frames.time[3:4], images=frames.images[3:4])
    draw = Draw(evaluate=Rows("even", 1), size=32)
    clip = load_corpus(f"table:{place / 'clips.csv'}").clips[7]
    example = draw_example(clip, {"frames": one}, {"frames": draw}, rng=None, scalers={})
    expected = run.predict(collate([example], TRAITS))
    np.testing.assert_allclose(stream.values[3], expected[0], atol=1e-5)


def test_features_give_the_scores_through_the_last_layer(place: Path) -> None:
    scores, features = series(place, "plain")["c000"], series(place, "plain", FEATURES)["c000"]
    fitted = load(place / "plain").fitted
    layer = fitted.network.get_classifier()
    known = torch.from_numpy(features.values[features.mask].astype(np.float32))
    again = fitted.to_range(layer(known)).detach().numpy()
    np.testing.assert_allclose(again, scores.values[scores.mask], atol=1e-5)


def test_folds_score_each_clip_by_the_network_that_has_not_seen_it(place: Path) -> None:
    stage = open_first_stage(place / "folds")
    for clip in load_corpus(f"table:{place / 'clips.csv'}").clips:
        members, seen = stage.of(clip.id)
        assert not seen
        for member in members:
            assert clip.id not in stage.seen[stage.members.index(member)]
    streams = series(place, "folds")
    assert not any(stream.info.get("notes") for stream in streams.values())


def test_who_was_learnt_from_is_noted(place: Path) -> None:
    streams = series(place, "plain")
    noted = {clip: SEEN in stream.info.get("notes", ()) for clip, stream in streams.items()}
    splits = {c.id: c.split for c in load_corpus(f"table:{place / 'clips.csv'}").clips}
    assert noted == {clip: split != "test" for clip, split in splits.items()}


def test_what_is_there_is_not_scored_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series(place, "plain")
    from traitscope.prediction import frames

    def refuse(*_: object) -> None:
        raise AssertionError("scored again")

    monkeypatch.setattr(frames, "_write", refuse)
    series(place, "plain")


def test_a_model_that_hears_has_no_scores_of_frames(place: Path, tmp_path: Path) -> None:
    settings = tiny_settings("bimodal_lstm")
    fill_store(place / "store", f"table:{place / 'clips.csv'}", "bimodal_lstm", settings)
    train("bimodal_lstm", [*data(place), *settings, "train.epochs=1"], to=tmp_path / "run")
    with pytest.raises(ConfigError, match="bimodal_lstm takes mid_term"):
        open_first_stage(tmp_path / "run")


@pytest.mark.parametrize("name", ["average", "linear_series", "spectrum_cnn", "statistics_mlp"])
def test_a_second_stage_learns_from_the_series_of_its_first(
    place: Path, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    for run in ("plain", "folds"):
        series(place, run)
    network = name in {"spectrum_cnn", "statistics_mlp"}
    given = [*data(place), *(tiny_settings(name)), *(["train.epochs=1"] if network else [])]
    with pytest.raises(Exception, match="2 tables 'frame_scores' of different content"):
        train(name, given, to=tmp_path / "none")
    first = f"data.first_stage={place / 'folds'}"
    with caplog.at_level(logging.WARNING):
        train(name, [*given, first, "data.out_of_fold=true"], to=tmp_path / "honest")
    assert "has learnt from clips" not in caplog.text
    with caplog.at_level(logging.WARNING):
        train(name, [*given, f"data.first_stage={place / 'plain'}"], to=tmp_path / "naive")
    assert "trusts them too much" in caplog.text
    contents = {
        run: load(tmp_path / run).facts.requests[SCORES].config.content  # type: ignore[attr-defined]
        for run in ("honest", "naive")
    }
    assert contents["honest"] == open_first_stage(place / "folds").content
    assert contents["naive"] == open_first_stage(place / "plain").content


def test_the_average_is_the_mean_of_the_series(place: Path, tmp_path: Path) -> None:
    streams = series(place, "plain")
    first = f"data.first_stage={place / 'plain'}"
    train("average", [*data(place), first], to=tmp_path / "run")
    run = load(tmp_path / "run")
    corpus = load_corpus(f"table:{place / 'clips.csv'}")
    scores = run.predict_examples(run.examples(corpus.clips, Store(place / "store")))
    expected = [streams[clip.id].values[streams[clip.id].mask].mean(0) for clip in corpus.clips]
    np.testing.assert_allclose(scores, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["data.out_of_fold=true"], "no effect without data.first_stage"),
        (["data.out_of_fold=true", "data.first_stage={plain}"], "has no folds"),
        (["data.first_stage=nowhere"], "There is no folder .*nowhere"),
    ],
)
def test_settings_that_mean_nothing_are_said(
    place: Path, tmp_path: Path, settings: list[str], words: str
) -> None:
    given = [setting.format(plain=place / "plain") for setting in settings]
    with pytest.raises(Exception, match=words):
        train("average", [*data(place), *given], to=tmp_path / "run")
    if "{plain}" in settings[-1]:
        with pytest.raises(ConfigError, match="reads no series"):
            train("image_backbone", [*data(place), given[-1]], to=tmp_path / "run")


@pytest.fixture(scope="module")
def runs(place: Path) -> Path:
    """Beside the first stages, a second one on each."""
    for first in ("plain", "folds"):
        series(place, first)
        settings = [*data(place), f"data.first_stage={place / first}"]
        honest = ["data.out_of_fold=true"] if first == "folds" else []
        train("linear_series", [*settings, *honest, "model.rows=4"], to=place / f"on-{first}")
    return place


def picture(number: int) -> np.ndarray:
    return np.full((64, 64, 3), 20 + 8 * number, np.uint8)


@pytest.mark.parametrize("first", ["plain", "folds"])
def test_a_new_recording_scores_as_a_prepared_clip(runs: Path, tmp_path: Path, first: str) -> None:
    clip = write_video(tmp_path / "new.mp4", picture=picture, frames=25)
    (scored,) = predict(runs / f"on-{first}", clip)
    assert scored.status == "ok"
    assert scored.coverage == {"frame_scores": 1.0}
    # The long way: prepared, scored frame by frame into a store, and read from there.
    labels = "clip,path,source,openness\nnew,new.mp4,s,0.5\n"
    (tmp_path / "clips.csv").write_text(labels)
    meaning = "name: new\nkind: apparent\ntargets: {openness: {low: 0, high: 1, direction: 1}}\n"
    (tmp_path / "clips.yaml").write_text(meaning)
    corpus, store = load_corpus(f"table:{tmp_path / 'clips.csv'}"), Store(tmp_path / "store")
    stages = {"plain": runs / "plain", "folds": runs / "folds" / "fold-0"}
    prepare(corpus, list(load(stages[first]).facts.requests.values()), store=store, workers=0)
    score_frames(runs / first, corpus, store)
    run = load(runs / f"on-{first}")
    expected = run.predict_examples(run.examples(corpus.clips, store))[0]
    np.testing.assert_allclose(list(scored.scores.values()), expected, atol=1e-6)


def test_a_table_of_scores_is_not_made_twice(runs: Path, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "new.mp4", picture=picture, frames=10)
    done: list[int] = []
    for _ in range(2):
        predict(
            runs / "on-plain", clip, table=tmp_path / "t.csv", hook=lambda n, *_: done.append(n)
        )
    assert done == [0, 1, 1]


def test_both_runs_may_be_moved_together(runs: Path, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "new.mp4", picture=picture, frames=10)
    (there,) = predict(runs / "on-plain", clip)
    firsts = tmp_path / "before" / "firsts"
    shutil.copytree(runs / "plain", firsts / "plain")
    settings = [*data(runs), f"data.first_stage={firsts / 'plain'}"]
    train("linear_series", [*settings, "model.rows=4"], to=tmp_path / "before" / "on-plain")
    # A whole project elsewhere, and then the two alone, side by side.
    (tmp_path / "before").rename(tmp_path / "after")
    assert [one.scores for one in predict(tmp_path / "after" / "on-plain", clip)] == [there.scores]
    (tmp_path / "after" / "firsts" / "plain").rename(tmp_path / "plain")
    (tmp_path / "after" / "on-plain").rename(tmp_path / "on-plain")
    (moved,) = predict(tmp_path / "on-plain", clip)
    assert moved.scores == there.scores
    shutil.rmtree(tmp_path / "plain")
    with pytest.raises(DataError, match="which is not there"):
        predict(tmp_path / "on-plain", clip)
    shutil.copytree(runs / "folds" / "fold-0", tmp_path / "plain")
    with pytest.raises(DataError, match="has other weights now"):
        predict(tmp_path / "on-plain", clip)


@pytest.mark.slow
def test_the_report_says_when_the_first_stage_knew_the_fitted_clips(runs: Path) -> None:
    naive, honest = evaluate(runs / "on-plain"), evaluate(runs / "on-folds")
    said = [w for w in naive.warnings if "learnt from scores of frames" in w]
    assert len(said) == 1
    fitted = naive.run["fitted_clips"]
    assert f"learnt from {fitted} of the same clips" in said[0]
    assert not [w for w in honest.warnings if "learnt from scores of frames" in w]
    assert SEEN not in {note for notes in honest.noted.values() for note in notes}
