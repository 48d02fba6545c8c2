"""Names are files; unknown names get the nearest; names from files never import outside code."""

from pathlib import Path

import pytest

from traitscope import extras, registry
from traitscope.errors import ConfigError, MissingError

NAME = "no_such_lab.model"


def test_models_are_their_files() -> None:
    assert {"audio_lstm", "functionals"} <= set(registry.names("models"))
    assert not [name for name in registry.names("models") if name.startswith("_")]


def test_recipes_are_yaml_files() -> None:
    assert "audio_lstm" in registry.names("recipes")


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"There is no 'audio_lst' .* Did you mean 'audio_lstm'"):
        registry.load("models", "audio_lst")


def test_a_dotted_path_from_a_file_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--model os\.path"):
        registry.load("models", "os.path")


def test_a_dotted_path_that_was_typed_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lab_of_test").mkdir()
    (tmp_path / "lab_of_test" / "own.py").write_text("WHO = 'me'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    name = "lab_of_test.own"
    assert registry.load("models", name, typed=registry.typed(model=name)).WHO == "me"


def test_a_name_that_was_typed_for_one_role_is_not_imported_for_another() -> None:
    typed = registry.typed(model="os.path", corpus="shlex.x:/data")
    for room in ("extract", "corpora", "augment", "tracking"):
        with pytest.raises(ConfigError, match=r"runs/a/run\.yaml names 'os\.path'"):
            registry.load(room, "os.path", typed=typed, source="runs/a/run.yaml")


def test_an_outside_module_that_is_not_there_says_how_to_find_it() -> None:
    with pytest.raises(MissingError, match="PYTHONPATH"):
        registry.load(
            "models", "no_such_lab.model", typed=registry.typed(model="no_such_lab.model")
        )


def test_a_path_is_not_a_dotted_module() -> None:
    with pytest.raises(ConfigError, match="dotted module path"):
        registry.load("models", "../model.py", typed=registry.typed(model="../model.py"))


def test_a_missing_extra_names_its_command() -> None:
    with pytest.raises(MissingError, match=r"pip install 'traitscope\[audio\]'"):
        extras.require("no_such_package_of_ours", extra="audio", why="egemaps")


def test_a_broken_package_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_package_of_ours.py").write_text("import not_there_either\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="not_there_either"):
        extras.require("broken_package_of_ours", extra="audio", why="egemaps")


def test_an_installed_extra_is_imported() -> None:
    assert extras.require("json", extra="audio", why="nothing").loads("1") == 1
