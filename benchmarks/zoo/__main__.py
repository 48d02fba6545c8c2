"""One training step of every network at its published size: parameters, FLOPs, seconds, memory.

Batch 1 (more with --batch), random tensors in the shapes that the model's draws ask for, AdamW.
Each model runs in a process of its own, so that its memory is its own. On a GPU the step runs in
bf16 and its share of --peak (dense bf16 FLOP/s of the card) is printed. The limit is 24 GiB.

    python -m benchmarks.zoo --only slowfast tpn resnet3d
"""

import argparse
import multiprocessing

from benchmarks.zoo.step import step

LIMIT_GIB = 24


def main() -> None:
    """Print one line per network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1, help="timed, after one that is not")
    parser.add_argument("--peak", type=float, default=989e12, help="bf16 FLOP/s of the GPU")
    parser.add_argument("--only", nargs="+", default=[], help="names of models")
    parser.add_argument("--set", nargs="+", default=[], dest="changes", help="key=value settings")
    parser.add_argument("--short", action="store_true", help="the smallest networks alone")
    arguments = parser.parse_args()
    print(f"{'model':<22}{'M par.':>9}{'GFLOP':>10}{'s/step':>9}{'GFLOP/s':>9}{'GiB':>7}  limit")
    context = multiprocessing.get_context("spawn")
    for name in arguments.only or _networks(short=arguments.short):
        with context.Pool(1) as pool:
            how = (name, arguments.batch, arguments.steps, tuple(arguments.changes))
            measured = pool.apply(step, how)
        if isinstance(measured, str):
            print(f"{name:<22}  {measured}", flush=True)
            continue
        parameters, flops, seconds, gib, device = measured
        line = f"{name:<22}{parameters / 1e6:>9.2f}{flops / 1e9:>10.1f}{seconds:>9.2f}"
        share = f", {flops / seconds / arguments.peak:.1%} of peak" if device == "cuda" else ""
        fits = "ok" if gib <= LIMIT_GIB else f"over {LIMIT_GIB} GiB"
        print(f"{line}{flops / seconds / 1e9:>9.1f}{gib:>7.1f}  {fits}{share}", flush=True)


def _networks(*, short: bool) -> list[str]:
    from traitscope import registry

    modules = {name: registry.load("models", name) for name in registry.names("models")}
    networks = [name for name, module in modules.items() if hasattr(module, "Model")]
    small = {"audio_lstm", "au_spectrum_mlp", "functional_mlp", "statistics_mlp", "au_hybrid"}
    return [name for name in networks if name in small] if short else networks


if __name__ == "__main__":
    main()
