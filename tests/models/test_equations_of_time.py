"""Head Motion's network and S2D, against their equations written out."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.models.test_equations import (
    Array,
    convolve,
    layer_norm,
    linear,
    lstm,
    model_and_batch,
    n,
    same,
    sigmoid,
    softmax,
)
from tests.models.test_s2d import literal_mcp, literal_tma
from traitscope.models.au_hybrid import Convolution
from traitscope.models.s2d import heatmaps


def literal_recurrence(part: Any, rows: Array, there: Array) -> Array:
    """Projection + time, LSTM, and for every feature its own additive attention over rows."""
    width = part.project.out_features
    steps = []
    for row in range(len(rows)):
        time = np.zeros(width)
        for i in range(0, width, 2):
            angle = row * (100 / 30) / 10000 ** (i / width)
            time[i], time[i + 1] = np.sin(angle), np.cos(angle)
        place = linear(part.place[2], np.maximum(linear(part.place[0], time), 0))
        steps.append(linear(part.project, rows[row]) + place)
    states = lstm(part.lstm, np.array(steps))
    scores = np.array([linear(part.attention.score, np.tanh(linear(part.attention.hidden, h)))
                       for h in states])  # fmt: skip
    attended = np.zeros(states.shape[1])
    for feature in range(states.shape[1]):
        weights = softmax(scores[there, feature], axis=0)
        attended[feature] = (weights * states[there, feature]).sum()
    return attended


def literal_gated(layer: Convolution, x: Array, there: Array) -> Array:
    """Convolution, ReLU, and each channel times the sigmoid of what SiLU makes of its mean."""
    left, right = layer.pad.padding  # type: ignore[misc]
    y = np.maximum(convolve(layer.convolve, x, padding=[(left, right)]), 0)
    mean = y[:, there].mean(axis=1)
    inner = linear(layer.gate[0], mean)
    gate = sigmoid(linear(layer.gate[2], inner * sigmoid(inner)))
    return np.asarray(y * gate[:, None] * there)


def test_au_hybrid() -> None:
    model, batch = model_and_batch("au_hybrid")
    first, second, last = (part for part in model.head if isinstance(part, nn.Linear))
    for clip in range(3):
        there = n(batch.masks["signals"][clip]).astype(bool)
        there[4:6] = False
        batch.masks["signals"][clip] = torch.tensor(there)
        rows = n(batch.streams["signals"][clip]) * there[:, None]
        x = rows.T
        for layer in model.convolutions.layers:
            x = literal_gated(layer, x, there)
        both = [literal_recurrence(model.recurrence, rows, there), x[:, there].mean(axis=1)]
        z = np.maximum(linear(first, np.concatenate(both)), 0)
        z = linear(last, np.maximum(linear(second, z), 0))
        same(model(batch)[clip], sigmoid(z))


def literal_block(block: Any, x: Array) -> Array:
    """Dosovitskiy et al.: x + attention(LN x), then x + MLP(LN x), of one frame (tokens, dim)."""
    heads, z = block.attn.num_heads, layer_norm(x, block.norm1)
    q, k, v = np.split(linear(block.attn.qkv, z), 3, axis=1)
    parts = []
    for q_, k_, v_ in zip(*(np.split(one, heads, axis=1) for one in (q, k, v)), strict=True):
        parts.append(softmax(q_ @ k_.T / np.sqrt(q_.shape[1]), axis=1) @ v_)
    x = x + linear(block.attn.proj, np.concatenate(parts, axis=1))
    z = torch.tensor(linear(block.mlp.fc1, layer_norm(x, block.norm2)))
    return np.asarray(x + linear(block.mlp.fc2, n(nn.functional.gelu(z))))


def patches(layer: Any, pictures: Array) -> Array:
    """Every square of the picture as a token: (frames, 3, side, side) -> (frames, places, dim)."""
    return np.array([convolve(layer, picture).reshape(len(layer.weight), -1).T
                     for picture in pictures])  # fmt: skip


def literal_s2d(model: Any, pictures: Array, marks: Array, prompts: int) -> Array:
    """Features of one clip whose frames (frames, 3, side, side) are all there."""
    backbone = model.backbone
    x, a = patches(backbone.patch_embed.proj, pictures), marks
    class_token = None
    for index, block in enumerate(backbone.blocks):
        if index < prompts:
            prompt = model.prompts[index]
            normed = torch.tensor(layer_norm(x, prompt.norm))
            shared = torch.tensor(layer_norm(a, model.prompts[0].norm))
            p = n(literal_mcp(prompt.focus, normed, shared))
            t = n(literal_tma(prompt.time, normed, len(x)))
            x, a = x + t + p, p
        if class_token is None:
            token = np.repeat(n(backbone.cls_token), len(x), axis=0)
            tokens = np.concatenate([token, x], axis=1) + n(backbone.pos_embed)
            tokens += n(model.moment)[:, None]
        else:
            tokens = np.concatenate([class_token, x], axis=1)
        tokens = np.array([literal_block(block, frame) for frame in tokens])
        class_token, x = tokens[:, :1], tokens[:, 1:]
    return np.asarray(layer_norm(class_token[:, 0], backbone.norm).mean(axis=0))


@pytest.mark.parametrize("prompts", ["all", 1])
def test_s2d(prompts: Any) -> None:
    model, batch = model_and_batch("s2d", prompts=prompts)
    points, tracked = batch.streams["landmarks"][1], batch.masks["landmarks"][1]
    maps = heatmaps(points, tracked, 14)
    maps = nn.functional.adaptive_avg_pool2d(maps, 4).flatten(2).transpose(1, 2)
    marks = linear(model.landmarks, n(maps))
    literal = literal_s2d(model, n(batch.streams["faces"][1]), marks, len(model.prompts))
    output = model(batch)
    same(output.features[1], literal)
    same(output.prediction[1], sigmoid(linear(model.score, literal)))


def test_s2d_of_the_thesis() -> None:
    settings = {"still": True, "landmarks": "images", "prompts": 1, "sigmoid": False}
    model, batch = model_and_batch("s2d", **settings)
    output = model(batch)
    for row in (0, 2):
        copies = np.repeat(n(batch.streams["faces"][1, [row]]), 3, axis=0)
        drawn = np.repeat(n(batch.streams["drawings"][1, [row]]), 3, axis=0)
        literal = literal_s2d(model, copies, patches(model.landmarks, drawn), prompts=1)
        same(output.rows[1, row], linear(model.score, literal))
