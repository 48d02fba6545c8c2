"""Losses by hand; missing labels have no say."""

import pytest
import torch

from traitscope.errors import ConfigError
from traitscope.training import losses

OUTPUT = torch.tensor([[0.5, 0.0], [0.0, 0.0]])
TARGET = torch.tensor([[0.0, 1.0], [2.0, 9.0]])
MASK = torch.tensor([[True, True], [True, False]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mse", 5.25 / 3), ("mae", 3.5 / 3), ("smooth_l1", (0.125 + 0.5 + 1.5) / 3)],
)
def test_losses_by_hand(name: str, expected: float) -> None:
    assert losses.find(name)(OUTPUT, TARGET, MASK, 0.0).item() == pytest.approx(expected)


def test_concordance_by_hand() -> None:
    output = torch.tensor([[1.0], [2.0], [3.0]])
    target = torch.tensor([[1.0], [2.0], [6.0]])
    mask = torch.ones(3, 1, dtype=torch.bool)
    # means 2 and 3, variances 2/3 and 14/3, covariance 5/3: 2 * 5/3 / (16/3 + 1)
    expected = 1 - (10 / 3) / (16 / 3 + 1)
    assert losses.find("concordance")(output, target, mask, 0.0).item() == pytest.approx(expected)


class Ranged:
    """Predictions, with scores of four ranges of each target and of two domains besides."""

    def __init__(self, prediction: torch.Tensor) -> None:
        self.prediction = prediction
        self.logits = prediction[..., None] * torch.arange(4.0)
        self.auxiliary = ((0.1, prediction / 2),)
        self.log_variance = -prediction.abs()
        self.emotions = torch.arange(prediction.shape[1]) == 0
        self.domain = prediction[:, :2]

    def classes(self, target: torch.Tensor) -> torch.Tensor:
        """Range of each label."""
        return (target[..., None] >= torch.tensor([0.5, 0.6, 0.7])).sum(dim=-1)


@pytest.mark.parametrize("name", losses.names())
def test_every_loss_is_a_finite_scalar_without_any_label(name: str) -> None:
    nothing = torch.zeros_like(MASK)
    output = OUTPUT.clone().requires_grad_()
    loss = losses.find(name)(Ranged(output), TARGET, nothing, 0.0)
    loss.backward()
    assert loss.shape == ()
    assert torch.isfinite(loss)


@pytest.mark.parametrize("name", losses.names())
def test_masked_labels_have_no_say(name: str) -> None:
    changed = TARGET.clone()
    changed[1, 1] = -100
    loss, output = losses.find(name), Ranged(OUTPUT)
    assert torch.equal(loss(output, TARGET, MASK, 0.5), loss(output, changed, MASK, 0.5))


def test_an_unknown_loss_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no 'msee' in losses\. Did you mean 'mse'"):
        losses.find("msee")
