"""Large image networks are asked picture by picture, and a map shares out what each adds."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.models.test_contracts import TARGETS
from traitscope import registry
from traitscope.analysis import attribution
from traitscope.analysis.attribution import attribute, scores_of
from traitscope.analysis.parts import GRID, parts_of, without
from traitscope.data.drawing import Example
from traitscope.runs.checkpoint import Checkpoint
from traitscope.runs.facts import Facts
from traitscope.runs.settings import RunConfig
from traitscope.types import Clip

MEAN = (124, 116, 104)  # ImageNet's, which networks see as nothing
SIZE = 224


def checkpoint_of(name: str) -> Checkpoint:
    """A network of the zoo with random tensors, as if a run had been loaded."""
    module = registry.load("models", name)
    options = module.TINY.model_copy(update={"size": SIZE, "input": "faces"})
    torch.manual_seed(0)
    shapes = {"faces": (3, SIZE, SIZE)}
    model = module.Model(options, shapes, TARGETS).eval()
    facts = Facts("small", "apparent", TARGETS, {}, shapes)
    config = RunConfig(model={"name": name, **options.model_dump(mode="json")})
    return Checkpoint(Path("run"), config, module.inputs(options), facts, {}, model)


@pytest.mark.parametrize("name", ["cam_dan", pytest.param("dan", marks=pytest.mark.slow)])
def test_what_a_picture_adds_lies_where_there_is_something_to_see(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attribution, "DEAREST", 0.0)
    checkpoint = checkpoint_of(name)
    empty = np.broadcast_to(np.array(MEAN, np.uint8), (2, SIZE, SIZE, 3)).copy()
    faces = empty.copy()
    # Something to see in the lower right of the first picture; nothing in the second.
    noise = np.random.default_rng(0).integers(0, 256, (SIZE // 2, SIZE // 2, 3), dtype=np.uint8)
    faces[0, SIZE // 2 :, SIZE // 2 :] = noise
    masks, times = {"faces": np.ones(2, bool)}, {"faces": np.arange(2.0)}
    example = Example(Clip("a"), {"faces": faces}, masks, times=times)
    parts, reference = parts_of(example, {}, 2.0), {"faces": empty}
    made = attribute(checkpoint, example, parts, reference)
    assert "activation map" in made.method
    first = [place for place, part in enumerate(parts) if part.start == 0.0]
    others = [place for place, part in enumerate(parts) if part.start != 0.0]
    gone = without(example, [parts[place] for place in first], reference)
    lost = scores_of(checkpoint, [example]) - scores_of(checkpoint, [gone])
    assert np.abs(lost).max() > 0
    np.testing.assert_allclose(made.values[first].sum(axis=0), lost[0], atol=1e-9)
    np.testing.assert_allclose(made.values[others], 0, atol=1e-9)
    seen = [place for place in first if min(parts[place].cell or (0, 0)) >= GRID // 2]
    share = np.abs(made.values[seen]).sum() / np.abs(made.values[first]).sum()
    assert len(seen) == GRID**2 // 4
    assert share > 0.5
