"""What every model of the zoo keeps to, on the TINY config of its file.

A clause that a file cannot meet stands in its ``CONTRACT`` with the reason; nothing is skipped here
by name.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch

from traitscope import registry
from traitscope.data.examples import to_tensors
from traitscope.runs.checkpoint import predict_batch, predicted
from traitscope.training.losses import find
from traitscope.types import Batch, Draw, Target

TARGETS = (Target("openness", 0, 1, 1), Target("neuroticism", 0, 1, -1), Target("age", None, None))
ROWS: dict[str, tuple[int, ...]] = {
    "short_term": (68,),
    "mid_term": (68,),
    "signals": (24,),
    "landmarks": (68, 2),
    "filterbank": (26,),
    "spectrum": (1100,),
    "logmel": (64,),
    "egemaps": (88,),
    "emobase": (988,),
    "compare": (6373,),
    "embedding": (24,),
    "audio_embedding": (12,),
    "frame_scores": (3,),
    "frame_features": (12,),
    "metadata": (5,),
    "waveform": (),
}
"""Shape of one row of each stream; images follow the Draw's size."""

NAMES = registry.names("models")
EXTRAS = {"text": "transformers"}
"""Extra -> a package it brings; models of an extra that is not installed are skipped."""


def marked(name: str) -> Any:
    """A model's name, skipped with a reason where its extra is not installed."""
    extra = getattr(registry.load("models", name), "EXTRA", None)
    absent = extra is not None and find_spec(EXTRAS[extra]) is None
    return pytest.param(name, marks=pytest.mark.skipif(absent, reason=f"needs the extra {extra}"))


MODELS = [marked(n) for n in NAMES if hasattr(registry.load("models", n), "Model")]
ESTIMATORS = [n for n in NAMES if hasattr(registry.load("models", n), "Estimator")]


def clause(module: Any, name: str) -> None:
    """Leave a test that the file declares it cannot meet."""
    reason = getattr(module, "CONTRACT", {}).get(name)
    if reason:
        pytest.skip(reason)


def words_of(clips: int, rng: np.random.Generator) -> np.ndarray:
    """Texts (clips, 1) of different lengths; one clip says nothing."""
    known = np.array(["so", "I", "like", "um...", "you", "[UNKNOWN]", "Paris", "never", "it?"])
    texts = [[" ".join(rng.choice(known, size=3 * clip))] for clip in range(clips)]
    return np.array(texts, dtype=np.dtypes.StringDType())


def row_shape(stream: str, draw: Draw) -> tuple[int, ...]:
    if stream == "transcript":
        return ()
    if draw.pool:
        return (ROWS[stream][0] * len(draw.pool),)
    if stream in {"faces", "frames", "drawings"}:
        size = draw.size or draw.extract.get("size", 224)
        return (3, *((size, size) if isinstance(size, int) else size))
    return ROWS[stream]


def shapes_of(draws: Mapping[str, Draw]) -> dict[str, tuple[int, ...]]:
    return {stream: row_shape(stream, draw) for stream, draw in draws.items()}


def batch_of(draws: Mapping[str, Draw], clips: int = 4, seed: int = 0) -> Batch:
    """Clips of different lengths, as ``data.collate`` would lay them out."""
    rng = np.random.default_rng(seed)
    streams, masks = {}, {}
    leaders = {d.group: name for name, d in reversed(draws.items()) if d.group}
    for stream, draw in draws.items():
        shape = row_shape(stream, draw)
        if stream == "transcript":
            streams[stream], masks[stream] = words_of(clips, rng), np.ones((clips, 1), bool)
            continue
        if draw.pool:
            streams[stream] = rng.normal(size=(clips, *shape))
            continue
        evaluate = draws[leaders.get(draw.group, stream)].evaluate  # a group is drawn together
        rows = evaluate.count or 9
        values = rng.normal(size=(clips, rows, *shape)).astype(np.float32)
        mask = np.ones((clips, rows), bool)
        if evaluate.rule == "all":
            for clip in range(clips):
                mask[clip, max(1, rows - clip) :] = False
        values[~mask] = 0
        streams[stream], masks[stream] = values, mask
    targets = rng.uniform(0.2, 0.8, size=(clips, len(TARGETS))).astype(np.float32)
    return Batch(
        clips=tuple(f"clip{i}" for i in range(clips)),
        streams=streams,
        masks=masks,
        targets=targets,
        target_mask=np.ones_like(targets, bool),
    )


