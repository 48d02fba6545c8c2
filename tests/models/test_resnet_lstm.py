"""resnet_lstm: the published layer table, segments in order, clips apart."""

from typing import Any

import numpy as np
import pytest
import torch

from traitscope.errors import ConfigError
from traitscope.models.resnet_lstm import TINY, Config, Model, inputs
from traitscope.nn.heads import AttentionPool
from traitscope.runs.checkpoint import predict_batch
from traitscope.runs.layers import layers_of, totals
from traitscope.runs.plan import load_run, plan
from traitscope.types import TRAITS, Batch, Rows, Target

TARGETS = [Target(name, 0, 1, 1) for name in TRAITS]
SHAPES = {"short_term": (68,)}


def tiny(**changes: Any) -> Model:
    torch.manual_seed(0)
    return Model(TINY.model_copy(update=changes), SHAPES, TARGETS).eval()


def batch(clips: int = 3, segments: int = 4) -> Batch:
    rng = np.random.default_rng(0)
    zeros = np.zeros((clips, len(TARGETS)), np.float32)
    there = np.ones((clips, segments), bool)
    return Batch(
        clips=tuple(map(str, range(clips))),
        streams={
            "faces": rng.normal(size=(clips, segments, 3, 32, 32)).astype(np.float32),
            "short_term": rng.normal(size=(clips, segments, 68)).astype(np.float32),
        },
        masks={"faces": there, "short_term": there.copy()},
        targets=zeros,
        target_mask=zeros > -1,
    )


def test_the_layer_table_is_the_published_one() -> None:
    layers = layers_of(plan(load_run("resnet_lstm")), depth=3)
    assert totals(layers) == (157_867_127, 134_359_095)
    found = {layer.name: (layer.shape, layer.parameters) for layer in layers}
    assert found["input: faces"] == ((10, 3, 256, 256), 0)
    assert found["backbone.network.layer4"] == ((10, 2048, 8, 8), 14_964_736)
    assert found["face.0"] == ((10, 1024), 131_072 * 1024 + 1024)
    assert found["face.2"] == ((10, 128), 1024 * 128 + 128)
    assert found["sound"] == ((10, 32), 68 * 32 + 32)
    assert found["lstm"] == ((10, 10), 4 * 10 * (160 + 10 + 2))
    assert found["score"] == ((10, 5), 55)


def test_average_and_two_directions_change_the_counts_they_should() -> None:
    def total(*settings: str) -> int:
        return totals(layers_of(plan(load_run("resnet_lstm", list(settings)))))[0]

    flat = total()
    assert flat - total("model.pool=average") == (131_072 - 2048) * 1024
    assert total("model.bidirectional=true") - flat == 4 * 10 * 172 + 50
    assert total("model.time_pool=attention") - flat == 10 * 10 + 10 + 10


def test_a_face_and_a_sound_per_segment() -> None:
    draws = inputs(Config())
    faces, sound = draws["faces"], draws["short_term"]
    assert (faces.train, faces.evaluate) == (Rows("segments", 10), Rows("even", 10))
    assert faces.extract == {"backend": "haar", "size": 256}
    assert sound.extract == {"segments": 10}
    assert sound.standardize


@pytest.mark.parametrize("stream", ["faces", "short_term"])
def test_each_stream_has_a_say_in_its_own_clip_only(stream: str) -> None:
    net, given = tiny(), batch()
    before = predict_batch(net, given)
    given.streams[stream][2] += 1
    after = predict_batch(net, given)
    np.testing.assert_allclose(after[:2], before[:2], atol=1e-6)
    assert not np.allclose(after[2], before[2], atol=1e-6)


@pytest.mark.parametrize("time_pool", ["average", "attention"])
def test_the_order_of_segments_matters(time_pool: str) -> None:
    net, given = tiny(time_pool=time_pool), batch()
    before = predict_batch(net, given)
    for stream in given.streams:
        given.streams[stream][:] = given.streams[stream][:, ::-1].copy()
    assert not np.allclose(predict_batch(net, given), before, atol=1e-6)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_second_direction_hears_the_end_at_the_beginning(bidirectional: bool) -> None:
    net, given = tiny(bidirectional=bidirectional), batch()
    states: list[torch.Tensor] = []
    net.lstm.register_forward_hook(lambda *call: states.append(call[2][0]))
    predict_batch(net, given)
    given.streams["short_term"][:, -1] += 1
    predict_batch(net, given)
    changed = not torch.allclose(states[0][:, 0], states[1][:, 0], atol=1e-6)
    assert changed == bidirectional


def test_flatten_keeps_where_things_are_and_average_does_not() -> None:
    given = batch()
    given.streams["faces"] = np.zeros((2, 3, 3, 64, 64), np.float32)
    given.streams["faces"][0, :, :, :20, :20] = 3.0
    given.streams["faces"][1, :, :, -20:, -20:] = 3.0
    net = tiny(size=64, pool="flatten")
    maps = []
    net.face.register_forward_hook(lambda *call: maps.append(call[1][0]))
    from dataclasses import replace

    small = replace(
        given,
        clips=("a", "b"),
        streams={**given.streams, "short_term": np.zeros((2, 3, 68), np.float32)},
        masks={k: np.ones((2, 3), bool) for k in given.masks},
    )
    predict_batch(net, small)
    assert maps[0].shape == (2, 3, net.backbone.channels * 4)


def test_attention_adds_to_one_over_what_is_there() -> None:
    pool = AttentionPool(6)
    mask = torch.tensor([[True, False, True], [True, True, True]])
    weights = pool(torch.randn(2, 3, 6), mask)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2, 1))
    assert weights[0, 1].item() == 0


def test_maps_cannot_come_from_the_store() -> None:
    with pytest.raises(ConfigError, match="need pool=average"):
        plan(load_run("resnet_lstm", ["model.embeddings=true"]))


@pytest.mark.slow
def test_a_full_size_step_needs_little_memory() -> None:
    import subprocess
    import sys

    code = """
import resource, torch
from tests.models.test_resnet_lstm import SHAPES, TARGETS
from traitscope.training.losses import mse
from traitscope.models.resnet_lstm import Config, Model
from traitscope.training.optimisation import optimizer_of
from traitscope.runs.plan import load_run
from traitscope.types import Batch
model = Model(Config(), SHAPES, TARGETS).train()
optimizer = optimizer_of(model, load_run("resnet_lstm").stages[0])
there = torch.ones(1, 10, dtype=torch.bool)
streams = {"faces": torch.randn(1, 10, 3, 256, 256), "short_term": torch.randn(1, 10, 68)}
labels = torch.full((1, 5), 0.7)
batch = Batch(("a",), streams, dict.fromkeys(streams, there), labels, labels > 0)
loss = mse(model(batch), labels, labels > 0, 0.0)
loss.backward()
optimizer.step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert float(result.stdout.split()[-1]) < 24
