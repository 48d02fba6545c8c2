"""Every recipe that is named after a system against what that system was run with.

The facts are data: a recipe, what its resolved settings are, and how large its network is. Faults
of the systems are not here; the docstring of each model names those that are mended.
"""

import re
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.models.test_contracts import shapes_of
from traitscope import registry
from traitscope.models import face_cnn
from traitscope.nn.initial import from_scratch
from traitscope.runs.plan import Plan, load_run, plan
from traitscope.runs.settings import RunConfig
from traitscope.training.losses import find
from traitscope.training.pace import decay_of
from traitscope.types import TRAITS, Rows, Target

TARGETS = [Target(name, 0, 1, 1) for name in TRAITS]

_SGD = {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.0005}
_STEPS = {**_SGD, "schedule": "step", "factor": 0.1}
_LONG = {**_STEPS, "lr": 0.01, "milestones": (200, 280), "epochs": 300}
_SCRATCH = {"pretrained": False, "initial": "he", "input": "frames", "size": 224}

STAGES: dict[str, list[dict[str, Any]]] = {
    "s2d_112": [
        {"optimizer": "adamw", "lr": 1e-5 * 32 / 8, "batch_size": 32, "epochs": 50}
        | {"schedule": "cosine", "warmup_epochs": 2, "weight_decay": 0.1, "weight_decay_end": 0.3}
    ],
    "s2d_224": [
        {"optimizer": "adamw", "lr": 1e-5, "batch_size": 8, "weight_decay": 0.05, "epochs": 50}
        | {"schedule": "cosine", "warmup_epochs": 2}
    ],
    "face_cnn": [{"optimizer": "adam", "lr": 1e-4, "keep": "per_target"}],
    "senet": [{**_LONG, "batch_size": 32}],
    "hrnet": [{**_LONG, "batch_size": 32}],
    "swin": [{**_LONG, "batch_size": 24}],
    "vit": [{**_SGD, "lr": 0.001, "epochs": 80, "batch_size": 64}],
    "vat": [{**_LONG, "batch_size": 4}],
    "dan": [{**_STEPS, "lr": 0.05, "milestones": (80, 90), "epochs": 100, "batch_size": 32}],
    "dan_vgg": [{**_STEPS, "lr": 0.05, "milestones": (80, 90), "epochs": 100, "batch_size": 32}],
    "audio_resnet18": [
        {**_STEPS, "lr": 2e-4, "milestones": (200, 250), "epochs": 300, "batch_size": 128}
    ],
    "audio_spectrum_cnn": [
        {**_STEPS, "lr": 0.05, "milestones": (80, 100, 150), "epochs": 200, "batch_size": 128}
    ],
    "audio_lstm": [
        {**_STEPS, "lr": 0.05, "milestones": (500, 800, 900), "epochs": 1000, "batch_size": 128}
    ],
    "audio_linear": [
        {**_STEPS, "lr": 8.3e-4, "weight_decay": 6.5, "milestones": (800, 900), "epochs": 1000}
        | {"batch_size": 128}
    ],
    "bimodal_lstm": [
        {**_STEPS, "lr": 0.05, "milestones": (120, 150, 180), "epochs": 200, "batch_size": 64}
    ],
    "bimodal_resnet18": [
        {**_STEPS, "lr": 0.001, "milestones": (100, 200), "epochs": 300, "batch_size": 64}
    ],
    # Two epochs of a total of 100; milestones 80 and 90 count from the start.
    "crnet": [
        {"loss": "ranges", "optimizer": "sgd", "epochs": 2, "batch_size": 24},
        {"loss": "crnet", "optimizer": "adam", "betas": (0.5, 0.999), "lr": 0.002, "epochs": 98}
        | {"weight_decay": 0.005, "milestones": (78, 88), "factor": 0.1, "batch_size": 24},
    ],
    # About seven copies of each clip, one at a time.
    "au_hybrid": [{"optimizer": "adam", "lr": 1e-4, "epochs": 200, "batch_size": 1, "passes": 7}],
    "resnet_lstm": [
        {"optimizer": "adam", "lr": 1e-3, "batch_size": 8, "steps_per_epoch": 30, "epochs": 300}
        | {"early_stop": 5, "schedule": "plateau", "patience": 3, "factor": 0.2, "min_lr": 5e-7}
    ],
}
STAGES["crnet_audio"] = STAGES["crnet"]
STAGES["bimodal_lstm_visual"] = STAGES["bimodal_lstm"]

