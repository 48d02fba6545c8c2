"""Faults of the public implementations of these systems, each with a test that would see it."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.test_contracts import TARGETS, batch_of, shapes_of, take
from tests.support.prepared import make_corpus
from tests.support.prepared_streams import fill_store, tiny_settings
from traitscope import registry, weights
from traitscope.augment import change, settle
from traitscope.data.batches import to_tensors
from traitscope.data.drawing import draw_example
from traitscope.models import crnet
from traitscope.nn.heads import RangeHead
from traitscope.nn.pretrained import colours_of, timm_backbone
from traitscope.runs.checkpoint import predict_batch
from traitscope.training.fitting import train
from traitscope.types import Clip, Stream

PICTURES = ["image_backbone", "dan", "vat"]
SOUND = ["audio_lstm", "audio_resnet18", "audio_linear"]
SYSTEMS = [*PICTURES, *SOUND, "bimodal_lstm", "bimodal_resnet18", "crnet"]


def built(name: str, **changes: Any) -> tuple[Any, Any]:
    """A tiny network whose layers have statistics of their own, and a batch for it."""
    module = registry.load("models", name)
    config = module.TINY.model_copy(update=changes)
    draws = module.inputs(config)
    torch.manual_seed(0)
    model = module.Model(config, shapes_of(draws), TARGETS)
    batch = batch_of(draws)
    with torch.no_grad():
        for _ in range(30):  # fresh statistics would make a deep network say the same of anything
            model(to_tensors(batch))
    return model.eval(), batch


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_clip_says_nothing_about_its_neighbours(name: str) -> None:
    model, batch = built(name)
    before = predict_batch(model, batch)
    assert before.std(axis=0).max() > 1e-4
    for row in range(4):
        alone = predict_batch(model, take(batch, slice(row, row + 1)))[0]
        np.testing.assert_allclose(alone, before[row], atol=1e-6)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_z_score_is_not_squeezed_into_a_range(name: str) -> None:
    model, batch = built(name)
    before = predict_batch(model, batch)
    score = getattr(model, "score", None) or model.network.get_classifier()
    with torch.no_grad():
        score.bias += 3
    after = predict_batch(model, batch)
    np.testing.assert_allclose(after[:, 2] - before[:, 2], 3, atol=1e-4)
    assert ((after[:, :2] > before[:, :2]) & (after[:, :2] <= 1)).all()


@pytest.mark.parametrize("training", [True, False])
def test_a_head_ends_in_the_range_whatever_the_mode(training: bool) -> None:
    head = RangeHead(TARGETS).train(training)
    found = head(torch.tensor([[3.0, -3.0, -3.0]]))
    expected = [1 / (1 + np.exp(-3)), 1 / (1 + np.exp(3)), -3]
    np.testing.assert_allclose(found[0].numpy(), expected, rtol=1e-6)


def test_the_middle_frame_asks_all_frames() -> None:
    model, batch = built("vat")
    asked: list[tuple[torch.Tensor, ...]] = []
    model.heads[0][0].register_forward_pre_hook(lambda _, given: asked.append(given))
    predict_batch(model, batch)
    query, frames, _ = asked[0]
    assert torch.equal(query, frames[:, 1:2])
    assert not torch.equal(query, frames[:, :1])


@pytest.mark.parametrize("name", ["bimodal_lstm", "vat"])
def test_one_face_of_each_part_is_drawn_in_training_and_the_middle_one_later(name: str) -> None:
    module = registry.load("models", name)
    draw = module.inputs(module.Config())["faces" if name == "bimodal_lstm" else "frames"]
    assert (draw.train.rule, draw.evaluate.rule) == ("segments", "even")
    assert draw.train.count == draw.evaluate.count == (6 if name == "bimodal_lstm" else 16)


def picture(grey: int) -> bytes:
    """A picture whose right half is lighter."""
    pixels = np.full((64, 64, 3), grey, np.uint8)
    pixels[:, 32:] += 40
    return cv2.imencode(".png", pixels)[1].tobytes()


def test_crnet_sees_face_and_frame_of_one_moment_turned_alike() -> None:
    time, there = np.arange(9) / 5, np.array([True, False, True] * 3)
    pictures = [picture(10 * row) for row in range(9)]
    faces = tuple(image if ok else b"" for image, ok in zip(pictures, there, strict=True))
    streams = {
        "frames": Stream(time=time, images=tuple(pictures)),
        "faces": Stream(time=time, images=faces, valid=there),
    }
    config = crnet.TINY.model_copy(update={"senses": "visual"})
    draws, clip = crnet.inputs(config), Clip("clip")
    flip = settle({"flip": {}}, draws)
    seen = set()
    for seed in range(30):
        rng = np.random.default_rng(seed)
        example = draw_example(clip, streams, draws, rng=rng, scalers={})
        _, _, drawn = change(example.streams, example.masks, flip, rng)
        # One draw for the clip: whatever it does to the pictures, it does to both.
        mirrored = flip[0].pixels
        assert mirrored is not None
        turned = {
            name: mirrored(torch.tensor(rows.transpose(0, 3, 1, 2))[None], drawn["flip"][None])[0]
            for name, rows in example.streams.items()
        }
        assert torch.equal(turned["faces"], turned["frames"])
        left, right = turned["faces"][0, 0, 0, [0, -1]]
        seen.add((round(float(min(left, right)), 3), bool(left < right)))
    assert len({moment for moment, _ in seen}) == there.sum()
    assert {turned for _, turned in seen} == {True, False}


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Tensors that pass for those published of ``test_resnet``."""
    torch.manual_seed(9)
    tensors = timm_backbone("test_resnet", pretrained=False).state_dict()
    save_file(tensors, tmp_path / "published.safetensors")
    monkeypatch.setattr(
        weights, "find_network", lambda *_, **__: tmp_path / "published.safetensors"
    )
    return {name: t for name, t in tensors.items() if t.requires_grad or t.ndim > 1}


