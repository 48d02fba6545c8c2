"""Settings are typed, closed and immutable; every mistake is named at once."""

from pathlib import Path

import pytest
from pydantic import PositiveInt

from traitscope.config import Config, build, merge, parse_overrides, read_yaml, save_config
from traitscope.errors import ConfigError


class Inner(Config):
    lr: float = 1e-3


class Outer(Config):
    train: Inner = Inner()
    steps: tuple[Inner, ...] = ()
    size: PositiveInt = 3


def test_an_unknown_key_gets_the_nearest_and_its_place() -> None:
    with pytest.raises(ConfigError, match="train: unknown key 'lrr'; did you mean 'lr'"):
        build(Outer, {"train": {"lrr": 1}}, where="here")


def test_an_unknown_key_inside_a_list_is_found() -> None:
    with pytest.raises(ConfigError, match=r"steps\.0: unknown key 'lrr'; did you mean 'lr'"):
        build(Outer, {"steps": [{"lrr": 1}]}, where="here")


def test_all_mistakes_are_listed_in_one_error() -> None:
    with pytest.raises(ConfigError) as caught:
        build(Outer, {"train": {"lr": "fast"}, "size": -1, "colour": 3}, where="a.yaml + size=-1")
    message = str(caught.value)
    assert "a.yaml + size=-1 is not a valid Outer" in message
    assert "train: lr:" in message
    assert "size:" in message
    assert "(given: -1)" in message
    assert "unknown key 'colour'; there are: train, steps, size" in message


def test_numbers_that_yaml_reads_as_text_are_numbers() -> None:
    assert build(Outer, parse_overrides(["train.lr=1e-4"]), where="").train.lr == 1e-4


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Outer().size = 4  # type: ignore[misc]


def test_saved_settings_load_as_an_equal_object(tmp_path: Path) -> None:
    config = Outer(train=Inner(lr=0.5), steps=(Inner(), Inner(lr=2)))
    save_config(config, tmp_path / "run.yaml")
    assert build(Outer, read_yaml(tmp_path / "run.yaml"), where="") == config


def test_overrides_become_a_tree() -> None:
    tree = parse_overrides(["a.b=1", "a.c=[x, y]", "d=", "e=a=b"])
    assert tree == {"a": {"b": 1, "c": ["x", "y"]}, "d": None, "e": "a=b"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lr"], "'lr' is not a setting; write key=value"),
        (["a=1", "a=2"], "a second time"),
        (["a=1", "a.b=2"], "contradicts"),
        (["a=[1"], "not readable"),
        (["=3"], "not a setting"),
    ],
)
def test_malformed_overrides_are_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_overrides(arguments)


def test_merging_alters_neither_side() -> None:
    base, changes = {"a": {"b": 1, "c": 2}}, {"a": {"c": 3}, "d": 4}
    assert merge(base, changes) == {"a": {"b": 1, "c": 3}, "d": 4}
    assert base == {"a": {"b": 1, "c": 2}}


@pytest.mark.parametrize(
    ("text", "message"),
    [("- 1\n- 2\n", "must hold keys"), ("a: [1\n", "not readable as YAML")],
)
def test_files_that_hold_no_settings_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_yaml(path)


def test_an_empty_file_is_all_defaults_and_a_missing_one_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("")
    assert read_yaml(tmp_path / "x.yaml") == {}
    with pytest.raises(ConfigError, match="There is no file"):
        read_yaml(tmp_path / "y.yaml")
