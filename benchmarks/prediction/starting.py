"""A new process: ``starting.py RUN CLIP``, or ``starting.py --import MODULE ...``, in seconds."""

import importlib
import json
import sys
import time
from contextlib import suppress

import psutil


def _since_birth() -> float:
    return time.time() - psutil.Process().create_time()


def main() -> None:
    """Print seconds as JSON, and which libraries were loaded."""
    if sys.argv[1] == "--import":
        for name in sys.argv[2:]:
            with suppress(Exception):  # parts of a library that it does not let in by name
                importlib.import_module(name)
        print(json.dumps({"seconds": _since_birth()}))
        return
    from traitscope.prediction.clips import predict

    run, clip = sys.argv[1:]
    predict(run, clip, workers=0)
    first = _since_birth()
    libraries = [name for name in sys.modules if _is_library(name)]
    # What a clip takes once everything is there: two at once, of which the second needs no start.
    times: list[float] = []
    predict(run, clip, clip, workers=0, hook=lambda *_: times.append(time.perf_counter()))
    further = times[-1] - times[-2]
    print(json.dumps({"startup": max(0.0, first - further), "modules": libraries}))


def _is_library(name: str) -> bool:
    top = name.partition(".")[0]
    return top not in {"traitscope", "__main__", *sys.stdlib_module_names}


if __name__ == "__main__":
    main()
