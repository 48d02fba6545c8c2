"""One step of a model, in whatever process it is called."""

import resource
from time import perf_counter
from typing import Any

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
    "frame_scores": (5,),
    "frame_features": (512,),
    "waveform": (),
}
"""Shape of one row of the streams that are no pictures."""
ROWS = 450
"""Of a stream whose model takes all: 15 seconds of 30 frames."""


def step(
    name: str, batch: int, steps: int, changes: tuple[str, ...]
) -> tuple[float, float, float, float, str] | str:
    """Parameters, FLOPs of a step, mean seconds, peak GiB and device; or why there are none.

    Args:
        name: of the model.
        batch: clips at once.
        steps: timed, after one that is not.
        changes: ``key=value`` settings of the model.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from traitscope.errors import TraitscopeError
    from traitscope.runs.plan import load_run, plan
    from traitscope.training.losses import find
    from traitscope.types import TRAITS, Target

    device = "cuda" if torch.cuda.is_available() else "cpu"
    targets = [Target(trait, 0, 1, 1) for trait in TRAITS]
    try:
        settings = [f"model.{change}" for change in changes]
        run = plan(load_run(name, settings))
        shapes, clips = _batch(run.draws, batch, device)
        model = run.module.Model(run.options, shapes, targets).to(device).train()
    except TraitscopeError as error:
        return str(error).splitlines()[0]
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5)
    loss = find("mse")

    def once() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            value = loss(model(clips), clips.targets, clips.target_mask, 0.5)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    # Batch normalisation cannot learn from one value per channel: two clips where it has only that.
    try:
        with FlopCounterMode(display=False) as counter:
            once()
    except ValueError as error:
        return f"needs more than {batch} clips ({error})"
    start = perf_counter()
    for _ in range(steps):
        once()
    if device == "cuda":
        torch.cuda.synchronize()
    seconds = (perf_counter() - start) / steps
    if device == "cuda":
        gib = torch.cuda.max_memory_allocated() / 2**30
    else:
        gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    parameters = sum(tensor.numel() for tensor in model.parameters())
    return float(parameters), float(counter.get_total_flops()), seconds, gib, device


def _batch(draws: Any, clips: int, device: str) -> tuple[dict[str, tuple[int, ...]], Any]:
    """Shapes of one row, and a batch of random rows as training draws them."""
    import torch

    from traitscope.types import TRAITS, Batch

    shapes, streams, masks = {}, {}, {}
    for name, draw in draws.items():
        if name in {"faces", "frames"}:
            size = draw.size or draw.extract.get("size", 224)
            shape: tuple[int, ...] = (3, *((size, size) if isinstance(size, int) else size))
        else:
            shape = FEATURES[name]
        # A cap on all rows is not how many there are.
        rows = draw.train.count if draw.train.rule != "all" else min(ROWS, draw.train.count or ROWS)
        shapes[name] = shape
        streams[name] = torch.randn(clips, rows or ROWS, *shape, device=device)
        masks[name] = torch.ones(clips, rows or ROWS, dtype=torch.bool, device=device)
    labels = torch.rand(clips, len(TRAITS), device=device)
    known = torch.ones_like(labels, dtype=torch.bool)
    ids = tuple(str(number) for number in range(clips))
    return shapes, Batch(ids, streams, masks, labels, known)
