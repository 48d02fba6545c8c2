"""The audio LSTM has the published size and reads its parts in order."""

import numpy as np
import torch

from traitscope.models.audio_lstm import Config, Model
from traitscope.runs.checkpoint import predict_batch
from traitscope.types import TRAITS, Batch, Target

TARGETS = [Target(name, 0, 1, 1) for name in TRAITS]


def model() -> Model:
    torch.manual_seed(0)
    return Model(Config(), {"mid_term": (68,)}, TARGETS)


def batch(values: np.ndarray) -> Batch:
    clips, parts = values.shape[:2]
    zeros = np.zeros((clips, len(TARGETS)), np.float32)
    return Batch(
        clips=tuple(map(str, range(clips))),
        streams={"mid_term": values.astype(np.float32)},
        masks={"mid_term": np.ones((clips, parts), bool)},
        targets=zeros,
        target_mask=zeros > -1,
    )


def test_it_has_86_thousand_parameters() -> None:
    count = sum(p.numel() for p in model().parameters())
    assert count == 68 * 32 + 32 + 4 * 128 * (32 + 128 + 2) + 128 * 5 + 5
    assert round(count / 1e6, 3) == 0.086


def test_clips_of_a_batch_are_not_mixed() -> None:
    values = np.random.default_rng(0).normal(size=(3, 6, 68))
    before = predict_batch(model(), batch(values))
    values[2] += 1
    after = predict_batch(model(), batch(values))
    np.testing.assert_array_equal(before[:2], after[:2])
    assert not np.allclose(before[2], after[2])


def test_the_order_of_parts_matters() -> None:
    values = np.random.default_rng(0).normal(size=(1, 6, 68))
    net = model()
    forward, backward = (
        predict_batch(net, batch(values)),
        predict_batch(net, batch(values[:, ::-1])),
    )
    assert not np.allclose(forward, backward)
