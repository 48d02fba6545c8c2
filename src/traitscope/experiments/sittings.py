"""How long a training took in all its sittings, those that were killed with it.

In: the folder that a training fills, and the training. Out: its seconds. Beside the folder lies
when the last sitting began and what those before it took. One that was killed took as long as until
it last wrote something: what it did after that is lost, and done again.

    sitting 1   begun -------- epoch 1 -------- epoch 2 ---- killed
                |<------------ counted ------------->|
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from traitscope.files import read_json, write_json


def sit(folder: Path, work: Callable[[], Any]) -> float:
    """Do the work, and give the seconds of this sitting and of those before it.

    Args:
        folder: what the work writes, and goes on with.
        work: what is timed.
    """
    spent, begun = spent_on(folder), time.time()
    write_json(_note(folder), {"spent": spent, "begun": begun})
    work()
    spent += max(0.0, time.time() - begun)  # a clock may be set back
    write_json(_note(folder), {"spent": spent, "begun": None})
    return spent


def spent_on(folder: Path) -> float:
    """Seconds of the sittings so far; 0 where none is known of."""
    if not (note := _note(folder)).is_file():
        return 0.0
    before = read_json(note, root=dict, damaged="Delete it: its seconds are counted anew.")
    spent, begun = float(before.get("spent") or 0), before.get("begun")
    if begun is None:
        return spent
    first = float(begun)
    signs = (path.stat().st_mtime for path in folder.rglob("*") if path.is_file())
    return spent + max(0.0, max(signs, default=first) - first)


def _note(folder: Path) -> Path:
    return folder.with_name(f"sittings-{folder.name}.json")
