"""Spread, regression to the mean, likeness of traits and coverage: by hand and on planted cases."""

import numpy as np
import pandas as pd
import pytest

from tests.audit.people import make
from traitscope.audit import scored_table
from traitscope.audit.calibration import audit_calibration
from traitscope.types import Clip, Corpus, Target


def one(true, score, **more):
    """A single target with one clip per source, and columns beside the predictions."""
    clips = tuple(Clip(f"c{i}", split="test", targets={"x": t}) for i, t in enumerate(true))
    train = Clip("t", split="train", targets={"x": 0.5})
    corpus = Corpus("hand", "self_reported", (Target("x"),), (*clips, train))
    frame = pd.DataFrame({"clip": [c.id for c in clips], "predicted_x": score, **more})
    return scored_table(frame, corpus)


def test_slopes_and_sds_by_hand() -> None:
    true = np.linspace(-2, 2, 40)
    cells = audit_calibration(one(true, 0.25 + 0.5 * true)).cells["x"]
    assert cells.bias.value == pytest.approx(0.25)
    assert cells.slope.value == pytest.approx(0.5)
    assert cells.intercept.value == pytest.approx(0.25)
    assert cells.label_slope.value == pytest.approx(2.0)
    assert cells.label_intercept.value == pytest.approx(-0.5)
    assert [name for name, _ in cells][:2] == ["label_slope", "label_intercept"]
    assert cells.sd_ratio.value == pytest.approx(0.5)
    assert cells.prediction_sd.value == pytest.approx(0.5 * true.std())
    assert cells.correlation.value == pytest.approx(1.0)


def test_constant_predictions_leave_relations_undefined() -> None:
    audit = audit_calibration(one(np.linspace(0, 1, 30), 0.5))
    cells = audit.cells["x"]
    assert cells.slope.value == 0
    assert cells.prediction_sd.value == 0
    assert cells.label_slope.value is None
    assert cells.correlation.value is None
    assert "predictions of x are constant" in audit.notes[0]


def test_intervals_hold_the_planted_slope() -> None:
    cells = audit_calibration(make(1)).cells
    inside = [c.slope.low < 0.5 < c.slope.high for c in cells.values()]
    assert sum(inside) >= 4
    assert all(c.slope.high < 1 for c in cells.values())


def test_scores_that_are_spread_too_widely_are_told() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=300)
    wide = audit_calibration(one(true, true + rng.normal(0, 1, 300)))
    assert any("x are spread wider than is warranted" in note for note in wide.notes)
    narrow = audit_calibration(one(true, 0.2 * true + rng.normal(0, 0.1, 300)))
    assert any("x are spread narrower" in note for note in narrow.notes)
    # what least squares gives: drawn to the mean, and each score means what it says
    right = audit_calibration(one(0.5 * true + rng.normal(0, 0.5, 300), 0.5 * true))
    assert not any("are spread" in note for note in right.notes)
    assert right.cells["x"].slope.value < 0.7


def test_traits_that_are_predicted_alike_are_told() -> None:
    scored = make(2)
    common = scored.labels.mean(axis=1, keepdims=True)
    alike = 0.5 + 0.5 * (common - 0.5) + 0.1 * (scored.predicted - 0.5)
    frame = pd.DataFrame({"clip": [c.id for c in scored.clips]})
    for place, name in enumerate(scored.names):
        frame[f"predicted_{name}"] = alike[:, place]
    audit = audit_calibration(scored_table(frame, scored.corpus))
    between = audit.between
    assert between.mean_predictions.value > 0.5
    assert between.mean_difference.low > 0
    assert any("one common impression" in note for note in audit.notes)
    matrix = np.array(between.labels)
    np.testing.assert_allclose(matrix, np.corrcoef(scored.labels.T), atol=1e-4)


def test_coverage_of_a_stated_sd_is_nominal_when_it_is_right_and_low_when_it_is_small() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=2000)
    score = true + rng.normal(0, 0.5, 2000)
    right = audit_calibration(one(true, score, sd_x=0.5), resamples=300).coverage
    assert [row.nominal for row in right] == [0.5, 0.8, 0.9, 0.95]
    for row in right:
        assert row.coverage.low - 0.01 < row.nominal < row.coverage.high + 0.01
    small = audit_calibration(one(true, score, sd_x=0.2), resamples=300).coverage
    assert small[-1].coverage.high < 0.7


def test_coverage_of_low_and_high_by_hand() -> None:
    true = np.arange(10.0)
    low, high = true - 0.5, true + np.where(np.arange(10) < 7, 0.5, -0.1)
    audit = audit_calibration(one(true, true, low_x=low, high_x=high), level=0.9)
    row = audit.coverage[0]
    assert (row.kind, row.nominal, row.clips) == ("low to high", 0.9, 10)
    assert row.coverage.value == pytest.approx(0.7)
    assert row.mean_width == pytest.approx(0.82)


def test_a_clip_without_an_sd_keeps_its_prediction() -> None:
    spread = [0.5] * 20
    audit = audit_calibration(one(range(20), range(20), sd_x=[*spread[:-1], None]))
    assert {row.clips for row in audit.coverage} == {19}
    assert audit.clips == 20
