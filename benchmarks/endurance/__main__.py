"""An hour of trouble: jobs that are killed, starved and lied to, and files that are damaged.

``python -m benchmarks.endurance --minutes N`` prints a line for each case: those of ``jobs.py`` (a
`prepare` that is killed, a disk that fills, a clock that jumps ...) and a target of ``targets.py``
each, a kind of file that is read: cases, refusals by kind, and every failure that is no error of
ours with the seed that repeats it: ``--only media --seed 17``. Exit 1 if something was lost, wrong,
or not said in words.
"""

import argparse
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.endurance.attack import SEEDS, Found, attack, bounded
from benchmarks.endurance.jobs import CASES, BrokenError
from benchmarks.endurance.place import Place
from benchmarks.endurance.targets import TARGETS
from benchmarks.figures import figure
from traitscope.features import pool

_TASKS = 10**5


def main() -> int:
    """Do each case and attack each target for a time; 1 if something broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="in all, or nearly so")
    parser.add_argument("--only", choices=[*CASES, *TARGETS], action="append")
    parser.add_argument("--seed", type=int, help="repeat this case of a target alone")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first seed")
    parser.add_argument("--short", action="store_true", help="two minutes")
    arguments = parser.parse_args()
    chosen = arguments.only or [*CASES, *TARGETS]
    seconds = 60 * (2.0 if arguments.short else arguments.minutes) / len(chosen)
    broken = _jobs([name for name in chosen if name in CASES], seconds)
    for name in [name for name in chosen if name in TARGETS]:
        if arguments.seed is not None:
            found = attack(name, range(arguments.seed, arguments.seed + 1))
        else:
            found = _in_workers(name, arguments.first, seconds)
        broken |= bool(found.crashes)
        _print(name, found)
    return int(broken)


def _jobs(names: list[str], seconds: float) -> bool:
    """Do cases with jobs, and print what came of each."""
    if not names:
        return False
    broken = 0
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        for name in names:
            try:
                print(f"{name}: {CASES[name](place, seconds)}", flush=True)
            except BrokenError as error:
                broken += 1
                print(f"{name}: BROKEN: {error}", flush=True)
    figure("jobs in trouble that lost something, or lied", broken, most=0, unit="")
    return bool(broken)


def _in_workers(name: str, first: int, seconds: float) -> Found:
    found = Found()
    until = time.monotonic() + seconds
    tasks = [(name, first + SEEDS * number) for number in range(_TASKS)]
    with closing(pool.run(bounded, tasks, workers=1)) as results:
        for place, result in results:
            if isinstance(result, pool.Crash):
                seed = tasks[place][1]
                found.crashes.append((seed, f"or one of the {SEEDS} after", result.how))
            else:
                found.outcomes += result.outcomes
                found.crashes += result.crashes
            if time.monotonic() > until:
                break
    return found


def _print(name: str, found: Found) -> None:
    cases = found.outcomes.total() + len(found.crashes)
    figure(f"crashes in {cases} damaged files: {name}", len(found.crashes), most=0, unit="")
    kinds = ", ".join(f"{count} {kind}" for kind, count in found.outcomes.most_common())
    print(f"{name}: {cases} cases: {kinds}; {len(found.crashes)} crashes", flush=True)
    for seed, file, what in found.crashes[:20]:
        print(f"--- --only {name} --seed {seed} ({file})\n{what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
