"""Where corpus, store, first stage and start of a run lie, also when a whole project has moved.

``places.json`` in a run says of each its path from the root and its path from the run. What was
typed is looked for first, as it stood then; a project that was moved is found by the second:

    /old/project/features   and   ../../features   of   /old/project/runs/a
                                        |
    /new/project/runs/a   ->   /new/project/features
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from traitscope.files import read_json, write_json

PLACES = "places.json"
log = logging.getLogger(__name__)


def note_places(folder: Path, saved: Mapping[str, str]) -> None:
    """Write down where things lie.

    Args:
        folder: the run.
        saved: what -> its path or address, as typed; empty ones are left out.
    """
    places = {}
    for what, address in saved.items():
        if address:
            path = Path(_parts(address)[1]).expanduser().resolve()
            # From one drive to another there is no way.
            near = os.path.splitdrive(path)[0] == os.path.splitdrive(folder.resolve())[0]
            relative = os.path.relpath(path, folder.resolve()) if near else str(path)
            ways = {"absolute": str(path), "relative": Path(relative).as_posix()}
            places[what] = {"typed": address, **ways}
    write_json(folder / PLACES, places)


def place_now(folder: Path, what: str, saved: str) -> str:
    """Where something of a run lies now; as it was saved where that is so, or where nothing is.

    Args:
        folder: the run.
        what: ``corpus``, ``store``, ``first_stage`` or ``start``.
        saved: its path or address, as typed when the run was trained.
    """
    if not saved or not (folder / PLACES).is_file():
        return saved
    noted = read_json(folder / PLACES, root=dict, damaged="Delete it.").get(what)
    # Whoever writes another address into a run means that one.
    if not isinstance(noted, dict) or noted.get("typed") != saved:
        return saved
    kind, path, options = _parts(saved, str(noted.get("absolute")))
    absolute = Path(str(noted.get("absolute")))
    typed = Path(path).expanduser()
    # A relative path means another place in another folder: only that of then counts.
    if typed.exists() and (typed.is_absolute() or typed.resolve() == absolute):
        return saved
    relative = folder.resolve() / str(noted.get("relative"))
    there = next((p.resolve() for p in (absolute, relative) if p.exists()), None)
    if there is None:
        return saved
    log.info("the %s of %s is taken from %s", what, folder, there)
    return f"{kind}{there}{options}"


def _parts(address: str, absolute: str = "") -> tuple[str, str, str]:
    """What stands before a path in an address, the path, and the options behind it."""
    kind, colon, path = address.partition(":")
    if not colon or len(kind) == 1 or "/" in kind or "\\" in kind:  # a path, perhaps of a drive
        kind, colon, path = "", "", address
    whole, options = path, ""
    # A comma may also be part of a path: what is there, or ends as it did, tells.
    while "," in path and not (Path(path).expanduser().exists() or _ends(absolute, path)):
        path, _, last = path.rpartition(",")
        options = f",{last}{options}"
    if not (Path(path).expanduser().exists() or _ends(absolute, path)):
        path, options = whole, ""
    return f"{kind}{colon}", path, options


def _ends(absolute: str, path: str) -> bool:
    return bool(absolute) and Path(absolute).name == Path(path).name
