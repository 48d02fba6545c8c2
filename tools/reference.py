"""The reference pages of the site, written from the code: verbs, settings, models, extractors.

Nothing here is kept: `tools/site.py` writes these pages anew for each build, so that they cannot
fall behind what they describe.
"""

import inspect
import json
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from traitscope import registry
from traitscope.cli import VERBS, app
from traitscope.cli.ls import describe
from traitscope.errors import MissingError
from traitscope.runs.settings import RunConfig

ROOT = Path(__file__).resolve().parents[1]


def write_reference(folder: Path) -> list[Path]:
    """Write all pages into a folder; returns them."""
    from tools.zoo_table import zoo_page

    pages = {
        "verbs": _verbs(),
        "zoo": zoo_page(),
        "settings": _settings(),
        "models": _room("models", "Models", _MODELS),
        "extractors": _room("extract", "Extractors", _EXTRACTORS),
        "corpora": _room("corpora", "Corpora", _CORPORA),
        "backends": _room("tracking", "Finding faces", _BACKENDS),
        "transforms": _room("augment", "Transforms of training", _TRANSFORMS),
        "recipes": _yaml("recipes", "Recipes", _RECIPES),
        "suites": _yaml("suites", "Suites", _SUITES),
        "prediction": _schema(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in pages.items():
        written.append(folder / f"{name}.md")
        written[-1].write_text(text, encoding="utf-8")
    return written


_MODELS = (
    "`traitscope show NAME` prints the layers of one, `traitscope train NAME` trains it; its "
    "settings are `model.KEY=VALUE`."
)
_EXTRACTORS = (
    "Each makes one stream of a clip. `traitscope prepare C --store S --extract NAME KEY=VALUE` "
    "runs one by itself; `prepare --for RECIPE` runs what a recipe needs."
)
_CORPORA = (
    "An address is `CORPUS:PATH`, with options behind a comma: `udiva:/data/udiva,task=talk`."
)
_BACKENDS = "`faces.backend=NAME`; `auto` takes MediaPipe where its file is there, and dlib else."
_TRANSFORMS = "`augment.NAME.KEY=VALUE` in `train`; they are off in evaluation."
_RECIPES = "`traitscope train NAME`; `traitscope cp NAME .` gives a copy to change."
_SUITES = "`traitscope benchmark NAME` trains and ranks all systems of one."


def _verbs() -> str:
    parts = ["# Verbs", "`traitscope VERB --help` prints the same."]
    context = typer.Context(typer.main.get_command(app), info_name="traitscope")
    for name, about in VERBS.items():
        command = context.command.get_command(context, name)  # type: ignore[attr-defined]
        parts += [f"## {name}", about, *_verb(command, f"traitscope {name}", context)]
    return "\n\n".join(parts) + "\n"


def _verb(command: Any, words: str, context: Any) -> Iterator[str]:
    for name in getattr(command, "commands", {}):
        inner = command.get_command(context, name)
        yield f"### {words} {name}"
        yield from _verb(inner, f"{words} {name}", context)
    if getattr(command, "commands", None):
        return
    text, examples = _help(command.help or "")
    if text:
        yield text
    if examples:
        yield "```sh\n" + "\n".join(examples) + "\n```"
    rows = [_parameter(each) for each in command.params if each.name != "help"]
    if rows:
        yield _table(("option", "what it does", "default"), rows)


def _help(text: str) -> tuple[str, list[str]]:
    """The words of a help text, and its examples."""
    paragraphs = [" ".join(p.replace("\b", "").split()) for p in text.split("\n\n")]
    examples = [p for p in paragraphs if p.startswith("traitscope ")]
    return "\n\n".join(_plain(p) for p in paragraphs if p and p not in examples), examples


def _parameter(each: Any) -> tuple[str, str, str]:
    names = each.opts if each.param_type_name == "option" else [each.name.upper()]
    default = each.default
    shown = "" if default in (None, False, [], ()) or callable(default) else str(default)
    return (
        f"`{'`, `'.join(names)}`",
        _plain(getattr(each, "help", "") or ""),
        f"`{shown}`" if shown else "",
    )


def _settings() -> str:
    about = (
        "Everything one training depends on: typed as `KEY=VALUE`, saved whole in the run. "
        "`train.KEY` stands for the single stage, `train.STAGE.KEY` for a named one."
    )
    parts = ["# Settings of a run", about]
    for name, field in RunConfig.model_fields.items():
        parts += [f"## {name}", _plain(field.description or "")]
        for config in _configs(field.annotation):
            parts.append(_fields(config, "train." if name == "stages" else f"{name}."))
    return "\n\n".join(part for part in parts if part) + "\n"


def _configs(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _configs(inner)


def _fields(config: type[BaseModel], prefix: str) -> str:
    rows = []
    for name, field in config.model_fields.items():
        inner = list(_configs(field.annotation))
        rows.append((f"`{prefix}{name}`", _plain(field.description or ""), _default(field, inner)))
        for each in inner if len(inner) == 1 and prefix.count(".") < 2 else ():
            for key, deeper in each.model_fields.items():
                about = _plain(deeper.description or "")
                rows.append((f"`{prefix}{name}.{key}`", about, _default(deeper, [])))
    return _table(("key", "what it is", "default"), rows)


def _default(field: Any, inner: list[type[BaseModel]]) -> str:
    if field.default is PydanticUndefined or inner:
        return ""
    value = field.default
    return f"`{json.dumps(value, default=str)}`" if value not in ("", (), None) else ""


def _room(room: Any, title: str, about: str) -> str:
    parts = [f"# {title}", about]
    names = registry.names(room)
    rows = [(f"[{n}](#{n.replace('_', '_')})", _plain(describe(room, n)["about"])) for n in names]
    parts.append(_table(("name", "what it is"), rows))
    for name in names:
        parts += [f"## {name} {{ #{name} }}", *_entry(room, name)]
    return "\n\n".join(parts) + "\n"


def _entry(room: Any, name: str) -> Iterator[str]:
    module: ModuleType | None
    try:
        module = registry.load(room, name)
    except MissingError as error:
        yield f"Needs a package that is not installed here: {_plain(str(error))}"
        return
    yield _docstring(module.__doc__ or "")
    facts = []
    if hasattr(module, "VERSION"):
        facts.append(f"Version {module.VERSION}.")
    if isinstance(getattr(module, "NEEDS", None), tuple):
        facts.append(f"Needs: {', '.join(module.NEEDS)}.")
    columns = getattr(module, "COLUMNS", ())
    if columns and len(columns) < 100:
        facts.append(f"Columns: {', '.join(f'`{c}`' for c in columns)}.")
    facts += [
        f"Does not {clause}: {why}." for clause, why in getattr(module, "CONTRACT", {}).items()
    ]
    if facts:
        yield " ".join(facts)
    config = getattr(module, "Config", None)
    if inspect.isclass(config) and issubclass(config, BaseModel) and config.model_fields:
        yield _fields(config, "")


def _yaml(room: Any, title: str, about: str) -> str:
    parts = [f"# {title}", about]
    for name in registry.names(room):
        path = Path(registry.__file__).parent / room / f"{name}.yaml"
        parts += [f"## {name}", f"```yaml\n{path.read_text(encoding='utf-8').rstrip()}\n```"]
    return "\n\n".join(parts) + "\n"


def _schema() -> str:
    from traitscope.prediction.documents import schema

    text = json.dumps(schema(), indent=2)
    about = (
        "The schema of what `predict --json`, `Prediction.to_dict()` and the service answer with. "
        "It has a version; within one, keys are added and never taken away."
    )
    return f"# Predictions as JSON\n\n{about}\n\n```json\n{text}\n```\n"


def _docstring(text: str) -> str:
    """A docstring as Markdown: its code as code, its tables as they are."""
    paragraphs = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        is_block = paragraph.startswith(("    ", "  ")) or paragraph.endswith("::")
        if any(line.startswith("    ") for line in paragraph.splitlines()) or is_block:
            paragraphs.append(f"```text\n{paragraph.replace('::', ':')}\n```")
        else:
            paragraphs.append(_plain(" ".join(paragraph.split())))
    return "\n\n".join(paragraphs)


def _plain(text: str) -> str:
    """Docstring marks as Markdown, on one line, with nothing that a table would break at."""
    text = " ".join(text.split()).replace("``", "`")
    return (
        text.replace("|", "\\|").replace("<", "&lt;")
        if "`" not in text
        else text.replace("|", "\\|")
    )


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
