"""What share of a training step is not the network, and what a GPU makes of the network.

For each model at full size: batches of generated streams are read, drawn, brought to the device and
fitted as in training. Printed: seconds per step, seconds of them in forward, backward and update,
and the share of the rest, with one worker (limit on 2 cores: 15 %); FLOP/s and memory. On a GPU
also its share of --peak, and how busy it was. Steps on a batch that is there already tell what the
network takes. What is at work is said on stderr: a step of face_cnn (30 pictures of a clip through
a ResNet101) is 470 GFLOP, half a minute of a slow core. First of all, what a training costs before
its first step, beside importing PyTorch (limit: twice that).
"""

import argparse
import resource
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.figures import figure
from benchmarks.loader.__main__ import ROWS
from benchmarks.step.start import print_start
from traitscope.data.batches import row_shape, to_tensors
from traitscope.data.examples import Examples
from traitscope.data.loader import Loader, reading
from traitscope.features.store import StatusRow, Store
from traitscope.runs.checkpoint import predicted
from traitscope.runs.plan import Plan, load_run, plan
from traitscope.runs.settings import RunConfig
from traitscope.training.optimisation import optimizer_of
from traitscope.types import TRAITS, Batch, Clip, Stream, Target

MODELS = {"face_cnn": (1, 32), "s2d_112": (1, 1), "crnet": (2, 2), "au_hybrid": (16, 16)}
"""Recipe -> clips per step on a CPU, and on a GPU, there --batch times as many."""
SHORT = {"face_cnn": ["model.images=4"], "au_hybrid": []}
"""What a short look takes on a CPU, with which settings: the share outside the network is the same
of few pictures."""
TARGETS = tuple(Target(name, 0, 1, 1) for name in TRAITS)
SECONDS, SAMPLE_RATE_HZ = 15, 16_000


@dataclass
class Times:
    """Seconds of a step: of all, and of the network alone.

    Attributes:
        whole: by the clock.
        network: by the clock.
        processor: of this process and its readers.
        processor_network: of this process, within the network in those very steps.
    """

    whole: float
    network: float
    processor: float
    processor_network: float

    @property
    def rest(self) -> float:
        """Share of a step outside the network, as if readers took turns with it.

        On a CPU of processor time: by the clock it would be that of a machine with nothing else to
        do. On a GPU, which has no such time, by the clock.
        """
        if torch.cuda.is_available():
            return max(0.0, 1 - self.network / self.whole)
        return max(0.0, 1 - self.processor_network / self.processor)


