"""A folder that a stranger sent, and what must hold of everything that is done with it.

The folder holds a module that leaves a mark when it is imported, under every name that a file may
give for it.
"""

import importlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.watching import watching
from traitscope.errors import TraitscopeError

MOST_MB = 400
"""Of memory that a refusal may take: a few files are read, and nothing of what they ask for."""
LONGEST = 4000
PAYLOAD = "evil_lab.payload"


class Stranger:
    """A working folder with code in it that must never run."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.canary = folder / "canary"
        for lab in (folder / "evil_lab", folder / "run" / "evil_lab"):
            lab.mkdir(parents=True)
            (lab / "__init__.py").write_text("")
            mark = f"import pathlib\npathlib.Path({str(self.canary)!r}).write_text('ran')\n"
            (lab / "payload.py").write_text(mark + "VERSION, NEEDS = 1, ()\n")
        # What an earlier test imported would not run again: a mark would be missing.
        for name in [name for name in sys.modules if name.split(".")[0] == "evil_lab"]:
            del sys.modules[name]
        importlib.invalidate_caches()
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.chdir(folder)

    def refused(self, work: Callable[[], Any], message: str, *places: Path) -> str:
        """Do work that must end in an error of ours, and without any harm; gives its message."""
        with watching() as seen, pytest.raises(TraitscopeError) as caught:
            work()
        said = str(caught.value)
        assert re.search(message, said, re.DOTALL), said
        assert len(said) < LONGEST, len(said)
        assert not self.canary.exists(), "code of the stranger has run"
        assert not [name for name in seen.opened if "evil_lab" in Path(name).parts]
        assert not seen.started, seen.started
        assert not seen.connected, seen.connected
        assert not seen.opened_beyond(self.folder, *places), seen.opened_beyond(self.folder)
        assert seen.megabytes < MOST_MB, seen.megabytes
        return said


def pipe(path: Path) -> None:
    """Put a pipe in the place of a file: whoever opens it to read waits for ever."""
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def zeros(path: Path) -> None:
    """Put a link to the endless device in the place of a file."""
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")