MODELS: dict[str, dict[str, Any]] = {
    "s2d_112": {"size": 112, "patch": 16, "frames": 6, "still": True, "landmarks": "images"}
    | {"prompts": 1, "freeze_backbone": True, "block_dropout": 0.5, "dropout": 0.0}
    | {"temporal_dim": 768, "sigmoid": False, "evaluation_images": "all"},
    "s2d_224": {"size": 224, "frames": 16, "still": False, "prompts": "all", "pretrained": True}
    | {"freeze_backbone": True},
    "face_cnn": {"backbone": "resnet101", "hidden": (512, 256, 64), "dropouts": (0.5, 0.3, 0.1)}
    | {"images": 30, "evaluation_images": 1, "pretrained": True, "unfreeze": "none"},
    "senet": {"backbone": "seresnet50", **_SCRATCH},
    "hrnet": {"backbone": "hrnet_w18", **_SCRATCH},
    "swin": {"backbone": "swin_small_patch4_window7_224", **_SCRATCH},
    "vit": {**_SCRATCH, "size": 256},
    "vat": {"backbone": "resnet50.tv_in1k", "pretrained": True, "frames": 16}
    | {"sampling": "consecutive", "dropout": 0.3, "heads": 16, "units": 3, "dim": 1024},
    "dan": {"dense": True, "pretrained": False, "plus": False, "dropout": 0.5},
    "dan_vgg": {"dense": True, "pretrained": True},
    "bimodal_lstm": {"senses": "audiovisual", "hidden": 512, "dropout": 0.2, "parts": 6},
    "bimodal_lstm_visual": {"senses": "visual", "hidden": 128},
    "bimodal_resnet18": {"senses": "audiovisual", "join": "hidden", "samples": 50_176},
    "crnet": {"senses": "audiovisual", "size": 224, "face_size": 112, "samples": 244_832},
    "au_hybrid": {"attention": "feature", "time_step": 100 / 30, "longest": 700, "dropout": 0.5},
    "resnet_lstm": {"segments": 10, "windows": 4, "pool": "flatten", "units": 10, "size": 256},
}

MIRRORED = {"senet", "hrnet", "swin", "vit", "vat", "dan", "dan_vgg", "crnet", "bimodal_resnet18"}
MIRRORED |= {"bimodal_lstm", "bimodal_lstm_visual", "cam_dan", "persemon"}
MIRRORED |= {"resnet3d", "slowfast", "tpn"}
STRONG = {"dan_vgg": ["resized_crop", "flip", "rotate", "colour"]}

SIZES = [
    ("senet", [], 26.03),
    ("hrnet", [], 19.26),
    ("vit", [], 53.6),
    ("vat", [], 82.45),
    ("dan", [], 66.11),
    ("dan", ["model.dense=false"], 14.73),
    ("audio_resnet18", [], 2.80),
    ("audio_spectrum_cnn", [], 0.248),
    ("audio_lstm", [], 0.086),
    ("bimodal_lstm", [], 2.60),
    ("bimodal_lstm_visual", [], 1.35),
    ("bimodal_resnet18", [], 5.73),
    ("bimodal_resnet18", ["model.senses=visual"], 2.80),
    ("crnet", [], 63.97),
    ("crnet", ["model.senses=visual"], 42.65),
    ("crnet_audio", [], 21.32),
    ("face_cnn", [], 43.697349),
    ("resnet_lstm", [], 157.867127),
]

NINE = {
    "R18 v1": ("resnet18", 2, "none"),
    "R18 v2": ("resnet18", 2, "layer4"),
    "R18 v3": ("resnet18", 2, "layers"),
    "R34 v1": ("resnet34", 2, "none"),
    "R34 v2": ("resnet34", 0, "none"),
    "R50": ("resnet50", 2, "none"),
    "R101 v1": ("resnet101", 3, "none"),
    "R101 v2": ("resnet101", 3, "none"),
    "R152": ("resnet152", 2, "none"),
}


@cache
def resolved(recipe: str, *settings: str) -> tuple[RunConfig, Plan]:
    config = load_run(recipe, list(settings))
    return config, plan(config)


def network(recipe: str, *settings: str, device: str = "meta") -> Any:
    """The network of a recipe, without memory."""
    _, run_plan = resolved(recipe, *settings)
    with torch.device(device):
        shapes = shapes_of(run_plan.draws)
        return run_plan.module.Model(run_plan.options, shapes, TARGETS)


