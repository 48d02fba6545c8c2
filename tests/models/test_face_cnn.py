"""face_cnn: nine variants with published sizes, a backbone that is frozen, a loss per image."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from traitscope import weights
from traitscope.errors import ConfigError, MissingError
from traitscope.models import face_cnn
from traitscope.models.face_cnn import TINY, Config, Model, inputs
from traitscope.nn.heads import RowScores
from traitscope.runs.checkpoint import predict_batch
from traitscope.runs.plan import load_run, plan
from traitscope.runs.settings import Stage
from traitscope.training import losses
from traitscope.training.optimisation import optimizer_of
from traitscope.types import TRAITS, Batch, Rows, Target

TARGETS = [Target(name, 0, 1, 1) for name in TRAITS]
HEAD = 2048 * 512 + 512 + 512 * 256 + 256 + 256 * 64 + 64 + 64 * 5 + 5
WHOLE = {
    "resnet18": 11_176_512,
    "resnet34": 21_284_672,
    "resnet50": 23_508_032,
    "resnet101": 42_500_160,
    "resnet152": 58_143_808,
}


def variants() -> dict[str, list[str]]:
    """The settings of the nine variants as the file's docstring states them."""
    text = (face_cnn.__doc__ or "").partition("::")[2].partition("Where we differ")[0]
    found: dict[str, list[str]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, settings = line.partition(":")
        found[name] = [f"model.{word}" for word in settings.split() if "=" in word]
    return found


def full_size(*settings: str) -> Model:
    options: Any = plan(load_run("face_cnn", list(settings))).options
    with torch.device("meta"):
        return Model(options, {}, TARGETS)


def batch(images: np.ndarray) -> Batch:
    clips, rows = images.shape[:2]
    zeros = np.zeros((clips, len(TARGETS)), np.float32)
    return Batch(
        clips=tuple(map(str, range(clips))),
        streams={"faces": images.astype(np.float32)},
        masks={"faces": np.ones((clips, rows), bool)},
        targets=zeros,
        target_mask=zeros > -1,
    )


def pictures(clips: int = 3, rows: int = 4, side: int = 32) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(clips, rows, 3, side, side))


def tiny(**changes: Any) -> Model:
    torch.manual_seed(0)
    return Model(TINY.model_copy(update=changes), {}, TARGETS)


def test_the_fixed_head_on_resnet101_has_the_published_size() -> None:
    model = full_size()
    assert sum(p.numel() for p in model.parameters()) == 43_697_349
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == HEAD


@pytest.mark.parametrize(("backbone", "size"), WHOLE.items())
def test_backbones_without_classifier_have_the_published_sizes(backbone: str, size: int) -> None:
    model = full_size(f"model.backbone={backbone}")
    assert sum(p.numel() for p in model.backbone.parameters()) == size
    assert not any(p.requires_grad for p in model.backbone.parameters())


@pytest.mark.parametrize(("unfreeze", "size"), [("layer4", 8_393_728), ("layers", 11_166_976)])
def test_unfrozen_layers_of_resnet18_reach_the_optimiser(unfreeze: str, size: int) -> None:
    model = full_size("model.backbone=resnet18", f"model.unfreeze={unfreeze}")
    optimizer = optimizer_of(model, Stage())
    tensors = [t for group in optimizer.param_groups for t in group["params"]]
    inside = {id(t) for t in model.backbone.parameters()}
    assert sum(t.numel() for t in tensors if id(t) in inside) == size
    assert not any(
        id(t) in {id(s) for s in tensors} for t in model.backbone.network.conv1.parameters()
    )


def test_nine_variants_are_settings() -> None:
    found = variants()
    names = "R18 v1,R18 v2,R18 v3,R34 v1,R34 v2,R50,R101 v1,R101 v2,R152"
    assert list(found) == names.split(",")
    assert found["R101 v2"] == []
    sizes = set()
    for settings in found.values():
        model = full_size(*settings)
        total = sum(p.numel() for p in model.parameters())
        trains = sum(p.numel() for p in model.parameters() if p.requires_grad)
        sizes.add((total, trains))
    assert len(sizes) == 9