@pytest.mark.parametrize(("name", "part"), [("image_backbone", "network"), ("vat", "trunk")])
def test_training_goes_out_from_published_weights(
    name: str, part: str, tmp_path: Path, published: dict[str, torch.Tensor]
) -> None:
    address = make_corpus(tmp_path, clips=10)
    settings = tiny_settings(name, pretrained=True)
    fill_store(tmp_path / "store", address, name, settings)
    data = [f"data.corpus={address}", f"data.store={tmp_path / 'store'}"]
    quick = ["train.epochs=1", "train.lr=1e-9", "trainer.tensorboard=false"]
    run = train(name, [*data, *settings, *quick], to=tmp_path / "run")
    found = load_file(run / "model.safetensors")
    kept = {n: t for n, t in published.items() if "fc" not in n}
    assert len(kept) > 10
    for tensor_name, tensor in kept.items():
        torch.testing.assert_close(found[f"{part}.{tensor_name}"], tensor, atol=1e-6, rtol=0)


def test_images_reach_published_weights_as_they_were_taught() -> None:
    imagenet = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    sd = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    colours = torch.rand(2, 3, 4, 4)
    ours = (colours - imagenet) / sd
    taught = colours_of("vit_base_patch32_224", pretrained=True)(ours)
    torch.testing.assert_close(taught, (colours - 0.5) / 0.5)
    for same in (colours_of("seresnet50", pretrained=True), colours_of("x", pretrained=True)):
        assert torch.equal(same(ours), ours)
    assert torch.equal(colours_of("vit_base_patch32_224", pretrained=False)(ours), ours)


@pytest.mark.parametrize("name", ["image_backbone", "vat", "s2d"])
def test_a_network_is_given_the_colours_it_was_taught_with(name: str) -> None:
    plain, batch = built(name)
    taught, _ = built(name, pretrained=True)  # their networks were taught with means of one half
    taught.load_state_dict(plain.state_dict())
    before = predict_batch(plain, batch)
    mean, sd = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    pictures = [stream for stream in batch.streams if stream != "landmarks"]
    for stream in pictures:
        images = batch.streams[stream]
        colours = images * sd[:, None, None] + mean[:, None, None]
        batch.streams[stream] = ((colours - 0.5) / 0.5).astype(np.float32)
    again = predict_batch(plain, batch)
    assert not np.allclose(again, before, atol=1e-4)
    for stream in pictures:
        images = batch.streams[stream]
        colours = images * 0.5 + 0.5
        back = (colours - mean[:, None, None]) / sd[:, None, None]
        batch.streams[stream] = back.astype(np.float32)
    np.testing.assert_allclose(predict_batch(taught, batch), again, atol=1e-5)