@pytest.mark.parametrize("recipe", STAGES)
def test_stages_are_those_of_the_system(recipe: str) -> None:
    config, _ = resolved(recipe)
    assert len(config.stages) == len(STAGES[recipe])
    for stage, wanted in zip(config.stages, STAGES[recipe], strict=True):
        for key, value in wanted.items():
            close = pytest.approx(value) if isinstance(value, float) else value
            assert getattr(stage, key) == close, key


@pytest.mark.parametrize("recipe", MODELS)
def test_settings_of_the_model_are_those_of_the_system(recipe: str) -> None:
    _, run_plan = resolved(recipe)
    assert {key: getattr(run_plan.options, key) for key in MODELS[recipe]} == MODELS[recipe]


@pytest.mark.parametrize("recipe", sorted({*STAGES, *MODELS, *MIRRORED}))
def test_transforms_are_those_of_the_system(recipe: str) -> None:
    _, run_plan = resolved(recipe)
    used = [transform.name for transform in run_plan.augment]
    assert ("flip" in used) == (recipe in MIRRORED)
    assert all(t.config.probability == 0.5 for t in run_plan.augment if t.name == "flip")
    if recipe in STRONG:
        assert used == STRONG[recipe]


@pytest.mark.parametrize(("recipe", "settings", "millions"), SIZES)
def test_the_size_is_that_of_the_system(recipe: str, settings: list[str], millions: float) -> None:
    count = sum(p.numel() for p in network(recipe, *settings).parameters())
    assert count / 1e6 == pytest.approx(millions, rel=0.005)


def test_the_nine_variants_of_pascalmi() -> None:
    listed = re.findall(r"^    (R\d+(?: v\d)?): +(.*)$", face_cnn.__doc__ or "", re.MULTILINE)
    assert [name for name, _ in listed] == list(NINE)
    for name, text in listed:
        settings = [f"model.{word}" for word in text.split() if "=" in word]
        _, run_plan = resolved("face_cnn", *settings)
        options: Any = run_plan.options
        assert (options.backbone, len(options.hidden), options.unfreeze) == NINE[name]
        linear = [part for part in network("face_cnn", *settings).head if type(part) is nn.Linear]
        assert len(linear) == len(options.hidden) + 1


def test_the_thesis_shows_a_frame_six_times_through_one_prompt() -> None:
    model = network("s2d_112")
    assert len(model.prompts) == 1
    assert model.moment.shape == (6, 768)
    assert isinstance(model.landmarks, nn.Conv2d)
    assert not model.to_range.squash
    blocks = model.backbone.blocks
    assert not any(p.requires_grad for p in blocks.parameters())
    assert [block.mlp.drop1.p for block in blocks] == [0.5] * 12
    assert resolved("s2d_112")[1].draws["drawings"].group == "face"
    stage = resolved("s2d_112")[0].stages[0]
    ends = [decay_of(stage, epoch) for epoch in (0, 49)]
    assert ends == pytest.approx([0.1, 0.3])
    assert 0.1 < decay_of(stage, 20) < decay_of(stage, 30) < 0.3


def test_vat_sees_sixteen_consecutive_of_a_hundred_frames_of_fifteen_seconds() -> None:
    _, run_plan = resolved("vat")
    draw = run_plan.draws["frames"]
    assert (draw.train, draw.evaluate) == (Rows("window", 16), Rows("center", 16))
    assert round(run_plan.requests["frames"].config.rate * 15) == 100  # type: ignore[attr-defined]
    model = network("vat")
    assert model.reduce.bias is None
    norms = [part for part in model.modules() if isinstance(part, nn.LayerNorm)]
    assert len(norms) == 1 + 2 * 48  # behind the query preprocessor, and two in each unit
    assert not any(list(norm.parameters()) for norm in norms)
    kinds = [type(part) for part in model.heads[0][0].think]
    assert kinds == [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]


def test_layers_of_the_dense_dan() -> None:
    dense = network("dan").dense
    assert [type(part) for part in dense] == [nn.Linear, nn.LeakyReLU, nn.Dropout]
    assert dense[0].weight.shape == (1024, 50_176)


