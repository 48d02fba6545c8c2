"""What a run keeps of its training: written, read, and used for new scores."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from traitscope.errors import DataError
from traitscope.prediction.judging import Judge
from traitscope.runs.reference import (
    FILE,
    NOTHING,
    Reference,
    Residuals,
    ensemble,
    intervals,
    read_reference,
    save_reference,
)
from traitscope.statistics.familiarity import familiar
from traitscope.types import Prediction, Target

RNG = np.random.default_rng(0)
TARGETS = (Target("openness", 0, 1, 1), Target("warmth"))


def residuals(clips: range, *, seed: int = 0) -> Residuals:
    """Predictions that miss by up to .1, one person each."""
    rng = np.random.default_rng(seed)
    truth = np.tile(np.linspace(0.2, 0.8, len(clips))[:, None], (1, 2))
    number = np.array(clips, dtype=np.int64)
    return Residuals(truth, truth + rng.uniform(-0.1, 0.1, truth.shape), number, number)


def whole() -> Reference:
    """A reference in which nothing is lacking."""
    return Reference(
        residuals=residuals(range(40)),
        quantiles=np.linspace([0, -2], [1, 2], 101),
        least_coverage={"signals": 0.9},
        window_seconds=15.0,
        familiar=familiar(RNG.normal(size=(60, 5)), RNG.normal(size=(30, 5))),
        words=frozenset({"so", "and"}),
        least_known=0.2,
        language="en",
    )


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    one = whole()
    save_reference(tmp_path, one)
    again = read_reference(tmp_path)
    assert again.widths().tolist() == one.widths().tolist()
    assert again.percentiles({"openness": 0.25, "warmth": 0.0}, TARGETS) == {
        "openness": 25.0,
        "warmth": 50.0,
    }
    assert again.refused_coverage == {"signals": 0.45}
    assert (again.words, again.language, again.window_seconds) == (one.words, "en", 15.0)
    assert again.familiar is not None
    assert one.familiar is not None
    assert again.familiar.threshold == one.familiar.threshold
    save_reference(tmp_path, NOTHING)
    assert read_reference(tmp_path).residuals is None


def test_a_run_of_before_has_nothing_and_a_damaged_file_is_named(tmp_path: Path) -> None:
    assert read_reference(tmp_path) is NOTHING
    assert NOTHING.explain() == ""
    (tmp_path / FILE).write_bytes(b"\x00" * 40)
    with pytest.raises(DataError, match=r"reference.safetensors is damaged"):
        read_reference(tmp_path)


def test_intervals_end_at_the_range_and_lack_where_nothing_is_known() -> None:
    made = intervals({"openness": 0.05, "warmth": 0.05}, TARGETS, [0.1, 0.1], 0.9)
    assert made["openness"] == (0.0, pytest.approx(0.15), 0.9)
    assert made["warmth"] == (pytest.approx(-0.05), pytest.approx(0.15), 0.9)
    assert intervals({"openness": 0.5}, TARGETS, [float("inf"), 1], 0.9) == {}
    assert intervals({"openness": 0.5}, TARGETS, [], 0.9) == {}


def test_what_intervals_cover_is_said_in_words() -> None:
    assert "90% of cases" in whole().explain()
    assert "40 validation clips of 40 people" in whole().explain()
    few = Reference(residuals=residuals(range(4)))
    assert few.explain() == (
        "No intervals: labels of 4 people or recordings were held out, and 90% intervals need 9."
    )


def test_seeds_are_joined_by_clip_and_folds_stand_side_by_side() -> None:
    seeds = [Reference(residuals=residuals(range(40), seed=seed)) for seed in range(3)]
    joined = ensemble(seeds).residuals
    assert joined is not None
    assert len(joined.truth) == 40
    # The mean of three misses by less than each of them.
    assert (joined.half_widths() < min(s.widths().min() for s in seeds)).all()
    folds = ensemble([Reference(residuals=residuals(range(n, n + 20))) for n in (0, 20, 40)])
    assert folds.residuals is not None
    assert folds.residuals.groups == 60
    assert ensemble([seeds[0], NOTHING]).residuals is None
    assert ensemble([seeds[0]]) is seeds[0]


def test_intervals_are_wider_where_the_model_is_less_sure(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sd = rng.uniform(0.01, 0.2, size=(400, 2))
    truth = 0.5 + sd * rng.normal(size=sd.shape)
    number = np.arange(400)
    # Half as sure as it should be: the stretch is what calibration finds.
    own = Residuals(truth, np.full(sd.shape, 0.5), number, number, sd / 2)
    save_reference(tmp_path, Reference(residuals=own))
    judge = Judge.of(read_reference(tmp_path), TARGETS, 0.9)
    assert judge.multiples == pytest.approx([3.3, 3.3], abs=0.5)
    scores = {"openness": 0.5, "warmth": 0.5}
    for size in (0.01, 0.05):
        variance = {"openness": size**2, "warmth": 0.02**2}
        made = judge.judged(Prediction("a", scores, variance=variance)).intervals
        half = (made["openness"].high - made["openness"].low) / 2
        assert half == pytest.approx(judge.multiples[0] * size)
    # Of a graph, which gives scores alone, all are as wide.
    plain = judge.judged(Prediction("a", scores)).intervals["openness"]
    assert (plain.high - plain.low) / 2 == pytest.approx(own.half_widths()[0])
    assert own.coverage() == pytest.approx([0.9, 0.9], abs=0.04)
    assert "wider where the model says that it is less sure" in Reference(own).explain()
    assert "wider where" not in whole().explain()


def test_seeds_that_state_how_sure_they_are_stay_sure_by_what_parts_them() -> None:
    parts = [residuals(range(40), seed=seed) for seed in (0, 1)]
    stated = [replace(part, sd=np.full(part.truth.shape, 0.1)) for part in parts]
    joined = ensemble([Reference(residuals=part) for part in stated]).residuals
    assert joined is not None
    assert joined.sd is not None
    apart = (parts[0].predicted - parts[1].predicted) / 2
    np.testing.assert_allclose(joined.sd, np.sqrt(0.01 + apart**2))
    one = ensemble([Reference(residuals=stated[0]), Reference(residuals=parts[1])]).residuals
    assert one is not None
    assert one.sd is None
