"""A long recording as windows of its streams."""

import numpy as np
import pytest

from traitscope.prediction.windows import Window, cut, timeline, windows_of
from traitscope.types import Stream


def stream(seconds: float, rate: float = 2.0) -> Stream:
    """Rows that hold their own time."""
    time = np.arange(0, seconds, 1 / rate)
    images = [str(t).encode() for t in time]
    return Stream(time=time, images=images, info={"duration_seconds": seconds})


def test_only_what_is_twice_as_long_as_a_usual_clip_has_windows() -> None:
    assert windows_of({"a": stream(19.5)}, 10.0) == []
    assert windows_of({"a": stream(60.0)}, None) == []
    assert windows_of({"a": stream(20.0)}, 10.0) == [Window(0, 10), Window(10, 20)]
    # What is left over belongs to the last one.
    assert windows_of({"a": stream(37.0)}, 10.0)[-1] == Window(20, 37)


def test_words_without_times_make_no_windows_and_belong_to_each() -> None:
    words = Stream(time=np.zeros(1), values=np.array(["so"]), info={"duration_seconds": 60.0})
    assert windows_of({"words": words}, 10.0) == []
    parts = cut({"words": words, "a": stream(60.0)}, Window(10, 20), last=False)
    assert parts["words"] is words
    assert len(parts["a"].time) == 20


def test_every_row_is_in_one_window_with_times_from_its_start() -> None:
    whole = stream(37.0)
    windows = windows_of({"a": whole}, 10.0)
    parts = [cut({"a": whole}, w, last=w == windows[-1])["a"] for w in windows]
    assert [image for part in parts for image in part.images or ()] == list(whole.images or ())
    assert [part.time[0] for part in parts] == [0.0, 0.0, 0.0]
    assert parts[1].images is not None
    assert parts[1].images[0] == b"10.0"


def test_a_timeline_puts_scores_beside_times() -> None:
    windows = [Window(0, 10), Window(10, 21)]
    line = timeline(windows, ["warmth"], iter([[0.4], [float("nan")]]))
    assert line.ends.tolist() == [10, 21]
    assert line.scores["warmth"][0] == pytest.approx(0.4)
    assert np.isnan(line.scores["warmth"][1])
