"""What predictions open: ``opens.py RUN CLIP ...`` counts trackers, and files of the run."""

import json
import logging
import sys
from collections import Counter


def main() -> None:
    """Print the counts as JSON."""
    from traitscope.prediction.clips import predict

    run, *clips = sys.argv[1:]
    opened: Counter[str] = Counter()
    sys.addaudithook(lambda event, details: _count(opened, event, details, run))
    trackers: Counter[str] = Counter()

    class Counting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("Opening tracker"):
                trackers[record.getMessage()] += 1

    logger = logging.getLogger("traitscope.features.extraction")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(Counting())
    predict(run, clips[0], workers=0)
    once = Counter(opened)
    opened.clear()
    trackers.clear()
    predict(run, *clips, workers=0)
    again = sum((opened - once).values())
    print(json.dumps({"trackers": max(trackers.values(), default=0), "again": again}))


def _count(opened: Counter[str], event: str, details: tuple, run: str) -> None:
    if event == "open" and str(details[0]).startswith(run):
        opened[str(details[0])] += 1


if __name__ == "__main__":
    main()
