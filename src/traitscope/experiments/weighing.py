"""A trained run -> what it costs: to train, to keep, and to score one clip."""

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from traitscope.corpora import load_corpus
from traitscope.data import protocols
from traitscope.data.examples import gather
from traitscope.features.remote import open_store
from traitscope.report.standings import Cost
from traitscope.runs.checkpoint import load

_REPEATS = 5  # scorings of one clip, of which the median counts


def weigh(run: Path, address: str, train_seconds: float, *, model: str | None = None) -> Cost:
    """Measure what scoring one clip of a run's test split takes, from its stored features.

    Args:
        run: a trained run.
        address: of its corpus.
        train_seconds: what its training took.
        model: dotted path of an outside model.
    """
    checkpoint = load(run, model=model)
    config = checkpoint.config
    clips = protocols.split(load_corpus(address), config.protocol).part("test")
    store = open_store(config.data.store)
    ready, _ = gather(clips, store, checkpoint.keys, checkpoint.draws)
    examples = checkpoint.examples(ready[:1], store)
    batch = examples.batch()
    is_network = hasattr(checkpoint.fitted, "parameters")
    flops = None
    if is_network:
        checkpoint.fitted.requires_grad_(requires_grad=False)  # the counter follows gradients
        flops = _flops(lambda: checkpoint.predict(batch))
    times = []
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        checkpoint.predict(batch)
        times.append(time.perf_counter() - begun)
    return Cost(
        train_seconds=round(train_seconds, 2),
        parameters=_parameters(checkpoint.fitted),
        flops=flops,
        latency_ms=round(1000 * median(times), 3),
        peak_mib=round(_peak_mib(), 1),
    )


def _flops(score: Callable[[], Any]) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        score()
    return int(counter.get_total_flops())


def _parameters(fitted: Any) -> int:
    """How many numbers a network or an estimator holds."""
    if hasattr(fitted, "parameters"):
        return sum(tensor.numel() for tensor in fitted.parameters())
    return sum(int(array.size) for array in fitted.state()[0].values())


def _peak_mib() -> float:
    # In kilobytes on Linux, in bytes on macOS.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
