"""All benchmarks one after the other, and one table of their ratios: ``make bench``.

    python -m benchmarks [--full] [--only NAME ...] [--to docs/benchmarks.md]

Short by default: under twenty minutes on two idle cores, enough to see that each runs and what its
ratios are about. ``--full`` takes each at its own length, which is hours (planted traits, service
under load, endurance). Ratios are of two things measured in the same run; they hold between
machines as far as anything does, seconds do not.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.figures import FILE

HERE = Path(__file__).resolve().parent
SHORT: dict[str, tuple[str, ...]] = {
    "audits": ("--short",),
    "conformal": ("--people", "300"),
    "endurance": ("--short",),
    "explanations": ("--models", "functionals", "--subjects", "24"),
    "extraction": ("--short",),
    "first_screens": ("--to", "{folder}"),
    "intervals": ("--short",),
    "loader": ("--short",),
    "media": ("--only", "mp4"),
    "planted": ("--folder", "{folder}", "--models", "functionals", "--subjects", "16"),
    "prediction": ("--short",),
    "report": (),
    "scaling": ("--short",),
    "service": ("--short",),
    "step": ("--short",),
    "store": ("--short",),
    "text": ("--short",),
    "tracking": ("--seconds", "4"),
    "zoo": ("--short",),
}
"""How each is called for a short look; ``{folder}`` is an empty one."""
FULL = {"first_screens": SHORT["first_screens"]}
"""How it is called at its own length, where it cannot go without a word."""
SHORT_SECONDS = 400
"""After which a short one is given up."""
LIBRARIES = ("torch", "numpy", "av", "opencv-contrib-python", "mediapipe", "dlib-bin", "lightgbm")
HEAD = """\
# Benchmarks

Written by `{command}`, {day}, in {minutes:.0f} minutes: {machine}.
{libraries}.

{about} Ratios compare two things in the same run; a row without a limit is for information. What
each measures stands at the top of its file, and longer runs that were kept in its `results.md`.

| benchmark | what | measured | wanted | |
|---|---|--:|--:|---|
"""
_SHORT = "A short look at each: limits are those of the full runs, and a short one may miss one."
_FULL = "Each at its own length."


@dataclass(frozen=True)
class Outcome:
    """What came of one benchmark: its figures, seconds, and how it ended."""

    name: str
    figures: tuple[Mapping[str, Any], ...]
    seconds: float
    ended: str


def main() -> int:
    """Run them, write the page; 1 if one broke."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="each at its own length: hours")
    parser.add_argument("--only", nargs="+", choices=list(SHORT), default=list(SHORT))
    parser.add_argument("--to", type=Path, default=HERE.parent / "docs" / "benchmarks.md")
    options = parser.parse_args()
    begun = time.monotonic()
    outcomes = []
    for name in options.only:
        outcomes.append(measured(name, full=options.full))
        last = outcomes[-1]
        print(f"{name}: {last.seconds:.0f} s, {last.ended or 'well'}", flush=True)
        minutes = (time.monotonic() - begun) / 60
        # After each: whoever stops it keeps what was measured.
        options.to.write_text(page(outcomes, minutes, full=options.full), encoding="utf-8")
    print(f"{minutes:.1f} minutes in all; the table: {options.to}")
    return int(any(outcome.ended for outcome in outcomes))


def measured(name: str, *, full: bool = False) -> Outcome:
    """Run one benchmark in a process of its own; what it prints goes to stderr."""
    with tempfile.TemporaryDirectory() as folder:
        words = FULL.get(name, ()) if full else SHORT[name]
        kept = Path(folder) / "figures.jsonl"
        place = Path(folder) / "place"
        place.mkdir()
        command = [word.replace("{folder}", str(place)) for word in words]
        begun = time.monotonic()
        try:
            done = subprocess.run(
                [sys.executable, "-m", f"benchmarks.{name}", *command],
                cwd=HERE.parent,
                env={**os.environ, FILE: str(kept)},
                stdout=sys.stderr,
                timeout=None if full else SHORT_SECONDS,
                check=False,
            )
            # 1 is for a goal that was missed, which the figures tell.
            broke = done.returncode > 1 or (done.returncode == 1 and not kept.is_file())
            ended = f"ended with {done.returncode}" if broke or done.returncode < 0 else ""
        except subprocess.TimeoutExpired:
            ended = f"given up after {SHORT_SECONDS} s"
        lines = kept.read_text(encoding="utf-8").splitlines() if kept.is_file() else []
    figures = tuple(json.loads(line) for line in lines)
    return Outcome(name, figures, time.monotonic() - begun, ended)


def page(outcomes: Sequence[Outcome], minutes: float, *, full: bool = False) -> str:
    """The page: what was measured on, and one table."""
    head = HEAD.format(
        command=f"make bench{'-full' if full else ''}",
        day=date.today().isoformat(),
        minutes=minutes,
        machine=_machine(),
        libraries=", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        about=_FULL if full else _SHORT,
    )
    return head + "\n".join(line for outcome in outcomes for line in _lines(outcome)) + "\n"


def _lines(outcome: Outcome) -> Iterator[str]:
    name = f"`{outcome.name}`, {outcome.seconds:.0f} s"
    for figure in outcome.figures:
        least, most, unit = figure["least"], figure["most"], figure["unit"]
        met = (least is None or figure["value"] >= least) and (
            most is None or figure["value"] <= most
        )
        limits = [f"≥ {_number(least, unit)}"] if least is not None else []
        limits += [f"≤ {_number(most, unit)}"] if most is not None else []
        verdict = ("met" if met else "**missed**") if limits else ""
        value = _number(figure["value"], unit)
        yield f"| {name} | {figure['what']} | {value} | {', '.join(limits)} | {verdict} |"
        name = ""
    if outcome.ended or not outcome.figures:
        yield f"| {name} | {'the run' if outcome.ended else 'skipped here'} | | | {outcome.ended} |"


def _number(value: float, unit: str) -> str:
    if unit == "%":
        return f"{value:.1%}"
    digits = f"{value:.0f}" if float(value).is_integer() and unit != "x" else f"{value:.2f}"
    return f"{digits} {unit}".strip()


def _machine() -> str:
    """Cores, processor, memory and versions; no name of the machine."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    load = os.getloadavg()[0]
    python = platform.python_version()
    return (
        f"{os.cpu_count()} cores ({model}), Python {python}, {platform.system()}, "
        f"load {load:.1f} at the end"
    )


if __name__ == "__main__":
    sys.exit(main())
