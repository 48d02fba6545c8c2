"""Shifts against the model's interval, its spread and the order of clips: by hand."""

from typing import Any

import numpy as np
import pytest

from traitscope.audit.shifts import Yardsticks, measure_shifts


def shifts(before: Any, after: Any, *, half_width: float = 10.0, predicted: Any = None) -> Any:
    """Shifts of one target, every clip of its own source; the split is the sample by default."""
    first, second = np.array(before, float)[:, None], np.array(after, float)[:, None]
    split = first if predicted is None else np.array(predicted, float)[:, None]
    yardsticks = Yardsticks(np.array([half_width]), split)
    clusters = np.arange(len(first))
    return measure_shifts(first, second, clusters, names=["x"], yardsticks=yardsticks)["x"]


def test_a_shift_is_given_in_sds_and_places_by_hand() -> None:
    split = [1.0, 2.0, 3.0, 4.0]
    moved = shifts([1, 2, 3], [2, 2, 3], predicted=split)
    assert moved.mean == pytest.approx(1 / 3)
    assert moved.relative == pytest.approx((1 / 3) / np.std(split), rel=1e-5)
    assert moved.places == pytest.approx(100 / 4 / 3)  # one of three clips moves one of four
    assert moved.order is None  # three clips have no order to speak of
    assert moved.reasons == ()


def test_scores_of_other_clips_are_flagged_within_a_wide_interval() -> None:
    scores = np.arange(12.0)
    dealt = shifts(scores, np.random.default_rng(0).permutation(scores))
    assert dealt.share == 0
    assert dealt.reasons == ("spread", "order")
    turned = shifts(scores, scores[::-1])
    assert turned.mean == pytest.approx(0)
    assert turned.order == pytest.approx(-1)
    assert turned.flagged


def test_what_moves_all_alike_keeps_the_order() -> None:
    scores = np.arange(12.0)
    assert shifts(scores, scores + 0.4 * scores.std()).reasons == ()
    assert shifts(scores, scores + 0.6 * scores.std()).reasons == ("spread",)
    assert shifts(scores, scores + 1, half_width=0.5).reasons == ("interval",)


def test_an_unchanged_model_and_a_constant_are_not_flagged() -> None:
    scores = np.arange(12.0)
    assert shifts(scores, scores).reasons == ()
    constant = shifts(np.full(12, 0.5), np.full(12, 0.5) + 1e-8 * scores)
    assert constant.reasons == ()
    assert constant.relative is None
    # all alike after the change: the order is gone though the shifts are small
    assert shifts(scores, np.full(12, 5.5), predicted=50 * scores).reasons == ("order",)
