"""What the pages tell people to type: commands that there are, with settings that they take."""

import re
from pathlib import Path

import pytest
import typer

from tests.support.page_commands import PAGES, ROOT, commands
from traitscope import registry
from traitscope.cli import app
from traitscope.runs.plan import load_run, requests_for


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_can_be_typed(page: str) -> None:
    command = typer.main.get_command(app)
    for words in commands(page):
        with command.make_context("traitscope", list(words)) as context:
            _parse(context, list(words))


def _parse(context: typer.Context, words: list[str]) -> None:
    """Parse as Click would before it runs a verb; an unknown option or a missing word raises."""
    group = context.command
    name, verb, rest = group.resolve_command(context, words)  # type: ignore[attr-defined]
    inner = verb.make_context(name, list(rest), parent=context)
    with inner:
        if getattr(verb, "commands", None):
            _parse(inner, list(rest))


@pytest.mark.parametrize("page", PAGES)
def test_the_settings_of_a_page_are_those_of_its_recipe(page: str) -> None:
    for words in commands(page):
        named = [word for word in words if not word.startswith("-")]
        if words[0] == "train" and words[1] in registry.names("recipes"):
            load_run(words[1], [word for word in named[2:] if "=" in word])
        if words[0] == "prepare" and "--for" in words:
            recipe = words[words.index("--for") + 1]
            if recipe in registry.names("recipes"):
                requests_for(recipe, [w for w in named[2:] if "=" in w and w != recipe])


@pytest.mark.parametrize("page", PAGES)
def test_the_pictures_and_pages_that_a_page_names_are_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" in target or target.startswith("mailto:"):
            continue
        made = {"reference": "tools/reference.py writes it", "security.md": "tools/site.py"}
        if any(part in made for part in Path(target).parts):
            continue
        assert ((ROOT / page).parent / target).exists(), target
