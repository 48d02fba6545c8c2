import math

import pytest

from traitscope import registry
from traitscope.errors import ConfigError
from traitscope.experiments.spaces import drawn, overrides, parse_space, split_settings
from traitscope.runs.plan import load_run, plan, searched_in


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("loguniform(1e-4,1e-2)", (1e-4, 1e-2)),
        ("uniform(0, .5)", (0.0, 0.5)),
        ("quniform(0,1,0.25)", (0.0, 1.0, 0.25)),
        ("randint(1,5)", (1, 5)),
        ("choice(relu, [8, 4], 3)", ("relu", [8, 4], 3)),
    ],
)
def test_spaces_are_read_and_written(text: str, values: tuple[object, ...]) -> None:
    space = parse_space("model.x", text)
    assert space.values == values
    assert parse_space("model.x", str(space)) == space


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lognormal(1,2)", "nothing to search in. Write train.lr=loguniform"),
        ("__import__('os')(1)", "nothing to search in"),
        ("uniform(1)", r"takes 2 finite numbers: uniform\(low,high\)"),
        ("uniform(0,nan)", "finite"),
        ("uniform(2,1)", "first number must be below"),
        ("quniform(0,1,0)", "a step above 0"),
        ("uniform(a,b)", "takes numbers"),
        ("loguniform(0,1)", "above 0. Use uniform"),
        ("randint(1.5,3)", "whole numbers"),
        ("choice(1,1)", "each once"),
        ("choice()", "one value or more"),
    ],
)
def test_a_space_without_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_space("train.lr", text)


def test_values_lie_evenly_between_the_ends() -> None:
    shares = [(n + 0.5) / 400 for n in range(400)]
    log = parse_space("k", "loguniform(1e-4,1e-2)")
    assert sum(log.at(share) < 1e-3 for share in shares) == 200  # half of the decades
    whole = parse_space("k", "randint(1,5)")
    assert [[whole.at(s) for s in shares].count(n) for n in (1, 2, 3, 4)] == [100] * 4
    steps = parse_space("k", "quniform(0,1,0.25)")
    assert sorted({steps.at(share) for share in shares}) == [0, 0.25, 0.5, 0.75, 1]
    assert [steps.at(share) for share in shares].count(1.0) == 80
    for space in (log, whole, steps, parse_space("k", "choice(a,b,c)")):
        for share in (0.0, 0.3, 0.99, 1.0):
            value = space.at(share)
            assert math.isclose(space.place(value), share, abs_tol=0.5) or space.count
            assert space.at(space.place(value)) == value


def test_a_trial_draws_the_same_whatever_was_drawn_before() -> None:
    spaces = [parse_space("train.lr", "loguniform(1e-4,1e-2)"), parse_space("seed", "randint(0,9)")]
    assert drawn(spaces, seed=1, number=7) == drawn(spaces, seed=1, number=7)
    assert len({drawn(spaces, seed=1, number=n)["train.lr"] for n in range(20)}) == 20
    assert overrides({"train.lr": 0.01, "model.hidden": [8, 4]}) == [
        "train.lr=0.01",
        "model.hidden=[8, 4]",
    ]


def test_what_is_typed_takes_the_place_of_the_recipes_space() -> None:
    recipe = {"train.lr": "loguniform(1e-4,1e-2)", "train.batch_size": "choice(4,8)"}
    typed = ["train.batch_size=8", "model.dropout=uniform(0,0.5)", "seed=3"]
    plain, spaces = split_settings(typed, recipe)
    assert plain == ["train.batch_size=8", "seed=3"]
    assert [space.key for space in spaces] == ["train.lr", "model.dropout"]


@pytest.mark.parametrize("name", [n for n in registry.names("recipes") if searched_in(n)])
def test_the_ends_of_a_recipes_spaces_are_allowed(name: str) -> None:
    _, spaces = split_settings([], searched_in(name))
    first = drawn(spaces, seed=0, number=0)
    for space in spaces:
        for value in space.ends():
            assert plan(load_run(name, overrides({**first, space.key: value}))).options
