"""Types check themselves."""

import numpy as np
import pytest

from traitscope.errors import ClipError, DataError
from traitscope.types import Clip, Corpus, Draw, Face, Prediction, Rows, Stream, Target, Waveform


def test_neuroticism_that_means_stability_says_so() -> None:
    assert Target("neuroticism", 0, 1, direction=-1).label == "neuroticism (high = stable)"
    assert Target("neuroticism", direction=1).label == "neuroticism"
    assert Target("warmth", direction=-1).label == "warmth (high = less)"


def test_ranges_include_their_ends_and_float_rounding() -> None:
    target = Target("openness", 0, 1)
    assert target.contains(0)
    assert target.contains(1 + 1e-9)
    assert not target.contains(1.01)
    assert Target("openness").contains(-3.2)
    assert not Target("openness").contains(float("nan"))


@pytest.mark.parametrize(("low", "high"), [(0, None), (1, 0)])
def test_impossible_ranges_are_refused(low: float, high: float | None) -> None:
    with pytest.raises(DataError, match="range"):
        Target("openness", low, high)


@pytest.mark.parametrize("clip_id", ["", ".", "..", "a/b", "a\\b", "a\nb", "a\x00"])
def test_ids_that_could_leave_their_folder_are_refused(clip_id: str) -> None:
    with pytest.raises(DataError, match="cannot be a clip id"):
        Clip(id=clip_id)


def test_a_clip_without_source_is_its_own() -> None:
    assert Clip(id="ä 'b'.mp4").source == "ä 'b'.mp4"


def test_a_clip_with_an_odd_split_or_interval_is_refused() -> None:
    with pytest.raises(DataError, match="dev"):
        Clip(id="a", split="dev")
    with pytest.raises(DataError, match=r"3\.0 s to 2\.0 s"):
        Clip(id="a", start=3.0, end=2.0)


def test_a_corpus_names_ids_that_occur_twice() -> None:
    with pytest.raises(DataError, match="1 clip ids occur more than once: a"):
        Corpus("c", "apparent", (), (Clip(id="a"), Clip(id="b"), Clip(id="a")))


def test_labels_are_in_target_order_with_nan_for_missing() -> None:
    targets = (Target("openness", 0, 1), Target("neuroticism", 0, 1))
    clips = (Clip(id="a", targets={"neuroticism": 0.5}), Clip(id="b", targets={"openness": 0.25}))
    labels = Corpus("c", "apparent", targets, clips).labels()
    np.testing.assert_array_equal(labels, [[np.nan, 0.5], [0.25, np.nan]])


def test_an_unknown_target_lists_those_there() -> None:
    with pytest.raises(DataError, match=r"no target 'warmth'\. It has: openness"):
        Corpus("c", "apparent", (Target("openness"),), ()).target("warmth")


def test_stream_rows_must_agree() -> None:
    with pytest.raises(ValueError, match="2 times, 3 rows"):
        Stream(time=np.arange(2), values=np.zeros((3, 1)))
    with pytest.raises(ValueError, match="rising"):
        Stream(time=np.array([1.0, 0.0]), values=np.zeros((2, 1)))
    with pytest.raises(ValueError, match="values or images"):
        Stream(time=np.arange(2))
    with pytest.raises(ValueError, match="2 column names"):
        Stream(time=np.arange(1), values=np.zeros((1, 1)), columns=("a", "b"))


def test_coverage_is_the_share_of_rows_that_are_there() -> None:
    valid = np.array([True, False, False, True])
    assert Stream(time=np.arange(4), values=np.zeros((4, 1)), valid=valid).coverage == 0.5


def test_evaluation_must_not_draw_at_random() -> None:
    with pytest.raises(ValueError, match="must not draw at random"):
        Draw(evaluate=Rows("random", 3))
    with pytest.raises(ValueError, match="needs a count"):
        Rows("even")
    with pytest.raises(ValueError, match="at least one"):
        Rows("even", 0)


def test_a_waveform_is_mono_and_knows_its_length() -> None:
    assert Waveform(np.zeros(8000, np.float32), 16000).duration_seconds == 0.5
    with pytest.raises(ValueError, match="one-dimensional"):
        Waveform(np.zeros((2, 8), np.float32), 16000)


def test_a_box_turned_inside_out_has_no_area() -> None:
    assert Face((0, 0, 2, 3), 1.0, np.zeros((68, 2))).area == 6
    assert Face((2, 0, 0, 3), 1.0, np.zeros((68, 2))).area == 0


def test_a_clip_error_survives_the_way_between_processes() -> None:
    error = ClipError("no face in 'x'", status="no_face")
    function, arguments = error.__reduce__()
    again = function(*arguments)
    assert (str(again), again.status) == ("no face in 'x'", "no_face")


def test_scores_that_are_no_numbers_are_never_ok() -> None:
    odd = Prediction("c", {"openness": 0.5, "extraversion": float("nan")})
    assert (odd.status, odd.scores) == ("not_finite", {})
    assert "no number for extraversion" in odd.reason
    assert Prediction("c", {"openness": 0.5}).status == "ok"
