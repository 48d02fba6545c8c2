"""Half an hour: the timeline shows a change of behaviour in the minute in which it happens."""

import wave
from pathlib import Path

import numpy as np
import pytest

from tests.support.listening import train_listener
from traitscope.prediction.clips import predict

HERTZ, MINUTES, CHANGED = 16_000, 30, 17


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


@pytest.mark.slow
def test_half_an_hour_shows_its_change_in_the_right_minute(tmp_path: Path) -> None:
    run = train_listener(tmp_path)
    (talk,) = predict(run, write_talk(tmp_path / "talk.wav"), workers=0)
    assert talk.status == "ok", talk.reason
    line = talk.timeline
    assert line is not None
    assert line.ends[-1] == pytest.approx(60 * MINUTES, abs=1)
    minute = ((line.starts + line.ends) / 2 // 60).astype(int)
    means = np.array([np.nanmean(line.scores["warmth"][minute == m]) for m in range(MINUTES)])
    others = np.delete(means, CHANGED)
    assert means.argmax() == CHANGED
    # As far from the rest as the rest is not from itself: nothing of it lies in other minutes.
    assert means[CHANGED] - others.max() > 10 * (others.max() - others.min())
    assert line.spread["warmth"] > 0
