"""The page for users of the DeepPersonality benchmark: every command in it means something."""

import importlib
import re
import shlex
from pathlib import Path

import pytest
import typer

from tests.support.udiva_files import SCORES, write_udiva
from traitscope import registry
from traitscope.corpora import load_corpus
from traitscope.runs.plan import load_run, plan, requests_for, typed_names

PAGE = Path(__file__).resolve().parents[2] / "docs" / "coming_from" / "deeppersonality.md"
TEXT = PAGE.read_text(encoding="utf-8")
VERBS = ("train", "prepare", "predict", "evaluate", "fuse")
OTHERS = {
    *("au_hybrid", "convnext", "dinov2", "face_cnn", "functionals", "functionals_trees"),
    *("resnet_lstm", "s2d_112", "s2d_112_clip", "s2d_224", "text_stack", "text_stack_embedded"),
    *("face_cnn_search", "flagship", "fusion_transformer"),
}
"""Recipes that are not of that benchmark."""


def _commands() -> list[str]:
    """What stands in blocks of commands and, beginning with a verb, in quotes."""
    blocks = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    quoted = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL))
    found = [line.removeprefix("traitscope ") for line in (*lines, *quoted)]
    # `train RECIPE` and `train ... --from RUN` are patterns of commands.
    pattern = re.compile(r"RECIPE|RUN|\.\.\.")
    begin = tuple(f"{verb} " for verb in VERBS)
    whole = [one for one in found if one.startswith(begin) and not pattern.search(one)]
    return list(dict.fromkeys(whole))


COMMANDS = _commands()


def test_there_are_commands_for_every_recipe_of_the_benchmark() -> None:
    assert len(COMMANDS) > 60
    named = {shlex.split(one)[1] for one in COMMANDS if one.startswith("train ")}
    assert named - set(registry.names("models")) <= set(_recipes())
    assert set(_recipes()) - named == OTHERS


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_understood(command: str) -> None:
    verb, *words = shlex.split(command)
    module = importlib.import_module(f"traitscope.cli.{verb}")
    parsed = typer.main.get_command(module.app).make_context(verb, list(words)).params
    if verb == "train":
        settings = list(parsed["settings"] or ())
        config = load_run(parsed["name"], settings)
        draws = plan(config, typed=typed_names(parsed["name"], settings), source=command).draws
        assert draws
    if verb == "prepare" and parsed["for_"]:
        assert requests_for(parsed["for_"], list(parsed["settings"] or ()))


@pytest.mark.parametrize("address", sorted(set(re.findall(r"udiva:/data/udiva[\w,=]*", TEXT))))
def test_each_part_of_udiva_is_one(address: str, tmp_path: Path) -> None:
    sessions = {"train": {"1": [12, 7]}}
    write_udiva(tmp_path, sessions, SCORES, tasks=("talk", "animal", "lego", "ghost"))
    corpus = load_corpus(address.replace("/data/udiva", str(tmp_path)))
    assert len(corpus.clips) == (2 if "task" in address else 8)


def _recipes() -> list[str]:
    folder = Path(registry.__file__).parent / "recipes"
    return sorted(path.stem for path in folder.glob("*.yaml"))
