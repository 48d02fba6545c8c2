"""Published networks: their colours, and tensors that are taken only when asked for."""

import pytest
import torch

from traitscope.errors import MissingError
from traitscope.nn.pretrained import Backbone, taught_colours


@pytest.mark.parametrize(
    ("name", "mean", "sd"),
    [
        ("vit_base_patch32_224", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ("resnet50.tv_in1k", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("nobody_published_this", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ],
)
def test_colours_are_those_the_network_was_taught_with(
    name: str, mean: tuple[float, ...], sd: tuple[float, ...]
) -> None:
    assert taught_colours(name) == (mean, sd)


def test_a_backbone_is_filled_only_where_published_tensors_are_asked_for() -> None:
    backbone = Backbone("test_resnet", pretrained=False, settings={"num_classes": 3})
    network = backbone.network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    backbone.fill(network)
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
    assert network.get_classifier().out_features == 3
    with pytest.raises(MissingError, match="test_resnet"):
        Backbone("test_resnet", pretrained=True, settings={"num_classes": 3}).fill(network)
