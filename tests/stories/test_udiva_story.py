"""UDIVA from recordings to people: windows of long sessions, z-scores, one number per person."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.evaluated_systems import FAST
from tests.support.media_files import number_of, numbered, tone, write_video
from tests.support.udiva_files import write_udiva
from traitscope import evaluate, load_corpus, train
from traitscope.features.preparation import prepare
from traitscope.features.store import Store
from traitscope.runs.plan import requests_for
from traitscope.types import TRAITS

SPLITS = {"train": range(6), "valid": range(6, 8), "test": range(8, 11)}
SECONDS, FPS = 6, 10
QUICK = ["train.epochs=2", "train.batch_size=8", "trainer.tensorboard=false"]
SMALL = ["model.backbone=test_resnet", "model.pretrained=false", "model.size=32"]
ONE_STAGE = ["train.optimizer=adam", "train.schedule=constant", "train.milestones=[]"]


def picture(score: float, number: int) -> np.ndarray:
    """A numbered picture, the brighter the more open the person."""
    image = numbered(number, width=64, height=48)
    image[12:24] = np.uint8(128 + 50 * score)
    return image


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven sessions of two people, of 6 seconds; one person of the test comes twice."""
    folder = tmp_path_factory.mktemp("udiva")
    rng = np.random.default_rng(0)
    scores = {str(person): rng.normal(0, 1, 5).round(4).tolist() for person in range(22)}
    sessions = {
        word: {str(100 + n): [2 * n, 2 * n + 1] for n in numbers}
        for word, numbers in SPLITS.items()
    }
    sessions["test"]["110"] = [16, 21]
    write_udiva(folder, sessions, scores)
    for word, entries in sessions.items():
        for session, people in entries.items():
            room = folder / word / f"talk_{word}" / f"{int(session):06d}"
            room.mkdir(parents=True)
            for camera, person in zip(("FC1_T", "FC2_T"), people, strict=True):
                score = float(2 * np.tanh(scores[str(person)][0] / 2))
                write_video(
                    room / f"{camera}.mp4",
                    frames=SECONDS * FPS,
                    fps=FPS,
                    picture=partial(picture, score),
                    sound=tone(SECONDS, hertz=440 * 2**score),
                )
    return folder


@pytest.fixture(scope="module")
def address(place: Path) -> str:
    return f"udiva:{place},task=talk,window=3"


@pytest.fixture(scope="module")
def store(place: Path, address: str) -> Iterator[Path]:
    asked = requests_for("hrnet", ["frames.rate=2", "frames.size=32"])
    asked += requests_for("functionals", ["model.streams=[short_term]"])
    summary = prepare(load_corpus(address), asked, store=place / "store", workers=0)
    assert summary.failed == ()
    return place / "store"


def test_a_window_holds_its_own_seconds(address: str, store: Path) -> None:
    corpus = load_corpus(address)
    assert len(corpus.clips) == 22 * 2
    found = Store(store)
    frames = next(key for key in found.fingerprints() if key.startswith("frames"))
    from traitscope.media.pictures import decode_rows

    for clip in corpus.clips[:4]:
        stream = found.read(frames, clip.id)
        assert stream.images is not None
        assert clip.start is not None
        pixels, _ = decode_rows(stream.images, None)
        seen = [number_of(image) for image in pixels]
        assert seen == [round(FPS * (clip.start + time)) for time in stream.time]
        assert stream.time[0] == 0
        assert stream.time[-1] < 3


def people_by_hand(run: Path) -> tuple[float, int, pd.DataFrame]:
    """MSE over people, from the table alone: the mean of a person's windows against the label."""
    table = pd.read_csv(run / "evaluation/test/predictions.csv", dtype={"subject": str})
    people = table.groupby("subject").mean(numeric_only=True)
    errors = [((people[f"predicted_{t}"] - people[f"true_{t}"]) ** 2).mean() for t in TRAITS]
    return float(np.mean(errors)), len(people), table


@pytest.mark.parametrize("recipe", ["hrnet", "functionals"])
def test_windows_are_averaged_per_person_before_any_metric(
    tmp_path: Path, address: str, store: Path, recipe: str
) -> None:
    own = [*SMALL, *ONE_STAGE, *QUICK, "features.frames.rate=2", "features.frames.size=32"]
    settings = own if recipe == "hrnet" else ["model.streams=[short_term]"]
    data = [f"data.corpus={address}", f"data.store={store}"]
    run = train(recipe, [*data, *settings], to=tmp_path / "run", accelerator="cpu")
    report = evaluate(run, scoring=FAST)
    mse, people, table = people_by_hand(run)
    assert (len(table), people) == (12, 5)
    assert report.scoring.aggregate == "subject"
    assert (report.counts.scored, report.counts.subjects) == (12, 5)
    model = report.everything.model
    assert report.everything.clips == 5
    assert model.macro("mse").value == pytest.approx(mse)
    by_window = evaluate(run, scoring=FAST.model_copy(update={"aggregate": "clip"}))
    assert by_window.everything.clips == 12
    assert by_window.everything.model.macro("mse").value != mse
    assert report.corpus.targets[-1].label == "neuroticism"
    if recipe == "functionals":  # the pitch of a person is as high as the person is open
        assert model.metrics["pearson"]["openness"].value > 0.8


def test_z_scores_are_not_squeezed_into_a_range(tmp_path: Path, address: str, store: Path) -> None:
    data = [f"data.corpus={address}", f"data.store={store}", "data.targets=[openness]"]
    run = train("functionals", [*data, "model.streams=[short_term]"], to=tmp_path / "run")
    evaluate(run, scoring=FAST)
    table = pd.read_csv(run / "evaluation/test/predictions.csv")
    assert [c for c in table if c.startswith("predicted_")] == ["predicted_openness"]
    assert table["predicted_openness"].min() < 0
    assert (tmp_path / "run/run.yaml").read_text().count("window=3") == 1


def test_folds_keep_people_together_and_few_clips_are_whole_people(
    tmp_path: Path, address: str, store: Path
) -> None:
    data = [f"data.corpus={address}", f"data.store={store}", "model.streams=[short_term]"]
    folds = ["protocol.kind=kfold", "protocol.folds=3", "protocol.fold=all"]
    run = train("functionals", [*data, *folds], to=tmp_path / "cv")
    report = evaluate(run, scoring=FAST)
    assert (report.counts.scored, report.everything.clips) == (44, 21)
    people = [
        set(pd.read_csv(run / f"fold-{n}/evaluation/test/predictions.csv")["subject"])
        for n in range(3)
    ]
    assert sum(map(len, people)) == len(set.union(*people)) == 21
    few = train("functionals", [*data, "protocol.few=10"], to=tmp_path / "few")
    fitted = evaluate(few, scoring=FAST).counts.fitted_clips
    assert fitted == 12  # three sessions of four windows: a session is not cut in two