def main() -> None:
    """Print one line per model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="two steps of the small models")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--batch", type=int, default=4, help="times as many clips on a GPU")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--peak", type=float, default=989e12, help="bf16 FLOP/s of the GPU")
    chosen = parser.parse_args()
    if chosen.models == list(MODELS):
        print_start(2 if chosen.short else 5)
        print()
    gpu = torch.cuda.is_available()
    steps = 1 if chosen.short else chosen.steps
    print("| model | clips | s/step | s network | outside | TFLOP/s | of peak | busy | GiB |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    little = chosen.short and not gpu
    for name in chosen.models:
        if little and name not in SHORT:
            continue
        on_cpu, on_gpu = MODELS[name]
        size = on_gpu * chosen.batch if gpu else min(on_cpu, 8) if chosen.short else on_cpu
        config = load_run(name, SHORT[name] if little else [])
        with tempfile.TemporaryDirectory() as place:
            times, flops, busy, gib = measure(config, size, steps, chosen.workers, Path(place))
        figure(f"{name}: share of a step that is not the network", times.rest, most=0.15, unit="%")
        speed = flops / times.network
        share = f"{speed / chosen.peak:.1%} | {busy:.0%}" if gpu else "- | -"
        print(
            f"| {name} | {size} | {times.whole:.3f} | {times.network:.3f} | {times.rest:.1%} "
            f"| {speed / 1e12:.3f} | {share} | {gib:.1f} |",
            flush=True,
        )


def measure(
    config: RunConfig, size: int, steps: int, workers: int, folder: Path
) -> tuple[Times, int, float, float]:
    """Train a recipe's model for some steps on made streams.

    Returns:
        Seconds per step, FLOPs of one, the share of time in which the GPU worked, memory in GiB.
    """
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    planned, name = plan(config), config.model["name"]
    pretrained = {"pretrained": False} if hasattr(planned.options, "pretrained") else {}
    options = planned.options.model_copy(update=pretrained)
    _say(f"{name}: {size * 2} clips are made")
    examples = _made(planned, folder, clips=size * 2)
    drawn, draws = examples[0, 0], planned.draws
    shapes = {
        stream: array.shape if draws[stream].pool else row_shape(array)
        for stream, array in drawn.streams.items()
    }
    network = planned.module.Model(options, shapes, TARGETS).to(device).train()
    if device == "cuda":
        network.to(memory_format=torch.channels_last)
    optimizer = optimizer_of(network, config.stages[0])

    def fit(batch: Batch) -> None:
        with torch.autocast(device, torch.bfloat16) if device == "cuda" else nullcontext():
            loss = predicted(network(batch)).float().square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    one = to_tensors(examples.batch(range(size)), device)
    begin = perf_counter()
    with FlopCounterMode(display=False) as counter:
        fit(one)
    _say(f"{name}: the first of {2 * steps + 2} steps took {perf_counter() - begin:.1f} s")
    with reading([examples], workers) as readers:
        loader = Loader(examples, batch_size=size, readers=readers, sampler=_Endless(examples))
        times, busy = _timed(fit, loader, one, steps, device)
    return times, counter.get_total_flops(), busy, _gib(device)


def _timed(fit: Any, loader: Loader, one: Batch, steps: int, device: str) -> tuple[Times, float]:
    """Whole steps, and the same steps on a batch that is there already."""
    for batch in islice(_epochs(loader), 1):  # readers start
        fit(to_tensors(batch, device))
    _wait(device)
    begin, within = _now(), 0.0
    for batch in islice(_epochs(loader), steps):
        tensors = to_tensors(batch, device)
        before = process_time()
        fit(tensors)
        within += process_time() - before
    _wait(device)
    whole = (_now() - begin) / steps
    begin = _now()
    for _ in range(steps):
        fit(one)
    _wait(device)
    network = (_now() - begin) / steps
    times = Times(whole[0], network[0], whole[1] + whole[2], within / steps)
    return times, min(1.0, network[0] / whole[0])


def _now() -> NDArray[np.float64]:
    """The clock, and the processor time of this process and of its readers."""
    of_readers = [child.cpu_times() for child in psutil.Process().children()]
    readers = sum(times.user + times.system for times in of_readers)
    return np.array([perf_counter(), process_time(), readers])


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


class _Endless:
    """Pairs of epoch and clip; a new epoch each time."""

    def __init__(self, examples: Examples) -> None:
        self._epoch, self._length = -1, len(examples)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[tuple[int, int]]:
        self._epoch += 1
        return iter([(self._epoch, index) for index in range(self._length)])


def _epochs(loader: Loader) -> Iterator[Batch]:
    while True:
        yield from loader


def _made(planned: Plan, folder: Path, *, clips: int) -> Examples:
    """Streams of noise in a store, in the shapes that extractors give."""
    store, rng = Store(folder), np.random.default_rng(0)
    keys = {stream: f"{stream}-0" for stream in planned.draws}
    ids = [f"c{number}" for number in range(clips)]
    for stream, key in keys.items():
        store.add(key, {"extractor": stream})
        settings: Any = planned.requests[stream].config
        made = _stream(stream, rng, getattr(settings, "size", 0))
        for clip in ids:
            store.write(key, clip, made)
            store.record(key, StatusRow(clip, rows=len(made.time), coverage=1.0))
    all_clips = [Clip(clip) for clip in ids]
    return Examples(all_clips, store, keys, planned.draws, targets=[]).for_training(0)


def _stream(name: str, rng: np.random.Generator, size: int) -> Stream:
    from traitscope.extract.signals import COLUMNS

    time = np.arange(ROWS) / 5
    if name in {"faces", "frames", "drawings"}:
        import cv2

        smooth = [cv2.resize(p, (size, size)) for p in rng.integers(0, 256, (ROWS, 24, 24, 3), "B")]
        return Stream(time, images=tuple(cv2.imencode(".jpg", p)[1].tobytes() for p in smooth))
    if name == "waveform":
        samples = SECONDS * SAMPLE_RATE_HZ
        noise = rng.normal(0, 0.1, samples).astype(np.float32)
        return Stream(np.arange(samples) / SAMPLE_RATE_HZ, values=noise)
    if name == "landmarks":
        return Stream(time, values=rng.random((ROWS, 68, 2), np.float32))
    width = len(COLUMNS) if name == "signals" else 136
    columns = tuple(COLUMNS) if name == "signals" else ()
    rows = 450 if name == "signals" else ROWS
    values = rng.normal(size=(rows, width)).astype(np.float32)
    return Stream(np.arange(rows) / (rows / SECONDS), values=values, columns=columns)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _gib(device: str) -> float:
    if device == "cuda":
        peak = torch.cuda.max_memory_allocated() / 2**30
        torch.cuda.reset_peak_memory_stats()
        return peak
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
