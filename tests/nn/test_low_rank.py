"""Additions of low rank: nothing changes at first, they alone train, and published tensors fit."""

import pytest
import timm
import torch

from tests.models.test_contracts import shapes_of
from traitscope.errors import ConfigError
from traitscope.models import image_backbone
from traitscope.nn.low_rank import LowRankLinear, add_low_rank, is_added
from traitscope.types import TRAITS, Batch, Target

TARGETS = [Target(name, 0, 1, 1) for name in TRAITS]


def test_a_layer_is_the_same_until_it_has_learnt() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    rows, before = torch.rand(3, 6), dict(network.state_dict())
    expected = network(rows)
    add_low_rank(network, 2, but=network[2])
    assert torch.equal(network(rows), expected)
    assert {n for n, t in network.named_parameters() if t.requires_grad} == {
        *("0.lora_a", "0.lora_b", "2.weight", "2.bias"),
    }
    layer = network[0]
    assert isinstance(layer, LowRankLinear)
    with torch.no_grad():
        layer.lora_b.normal_()
    dense = layer.weight + 2 * layer.lora_b @ layer.lora_a
    torch.testing.assert_close(layer(rows), rows @ dense.T + layer.bias)
    assert all(torch.equal(network.state_dict()[name], t) for name, t in before.items())


def test_a_network_of_convolutions_is_refused() -> None:
    network = timm.create_model("test_resnet", num_classes=5)
    with pytest.raises(ConfigError, match="none but its classifier: take a transformer"):
        add_low_rank(network, 2, but=network.get_classifier())


@pytest.mark.parametrize("train", ["frozen", "lora"])
def test_what_trains_of_an_image_network_is_what_was_asked_for(train: str) -> None:
    config = image_backbone.Config(
        backbone="test_vit",
        size=160,
        train=train,
        images=1,
        evaluation_images=1,  # type: ignore[arg-type]
    )
    torch.manual_seed(0)
    model = image_backbone.Model(config, shapes_of(image_backbone.inputs(config)), TARGETS).train()
    images = torch.rand(2, 1, 3, 160, 160)
    mask = torch.ones(2, 1, dtype=torch.bool)
    batch = Batch(
        clips=("a", "b"),
        streams={"frames": images},
        masks={"frames": mask},
        targets=torch.full((2, 5), 0.7),
        target_mask=torch.ones(2, 5, dtype=torch.bool),
    )
    before = {name: t.detach().clone() for name, t in model.named_parameters()}
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    for _ in range(2):  # the first step moves B alone, which begins at zero
        loss = ((model(batch).prediction - 0.7) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    moved = {n for n, t in model.named_parameters() if not torch.equal(t, before[n])}
    head = {name for name in moved if name.startswith("network.head.")}
    assert head == {"network.head.weight", "network.head.bias"}
    added = {name for name in before if is_added(name)}
    assert moved - head == added
    assert bool(added) == (train == "lora")
