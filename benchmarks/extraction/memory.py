"""Peak memory of one clip in a process of its own: ``memory.py MEDIA BACKEND [EXTRACTOR ...]``."""

import json
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TRACKED = ("faces", "signals")


def anonymous_bytes() -> int:
    """Memory of this process that no file stands behind."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


@contextmanager
def watched() -> Iterator[list[int]]:
    """Look at the memory of this process all the while; gives a list with its peak in bytes."""
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            peak[0] = max(peak[0], anonymous_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def main() -> None:
    """Print peak memory and seconds as JSON."""
    from traitscope.features.extraction import Extraction, extract_clip
    from traitscope.features.request import make_request
    from traitscope.features.store import Store
    from traitscope.types import Clip, Stream

    media, backend = Path(sys.argv[1]), sys.argv[2]
    requests = [
        make_request(name, {"backend": backend} if name in TRACKED else {})
        for name in sys.argv[3:] or (*TRACKED, "short_term")
    ]
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, Extraction() as extraction, watched() as peak:
        for request in requests:
            Store(Path(folder)).add(request.key, request.fingerprint)
        found = extract_clip(Clip("long", media), requests, extraction=extraction)
        for key, stream in found.items():
            assert isinstance(stream, Stream), stream
            Store(Path(folder)).write(key, "long", stream)
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - started,
                "anonymous": peak[0],
                "resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
