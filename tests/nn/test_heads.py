"""Blocks that models share, where arithmetic is half as precise."""

import torch

from traitscope.models import vat
from traitscope.nn.heads import RangeHead, masked_mean
from traitscope.types import TRAITS, Batch, Target


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


class Blank(torch.nn.Module):
    """A network that sees nothing."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.zeros(self.shape, dtype=torch.bfloat16)


def test_moments_in_half_precision_are_those_of_full_precision_rounded() -> None:
    model = vat.Model(vat.TINY, {}, [Target(name, 0.0, 1.0, 1) for name in TRAITS]).eval()
    frames, channels = vat.TINY.frames, model.trunk.num_features
    shape = (frames, channels, *model.reduce.kernel_size)
    model.trunk = Blank(shape)
    seen: list[torch.Tensor] = []
    model.reduce.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    images = torch.zeros(1, frames, 3, vat.TINY.height, vat.TINY.height // 2)
    nothing = torch.zeros(1, len(TRAITS))
    mask = torch.ones(1, frames, dtype=torch.bool)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        model(Batch(("x",), {"frames": images}, {"frames": mask}, nothing, nothing > 0))
    wanted = vat.moments_of(frames, channels, torch.device("cpu")).bfloat16()
    torch.testing.assert_close(seen[0][:, :, 0, 0], wanted, atol=0, rtol=0)
