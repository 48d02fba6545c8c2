"""au_hybrid: five feature sets, time that is time, masks that hide, a head that is not linear."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from traitscope.data.examples import chosen_columns
from traitscope.extract.signals import COLUMNS
from traitscope.models.au_hybrid import SETS, TINY, Config, Model, inputs
from traitscope.nn.heads import sinusoids
from traitscope.runs.checkpoint import predict_batch
from traitscope.types import TRAITS, Batch, Rows, Stream, Target

TARGETS = [Target(name, 0, 1, 1) for name in TRAITS]


def tiny(**changes: Any) -> Model:
    torch.manual_seed(0)
    return Model(TINY.model_copy(update=changes), {"signals": (5,)}, TARGETS).eval()


def batch(values: np.ndarray, mask: np.ndarray | None = None) -> Batch:
    clips, rows = values.shape[:2]
    zeros = np.zeros((clips, len(TARGETS)), np.float32)
    return Batch(
        clips=tuple(map(str, range(clips))),
        streams={"signals": values.astype(np.float32)},
        masks={"signals": np.ones((clips, rows), bool) if mask is None else mask},
        targets=zeros,
        target_mask=zeros > -1,
    )


def signals(clips: int = 3, rows: int = 30) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(clips, rows, 5))


@pytest.mark.parametrize(
    ("name", "width"),
    [("au", 17), ("gaze", 19), ("rotation", 20), ("gaze_rotation", 5), ("all", 22)],
)
def test_feature_sets_have_the_published_widths(name: Any, width: int) -> None:
    draw = inputs(Config(signals=name))["signals"]
    row = Stream(time=np.zeros(1), values=np.zeros((1, len(COLUMNS))), columns=COLUMNS)
    kept = chosen_columns(row, draw.columns).columns
    assert len(kept) == width
    assert not {"confidence", "success", "frame"} & set(kept)
    assert set(SETS) >= {name}


def test_signals_of_every_frame_are_standardised_and_cut_at_700_rows() -> None:
    draw = inputs(Config())["signals"]
    assert draw.extract == {"rate": "native"}
    assert draw.standardize
    assert (draw.train, draw.evaluate) == (Rows("window", 700), Rows("all", 700))


def test_clips_of_a_batch_are_not_mixed_and_any_number_of_them_will_do() -> None:
    values = signals(clips=5)
    together = predict_batch(tiny(), batch(values))
    for clip in range(5):
        alone = predict_batch(tiny(), batch(values[clip : clip + 1]))
        np.testing.assert_allclose(alone[0], together[clip], atol=1e-5)


def test_the_recurrence_runs_over_time() -> None:
    net, values = tiny(), torch.tensor(signals(), dtype=torch.float32)
    mask = torch.ones(3, 30, dtype=torch.bool)
    before = net.recurrence(values, mask)
    assert not torch.allclose(net.recurrence(values.flip(1), mask), before, atol=1e-5)
    torch.testing.assert_close(net.recurrence(values.flip(0), mask), before.flip(0))
    states: list[torch.Tensor] = []
    net.recurrence.lstm.register_forward_hook(lambda *call: states.append(call[2][0]))
    changed = values.clone()
    changed[:, -1] += 1
    net.recurrence(values, mask)
    net.recurrence(changed, mask)
    torch.testing.assert_close(states[0][:, :-1], states[1][:, :-1])
    assert not torch.allclose(states[0][:, -1], states[1][:, -1])


@pytest.mark.parametrize("longer", [31, 50, 200])
def test_padding_to_any_length_changes_nothing(longer: int) -> None:
    values, mask = signals(), np.ones((3, 30), bool)
    mask[1, 10:14] = False  # the face was lost for a while
    before = predict_batch(tiny(), batch(values, mask))
    padded = np.full((3, longer, 5), 7.0)
    padded[:, :30] = values
    padded[1, 10:14] = -55
    hidden = np.zeros((3, longer), bool)
    hidden[:, :30] = mask
    np.testing.assert_allclose(predict_batch(tiny(), batch(padded, hidden)), before, atol=1e-5)


def test_what_convolutions_make_of_padding_does_not_come_back() -> None:
    net, mask = tiny(), torch.ones(2, 8, dtype=torch.bool)
    with torch.no_grad():
        for layer in net.convolutions.layers:
            layer.convolve.bias.fill_(1.0)  # so that zeros do not stay zeros
    values = torch.tensor(signals(clips=2, rows=8), dtype=torch.float32)
    padded = torch.cat([values, torch.zeros(2, 6, 5)], dim=1)
    longer = torch.cat([mask, torch.zeros(2, 6, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(net.convolutions(padded, longer), net.convolutions(values, mask))


def test_hidden_rows_are_not_the_same_as_rows_of_zeros() -> None:
    values, mask = signals(), np.ones((3, 30), bool)
    values[:, 20:] = 0
    shown = predict_batch(tiny(), batch(values, mask))
    mask[:, 20:] = False
    assert not np.allclose(predict_batch(tiny(), batch(values, mask)), shown, atol=1e-6)


def test_the_head_has_a_relu_between_its_layers() -> None:
    kinds = [type(part) for part in Model(Config(), {"signals": (22,)}, TARGETS).head]
    assert kinds == [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear, nn.ReLU, nn.Linear]


def test_both_branches_have_a_say() -> None:
    values = signals()
    before = predict_batch(tiny(), batch(values))
    for branch in ("recurrence", "convolutions"):
        net = tiny()
        with torch.no_grad():
            for tensor in getattr(net, branch).parameters():
                tensor.zero_()
        assert not np.allclose(predict_batch(net, batch(values)), before, atol=1e-6)


def test_published_widths_of_the_branches() -> None:
    with torch.device("meta"):
        model = Model(Config(), {"signals": (22,)}, TARGETS)
    convolutions = [layer.convolve for layer in model.convolutions.layers]
    shapes = [(c.out_channels, *c.kernel_size) for c in convolutions]
    assert shapes == [(128, 8), (256, 5), (256, 3), (256, 3)]
    assert [gate.gate[0].out_features for gate in model.convolutions.layers] == [8, 16, 16, 16]
    assert model.recurrence.lstm.hidden_size == 256
    widths = [layer.in_features for layer in model.head if isinstance(layer, nn.Linear)]
    assert widths == [512, 256, 128]


def test_places_in_time_differ() -> None:
    places = sinusoids(700, 512)
    assert places.shape == (700, 512)
    assert places[0, 0] == 0
    assert places[0, 1] == 1
    assert places[3, 0] == pytest.approx(np.sin(3), abs=1e-5)
    assert torch.cdist(places, places).fill_diagonal_(9).min() > 0.1
