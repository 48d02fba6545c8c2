"""Every shipped recipe is a valid run of a model that exists, with losses that exist."""

import pytest

from traitscope import losses, registry
from traitscope.runs import load_run, plan


@pytest.mark.parametrize("name", registry.names("recipes"))
def test_a_recipe_is_a_valid_run(name: str) -> None:
    config = load_run(name)
    made = plan(config)
    assert made.draws
    for stage in config.stages:
        assert losses.find(stage.loss)


def test_the_stages_of_crnet_are_named_and_can_be_changed_by_name() -> None:
    config = load_run("crnet", ["train.ranges.epochs=2", "train.regression.lr=0.1"])
    assert [(s.name, s.epochs, s.lr) for s in config.stages] == [
        ("ranges", 2, 0.002),
        ("regression", 100, 0.1),
    ]
