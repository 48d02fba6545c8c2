"""Labels drawn by what raters differ by: hand values, and who has no raters."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from traitscope.errors import DataError
from traitscope.training.label_noise import LabelNoise, standard_errors
from traitscope.types import Clip, Corpus, Target

OPEN, FREE = Target("openness", 0, 10, 1), Target("extraversion", None, None, 1)
CLIPS = (Clip("a"), Clip("b"), Clip("c"))


def corpus(**ratings: list[float]) -> Corpus:
    each = {
        clip: {str(rater): {"openness": value} for rater, value in enumerate(values)}
        for clip, values in ratings.items()
    }
    return Corpus("rated", "apparent", (OPEN,), CLIPS, ratings=each)


def batch(labels: list[float], clip: str) -> Any:
    return SimpleNamespace(targets=torch.tensor([labels] * 4000), clips=(clip,) * 4000)


def test_the_standard_error_of_a_label_is_that_of_the_mean_of_its_raters() -> None:
    # Around their means: 1 + 1 and 4 + 1 + 1, so 8 in 1 + 2 degrees of freedom; c has one rater.
    errors = standard_errors(corpus(a=[1, 3], b=[6, 3, 3], c=[5]), CLIPS, (OPEN,))
    spread = 8 / 3
    assert errors["a"] == [pytest.approx((spread / 2) ** 0.5)]
    assert errors["b"] == [pytest.approx((spread / 3) ** 0.5)]
    assert errors["c"] == [pytest.approx(spread**0.5)]


def test_drawn_labels_spread_by_the_error_around_the_label_and_stay_on_the_scale() -> None:
    torch.manual_seed(0)
    drawn = LabelNoise(0.5, corpus(), CLIPS, (OPEN, FREE))(batch([9.8, 0.0], "a"))
    scale, free = drawn.numpy().T
    assert scale.max() == 10
    assert np.median(scale) == pytest.approx(9.8, abs=0.05)
    assert free.mean() == pytest.approx(0.0, abs=0.05)
    assert free.std() == pytest.approx(0.5, abs=0.03)


def test_each_clip_is_drawn_by_its_own_raters() -> None:
    noise = LabelNoise("raters", corpus(a=[1, 3], b=[2, 4, 2, 4]), CLIPS, (OPEN,))
    torch.manual_seed(0)
    sds = [float(noise(batch([5.0], clip)).std()) for clip in "abc"]
    # A spread of 6 in 4: of two raters and of four; who was rated by nobody stays.
    assert sds[:2] == [pytest.approx((1.5 / 2) ** 0.5, rel=0.05), pytest.approx(0.61, abs=0.03)]
    assert sds[2] == 0


def test_a_corpus_without_raters_is_told_what_to_give_instead() -> None:
    with pytest.raises(DataError, match=r"has none of openness. .*train.label_noise=0.05"):
        LabelNoise("raters", corpus(a=[1], b=[2]), CLIPS, (OPEN,))