def test_the_cnn_lstm_has_no_relu_behind_its_convolutions() -> None:
    for recipe in ("bimodal_lstm", "bimodal_lstm_visual"):
        kinds = [type(part) for part in network(recipe).see]
        assert kinds == [
            *[nn.Conv2d, nn.ReLU, nn.MaxPool2d] * 3,
            *[nn.Flatten, nn.Linear, nn.Linear, nn.Dropout],
        ]
    assert network("bimodal_lstm_visual").lstm.hidden_size == 128
    assert not any(isinstance(part, nn.ReLU) for part in network("audio_lstm").modules())


def test_the_interpretable_network_has_a_sigmoid_behind_every_convolution() -> None:
    parts = list(network("audio_spectrum_cnn").hear)
    kinds = [type(part) for part in parts]
    assert kinds == [nn.Conv1d, nn.Sigmoid, nn.MaxPool1d, nn.Dropout] * 3
    convolutions = [(p.out_channels, *p.kernel_size, *p.padding) for p in parts[::4]]
    assert convolutions == [(64, 8, 1), (128, 6, 1), (256, 6, 1)]
    assert [p.kernel_size for p in parts[2::4]] == [10, 8, 8]
    assert [p.p for p in parts[3::4]] == [0.1, 0.5, 0.5]


def test_one_sense_of_deep_impression_goes_straight_into_its_scores() -> None:
    assert not list(network("bimodal_resnet18", "model.senses=visual").join)
    both = network("bimodal_resnet18", "model.join=linear")
    assert not list(both.join)
    assert both.score.in_features == 512


def test_head_motion_weighs_each_feature_and_drops_at_three_places() -> None:
    model = network("au_hybrid")
    assert model.recurrence.attention.score.weight.shape == (256, 256)
    gates = [layer.gate for layer in model.convolutions.layers]
    assert all(isinstance(gate[1], nn.SiLU) for gate in gates)
    places = [name for name, part in model.named_modules() if isinstance(part, nn.Dropout)]
    assert places == ["recurrence.dropout", "convolutions.dropout", "head.2"]


def test_the_last_four_pictures_of_characteristic_prediction_are_windows_of_the_frame() -> None:
    _, run_plan = resolved("resnet_lstm")
    assert run_plan.requests["faces"].config.window == 400  # type: ignore[attr-defined]
    height, width = run_plan.draws["frames"].size  # type: ignore[misc]
    assert 256 / height == pytest.approx(400 / 720, abs=0.002)
    assert width / height == pytest.approx(16 / 9, abs=0.01)
    assert run_plan.draws["frames"].group == run_plan.draws["faces"].group


@pytest.mark.parametrize("recipe", ["senet", "dan", "bimodal_resnet18", "crnet", "vit"])
def test_every_frame_of_a_clip_can_be_scored(recipe: str) -> None:
    _, run_plan = resolved(recipe, "model.evaluation_images=all")
    pictures = run_plan.draws.get("faces", run_plan.draws.get("frames"))
    assert pictures is not None
    assert pictures.evaluate == Rows("all")


def test_first_weights_are_those_of_he_and_small_ones() -> None:
    torch.manual_seed(0)
    parts = nn.Sequential(nn.Conv2d(8, 32, 3), nn.BatchNorm2d(32), nn.Linear(500, 40))
    from_scratch(parts)
    convolution, norm, linear = parts
    assert float(convolution.weight.detach().std()) == pytest.approx(
        (2 / (32 * 9)) ** 0.5, rel=0.05
    )
    assert float(linear.weight.detach().std()) == pytest.approx(0.01, rel=0.05)
    assert not convolution.bias.any()
    assert not linear.bias.any()
    assert bool((norm.weight == 1).all())


@pytest.mark.parametrize("recipe", ["dan", "bimodal_resnet18", "crnet", "audio_resnet18"])
def test_heads_of_the_benchmark_begin_small(recipe: str) -> None:
    tiny = registry.load("models", resolved(recipe)[0].model["name"])
    model = tiny.Model(tiny.TINY, shapes_of(tiny.inputs(tiny.TINY)), TARGETS)
    assert float(model.score.weight.detach().abs().max()) < 0.05
    assert not model.score.bias.any()


def test_losses_of_crnet_are_sums_where_they_were() -> None:
    torch.manual_seed(0)
    prediction, target = torch.rand(24, 5), torch.rand(24, 5)
    everything = torch.ones(24, 5, dtype=torch.bool)
    whole = float(find("bell")(prediction, target, everything, 0.0))
    single = [
        float(find("bell")(prediction[[i]], target[[i]], everything[[i]], 0.0)) for i in range(24)
    ]
    assert whole == pytest.approx(np.sum(single), rel=1e-4)
