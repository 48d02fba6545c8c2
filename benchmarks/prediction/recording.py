"""Recordings of any length in a process of their own: ``recording.py RUN CLIP``, as JSON.

Peak memory without a file behind it of one `predict`; then, in the same process, pairs of calls
with and without windows, and what it takes to decode the same media and do nothing with it. All
times are of the processors, so that what else the machine does has no say; that of the first
prediction has the start of the process and its imports in it.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

from benchmarks.extraction.memory import watched


def main() -> None:
    """Print peak bytes, seconds and ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--pairs", type=int, default=0)
    options = parser.parse_args()
    with watched() as peak:
        windows = _predicted(options.run, options.clip, timeline=True)[1]
        first = time.process_time()
    ratios, warm, decoded = [], [], []
    for _ in range(options.pairs):  # in turn: what else the machine does is shared by both
        plain = _predicted(options.run, options.clip, timeline=False)[0]
        warm.append(_predicted(options.run, options.clip, timeline=True)[0])
        decoded.append(_decoded(options.clip))
        ratios.append(warm[-1] / plain)
    print(
        json.dumps(
            {
                "anonymous": peak[0],
                "first": first,
                "windows": windows,
                "timeline": statistics.median(ratios) if ratios else None,
                "warm": statistics.median(warm) if warm else None,
                "decoded": statistics.median(decoded) if decoded else None,
            }
        )
    )


def _predicted(run: Path, clip: Path, *, timeline: bool) -> tuple[float, int]:
    """Processor seconds of one prediction, and its windows."""
    from traitscope.prediction.clips import predict
    from traitscope.prediction.halves import Wishes

    started = time.process_time()
    (one,) = predict(run, clip, workers=0, wishes=Wishes(timeline=timeline))
    assert one.status == "ok", one
    return time.process_time() - started, len(one.timeline) if one.timeline else 0


def _decoded(clip: Path) -> float:
    """Processor seconds to decode pictures and sound."""
    from traitscope.media import read_frames, read_sound

    started = time.process_time()
    for _ in read_frames(clip, rates=["native"]):
        pass
    read_sound(clip)
    return time.process_time() - started


if __name__ == "__main__":
    main()
