"""Reasons to doubt the scores of a clip, and clips that get none."""

from dataclasses import replace

import numpy as np
import pytest

from traitscope.data.drawing import Example
from traitscope.errors import ClipError
from traitscope.prediction.doubts import Evidence, check_coverage, doubts
from traitscope.runs.reference import Reference
from traitscope.statistics.familiarity import familiar
from traitscope.types import Clip, Stream

RNG = np.random.default_rng(0)
REFERENCE = Reference(
    least_coverage={"signals": 0.9},
    familiar=familiar(RNG.normal(size=(200, 12)), RNG.normal(size=(100, 12))),
    words=frozenset(["so", "well", "then", "and", "the", "of", "to", "we"]),
    least_known=0.3,
    language="en",
)
WORDS = {
    "en": "so we went to the end of the day and then we were well",
    "de": "wir gehen heute nach hause weil es schon spaet ist und morgen auch noch",
}


def evidence(vector: np.ndarray, words: str = WORDS["en"]) -> Evidence:
    """Of one example with a pooled stream and words."""
    found = Evidence(REFERENCE)
    found.add(Example(Clip("c"), {"x": vector, "words": np.array([words])}))
    return found


def kinds(streams: dict[str, Stream], given: Evidence, coverage: float = 1.0) -> list[str]:
    """Kinds of warnings of a clip."""
    return [one.kind for one in doubts(REFERENCE, streams, {"signals": coverage}, given)]


def turned(degrees: float) -> dict[str, Stream]:
    """Signals of a face that is turned to the side."""
    values = np.full((5, 1), np.radians(degrees))
    return {"signals": Stream(time=np.arange(5.0), values=values, columns=("pose_Ry",))}


def test_a_clip_like_the_others_has_no_warning() -> None:
    assert kinds(turned(10), evidence(RNG.normal(size=12))) == []


def test_each_reason_to_doubt_is_named() -> None:
    usual = evidence(np.zeros(12))
    assert kinds({}, evidence(np.full(12, 8.0))) == ["out-of-distribution"]
    assert kinds({}, evidence(np.zeros(12), WORDS["de"])) == ["language"]
    assert kinds(turned(-50), usual) == ["side-view"]
    chips = Stream(time=np.zeros(1), images=[b"x"], info={"pose_range": {"pose_Ry": [0.7, 0.9]}})
    assert kinds({"faces": chips}, usual) == ["side-view"]
    energy = np.array([[1.0]] + [[0.0]] * 19)
    sound = Stream(time=np.arange(20.0), values=energy, columns=("energy",))
    assert kinds({"short_term": sound}, usual) == ["silence"]
    assert kinds({}, usual, coverage=0.7) == ["low-coverage"]
    german = Stream(time=np.zeros(1), values=np.array(["x"]), info={"language": "de"})
    (caution,) = doubts(REFERENCE, {"transcript": german}, {}, usual)
    assert caution.sentence == "The language spoken is 'de'; the run was trained on 'en'."


def test_far_too_little_is_refused_with_what_the_run_needs() -> None:
    check_coverage(REFERENCE, {"signals": 0.5})
    with pytest.raises(ClipError, match=r"Only 40% of signals .* this run needs 45%") as failure:
        check_coverage(REFERENCE, {"signals": 0.4})
    assert failure.value.status == "low_coverage"
    check_coverage(REFERENCE, {"signals": 0.4}, 0.0)
    with pytest.raises(ClipError, match="--least-coverage asks for 95%"):
        check_coverage(REFERENCE, {"signals": 0.9}, 0.95)


def test_a_run_of_before_doubts_nothing() -> None:
    bare = replace(REFERENCE, familiar=None, words=frozenset(), least_coverage={}, language="")
    found = Evidence(bare)
    found.add(Example(Clip("c"), {"x": np.full(12, 99.0), "words": np.array([WORDS["de"]])}))
    assert doubts(bare, {}, {"signals": 0.1}, found) == ()
