"""Scores of frames as streams: which network, which frames, and what a second stage makes of it."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.prepared import data, make_corpus
from tests.support.prepared_streams import fill_store, tiny_settings
from traitscope.corpora import load_corpus
from traitscope.data.batches import collate
from traitscope.data.drawing import draw_example
from traitscope.errors import ConfigError
from traitscope.features.store import Store
from traitscope.prediction.frames import score_frames
from traitscope.prediction.series import open_first_stage
from traitscope.runs.first_stage import FEATURES, SCORES, SEEN
from traitscope.runs.checkpoint import load
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
        (["data.first_stage=nowhere"], "nowhere is not a run"),
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
