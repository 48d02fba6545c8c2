"""One step of a model, in whatever process it is called."""

import resource
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from traitscope.errors import TraitscopeError, lacks_memory
from traitscope.runs.plan import load_run, plan
from traitscope.training.losses import find
from traitscope.types import TRAITS, Batch, Target

FEATURES = {
    "signals": (24,),
    "short_term": (68,),
    "mid_term": (68,),
    "filterbank": (26,),
    "spectrum": (30_604,),
    "logmel": (64,),
    "landmarks": (68, 2),
    "embedding": (6144,),
    "audio_embedding": (128,),
    "emobase": (988,),
    "metadata": (5,),
    "frame_scores": (5,),
    "frame_features": (512,),
    "waveform": (),
}
"""Shape of one row of the streams that are no pictures."""
_ADDRESSES_GIB = 4.0
"""Of address space that libraries take and never touch."""
ROWS = 450
"""Of a stream whose model takes all: 15 seconds of 30 frames."""


@dataclass(frozen=True)
class Measured:
    """What one network took.

    Attributes:
        parameters: of the network.
        flops: of a training step.
        seconds: of a training step.
        latency: seconds of scoring the batch, as in evaluation.
        gib: of memory at the peak.
        device: ``cpu`` or ``cuda``.
    """

    parameters: int
    flops: int
    seconds: float
    latency: float
    gib: float
    device: str


def step(
    name: str, batch: int, steps: int, changes: tuple[str, ...], ceiling_gib: float
) -> Measured | str:
    """Train a step and score once; or say why that cannot be.

    Args:
        name: of the model.
        batch: clips at once.
        steps: timed, after one that is not; 0 to time the first, in which FLOPs are counted.
        changes: ``key=value`` settings of the model.
        ceiling_gib: of memory, beyond which it fails instead of the machine; of a CPU alone.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        limit = int((ceiling_gib + _ADDRESSES_GIB) * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        model, clips, once = _prepared(name, batch, changes, device)
        # Batch normalisation cannot learn from one value per channel: then two clips are needed.
        begun = perf_counter()
        with FlopCounterMode(display=False) as counter:
            once()
        first = perf_counter() - begun
        seconds = _timed(once, steps, device) if steps else first
        model.eval()
        with torch.inference_mode():
            latency = _timed(lambda: model(clips), 1, device)
    except TraitscopeError as error:
        return str(error).splitlines()[0]
    except ValueError as error:
        return f"needs more than {batch} clips ({error})"
    except (KeyError, MemoryError, RuntimeError) as error:
        # The other networks are measured all the same.
        return f"over {ceiling_gib:.1f} GiB" if lacks_memory(error) else f"failed: {error!r}"
    if device == "cuda":
        gib = torch.cuda.max_memory_allocated() / 2**30
    else:
        gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    parameters = sum(tensor.numel() for tensor in model.parameters())
    return Measured(parameters, counter.get_total_flops(), seconds, latency, gib, device)


def _prepared(name: str, batch: int, changes: tuple[str, ...], device: str) -> tuple[Any, ...]:
    """The network, a batch, and a function that trains one step."""
    import torch

    targets = [Target(trait, 0, 1, 1) for trait in TRAITS]
    run = plan(load_run(name, [f"model.{change}" for change in changes]))
    shapes, clips = _batch(run.draws, batch, device)
    model = run.module.Model(run.options, shapes, targets).to(device).train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5)
    loss = find("mse")

    def once() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            value = loss(model(clips), clips.targets, clips.target_mask, 0.5)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    return model, clips, once


def _timed(work: Callable[[], Any], times: int, device: str) -> float:
    import torch

    begun = perf_counter()
    for _ in range(times):
        work()
    if device == "cuda":
        torch.cuda.synchronize()
    return (perf_counter() - begun) / times


def _batch(draws: Any, clips: int, device: str) -> tuple[dict[str, tuple[int, ...]], Any]:
    """Shapes of one row, and a batch of random rows as training draws them."""
    import torch

    shapes, streams, masks = {}, {}, {}
    led: dict[str, int | None] = {}
    for name, draw in draws.items():
        if name in {"faces", "frames", "drawings"}:
            size = draw.size or draw.extract.get("size", 224)
            shape: tuple[int, ...] = (3, *((size, size) if isinstance(size, int) else size))
        else:
            shape = FEATURES[name]
        # A cap on all rows is not how many there are.
        rows = draw.train.count if draw.train.rule != "all" else min(ROWS, draw.train.count or ROWS)
        # The first stream of a group says when the others are looked at.
        rows = led.setdefault(draw.group or name, rows)
        shapes[name] = shape
        streams[name] = torch.randn(clips, rows or ROWS, *shape, device=device)
        masks[name] = torch.ones(clips, rows or ROWS, dtype=torch.bool, device=device)
    labels = torch.rand(clips, len(TRAITS), device=device)
    known = torch.ones_like(labels, dtype=torch.bool)
    ids = tuple(str(number) for number in range(clips))
    return shapes, Batch(ids, streams, masks, labels, known)
