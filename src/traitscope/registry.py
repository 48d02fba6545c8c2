"""The file system is the registry: ``models/x.py`` *is* the model called ``x``."""

import importlib
import re
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Literal

from traitscope.errors import ConfigError, MissingError

Room = Literal["corpora", "tracking", "extract", "augment", "models", "recipes"]


def names(room: Room) -> list[str]:
    """List the entries of a room without importing any of them."""
    folder = Path(__file__).parent / room
    suffix = ".yaml" if room == "recipes" else ".py"
    files = {path.stem for path in folder.glob(f"*{suffix}")}
    folders = {path.parent.name for path in folder.glob("*/__init__.py")}
    return sorted(name for name in files | folders if not name.startswith("_"))


def load(room: Room, name: str, *, outside: bool = False) -> ModuleType:
    """Import one entry of a room by name.

    Args:
        room: the folder of the package.
        name: the file name without its suffix, or a dotted path (``my_lab.my_model``).
        outside: allow a dotted path; set only where the user typed the name, never for a name
            that came from a checkpoint or a request.

    Raises:
        ConfigError: there is no such entry; the message suggests the nearest.
        MissingError: an outside module cannot be found.
    """
    if "." in name:
        if not outside:
            raise ConfigError(
                f"{name!r} is not an entry of {room}, and modules from outside are not imported "
                f"by a name that was read from a file. If you trust it, name it yourself: "
                f"--model {name}"
            )
        return _load_outside(name)
    if name not in names(room):
        raise ConfigError(unknown(name, names(room), room))
    return importlib.import_module(f"traitscope.{room}.{name}")


def unknown(name: str, known: list[str], room: str) -> str:
    """Write the sentence for a name that does not exist, with the nearest that does."""
    near = get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"There is no {name!r} in {room}.{hint} There are: {', '.join(known)}."


def _load_outside(name: str) -> ModuleType:
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", name):
        raise ConfigError(f"{name!r} is not a dotted module path such as my_lab.my_model.")
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:
        spec = None
    if spec is None:
        raise MissingError(
            f"The module {name!r} cannot be found. Put its folder on PYTHONPATH, for example: "
            f"PYTHONPATH=. traitscope train {name} ..."
        )
    return importlib.import_module(name)
