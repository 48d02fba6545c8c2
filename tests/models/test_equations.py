"""The published equations, written out slowly, beside what the models compute.

In float64, so that both sides may be compared closely; random weights, statistics and clips.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.models.test_contracts import batch_of, shapes_of
from traitscope import registry
from traitscope.data.batches import to_tensors
from traitscope.models.dan import descriptor, neighbourhoods
from traitscope.nn.resnets import Block
from traitscope.runs.checkpoint import predicted
from traitscope.training import losses
from traitscope.types import TRAITS, Batch, Target

TARGETS = [Target(name, 0, 1, 1) for name in TRAITS]
Array = NDArray[np.float64]


def model_and_batch(name: str, **changes: Any) -> tuple[Any, Batch]:
    """A tiny model in evaluation, its tensors random, and clips, all in float64."""
    module = registry.load("models", name)
    config = module.Config.model_validate({**module.TINY.model_dump(), **changes})
    draws = module.inputs(config)
    torch.manual_seed(1)
    model = module.Model(config, shapes_of(draws), TARGETS).double().eval()
    shaken(model)
    batch = to_tensors(batch_of(draws, clips=3))
    streams = {stream: values.double() for stream, values in batch.streams.items()}
    batch = replace(batch, streams=streams)
    if any("running_mean" in name for name in model.state_dict()):
        with torch.no_grad():  # statistics of what is seen: else the sigmoids would be full
            for _ in range(8):
                model.train()(batch)
    with torch.no_grad():
        assert predicted(model.eval()(batch)).std(dim=0).max() > 1e-3
    return model, batch


def shaken(model: nn.Module) -> None:
    """Leave no zeros and ones: a term that is forgotten has to show."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2)
            elif tensor.is_floating_point() and "to_range" not in name and "cuts" not in name:
                tensor.add_(0.2 * torch.randn_like(tensor))


def n(tensor: Tensor) -> Array:
    return np.asarray(tensor.detach().double().numpy())


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def softmax(x: Array, axis: int) -> Array:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(e / e.sum(axis=axis, keepdims=True))


def linear(layer: Any, x: Array) -> Array:
    """Y = W x + b."""
    return np.asarray(x @ n(layer.weight).T + (0 if layer.bias is None else n(layer.bias)))


def batch_norm(layer: Any, x: Array) -> Array:
    """(x - mean) / sqrt(variance + eps) * gamma + beta, per channel of (channels, ...)."""
    shape = (-1,) + (1,) * (x.ndim - 1)
    mean, variance, gamma, beta = (
        n(t).reshape(shape)
        for t in (layer.running_mean, layer.running_var, layer.weight, layer.bias)
    )
    return np.asarray((x - mean) / np.sqrt(variance + layer.eps) * gamma + beta)


def layer_norm(x: Array, layer: Any) -> Array:
    """(x - mean) / sqrt(variance + eps) over the last axis, then gamma and beta if it has some."""
    z = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + layer.eps)
    return np.asarray(z if layer.weight is None else z * n(layer.weight) + n(layer.bias))


def convolve(layer: Any, x: Array, padding: Any = None) -> Array:
    """Each output place is a sum over what lies under the kernel: (channels, ...) both."""
    w, sides = n(layer.weight), x.ndim - 1
    pad = [(p, p) for p in layer.padding] if padding is None else padding
    x = np.pad(x, [(0, 0), *pad])
    under = sliding_window_view(x, w.shape[2:], axis=tuple(range(1, sides + 1)))
    steps = (slice(None), *(slice(None, None, s) for s in layer.stride))
    places = under[steps]
    axes = ([0, *range(sides + 1, 2 * sides + 1)], [1, *range(2, sides + 2)])
    y = np.moveaxis(np.tensordot(places, w, axes), -1, 0)
    return np.asarray(y if layer.bias is None else y + n(layer.bias).reshape((-1,) + (1,) * sides))


