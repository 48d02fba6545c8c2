"""What native libraries log on stderr when they start is held back; other lines come through."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import close, dup, dup2

_NOISE = (b"W0000 ", b"I0000 ", b"INFO: ", b"WARNING: All log", b"WARNING: Logging before")


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what MediaPipe and LiteRT say of themselves."""
    try:
        real = dup(2)
    except OSError:  # a program without stderr
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        dup2(held.fileno(), 2)
        try:
            yield
        finally:
            dup2(real, 2)
            held.seek(0)
            kept = [line for line in held if not line.startswith(_NOISE)]
            with open(real, "wb", closefd=False) as stderr:
                stderr.writelines(kept)
            close(real)
