"""Half an hour: the timeline shows a change of behaviour in the minute in which it happens."""

import wave
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.listening import train_listener
from traitscope.corpora import load_corpus
from traitscope.corpora.synthetic import Config, generate
from traitscope.features.preparation import prepare
from traitscope.prediction.clips import predict
from traitscope.runs.plan import requests_for
from traitscope.training.fitting import train
from traitscope.types import Clip, Prediction

HERTZ, MINUTES, CHANGED = 16_000, 30, 17
SMILES = Config(
    subjects=16,
    sources_per_subject=1,
    clips_per_source=2,
    seconds=2,
    fps=10,
    size=128,
    behaviours=("smile",),
    workers=1,
)
LONGER = 5  # a fitted clip is looped as well: two looks at it must not cost so much rendering
SECONDS = LONGER * SMILES.seconds


def write_talk(path: Path) -> Path:
    """Loop ten seconds of one voice; in minute 17 somebody else's is looped instead."""
    seconds = np.arange(10 * HERTZ) / HERTZ
    rng = np.random.default_rng(0)
    low, high = (
        (9000 * np.sin(2 * np.pi * hertz * seconds) + rng.normal(0, 30, len(seconds)))
        for hertz in (230.0, 560.0)
    )
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(HERTZ)
        for part in range(6 * MINUTES):
            file.writeframes((high if part // 6 == CHANGED else low).astype("<i2").tobytes())
    return path


def looped(path: Path, *clips: Path, seconds: float = SMILES.seconds) -> Path:
    """Join clips of one person and of equal length, packet by packet: nothing is encoded again."""
    with av.open(str(path), "w") as target:
        copy, start = None, 0
        for clip in clips:
            with av.open(str(clip)) as container:
                stream = container.streams.video[0]
                assert stream.time_base is not None
                copy = copy or target.add_stream_from_template(stream)
                for packet in container.demux(stream):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + start, packet.dts + start
                    packet.stream = copy
                    target.mux(packet)
                start += round(seconds / stream.time_base)
    return path


def check_change(recording: Prediction, target: str) -> None:
    """The changed minute stands out, and nothing of it lies in others."""
    assert recording.status == "ok", recording.reason
    line = recording.timeline
    assert line is not None
    assert line.ends[-1] == pytest.approx(60 * MINUTES, abs=1)
    minute = ((line.starts + line.ends) / 2 // 60).astype(int)
    means = np.array([np.nanmean(line.scores[target][minute == m]) for m in range(MINUTES)])
    others = np.delete(means, CHANGED)
    assert means.argmax() == CHANGED
    # As far from the rest as the rest is not from itself.
    assert means[CHANGED] - others.max() > 10 * (others.max() - others.min())
    assert line.spread[target] > 0


@pytest.mark.slow
def test_half_an_hour_of_sound_shows_its_change_in_the_right_minute(tmp_path: Path) -> None:
    run = train_listener(tmp_path)
    (talk,) = predict(run, write_talk(tmp_path / "talk.wav"), workers=0)
    check_change(talk, "warmth")


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.usefixtures("shared_weights")
def test_half_an_hour_of_a_face_shows_its_smile_in_the_right_minute(tmp_path: Path) -> None:
    generate(tmp_path / "corpus", config=SMILES)
    for path in (tmp_path / "corpus" / "media").iterdir():
        looped(tmp_path / path.name, *[path] * LONGER).replace(path)
    address, store = f"synthetic:{tmp_path / 'corpus'}", tmp_path / "store"
    corpus = load_corpus(address)
    # After five seconds nobody knows by his place who somebody is: each look costs a descriptor.
    looks = [f"features.signals.rate={2 / SECONDS}", "features.signals.backend=mediapipe"]
    settings = ["model.streams=[signals]", *looks]
    prepare(corpus, requests_for("functionals", settings), store=store, workers=0)
    data = [f"data.corpus={address}", f"data.store={store}", "data.targets=[agreeableness]"]
    run = train("functionals", [*data, *settings], to=tmp_path / "run")

    def agreeableness(clip: Clip) -> float:
        return clip.targets["agreeableness"]

    # Of a person that it was not fitted on, as calm and as smiling as anybody of those is.
    unseen = [clip for clip in corpus.clips if clip.split == "test"]
    first, second = max(
        ([c for c in unseen if c.subject == who] for who in {c.subject for c in unseen}),
        key=lambda two: abs(agreeableness(two[0]) - agreeableness(two[1])),
    )
    calm, smiling = sorted((first, second), key=agreeableness)
    loops = round(60 / SECONDS)
    minutes = [smiling if minute == CHANGED else calm for minute in range(MINUTES)]
    parts = [one.path for one in minutes for _ in range(loops)]
    recording = looped(tmp_path / "long.mp4", *filter(None, parts), seconds=SECONDS)
    (face,) = predict(run, recording, workers=0)
    check_change(face, "agreeableness")