def halved(x: Array) -> Array:
    """Largest of each 2 x 2 places; an odd row or column at the end is dropped."""
    c, h, w = x.shape
    return np.asarray(x[:, : h // 2 * 2, : w // 2 * 2].reshape(c, h // 2, 2, w // 2, 2).max((2, 4)))


def lstm(layer: nn.LSTM, x: Array) -> Array:
    """Hochreiter and Schmidhuber, step by step: (time, features) -> states (time, units)."""
    w, u = n(layer.weight_ih_l0), n(layer.weight_hh_l0)
    b = n(layer.bias_ih_l0) + n(layer.bias_hh_l0)
    h = c = np.zeros(layer.hidden_size)
    states = []
    for row in x:
        i, f, g, o = np.split(w @ row + u @ h + b, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.array(states)


def same(ours: Tensor, literal: Any) -> None:
    np.testing.assert_allclose(n(ours), np.array(literal), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sound", [False, True])
@pytest.mark.parametrize(("inputs", "stride"), [(4, 1), (3, 2)])
def test_a_residual_block(sound: bool, inputs: int, stride: int) -> None:
    block = Block(inputs, 4, stride=stride, sound=sound).double().eval()
    shaken(block)
    x = np.random.default_rng(0).normal(size=(inputs, 40) if sound else (inputs, 9, 9))
    first, norm, _, second, last = block.layers
    inner = np.maximum(batch_norm(norm, convolve(first, x)), 0)
    y = batch_norm(last, convolve(second, inner))
    short = batch_norm(block.shortcut[1], convolve(block.shortcut[0], x)) if stride == 2 else x
    same(block(torch.tensor(x[None]))[0], np.maximum(y + short, 0))


def literal_branch(branch: Any, cells: Array) -> tuple[Array, Array]:
    """Ranges from all four cells; in each trait the cells are weighed by their ranges."""
    w, b = n(branch.classify.weight), n(branch.classify.bias)
    traits = len(b) // 4
    logits, features = np.zeros((traits, 4)), np.zeros((traits, len(cells)))
    for trait in range(traits):
        for one in range(4):
            kernel = w[4 * trait + one].reshape(len(cells), 4)
            logits[trait, one] = (kernel * cells).sum() + b[4 * trait + one]
        weights = softmax(logits[trait], axis=0)  # over the ranges of one trait
        for cell in range(4):
            features[trait] += weights[cell] * cells[:, cell]
    return logits, features


def test_crnet() -> None:
    model, batch = model_and_batch("crnet")
    output = model(batch)
    for clip in range(3):
        logits, features = np.zeros((5, 4)), 0
        for name, branch in model.branches.items():
            signal = batch.streams[name][clip][None if name == "waveform" else 0][None]
            cells = n(branch.pool(branch.trunk(signal))[0].flatten(1))
            ranges, seen = literal_branch(branch, cells)
            logits, features = logits + ranges, features + seen
        same(output.logits[clip], logits)
        same(output.prediction[clip], sigmoid(linear(model.score, features))[:, 0])


def test_the_losses_of_crnet() -> None:
    model, batch = model_and_batch("crnet")
    output = model(batch)
    labels = np.random.default_rng(0).uniform(0.3, 0.9, (3, 5))
    entropy, absolute, squared, bell = 0.0, [], [], 0.0
    for clip in range(3):
        for trait in range(5):
            label = labels[clip, trait]
            wanted = sum(label >= cut for cut in (0.5, 0.6, 0.7))
            # mean over the batch of the sum over traits
            entropy -= np.log(softmax(n(output.logits[clip, trait]), 0)[wanted]) / 3
            error = n(output.prediction)[clip, trait] - label
            absolute.append(abs(error))
            squared.append(error**2)
            bell += 300 * (1 - np.exp(-(error**2) / (2 * 9**2)))  # summed over all
    given = output, torch.tensor(labels), torch.ones(3, 5, dtype=torch.bool), 0.25
    same(losses.find("ranges")(*given), entropy)
    same(losses.find("bell")(*given), bell)
    whole = np.mean(absolute) + np.mean(squared) + bell + 4 * 0.25 * entropy
    same(losses.find("crnet")(*given), whole)


def test_vat() -> None:
    model, batch = model_and_batch("vat")
    frames = batch.streams["frames"]
    clips, time = frames.shape[:2]
    maps = n(model.trunk(frames.flatten(0, 1))).reshape(clips, time, -1, 2, 1)
    heads, width = len(model.heads), model.reduced.normalized_shape[0]
    for clip in range(clips):
        known = np.zeros((time, width))
        for t in range(time):
            x = batch_norm(model.norm, maps[clip, t])
            d = len(x)
            for i in range(0, d, 2):
                x[i] = x[i] * np.sqrt(d) + np.sin(t / 10000 ** (2 * i / d))
                x[i + 1] = x[i + 1] * np.sqrt(d) + np.cos(t / 10000 ** (2 * (i + 1) / d))
            z = np.einsum("ocij,cij->o", n(model.reduce.weight), x)
            known[t] = layer_norm(np.maximum(z, 0), model.reduced)
        answers = []
        for units, k in zip(model.heads, np.split(known, heads, axis=1), strict=True):
            q = k[time // 2]
            for unit in units:
                weights = softmax(k @ q / np.sqrt(k.shape[1]), axis=0)
                q = layer_norm(q + weights @ k, unit.seen)
                inner = np.maximum(linear(unit.think[0], q), 0)
                q = layer_norm(q + linear(unit.think[3], inner), unit.thought)
            answers.append(q)
        joined = np.concatenate(answers)
        joined /= np.sqrt((joined**2).sum())
        same(model(batch)[clip], sigmoid(linear(model.score, joined)))


@pytest.mark.parametrize("dense", [False, True])
def test_dan(dense: bool) -> None:
    model, batch = model_and_batch("dan", plus=not dense, dense=dense)
    images = batch.streams["frames"][0]
    early = model.first(images)
    late = n(model.rest(early))
    for image in range(len(images)):
        described = []
        for maps in [late] if dense else [late, n(early)]:
            c, h, w = maps[image].shape
            if dense:
                described.append(literal_neighbourhoods(maps[image]).ravel())
                continue
            average, largest = np.zeros(c), np.full(c, -np.inf)
            for y in range(h):
                for x in range(w):
                    average += maps[image, :, y, x] / (h * w)
                    largest = np.maximum(largest, maps[image, :, y, x])
            described += [one / np.sqrt((one**2).sum()) for one in (average, largest)]
        z = np.concatenate(described)
        if dense:
            z = linear(model.dense[0], z)
            z = np.where(z > 0, z, 0.01 * z)
        same(model(batch).rows[0, image], sigmoid(linear(model.score, z)))


def literal_neighbourhoods(maps: Array) -> Array:
    """Mean (of what is beyond the edge as zeros) and maximum around each place, of length one."""
    c, h, w = maps.shape
    both = np.zeros((2, c, h, w))
    for y in range(h):
        for x in range(w):
            near = maps[:, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
            for kind, one in enumerate((near.sum((1, 2)) / 9, near.max((1, 2)))):
                both[kind, :, y, x] = one / np.sqrt((one**2).sum())
    return both.reshape(2 * c, h, w)


def test_descriptors_of_several_places() -> None:
    maps = torch.tensor(np.random.default_rng(0).normal(size=(2, 3, 7, 7)))
    same(neighbourhoods(maps)[1], literal_neighbourhoods(n(maps[1])))
    average, largest = n(maps[1]).mean((1, 2)), n(maps[1]).max((1, 2))
    both = [one / np.linalg.norm(one) for one in (average, largest)]
    same(descriptor(maps)[1], np.concatenate(both))


def test_a_convolution_of_vgg() -> None:
    model, batch = model_and_batch("dan")
    layer, image = model.first[0], n(batch.streams["frames"][0, 0])
    literal = np.maximum(batch_norm(layer[1], convolve(layer[0], image)), 0)
    same(layer(batch.streams["frames"][0, :1])[0], literal)


@pytest.mark.parametrize("senses", ["audiovisual", "visual"])
def test_cnn_lstm(senses: str) -> None:
    model, batch = model_and_batch("bimodal_lstm", senses=senses)
    convolutions = [part for part in model.see if isinstance(part, nn.Conv2d)]
    first, second = (part for part in model.see if isinstance(part, nn.Linear))
    scores = model(batch)
    for clip in range(3):
        steps = []
        for part in range(3):
            x = n(batch.streams["faces"][clip, part])
            for layer in convolutions:
                x = halved(np.maximum(convolve(layer, x), 0))
            seen = linear(second, linear(first, x.ravel()))  # no ReLU after either
            heard = []
            if senses == "audiovisual":
                heard = [linear(model.hear, n(batch.streams["mid_term"][clip, part]))]
            steps.append(np.concatenate([seen, *heard]))
        states = lstm(model.lstm, np.array(steps))
        there = n(batch.masks["mid_term"][clip]) if senses == "audiovisual" else np.ones(3)
        per_step = sigmoid(linear(model.score, states))
        same(scores[clip], (per_step * there[:, None]).sum(0) / there.sum())


@pytest.mark.parametrize("join", ["hidden", "linear"])
@pytest.mark.parametrize("senses", ["audiovisual", "visual"])
def test_deep_impression(join: str, senses: str) -> None:
    model, batch = model_and_batch(
        "bimodal_resnet18", join=join, senses=senses, evaluation_images=2
    )
    output = model(batch).prediction
    for clip in range(3):
        scores = []
        for image in range(2):
            see = n(model.see(batch.streams["frames"][clip, image][None])[0])
            z = see.mean(axis=(1, 2))
            if senses == "audiovisual":
                hear = n(model.hear(batch.streams["waveform"][clip][None, None])[0])
                z = np.concatenate([z, hear.mean(axis=1)])
                if join == "hidden":
                    z = np.maximum(layer_norm(linear(model.join[0], z), model.join[1]), 0)
            z = linear(model.score, z)
            scores.append((np.tanh(z) + 1) / 2 if join == "linear" else sigmoid(z))
        same(output[clip], np.mean(scores, axis=0))


def test_deep_impression_alone_with_its_sound() -> None:
    model, batch = model_and_batch("audio_resnet18")
    for clip in range(3):
        heard = n(model.hear(batch.streams["waveform"][clip][None, None])[0]).mean(axis=1)
        same(model(batch)[clip], sigmoid(linear(model.score, heard)))
