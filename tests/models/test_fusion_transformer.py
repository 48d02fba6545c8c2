"""What is special about the fusion transformer: streams that are not there, and its variance."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.models.test_contracts import TARGETS, batch_of, build, shapes_of
from traitscope.data.batches import to_tensors
from traitscope.models import fusion_transformer
from traitscope.models.fusion_transformer import TINY, Config, Gaussian, Model, inputs
from traitscope.training.losses import find
from traitscope.types import Batch


def without(batch: Batch, stream: str, clip: int) -> Batch:
    """A batch in which a clip has not got a stream: a hidden row of noise is left."""
    masks = {name: mask.clone() for name, mask in batch.masks.items()}
    masks[stream][clip] = False
    return replace(batch, masks=masks)


def test_gradient_reaches_every_tensor_by_the_loss_with_variance() -> None:
    _, model, draws = build("fusion_transformer")
    batch = to_tensors(batch_of(draws))
    model.train()
    for _ in range(8):  # streams are hidden by chance
        find("gaussian", TARGETS)(model(batch), batch.targets, batch.target_mask, 0.5).backward()
    lacking = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert lacking == []


def test_what_a_hidden_stream_holds_does_not_matter() -> None:
    _, model, draws = build("fusion_transformer")
    model.eval()
    batch = without(to_tensors(batch_of(draws)), "signals", 1)
    other = dict(batch.streams)
    other["signals"] = other["signals"].clone()
    other["signals"][1] = 1000.0
    with torch.no_grad():
        first, second = model(batch), model(replace(batch, streams=other))
    assert torch.equal(first.prediction, second.prediction)
    assert torch.isfinite(first.prediction).all()


def test_a_clip_without_a_stream_scores_otherwise_and_its_neighbours_as_before() -> None:
    _, model, draws = build("fusion_transformer")
    model.eval()
    batch = to_tensors(batch_of(draws))
    with torch.no_grad():
        whole, less = model(batch), model(without(batch, "audio_embedding", 2))
    changed = (whole.prediction - less.prediction).abs().amax(dim=1) > 1e-6
    assert changed.tolist() == [False, False, True, False]


def test_hiding_leaves_a_clip_one_of_its_streams() -> None:
    draws = inputs(TINY)
    model = Model(TINY.model_copy(update={"hide": 0.99}), shapes_of(draws), TARGETS).train()
    there = torch.tensor([[True, True]] * 50 + [[False, True]] * 50)
    hidden = model._hidden(there)
    left = there & ~hidden
    assert left.any(dim=1).all()
    assert (left.sum(dim=1) == 1).float().mean() > 0.9


def test_the_loss_prefers_the_variance_that_is_true() -> None:
    # Errors of .1 of the range: among constant variances their mean square is the likeliest.
    target = torch.full((64, 1), 0.5)
    prediction = target + 0.1 * torch.sign(torch.randn(64, 1, generator=torch.Generator()))
    losses = {}
    for sd in (0.03, 0.1, 0.3):
        log_variance = torch.full((64, 1), 2 * float(np.log(sd)))
        # With the weight of beta-NLL taken out again: it is a constant for the gradient.
        loss = find("gaussian")(Gaussian(prediction, log_variance), target, target > 0, 0.5)
        base = (
            find("gaussian")(Gaussian(prediction, torch.zeros(64, 1)), target, target > 0, 0.5)
            - 0.1**2 / 2
        )
        losses[sd] = float((loss - base) / sd)
    assert min(losses, key=losses.__getitem__) == 0.1


def test_settings_that_make_no_network_are_refused() -> None:
    with pytest.raises(ValueError, match="name one at least"):
        Config(streams={})
    with pytest.raises(ValueError, match="cannot be split among 5 heads"):
        Config(heads=5)


def test_a_dotted_stream_is_a_part_of_the_network() -> None:
    config = TINY.model_copy(update={"streams": {"my_lab.gaze": fusion_transformer.Tokens()}})
    model = Model(config, {"my_lab.gaze": (3,)}, TARGETS)
    assert any("my_lab_gaze" in name for name, _ in model.named_parameters())
