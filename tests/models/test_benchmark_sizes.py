"""Models of the benchmark that came second: published numbers of weights, at five targets."""

from typing import Any

import pytest
import torch

from tests.models.test_contracts import shapes_of
from traitscope import registry
from traitscope.types import TRAITS, Target

TARGETS = [Target(name, 0, 1, 1) for name in TRAITS]
EMOTIONS = [Target("valence", -1, 1, 1), Target("arousal", -1, 1, 1)]

PUBLISHED: list[tuple[str, dict[str, Any], float]] = [
    ("cam_dan", {}, 14.73),
    ("resnet3d", {}, 46.2),
    ("slowfast", {}, 33.66),
    ("tpn", {}, 81.75),
    ("ambfac", {}, 3.149),
    ("audio_embedding_mlp", {}, 2.494),
    ("au_spectrum_mlp", {}, 0.388),
    ("statistics_mlp", {}, 0.0982),
    ("spectrum_cnn", {}, 8.28),
    ("metadata_fusion", {}, 2.63),
    ("au_conv", {"variant": "vgg19"}, 11.9),
    ("au_conv", {"variant": "densenet121"}, 7.45),
    ("au_conv", {"variant": "vit"}, 38.5),
    ("au_conv", {"variant": "resnet18"}, 2.8),
    ("au_conv", {"variant": "resnet2d"}, 11.2),
]
ROWS = {
    "ambfac": {"embedding": (6144,)},
    "audio_embedding_mlp": {"audio_embedding": (128,)},
    "au_spectrum_mlp": {"signals": (1,)},
    "au_conv": {"signals": (39,)},
    "metadata_fusion": {"frame_features": (2048,), "metadata": (3,)},
    "statistics_mlp": {"frame_scores": (5,)},
    "spectrum_cnn": {"frame_scores": (5,)},
}


def count(name: str, settings: dict[str, Any], targets: list[Target] = TARGETS) -> int:
    module = registry.load("models", name)
    config = module.Config.model_validate(settings)
    shapes = ROWS.get(name) or shapes_of(module.inputs(config))
    with torch.device("meta"):
        model = module.Model(config, shapes, targets)
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(("name", "settings", "millions"), PUBLISHED)
def test_the_published_size(name: str, settings: dict[str, Any], millions: float) -> None:
    assert count(name, settings) / 1e6 == pytest.approx(millions, rel=0.005)


def test_the_sound_mlp_has_every_weight() -> None:
    assert count("functional_mlp", {}) == 1_278_981


def test_persemon_has_its_domain_head_only_where_there_are_emotions() -> None:
    with_all = count("persemon", {}, [*TARGETS, *EMOTIONS])
    assert with_all / 1e6 == pytest.approx(24.51, rel=0.005)
    # One more row of trait and relation head per target, and the domain head.
    assert with_all - count("persemon", {}) == 2 * (513 + 129) + 1026
