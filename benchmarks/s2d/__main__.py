"""One training step of S2D at full size: FLOPs, seconds, FLOP/s and memory.

Rows: 112 and 224 px, backbone frozen and trained, one clip of 16 frames (more with --batch). On a
GPU the step runs in bf16 and its share of --peak (dense bf16 FLOP/s of the card) is printed.
"""

import argparse
import resource
from time import perf_counter
from typing import Any

import torch
from torch.nn.functional import mse_loss
from torch.utils.flop_counter import FlopCounterMode

from traitscope.models.s2d import Config, Model
from traitscope.types import TRAITS, Batch, Target

TARGETS = [Target(name, 0, 1, 1) for name in TRAITS]
SHAPES: list[tuple[str, dict[str, Any]]] = [
    ("224 px, frozen", {"size": 224}),
    ("224 px, trained", {"size": 224, "freeze_backbone": False}),
    ("112 px / 16, frozen", {"size": 112}),
    ("112 px / 8, frozen", {"size": 112, "patch": 8}),
    ("112 px / 16, trained", {"size": 112, "freeze_backbone": False}),
]


def main() -> None:
    """Print one line per shape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2, help="timed, after one that is not")
    parser.add_argument("--peak", type=float, default=989e12, help="bf16 FLOP/s of the GPU")
    parser.add_argument("--only", help="part of the name of a row")
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(f"{device}, batch {arguments.batch}, 16 frames")
    print(f"{'model':<22}{'TFLOP':>8}{'s/step':>9}{'TFLOP/s':>9}{'of peak':>9}{'GiB':>7}")
    for name, settings in SHAPES:
        if arguments.only and arguments.only not in name:
            continue
        flops, seconds, gib = step(Config(**settings), arguments.batch, arguments.steps, device)
        share = f"{flops / seconds / arguments.peak:>9.1%}" if device == "cuda" else f"{'-':>9}"
        line = f"{name:<22}{flops / 1e12:>8.2f}{seconds:>9.2f}{flops / seconds / 1e12:>9.2f}"
        print(f"{line}{share}{gib:>7.1f}", flush=True)


def step(config: Config, batch: int, steps: int, device: str) -> tuple[float, float, float]:
    """FLOPs of a step, its mean seconds, and the peak memory in GiB."""
    torch.manual_seed(0)
    model = Model(config, {}, TARGETS).to(device).train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5)
    clips = _clips(config, batch, device)

    def run() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            loss = mse_loss(model(clips).prediction.float(), clips.targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    with FlopCounterMode(display=False) as counter:
        run()
    start = perf_counter()
    for _ in range(steps):
        run()
    if device == "cuda":
        torch.cuda.synchronize()
        gib = torch.cuda.max_memory_allocated() / 2**30
    else:
        gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return float(counter.get_total_flops()), (perf_counter() - start) / steps, gib


def _clips(config: Config, batch: int, device: str) -> Batch:
    frames, size = config.frames, config.size
    mask = torch.ones(batch, frames, dtype=torch.bool, device=device)
    streams = {
        "faces": torch.randn(batch, frames, 3, size, size, device=device),
        "landmarks": torch.rand(batch, frames, 68, 2, device=device),
    }
    targets = torch.rand(batch, len(TARGETS), device=device)
    names = tuple(str(number) for number in range(batch))
    masks = {"faces": mask, "landmarks": mask}
    return Batch(names, streams, masks, targets, torch.ones_like(targets, dtype=torch.bool))


if __name__ == "__main__":
    main()
