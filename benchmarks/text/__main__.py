"""Time and memory of ``text_stack`` on 8000 generated transcripts of 43 words, against the limits.

Run with ``python -m benchmarks.text`` from the repository.
"""

import resource
import sys
import time

import numpy as np

from benchmarks.figures import figure
from tests.support.text_corpus import TARGETS, correlations, make_texts

LIMITS = {"fit 8000, seconds": 180.0, "predict 2000, seconds": 10.0, "peak memory, GiB": 4.0}


def main() -> int:
    """Print one line per measure; 1 if one is over its limit."""
    from traitscope.models.text_stack import Config, Estimator

    texts = make_texts(10_000, 3000, terms=12_000, noise=2.5)
    fold = np.array([int(source[1:]) % 5 for source in texts.sources])
    order = np.argsort(fold == 0, kind="stable")
    fitting, rest = order[:8000], order[8000:]
    estimator = Estimator(Config(), TARGETS)
    start = time.perf_counter()
    estimator.fit(texts.batch(fitting), texts.groups(fitting))
    fit_seconds = time.perf_counter() - start
    start = time.perf_counter()
    batches = [texts.batch(rest[first : first + 32]) for first in range(0, 2000, 32)]
    predictions = np.concatenate([estimator.predict(batch) for batch in batches])
    predict_seconds = time.perf_counter() - start
    # ru_maxrss is in KiB on Linux
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    found = dict(zip(LIMITS, (fit_seconds, predict_seconds, peak), strict=True))
    print(f"{'text_stack, 43 words each':28}{'found':>8}{'limit':>8}")
    for name, value in found.items():
        figure(name.partition(",")[0], value, most=LIMITS[name], unit=name.partition(", ")[2])
        print(f"{name:28}{value:8.2f}{LIMITS[name]:8.1f}")
    reached = correlations(predictions, texts.labels[rest])
    attainable = correlations(texts.planted[rest], texts.labels[rest])
    print(f"{'r, share of attainable':28}{float((reached / attainable).mean()):8.2f}")
    return int(any(value > LIMITS[name] for name, value in found.items()))


if __name__ == "__main__":
    sys.exit(main())
