"""The audio-visual systems of the benchmark: published sizes, and the faults they do not have."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.models.test_contracts import batch_of, shapes_of
from traitscope import registry
from traitscope.data.examples import to_tensors
from traitscope.models.crnet import Branch, Output
from traitscope.models.dan import descriptor
from traitscope.models.vat import Unit
from traitscope.runs.checkpoint import predicted
from traitscope.training.losses import find
from traitscope.types import TRAITS, Target

TARGETS = [Target(name, 0, 1, 1) for name in TRAITS]


def built(name: str) -> Any:
    module = registry.load("models", name)
    with torch.device("meta"):
        return module.Model(module.Config(), shapes_of(module.inputs(module.Config())), TARGETS)


def test_the_audio_layer_of_dan_has_a_weight_per_value() -> None:
    count = sum(p.numel() for p in built("audio_linear").parameters())
    assert count == 39_754 * 5 + 5


def test_average_and_maximum_pooling_differ_and_have_unit_length() -> None:
    maps = torch.rand(2, 3, 7, 7)
    pooled = descriptor(maps)
    average, largest = pooled[:, :3], pooled[:, 3:]
    assert not torch.allclose(average, largest)
    torch.testing.assert_close(pooled.pow(2).sum(dim=1), torch.full((2,), 2.0))


def test_ranges_are_cut_where_the_paper_cuts_them() -> None:
    targets = [Target("openness", 0, 1), Target("age")]
    module = registry.load("models", "crnet")
    model = module.Model(module.TINY, shapes_of(module.inputs(module.TINY)), targets)
    output = model(to_tensors(batch_of(module.inputs(module.TINY))))
    labels = torch.tensor([[0.49, -1.5], [0.5, -1.0], [0.65, 0.5], [0.7, 1.0]])
    assert output.classes(labels).tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]


def test_the_softmax_of_a_branch_runs_over_ranges_not_over_traits() -> None:
    module = registry.load("models", "crnet")
    branch = Branch(module.TINY, 5, sound=False).eval()
    image = torch.randn(2, 3, 64, 64)
    cells = branch.pool(branch.trunk(image)).flatten(2)
    logits, features = branch(image)
    weights = torch.softmax(logits, dim=-1)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 5))
    torch.testing.assert_close(features[0, 3], (weights[0, 3][None] * cells[0]).sum(dim=-1))


def test_losses_of_crnet_by_hand() -> None:
    logits = torch.zeros(1, 1, 4)
    output = Output(torch.tensor([[0.5]]), logits, torch.tensor([[0.5, 0.6, 0.7]]), logits[0])
    target, mask = torch.tensor([[0.9]]), torch.tensor([[True]])
    entropy = np.log(4)
    bell = 300 * (1 - np.exp(-(0.4**2) / 162))
    assert find("ranges")(output, target, mask, 0.5).item() == pytest.approx(entropy)
    expected = 0.4 + 0.16 + bell + 4 * 0.5 * entropy
    assert find("crnet")(output, target, mask, 0.5).item() == pytest.approx(expected, rel=1e-5)


def test_a_frame_that_is_not_there_is_not_looked_at() -> None:
    unit = Unit(8, 0.0)
    query, frames = torch.randn(1, 1, 8), torch.randn(1, 4, 8)
    mask = torch.tensor([[True, True, True, False]])
    before = unit(query, frames, mask)
    frames[0, 3] += 100
    torch.testing.assert_close(unit(query, frames, mask), before)


@pytest.mark.parametrize("name", ["bimodal_lstm", "vat", "crnet", "bimodal_resnet18"])
def test_clips_of_a_batch_are_not_mixed(name: str) -> None:
    module = registry.load("models", name)
    draws = module.inputs(module.TINY)
    torch.manual_seed(0)
    model = module.Model(module.TINY, shapes_of(draws), TARGETS).eval()
    batch = to_tensors(batch_of(draws))

    def predicted() -> torch.Tensor:
        output = model(batch)
        return getattr(output, "prediction", output)

    before = predicted()
    for stream in batch.streams.values():
        stream[2] += torch.randn_like(stream[2])
    after = predicted()
    torch.testing.assert_close(after[[0, 1, 3]], before[[0, 1, 3]])
    assert not torch.equal(after[2], before[2])


@pytest.mark.parametrize("name", ["bimodal_lstm", "bimodal_resnet18"])
def test_both_senses_have_a_say(name: str) -> None:
    module = registry.load("models", name)
    draws = module.inputs(module.TINY)
    torch.manual_seed(0)
    model = module.Model(module.TINY, shapes_of(draws), TARGETS).eval()
    batch = to_tensors(batch_of(draws))
    before = predicted(model(batch))
    for stream in batch.streams.values():
        kept = stream.clone()
        stream += torch.randn_like(stream)
        assert not torch.allclose(predicted(model(batch)), before, atol=1e-7)
        stream.copy_(kept)


@pytest.mark.parametrize(
    "name", ["bimodal_lstm", "bimodal_resnet18", "dan", "image_backbone", "vat"]
)
def test_one_key_says_whether_faces_or_frames_are_seen(name: str) -> None:
    module = registry.load("models", name)
    scores = {}
    for seen, other in (("faces", "frames"), ("frames", "faces")):
        config = module.Config.model_validate({**module.TINY.model_dump(), "input": seen})
        draws = module.inputs(config)
        assert seen in draws
        assert other not in draws
        torch.manual_seed(0)
        model = module.Model(config, shapes_of(draws), TARGETS).eval()
        scores[seen] = predicted(model(to_tensors(batch_of(draws))))
    torch.testing.assert_close(scores["faces"], scores["frames"])  # the same numbers are seen
