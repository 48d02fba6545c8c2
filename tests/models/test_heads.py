"""Blocks that models share, where arithmetic is half as precise."""

import torch

from traitscope.models._heads import RangeHead, masked_mean
from traitscope.types import Target


def test_scores_in_half_precision_are_not_rounded_to_steps_of_the_range() -> None:
    head = RangeHead([Target("openness", 0.0, 1.0, 1)])
    scores = torch.linspace(-0.05, 0.05, 64)[:, None].bfloat16()
    found = head(scores)
    torch.testing.assert_close(found, torch.sigmoid(scores.float()), atol=1e-6, rtol=0)
    assert len(found.unique()) == len(scores.unique())


def test_a_mean_over_hundreds_of_rows_counts_them_exactly_in_half_precision() -> None:
    values = (torch.arange(700) < 300).bfloat16()[None, :, None]
    mean = masked_mean(values, torch.arange(700)[None] < 601)
    torch.testing.assert_close(mean.float(), torch.tensor([[300 / 601]]), atol=1e-6, rtol=0)
