"""Damage files of every kind that is read, for minutes: ``python -m benchmarks.endurance``.

Prints cases, refusals by kind, and every failure that is no error of ours with the seed that
repeats it: ``python -m benchmarks.endurance --only media --seed 17``.
"""

import argparse
import sys
import time
from contextlib import closing

from benchmarks.endurance.attack import SEEDS, Found, attack, bounded
from benchmarks.endurance.targets import TARGETS
from traitscope.features import pool

_TASKS = 10**5


def main() -> int:
    """Attack each target for a time; 1 if something crashed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="for each target")
    parser.add_argument("--only", choices=sorted(TARGETS), action="append")
    parser.add_argument("--seed", type=int, help="repeat this case alone")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first seed")
    arguments = parser.parse_args()
    crashed = False
    for name in arguments.only or TARGETS:
        if arguments.seed is not None:
            found = attack(name, range(arguments.seed, arguments.seed + 1))
        else:
            found = _in_workers(name, arguments.first, 60 * arguments.minutes)
        crashed |= bool(found.crashes)
        _print(name, found)
    return int(crashed)


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
    kinds = ", ".join(f"{count} {kind}" for kind, count in found.outcomes.most_common())
    print(f"{name}: {cases} cases: {kinds}; {len(found.crashes)} crashes", flush=True)
    for seed, file, what in found.crashes[:20]:
        print(f"--- --only {name} --seed {seed} ({file})\n{what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
