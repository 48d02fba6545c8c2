"""One training step of every network at its published size: parameters, FLOPs, seconds, memory.

Batch 1 (more with --batch), random tensors in the shapes that the model's draws ask for, AdamW.
Each model runs in a process of its own, one at a time, so that its memory is its own; on a CPU one
that asks for more than the machine can give ends as a row, not as the machine. On a GPU the step
runs in bf16 and its share of --peak (dense bf16 FLOP/s of the card) is printed. The limit is 24
GiB. Latency is that of scoring the batch once, features given.

    python -m benchmarks.zoo --only slowfast tpn resnet3d
"""

import argparse
import math
import multiprocessing
from pathlib import Path

from benchmarks.figures import figure
from benchmarks.zoo.step import Measured, step

LIMIT_GIB = 24
SHARE = 0.85
"""Of the free memory that one model may take."""


def main() -> None:
    """Print one line per network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1, help="timed after the first, or 0")
    parser.add_argument("--peak", type=float, default=989e12, help="bf16 FLOP/s of the GPU")
    parser.add_argument("--only", nargs="+", default=[], help="names of models")
    parser.add_argument("--set", nargs="+", default=[], dest="changes", help="key=value settings")
    parser.add_argument("--short", action="store_true", help="the smallest networks alone")
    arguments = parser.parse_args()
    titles = "".join(f"{title:>9}" for title in ("M par.", "GFLOP", "s/step", "GFLOP/s", "latency"))
    print(f"{'model':<22}{titles}{'GiB':>7}  limit")
    context = multiprocessing.get_context("spawn")
    for name in arguments.only or _networks(short=arguments.short):
        changes, ceiling = tuple(arguments.changes), min(LIMIT_GIB, SHARE * _free_gib())
        with context.Pool(1) as pool:
            how = (name, arguments.batch, arguments.steps, changes, ceiling)
            print(f"{name:<22}{_line(name, pool.apply(step, how), arguments.peak)}", flush=True)


def _line(name: str, measured: Measured | str, peak: float) -> str:
    if isinstance(measured, str):
        return f"  {measured}"
    rate = measured.flops / measured.seconds
    figure(f"{name}: memory of a training step", measured.gib, most=LIMIT_GIB, unit="GiB")
    share = f", {rate / peak:.1%} of peak" if measured.device == "cuda" else ""
    fits = "ok" if measured.gib <= LIMIT_GIB else f"over {LIMIT_GIB} GiB"
    return (
        f"{measured.parameters / 1e6:>9.2f}{measured.flops / 1e9:>9.1f}{measured.seconds:>9.2f}"
        f"{rate / 1e9:>9.1f}{measured.latency:>9.3f}{measured.gib:>7.1f}  {fits}{share}"
    )


def _free_gib() -> float:
    """Memory that programs may still take; all of it where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return math.inf
    facts = dict(line.split(":") for line in lines)
    return int(facts["MemAvailable"].split()[0]) / 2**20


def _networks(*, short: bool) -> list[str]:
    from traitscope import registry

    modules = {name: registry.load("models", name) for name in registry.names("models")}
    networks = [name for name, module in modules.items() if hasattr(module, "Model")]
    small = {"audio_lstm", "au_spectrum_mlp", "functional_mlp", "statistics_mlp", "au_hybrid"}
    return [name for name in networks if name in small] if short else networks


if __name__ == "__main__":
    main()
