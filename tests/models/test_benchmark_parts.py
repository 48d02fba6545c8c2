"""Parts of the benchmark's video, emotion and action-unit models, by hand."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.models.test_contracts import batch_of, shapes_of
from traitscope import registry
from traitscope.data.examples import to_tensors
from traitscope.errors import ConfigError
from traitscope.models.persemon import Output, Reversed
from traitscope.models.tpn import Shifted
from traitscope.training.losses import find
from traitscope.types import Batch, Target

TARGETS = [Target("openness", 0, 1, 1), Target("age")]


def tiny(name: str, targets: Any = TARGETS, **settings: Any) -> tuple[Any, Batch]:
    module = registry.load("models", name)
    config = module.TINY.model_copy(update=settings)
    draws = module.inputs(config)
    torch.manual_seed(0)
    model = module.Model(config, shapes_of(draws), targets)
    return model, to_tensors(batch_of(draws))


def test_the_maps_of_cam_dan_add_up_to_its_scores() -> None:
    model, batch = tiny("cam_dan")
    model.eval()
    images = batch.streams["frames"].flatten(0, 1)
    maps = model.activation_maps(images)
    assert maps.shape[1:] == (2, 2, 2)
    scores = model.to_range(maps.mean(dim=(2, 3)) + model.score.bias)
    torch.testing.assert_close(scores, model(batch).rows.flatten(0, 1))


def test_shifted_channels_come_from_the_frames_beside() -> None:
    maps = torch.arange(3.0)[:, None, None, None].expand(3, 8, 1, 1) + 1  # frames 1, 2, 3
    shifted = Shifted(torch.nn.Identity(), 3)(maps.contiguous())[:, :, 0, 0]
    assert shifted[:, 0].tolist() == [2, 3, 0]  # the frame after
    assert shifted[:, 1].tolist() == [0, 1, 2]  # the frame before
    assert shifted[:, 2:].eq(maps[:, 2:, 0, 0]).all()


def test_shifting_does_not_mix_clips() -> None:
    one, two = torch.randn(3, 8, 2, 2), torch.randn(3, 8, 2, 2)
    shift = Shifted(torch.nn.Identity(), 3)
    torch.testing.assert_close(shift(torch.cat([one, two])), torch.cat([shift(one), shift(two)]))


def test_the_auxiliary_score_of_tpn_is_taught_at_half_weight_and_never_scored() -> None:
    model, batch = tiny("tpn")
    output = model(batch)
    ((weight, scores),) = output.auxiliary
    target, mask = batch.targets[:, :2], batch.target_mask[:, :2]
    both = find("mse")(output, target, mask, 0.5)
    alone = [find("mse")(one, target, mask, 0.5) for one in (output.prediction, scores)]
    assert weight == 0.5
    torch.testing.assert_close(both, alone[0] + 0.5 * alone[1])
    assert model.eval()(batch).auxiliary == ()


@pytest.mark.parametrize("name", ["resnet3d", "slowfast", "tpn", "video_backbone"])
def test_the_order_of_frames_has_a_say(name: str) -> None:
    model, batch = tiny(name)
    model.eval()
    output = model(batch)
    before = getattr(output, "prediction", output)
    batch.streams["frames"] = batch.streams["frames"].flip(1)
    after = model(batch)
    assert not torch.allclose(getattr(after, "prediction", after), before, atol=1e-6)


def test_the_slow_pathway_sees_every_fourth_frame() -> None:
    model, batch = tiny("slowfast")
    seen = {}
    for name, path in (("slow", model.slow), ("fast", model.fast)):
        path.stages[0].register_forward_hook(
            lambda _, given, __, name=name: seen.update({name: given[0].shape[2]})
        )
    model(batch)
    assert seen == {"slow": 2, "fast": 8}


def test_a_video_network_says_what_it_takes() -> None:
    module = registry.load("models", "video_backbone")
    for settings, words in (
        ({"backbone": "mvit_v2_s", "frames": 8}, "takes 16 frames of 224 px alone"),
        ({"backbone": "s3d", "frames": 8}, "needs 14 frames"),
        ({"backbone": "s3d", "size": 112}, "needs 224 px"),
        ({"swin": {"embed_dim": 96}}, "swin has sizes of swin3d_t"),
    ):
        with pytest.raises((ConfigError, ValueError), match=words):
            module.Config.model_validate(settings)


def test_emotions_of_persemon_are_targets_like_others() -> None:
    targets = [*TARGETS, Target("arousal", 0, 10, 1), Target("valence")]
    model, batch = tiny("persemon", targets)
    output = model.eval()(batch)
    faces = batch.streams["faces"]
    felt = torch.tanh(model.emotion(model.trunk(faces.flatten(0, 1))).unflatten(0, (4, 2)).mean(1))
    torch.testing.assert_close(output.prediction[:, 3], felt[:, 0])  # valence, -1 to 1
    torch.testing.assert_close(output.prediction[:, 2], 5 + 5 * felt[:, 1])  # arousal, 0 to 10
    assert output.domain.shape == (4, 2)


def test_the_loss_of_persemon_by_hand() -> None:
    output = Output(
        prediction=torch.tensor([[0.4, 0.0], [0.4, 0.5]]),
        auxiliary=((0.1, torch.tensor([[0.2, 0.0], [0.0, 0.0]])),),
        emotions=torch.tensor([False, True]),
        domain=torch.zeros(2, 2),
    )
    target = torch.tensor([[0.5, 0.0], [0.0, 0.9]])
    mask = torch.tensor([[True, False], [False, True]])  # a clip with a trait, one with an emotion
    trait, emotion, related = 0.5 * 0.1**2, 0.5 * 0.4**2, 0.5 * 0.3**2
    expected = trait / 10 + emotion + 0.1 * related + 0.1 * np.log(2)
    assert find("persemon")(output, target, mask, 0.5).item() == pytest.approx(expected, rel=1e-5)


def test_the_trunk_unlearns_what_tells_domains_apart() -> None:
    features = torch.ones(2, 3, requires_grad=True)
    Reversed.apply(features).sum().backward()
    assert features.grad is not None
    assert features.grad.eq(-1).all()


@pytest.mark.parametrize("variant", ["vgg19", "densenet121", "vit", "resnet18", "resnet2d"])
def test_every_variant_scores_a_short_clip_as_beside_a_long_one(variant: str) -> None:
    model, batch = tiny("au_conv", variant=variant, rows=64)
    model.eval()
    short = batch.streams["signals"][:1, :20], batch.masks["signals"][:1, :20]
    padded = torch.nn.functional.pad(short[0], (0, 0, 0, 44))
    seen = Batch(("a",), {"signals": short[0]}, {"signals": short[1]}, None, None)
    mask = torch.nn.functional.pad(short[1], (0, 44))
    beside = Batch(("a",), {"signals": padded}, {"signals": mask}, None, None)
    torch.testing.assert_close(model(seen), model(beside))


def test_the_spectrum_of_a_wave_has_its_amplitude_at_its_frequency() -> None:
    model, batch = tiny("au_spectrum_mlp")
    seen: list[torch.Tensor] = []
    model.score.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    wave = torch.cos(2 * torch.pi * 3 * torch.arange(20) / 20)
    batch.streams["signals"] = wave[None, :, None].expand(4, 20, 1)
    batch.masks["signals"] = torch.ones(4, 20, dtype=torch.bool)
    model(batch)
    expected = torch.zeros(8)
    expected[3] = 20 / 2 / 20**0.5 / 2  # half the rows, orthonormal, the mean with a phase of zero
    torch.testing.assert_close(seen[0][0], expected, atol=1e-4, rtol=0)
