"""The file system is the registry: ``models/x.py`` *is* the model called ``x``.

The one gate to code from outside: a dotted name is imported only where the user typed it, for that
role. Names that stand in a run, a recipe, a report or a table are data, whoever wrote them.
"""

import ast
import importlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from traitscope.errors import ConfigError, MissingError, shown

Room = Literal["corpora", "tracking", "extract", "augment", "models", "recipes", "suites"]

WORDS = {
    "models": "--model {} (train, show, prepare: model.name={})",
    "extract": "--stream {}",
    "corpora": "{}:PATH",
    "augment": "'augment={{}: ...}', with its settings",
}
"""Role -> what a user types to have a module of his own imported; no other role takes one."""


@dataclass(frozen=True)
class Typed:
    """Dotted names that the user typed, by role; a verb collects them among its own arguments.

    Attributes:
        models: names of models.
        extract: names of extractors, which are the names of streams.
        corpora: names of corpora, without their paths.
        functions: dotted paths of losses and schedules.
        augment: names of transforms of training examples.
    """

    models: frozenset[str] = frozenset()
    extract: frozenset[str] = frozenset()
    corpora: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    augment: frozenset[str] = frozenset()

    def has(self, room: Room, name: str) -> bool:
        """Whether this name was typed for this role."""
        return name in getattr(self, room, frozenset())


_LISTED = 12
"""Names that a message lists beside the one that was probably meant."""
NOTHING = Typed()
"""Nothing was typed: every name comes from a file."""


def typed(
    *, model: str | None = None, streams: Iterable[str] = (), corpus: str | None = None
) -> Typed:
    """Collect what a user typed.

    Args:
        model: name of a model.
        streams: names of extractors.
        corpus: address of a corpus.
    """
    return Typed(
        frozenset() if model is None else frozenset({model}),
        frozenset(streams),
        frozenset() if corpus is None else frozenset({corpus.partition(":")[0]}),
    )


def names(room: Room) -> list[str]:
    """List the entries of a room without importing any of them."""
    folder = Path(__file__).parent / room
    suffix = ".yaml" if room in {"recipes", "suites"} else ".py"
    files = {path.stem for path in folder.glob(f"*{suffix}")}
    # An entry may be a folder, such as the synthetic corpus.
    folders = {path.parent.name for path in folder.glob("*/__init__.py")}
    return sorted(name for name in files | folders if not name.startswith("_"))


def literal(room: Room, name: str, constant: str) -> Any:
    """The value of a constant in an entry's file, read without importing it; None without one."""
    path = Path(__file__).parent / room / f"{name}.py"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == constant:
            return ast.literal_eval(node.value)
    return None


def load(
    room: Room, name: str, *, typed: Typed = NOTHING, source: str = "", words: str = ""
) -> ModuleType:
    """Import one entry of a room by name.

    Args:
        room: the folder of the package.
        name: the file name without its suffix, or a dotted path (``my_lab.my_model``).
        typed: what the user typed; no other dotted path is imported.
        source: the file that the name was read from, for the message.
        words: what to type in this command to have the module imported; by the role otherwise.

    Raises:
        ConfigError: there is no such entry, with the nearest that is; or it is a dotted path that
            the user did not type.
        MissingError: an outside module cannot be found.
    """
    # No entry of ours has a dot in its name.
    if "." in name:
        if typed.has(room, name):
            return _load_outside(name)
        words = words or WORDS.get(room, "").replace("{}", name)
        cure = f"If you trust it, type it yourself: {words}" if words else "Take an entry of ours."
        raise ConfigError(
            f"{source + ' names ' if source else ''}{shown(name)}, which is not an entry of "
            f"{room}: code from outside is not imported by a name that a file holds. {cure}"
        )
    # By the list of entries: no other module of a room is an entry, whoever asks for it.
    if name not in names(room):
        raise ConfigError(unknown(name, names(room), room))
    return importlib.import_module(f"traitscope.{room}.{name}")


def function(name: str, *, typed: Typed, words: str) -> Any:
    """Import a function or class from outside, such as ``my_lab.losses.huber``.

    Args:
        name: the module and what is defined in it.
        typed: what the user typed; nothing else is imported.
        words: what to type to have it imported.

    Raises:
        ConfigError: it was not typed, or the module has no such function.
        MissingError: the module cannot be found.
    """
    if name not in typed.functions:
        raise ConfigError(
            f"{shown(name)} is code from outside, and not imported by a name that a file holds. If "
            f"you trust it, type it yourself: {words}"
        )
    module, _, attribute = name.rpartition(".")
    loaded = getattr(_load_outside(module), attribute, None)
    if not callable(loaded):
        raise ConfigError(f"The module {module!r} has no function {attribute!r}.")
    return loaded


def unknown(name: str, known: list[str], room: str) -> str:
    """Write the sentence for a name that does not exist, with the nearest that does."""
    # Cut, because to compare takes time that grows with the square of the length.
    near = get_close_matches(name[:200], known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    # Whoever mistyped one of fifty names has no use for the other forty-nine.
    if near and len(known) > _LISTED:
        return f"There is no {shown(name)} in {room}.{hint}"
    return f"There is no {shown(name)} in {room}.{hint} There are: {', '.join(known)}."


def _load_outside(name: str) -> ModuleType:
    # To find a module, Python imports the packages above it: only dotted names get so far.
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name):
        raise ConfigError(f"{shown(name)} is not a dotted module path such as my_lab.my_model.")
    try:
        spec = find_spec(name)
    # A package above it is missing.
    except ModuleNotFoundError:
        spec = None
    if spec is None:
        raise MissingError(
            f"The module {name!r} cannot be found. Put its folder on PYTHONPATH, for example: "
            f"PYTHONPATH=. traitscope train ..."
        )
    return importlib.import_module(name)
