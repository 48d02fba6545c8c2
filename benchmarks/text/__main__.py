"""Time and memory of ``text_stack`` on 8000 generated transcripts of 43 words, against the limits.

Beside it ``text_stack_embedded``: the same learners with a vector of 384 numbers of each,
as MiniLM gives them, in processor time by the plain one. The vectors are drawn here (they know a
little of the traits); what an encoder takes to make them is a row of ``benchmarks.prediction``.

Run with ``python -m benchmarks.text`` from the repository.
"""

import argparse
import resource
import sys
import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import figure
from tests.support.text_corpus import TARGETS, Texts, correlations, make_texts
from traitscope.types import Batch

LIMITS = {"fit, seconds": 180.0, "predict, seconds": 10.0, "peak memory, GiB": 4.0}
"""Of 8000 transcripts, and of 2000."""
WIDTH = 384


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock and on processors, and the share of attainable r, of one recipe."""

    fit: float
    predict: float
    worked: float
    reached: float


def main() -> int:
    """Print one line per measure; 1 if one is over its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a fifth of the transcripts")
    share = 5 if parser.parse_args().short else 1
    texts = make_texts(10_000 // share, 3000 // share, terms=12_000, noise=2.5)
    plain = measured(texts, None)
    # ru_maxrss is in KiB on Linux; before the vectors are there
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    found = dict(zip(LIMITS, (plain.fit, plain.predict, peak), strict=True))
    print(f"{'text_stack, 43 words each':44}{'found':>8}{'limit':>8}")
    for name, value in found.items():
        figure(name.partition(",")[0], value, most=LIMITS[name], unit=name.partition(", ")[2])
        print(f"{name:44}{value:8.2f}{LIMITS[name]:8.1f}")
    print(f"{'r, share of attainable':44}{plain.reached:8.2f}")
    embedded = measured(texts, vectors(texts))
    ratio = embedded.worked / plain.worked
    figure("text_stack_embedded, fit and predict, by text_stack", ratio)
    print(f"{'text_stack_embedded, fit, seconds':44}{embedded.fit:8.2f}")
    print(f"{'text_stack_embedded, predict, seconds':44}{embedded.predict:8.2f}")
    print(f"{'the same in processor time, by text_stack':44}{ratio:8.2f}")
    print(f"{'r, share of attainable, vectors that know':44}{embedded.reached:8.2f}")
    return int(any(value > LIMITS[name] for name, value in found.items()))


def vectors(texts: Texts) -> NDArray[np.float32]:
    """A vector for each transcript, which knows its traits among much else."""
    rng = np.random.default_rng(0)
    known = (texts.planted - texts.planted.mean(axis=0)) / texts.planted.std(axis=0)
    mixed = known @ rng.normal(size=(known.shape[1], WIDTH))
    return np.asarray(mixed + rng.normal(0, 6, mixed.shape), np.float32)


def measured(texts: Texts, embedding: NDArray[np.float32] | None) -> Cost:
    """Fit on four fifths of them and predict the others."""
    from traitscope.models.text_stack import Config, Estimator

    def batch(rows: NDArray[np.intp]) -> Batch:
        words = texts.batch(rows)
        if embedding is None:
            return words
        return replace(words, streams={**words.streams, "text_embedding": embedding[rows]})

    fold = np.array([int(source[1:]) % 5 for source in texts.sources])
    order = np.argsort(fold == 0, kind="stable")
    fitting, rest = order[: 4 * len(order) // 5], order[4 * len(order) // 5 :]
    streams = () if embedding is None else ("text_embedding",)
    estimator = Estimator(Config(streams=streams), TARGETS)
    begun, work = time.perf_counter(), time.process_time()
    estimator.fit(batch(fitting), texts.groups(fitting))
    fitted = time.perf_counter()
    batches = [batch(rest[first : first + 32]) for first in range(0, len(rest), 32)]
    predictions = np.concatenate([estimator.predict(one) for one in batches])
    ended, worked = time.perf_counter(), time.process_time() - work
    reached = correlations(predictions, texts.labels[rest])
    attainable = correlations(texts.planted[rest], texts.labels[rest])
    share = float((reached / attainable).mean())
    return Cost(fitted - begun, ended - fitted, worked, share)


if __name__ == "__main__":
    sys.exit(main())
