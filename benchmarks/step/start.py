"""What a command costs before its work: processor time, beside that of importing PyTorch.

A training of one epoch on twelve clips is timed up to the end of that epoch, ``predict`` of two
seconds of sound and ``--help`` as a whole. Each process has one thread, and each time is the
shortest of some rounds in which all take turns: what else the machine does adds to a time, never
takes from it.
"""

import json
import os
import subprocess
import sys
import tempfile
import wave
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import numpy as np

from benchmarks.figures import figure
from traitscope import prepare, train
from traitscope.types import TRAITS

LIMIT, HELP_LIMIT = 2, 0.25
"""Times ``import torch``: of a training and a prediction, and of what needs no PyTorch."""
SAMPLE_RATE_HZ, SECONDS, CLIPS = 8000, 2, 12
TRAIN = """
import sys, time
from traitscope.training.fitting import train
first = []
train("audio_lstm", sys.argv[2:], to=sys.argv[1], hook=lambda *_: first.append(time.process_time()))
print(first[0])
"""
WORDS = {
    "train": "start-up of a training",
    "predict": "predict of two seconds of sound",
    "--help": "--help",
}


def print_start(rounds: int) -> None:
    """Print and keep one figure per command."""
    with tempfile.TemporaryDirectory() as place:
        times = _times(Path(place), rounds)
    print("| command | s of processor | x import torch | limit |\n|---|--:|--:|--:|")
    for name, what in WORDS.items():
        ratio, limit = times[name] / times["torch"], HELP_LIMIT if name == "--help" else LIMIT
        figure(f"{what}, by `import torch`", ratio, most=limit)
        print(f"| {name} | {times[name]:.2f} | {ratio:.2f} | {limit} |", flush=True)


def _times(folder: Path, rounds: int) -> dict[str, float]:
    corpus = _write_corpus(folder)
    settings = [f"data.corpus={corpus}", f"data.store={folder / 'store'}"]
    settings += ["train.epochs=1", "train.schedule=constant", "train.milestones=[]"]
    prepare(corpus, folder / "store", for_="audio_lstm")
    train("audio_lstm", settings, to=folder / "run")
    ours = [sys.executable, "-m", "traitscope"]
    times: dict[str, list[float]] = {name: [] for name in ("torch", *WORDS)}
    for number in range(rounds):
        times["torch"].append(_seconds([sys.executable, "-c", "import torch"]))
        run = folder / f"run-{number}"
        fitting = [sys.executable, "-c", TRAIN, str(run), *settings]
        times["train"].append(float(_output(fitting)))
        files = [str(folder / "run"), str(folder / "c0.wav")]
        times["predict"].append(_seconds([*ours, "predict", *files]))
        times["--help"].append(_seconds([*ours, "--help"]))
    return {name: min(each) for name, each in times.items()}


def _write_corpus(folder: Path) -> str:
    """Write clips of noise and a table of their labels."""
    rng = np.random.default_rng(0)
    lines = [",".join(["clip", "split", *TRAITS])]
    for number in range(CLIPS):
        with wave.open(str(folder / f"c{number}.wav"), "wb") as file:
            file.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", ""))
            samples = rng.normal(0, 3000, SAMPLE_RATE_HZ * SECONDS)
            file.writeframes(samples.astype("<i2").tobytes())
        split = "validation" if number % 3 == 0 else "train"
        scores = [f"{score:.3f}" for score in rng.uniform(0.2, 0.8, len(TRAITS))]
        lines.append(",".join([f"c{number}", split, *scores]))
    (folder / "clips.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    scale = {"low": 0, "high": 1, "direction": 1}
    facts = {
        "name": "noise",
        "kind": "apparent",
        "media": ".",
        "targets": dict.fromkeys(TRAITS, scale),
    }
    (folder / "clips.yaml").write_text(json.dumps(facts), encoding="utf-8")  # which is YAML, too
    return f"table:{folder / 'clips.csv'}"


def _seconds(command: list[str]) -> float:
    before = getrusage(RUSAGE_CHILDREN)
    _output(command)
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _output(command: list[str]) -> str:
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}  # threads that wait for one another take time
    done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, env=alone)
    return done.stdout.rpartition("\n")[0].rpartition("\n")[2]
