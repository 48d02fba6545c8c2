"""Every model of the zoo gives, as a graph of ONNX, the scores that it gives itself."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models.test_contracts import ESTIMATORS, MODELS, TARGETS, build, fitted, shapes_of
from traitscope import registry
from traitscope.data.scaling import Scaler
from traitscope.errors import ConfigError
from traitscope.features.request import Request, make_request
from traitscope.runs.agreement import compare, random_batch
from traitscope.runs.checkpoint import Checkpoint
from traitscope.runs.export import graph_of, inputs_of, words_of
from traitscope.runs.exported import Input, served
from traitscope.runs.facts import Facts
from traitscope.runs.settings import RunConfig

FAST = ("functionals", "average", "linear_series")


def checkpoint_of(name: str) -> Checkpoint:
    """A model on its TINY config, as if a run had been loaded."""
    module = registry.load("models", name)
    draws = module.inputs(module.TINY)
    if hasattr(module, "Estimator"):
        _, model, _ = fitted(name)
    else:
        _, model, _ = build(name)
        model.eval()
    shapes: dict[str, Any] = shapes_of(draws)
    rng = np.random.default_rng(0)
    scalers = {
        stream: Scaler(rng.normal(size=shapes[stream][-1]), rng.uniform(0.5, 2, shapes[stream][-1]))
        for stream, draw in draws.items()
        if draw.standardize
    }
    requests: dict[str, Request] = {"transcript": make_request("transcript", {})}
    facts = Facts("small", "apparent", TARGETS, requests, shapes)
    settings = {"name": name, **module.TINY.model_dump(mode="json")}
    return Checkpoint(
        Path("run"),
        RunConfig(data={"allow_attributes": "metadata" in draws}, model=settings),
        draws,
        facts,
        scalers,
        model,
    )


def by_draw(one: Input) -> bool:
    """Whether what is drawn of a clip has one number of rows, its own or that of its group."""
    return one.draw.evaluate.rule == "even" or one.draw.evaluate.count == 1 or bool(one.draw.group)


@pytest.mark.slow
def test_a_graph_states_the_variance_of_its_network() -> None:
    plain = checkpoint_of("fusion_transformer")
    stages = [{"name": "fit", "loss": "gaussian"}]
    config = RunConfig(model=plain.config.model, stages=stages)
    targets = tuple(replace(one, low=1.0, high=7.0) for one in plain.facts.targets)
    checkpoint = replace(plain, config=config, facts=replace(plain.facts, targets=targets))
    inputs = inputs_of(checkpoint)
    graph = served(graph_of(checkpoint, inputs).SerializeToString(), inputs)
    assert graph.states_variance
    assert len(compare(checkpoint, graph)) == 4
    # What was compared are deviations in the unit of the range, and not all of them are one.
    batch = random_batch(inputs, 3, {one.stream: 9 for one in inputs}, seed=0)
    scores, variance = replace(checkpoint, fitted=graph).estimate(batch)
    assert variance.shape == scores.shape
    assert (variance > 36 * np.exp(-14) * 0.99).all()
    assert (variance < 36 * 1.01).all()
    assert np.unique(variance).size == variance.size


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            *getattr(one, "values", (one,)),
            marks=[
                *getattr(one, "marks", ()),
                *([] if getattr(one, "values", (one,))[0] in FAST else [pytest.mark.slow]),
            ],
        )
        for one in [*MODELS, *ESTIMATORS]
    ],
)
def test_a_graph_gives_the_scores_of_its_model(name: str) -> None:
    checkpoint = checkpoint_of(name)
    inputs = inputs_of(checkpoint)
    contract = getattr(registry.load("models", name), "CONTRACT", {})
    if "onnx" in contract:  # declared in the model's file, and said to who asks
        with pytest.raises(ConfigError, match="cannot be exported: it"):
            graph_of(checkpoint, inputs)
        return
    graph = served(graph_of(checkpoint, inputs).SerializeToString(), inputs, words_of(checkpoint))
    assert not graph.states_variance  # nothing was held against one under this loss
    checked = compare(checkpoint, graph)
    assert {clips for clips, *_ in checked} == {1, 4}
    declared = "length" in contract
    assert all(one.rows is None or declared or by_draw(one) for one in inputs)
    for one in inputs:
        if one.masked and one.rows is None:
            assert len({rows[one.stream] for _, rows, _ in checked}) == 2, one.stream