def build(name: str) -> tuple[Any, Any, dict[str, Draw]]:
    module = registry.load("models", name)
    draws = module.inputs(module.TINY)
    torch.manual_seed(0)
    return module, module.Model(module.TINY, shapes_of(draws), TARGETS), draws


def take(batch: Batch, rows: slice) -> Batch:
    """Some clips of a batch."""
    return Batch(
        clips=batch.clips[rows],
        streams={k: v[rows] for k, v in batch.streams.items()},
        masks={k: v[rows] for k, v in batch.masks.items()},
        targets=batch.targets[rows],
        target_mask=batch.target_mask[rows],
    )


def step(model: Any, batch: Batch, optimizer: torch.optim.Optimizer) -> float:
    output = model(batch)
    loss = find("mse")(output, batch.targets, batch.target_mask, 0.5)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


@pytest.mark.parametrize("name", NAMES)
def test_a_model_file_has_every_part(name: str) -> None:
    module = registry.load("models", name)
    assert module.__doc__
    assert module.Config() == module.Config.model_validate(module.Config().model_dump())
    assert isinstance(module.TINY, module.Config)
    assert hasattr(module, "Model") != hasattr(module, "Estimator")
    assert all(isinstance(draw, Draw) for draw in module.inputs(module.TINY).values())


@pytest.mark.parametrize("name", MODELS)
def test_output_is_clips_by_targets_inside_their_range(name: str) -> None:
    _, model, draws = build(name)
    batch = to_tensors(batch_of(draws))
    for mode in (True, False):
        model.train(mode)
        output = predicted(model(batch))
        assert output.shape == (4, len(TARGETS))
        assert ((output[:, :2] >= 0) & (output[:, :2] <= 1)).all()


