"""What a second process brings to `prepare` and to `train --devices`, and what it costs.

Generated talking faces are prepared by one and by two workers (faces, signals and sound, tracked by
dlib), and a small network is trained on drawn features by one and by two processes, in turns. Per
way: seconds, processor seconds of all processes, and the ratio of both to one process. The second
ratio is what remains of the gain where cores are many, and does not depend on what else the machine
does; the first is to be read on an idle one. Start of the processes is in it.
"""

import argparse
import resource
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.figures import figure
from traitscope.corpora.synthetic import Config, generate
from traitscope.features.preparation import prepare
from traitscope.training.fitting import train

WANTED = {"faces": {"backend": "dlib", "rate": 5}, "signals": {"backend": "dlib"}, "short_term": {}}
NETWORK = ["train.epochs=10", "train.batch_size=16", "trainer.logger=csv"]


def main() -> None:
    """Print one table per job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="short clips, once")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each of 40 clips")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    seconds, rounds = (0.4, 1) if given.short else (given.seconds, given.rounds)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        shape = Config(subjects=10, seconds=seconds)
        address = f"synthetic:{generate(place / 'corpus', config=shape)}"

        def prepared(workers: int) -> None:
            store = place / f"store{workers}"
            shutil.rmtree(store, ignore_errors=True)
            prepare(address, WANTED, store=store, workers=workers)

        def trained(devices: int) -> None:
            settings = [f"data.corpus={address}", f"data.store={place / 'store2'}", *NETWORK]
            to = place / f"run{devices}"
            shutil.rmtree(to, ignore_errors=True)
            train("audio_lstm", settings, to=to, devices=devices, accelerator="cpu")

        _compare(f"prepare, 40 clips of {seconds:g} s", prepared, rounds)
        prepare(address, {"mid_term": {}}, store=place / "store2", workers=0)
        _compare("train audio_lstm", trained, rounds)


def _compare(job: str, work: Callable[[int], None], rounds: int) -> None:
    spent: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    for _ in range(rounds):
        for count, times in spent.items():
            begun, before = perf_counter(), _cpu()
            work(count)
            times.append((perf_counter() - begun, _cpu() - before))
    print(f"| {job}: processes | s | processor s | gain | gain of many cores |")
    print("|--:|--:|--:|--:|--:|")
    found = {n: tuple(map(median, zip(*times, strict=True))) for n, times in spent.items()}
    for count, (wall, cpu) in found.items():
        gains = found[1][0] / wall, count * found[1][1] / cpu
        print(f"| {count} | {wall:.1f} | {cpu:.1f} | {gains[0]:.2f} | {gains[1]:.2f} |")
    figure(f"{job}: by two processes", gains[0])
    figure(f"{job}: the same where cores are many", gains[1])
    print()


def _cpu() -> float:
    """Processor seconds of this process and of those it has started, once they have ended."""
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


if __name__ == "__main__":
    main()
