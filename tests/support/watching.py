"""What a piece of work does to the machine: what it opens, starts, connects to, and takes.

``with watching() as seen:`` notes audit events of Python itself (`sys.addaudithook`), which code
cannot hide; files that libraries open below Python are not among them. An import shows as the file
that it opens: the event named so is not raised for `importlib`.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork")
CONNECTS = ("socket.connect", "socket.getaddrinfo", "urllib.Request", "socket.sendto")
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class Seen:
    """What happened while it was watched."""

    opened: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    connected: list[str] = field(default_factory=list)
    megabytes: float = 0.0

    def opened_beyond(self, *places: Path) -> list[str]:
        """Files opened outside of places, of Python's own and of the system's facts."""
        own = {Path(p).resolve() for p in (*sys.path, sys.prefix, sys.base_prefix) if p}
        system = (Path("/proc"), Path("/sys"), Path("/usr"), Path("/etc"), Path("/dev/null"))
        allowed = [*own, *system, *(place.resolve() for place in places)]
        paths = [Path(name).absolute() for name in self.opened if name]
        return [str(p) for p in paths if not any(p.is_relative_to(a) for a in allowed)]


_watchers: list[Seen] = []
_hooked: list[bool] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    for seen in _watchers:
        if event == "open" and isinstance(arguments[0], str | bytes):
            name = arguments[0]
            seen.opened.append(name.decode(errors="replace") if isinstance(name, bytes) else name)
        elif event in STARTS:
            seen.started.append(f"{event} {arguments[0]!r}")
        elif event in CONNECTS:
            seen.connected.append(f"{event} {arguments[-1]!r}")


@contextmanager
def watching() -> Iterator[Seen]:
    """Note what is opened, started and connected to, and the most memory taken."""
    if not _hooked:  # a hook stays for the life of a process
        sys.addaudithook(_note)
        _hooked.append(True)
    seen = Seen()
    before = _reset_peak()
    _watchers.append(seen)
    try:
        yield seen
    finally:
        _watchers.remove(seen)
        if before is not None:
            seen.megabytes = _status("VmHWM") - before


def _reset_peak() -> float | None:
    """Forget the most memory so far; memory now in MB, or None where the system does not tell."""
    try:
        RESET.write_text("5")
        return _status("VmRSS")
    except OSError:
        return None


def _status(name: str) -> float:
    lines = STATUS.read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:"))) / 1024