@pytest.mark.parametrize("name", MODELS)
def test_gradient_reaches_every_trainable_tensor_and_no_other(name: str) -> None:
    module, model, draws = build(name)
    clause(module, "gradient")
    batch = to_tensors(batch_of(draws))
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    before = {n: t.clone() for n, t in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model.train()
    step(model, batch, optimizer)  # a zero-initialised last layer lets gradient through only now
    step(model, batch, optimizer)
    for tensor_name, tensor in model.named_parameters():
        if tensor_name in frozen:
            assert torch.equal(tensor, before[tensor_name]), f"frozen {tensor_name} moved"
        else:
            assert tensor.grad is not None, f"no gradient reaches {tensor_name}"
            assert tensor.grad.abs().sum() > 0, f"gradient of {tensor_name} is zero"


@pytest.mark.parametrize("name", MODELS)
def test_one_batch_can_be_learned_by_heart(name: str) -> None:
    module, model, draws = build(name)
    clause(module, "overfit")
    batch = to_tensors(batch_of(draws))
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    first = step(model, batch, optimizer)
    losses = (step(model, batch, optimizer) for _ in range(150))
    assert any(loss < 0.2 * first for loss in losses)


@pytest.mark.parametrize("name", MODELS)
def test_saved_and_loaded_predictions_are_equal(name: str) -> None:
    module, model, draws = build(name)
    batch = batch_of(draws)
    other = module.Model(module.TINY, shapes_of(draws), TARGETS)
    other.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(predict_batch(model, batch), predict_batch(other, batch))


@pytest.mark.parametrize("name", MODELS)
def test_a_clip_alone_scores_as_in_company(name: str) -> None:
    _, model, draws = build(name)
    batch = batch_of(draws)
    together = predict_batch(model, batch)
    for row in range(4):
        alone = predict_batch(model, take(batch, slice(row, row + 1)))
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_padding_has_no_say(name: str) -> None:
    _, model, draws = build(name)
    batch = batch_of(draws)
    before = predict_batch(model, batch)
    for stream, mask in batch.masks.items():
        batch.streams[stream][~mask] = 99.0
    np.testing.assert_allclose(predict_batch(model, batch), before, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_full_size_can_be_counted_without_memory(name: str) -> None:
    module = registry.load("models", name)
    clause(module, "count")
    draws = module.inputs(module.Config())
    with torch.device("meta"):
        model = module.Model(module.Config(), shapes_of(draws), TARGETS)
    assert sum(p.numel() for p in model.parameters()) > 0


def of_lengths(batch: Batch, draws: Mapping[str, Draw]) -> dict[str, tuple[int, ...]]:
    """End the clips of a batch after one row, some, all but one, and all; give rows by stream."""
    ends = {}
    for stream in batch.masks:  # what is pooled has no rows
        draw, rows = draws[stream], batch.streams[stream].shape[1]
        # Other rules give as many rows of any clip.
        shorter = draw.evaluate.rule in {"all", "center"} and not draw.group and rows > 1
        ends[stream] = (1, rows // 2, rows - 1, rows) if shorter else (rows,) * 4
        for clip, end in enumerate(ends[stream]):
            batch.masks[stream][clip] = np.arange(rows) < end
            batch.streams[stream][clip, end:] = 0
    return ends


@pytest.mark.parametrize("name", MODELS)
def test_a_clip_of_any_length_scores_alone_as_beside_longer_ones(name: str) -> None:
    _, model, draws = build(name)
    if any("running_mean" in tensor for tensor in model.state_dict()):
        with torch.no_grad():  # fresh statistics would make a deep network deaf
            for _ in range(5):
                model.train()(to_tensors(batch_of(draws)))
    if "transcript" in draws:
        return  # a row of words, padded inside the model: see the test of company above
    batch = batch_of(draws)
    ends = of_lengths(batch, draws)
    together = predict_batch(model, batch)
    for row in range(4):
        alone = take(batch, slice(row, row + 1))
        for stream, rows in ends.items():
            alone.streams[stream] = alone.streams[stream][:, : rows[row]]
            alone.masks[stream] = alone.masks[stream][:, : rows[row]]
        np.testing.assert_allclose(predict_batch(model, alone)[0], together[row], atol=1e-6)


def fitted(name: str, seed: int = 0) -> tuple[Any, Any, Batch]:
    module = registry.load("models", name)
    batch = batch_of(module.inputs(module.TINY), clips=24, seed=seed)
    estimator = module.Estimator(module.TINY, TARGETS)
    estimator.fit(batch, [str(i // 3) for i in range(24)])
    return module, estimator, batch


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_fits_and_predicts_inside_the_range(name: str) -> None:
    _, estimator, batch = fitted(name)
    scores = estimator.predict(batch)
    assert scores.shape == (24, len(TARGETS))
    assert np.isfinite(scores).all()
    assert ((scores[:, :2] >= 0) & (scores[:, :2] <= 1)).all()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimators_state_is_arrays_and_json_and_comes_back(name: str) -> None:
    import json

    module, estimator, batch = fitted(name)
    arrays, facts = estimator.state()
    assert all(isinstance(a, np.ndarray) and a.dtype.kind in "fiub" for a in arrays.values())
    other = module.Estimator(module.TINY, TARGETS)
    other.restore(arrays, json.loads(json.dumps(facts)))
    np.testing.assert_allclose(other.predict(batch), estimator.predict(batch), atol=1e-6)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_scores_a_clip_alone_as_in_company(name: str) -> None:
    _, estimator, batch = fitted(name)
    alone = estimator.predict(take(batch, slice(5, 6)))
    np.testing.assert_allclose(alone[0], estimator.predict(batch)[5], atol=1e-9)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_ignores_missing_labels(name: str) -> None:
    module = registry.load("models", name)
    batch = batch_of(module.inputs(module.TINY), clips=24)
    batch.target_mask[::4, 0] = False
    batch.targets[::4, 0] = 1e6
    estimator = module.Estimator(module.TINY, TARGETS)
    estimator.fit(batch, [str(i) for i in range(24)])
    batch.targets[::4, 0] = 0
    other = module.Estimator(module.TINY, TARGETS)
    other.fit(batch, [str(i) for i in range(24)])
    np.testing.assert_array_equal(other.predict(batch), estimator.predict(batch))