@pytest.mark.parametrize("unfreeze", ["none", "layer4"])
def test_a_frozen_backbone_is_in_evaluation_mode_whatever_is_asked(unfreeze: str) -> None:
    model = tiny(unfreeze=unfreeze)
    model.train()
    network = model.backbone.network
    assert not network.bn1.training
    assert not network.layer3.training
    assert network.layer4.training == (unfreeze == "layer4")
    before = {n: b.clone() for n, b in network.named_buffers()}
    model(batch_of_tensors())
    drifted = {n for n, b in network.named_buffers() if not torch.equal(b, before[n])}
    assert all(n.startswith("layer4.") for n in drifted)
    assert bool(drifted) == (unfreeze == "layer4")


def batch_of_tensors() -> Batch:
    from traitscope.data.batches import to_tensors

    return to_tensors(batch(pictures()))


def test_the_loss_sees_every_image_and_the_prediction_is_their_mean() -> None:
    rows = torch.tensor([[[0.2], [0.6], [9.0]]])
    output = RowScores(rows, torch.tensor([[True, True, False]]))
    target, mask = torch.tensor([[0.5]]), torch.tensor([[True]])
    assert output.prediction.item() == pytest.approx(0.4)
    assert losses.find("mse")(output, target, mask, 0.0).item() == pytest.approx((0.09 + 0.01) / 2)
    assert losses.find("mae")(output, target, mask, 0.0).item() == pytest.approx((0.3 + 0.1) / 2)


def test_a_clip_is_the_mean_of_its_images() -> None:
    model, images = tiny(), pictures(clips=2, rows=3)
    whole = predict_batch(model, batch(images))
    single = [predict_batch(model, batch(images[:, row : row + 1])) for row in range(3)]
    np.testing.assert_allclose(whole, np.mean(single, axis=0), atol=1e-6)


def test_training_draws_at_random_and_evaluation_does_not() -> None:
    draw = inputs(Config())["faces"]
    assert (draw.train, draw.evaluate) == (Rows("random", 30), Rows("even", 1))
    assert draw.size == 224


def test_stored_embeddings_give_the_same_scores() -> None:
    model = tiny(unfreeze="none", width=1.0)
    stored = tiny(unfreeze="none", width=1.0, embeddings=True)
    stored.load_state_dict({k: v for k, v in model.state_dict().items() if "backbone" not in k})
    faces = batch_of_tensors()
    model.eval()
    features, mask = model.backbone(faces)
    embedded = Batch(
        faces.clips, {"embedding": features}, {"embedding": mask}, faces.targets, faces.target_mask
    )
    stored.eval()
    torch.testing.assert_close(stored(embedded).prediction, model(faces).prediction)
    draw = inputs(Config(embeddings=True))["embedding"]
    assert draw.extract["model"] == "resnet101.tv_in1k"
    assert draw.train == Rows("random", 30)


def test_published_weights_are_taken_and_not_initialised_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = tiny(width=1.0)
    state = published.backbone.network.state_dict()
    tensors = {k: v + 1 if v.is_floating_point() else v for k, v in state.items()}
    save_file({**tensors, "fc.weight": torch.ones(2, 2)}, tmp_path / "model.safetensors")
    monkeypatch.setattr(weights, "find_network", lambda *_, **__: tmp_path / "model.safetensors")
    model = tiny(width=1.0, pretrained=True)
    model.load_pretrained()
    for name, tensor in model.backbone.network.state_dict().items():
        torch.testing.assert_close(tensor, tensors[name])


def test_missing_published_weights_name_the_command() -> None:
    model = tiny(width=1.0, pretrained=True)
    with pytest.raises(
        MissingError, match=r"weights fetch timm:resnet18.tv_in1k.*pretrained=false"
    ):
        model.load_pretrained()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["model.hidden=[8,8]", "model.dropouts=[0.1,0.1,0.1]"], "3 dropouts for 2 hidden layers"),
        (["model.width=0.5"], "set pretrained=false"),
        (["model.embeddings=true", "model.unfreeze=layer4"], "whole, frozen backbone"),
    ],
)
def test_contradictions_are_told_before_any_work(settings: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(load_run("face_cnn", settings))
