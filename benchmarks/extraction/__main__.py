"""Extraction against decoding alone, and against what others do, in one run and one table.

Run with ``python -m benchmarks.extraction`` from the repository; ``--short`` is a quick look, and
``--backend dlib`` needs no model file. Clips are made once in ``--media``. For each backend there
are rows for the whole of `prepare` (faces, signals, 68 audio features, store), for pictures alone
(faces and signals), for chips alone, and for signals of every picture. Each is measured in turns
with decoding alone: between two minutes a machine's speed may differ by a quarter.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.extraction import pipelines
from benchmarks.extraction.clips import SECONDS, describe, make_clips, make_long
from benchmarks.figures import figure
from traitscope.extract.short_term import short_term_features
from traitscope.features.preparation import prepare
from traitscope.features.request import make_request
from traitscope.media import read_waveform
from traitscope.types import Clip, Corpus, Target

DISTINCT = 6
FRAMES = 450
REPEATS = 15


GOALS = {"whole": 0.70, "pictures alone": 0.78, "chips alone": 0.90, "signals native": 0.20}
"""Rates as shares of that of decoding alone."""
CHIPS = 25.0
"""Chips by our rate, to those by random seeks and dlib on doubled pictures."""


def main() -> int:
    """Print the table; 1 if a goal is missed."""
    options = _options()
    media = make_clips(options.media, min(DISTINCT, options.clips), key_frames=options.key_frames)
    clips = [media[number % len(media)] for number in range(options.clips)]
    print(f"{describe(media)}, used {len(clips)} times; {options.processes} processes")
    print(f"cores {os.cpu_count()}, load {os.getloadavg()[0]:.1f} before the run\n")
    print(f"{'what':44}{'clips/s':>9}{'frames/s':>10}{'chips/s':>9}   {'ratio':>7}")
    pool = pipelines.Pool(options.processes)
    _decoding(pool, clips, media[0])
    _dumping(pool, clips, media[0])
    rates = {backend: _ours(options, pool, clips, backend) for backend in options.backend}
    pool.close()
    goals: list[tuple[str, bool]] = []
    for backend, (shares, chips) in rates.items():
        name = f"{backend}: per chip, against random seeks + dlib"
        print(f"{name:44}{'':28}   {chips:7.1f} x")
        for what, share in shares.items():
            figure(f"{backend}: {what}, by decoding alone", share, least=GOALS.get(what))
        figure(f"{backend}: chips, by random seeks and dlib", chips, least=CHIPS)
        goals += [(f"{backend}: {n} >= {g:.2f}", shares[n] >= g) for n, g in GOALS.items()]
        goals += [(f"{backend}: chips >= {CHIPS:.0f} x", chips >= CHIPS)]
    goals += _sound(media[0])
    for backend in options.backend:
        _memory(options, media[0], backend)
    print(f"\nload {os.getloadavg()[0]:.1f} after the run")
    for goal, met in goals:
        print(f"{'met ' if met else 'MISSED'} {goal}")
    return int(not all(met for _, met in goals))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.extraction", description=__doc__)
    parser.add_argument("--clips", type=int, default=102)
    parser.add_argument("--rounds", type=int, default=3, help="turns of decoding and the rest")
    parser.add_argument("--processes", type=int, default=2)
    both = ["mediapipe", "dlib"]
    parser.add_argument("--backend", nargs="+", default=both, choices=both)
    parser.add_argument("--minutes", type=int, nargs="*", default=[1, 10, 60, 120])
    parser.add_argument("--short", action="store_true", help="8 clips, a recording of a minute")
    parser.add_argument("--key-frames", type=int, default=250, help="distance in frames")
    default = Path(tempfile.gettempdir()) / "traitscope-benchmark"
    parser.add_argument("--media", type=Path, default=default)
    options = parser.parse_args()
    if options.short:
        options.clips, options.rounds, options.minutes = 8, 1, [1]
    return options


def _row(what: str, clips: float, frames: float, chips: float | None, ratio: float | None) -> None:
    shown = "" if chips is None else f"{chips:.1f}"
    against = "" if ratio is None else f"{ratio:7.3f}"
    print(f"{what:44}{clips:9.2f}{frames:10.0f}{shown:>9}   {against}", flush=True)


def _decoding(pool: pipelines.Pool, clips: list[Path], warm: Path) -> None:
    """Decoding alone with two settings of its threads; the first is what others stand against."""
    for work, name in (
        (pipelines.decode_only, "decode only, 1 thread per process"),
        (pipelines.decode_with_threads, "decode only, 2 threads per process"),
    ):
        frames, seconds = pool.timed(work, clips, warm)
        _row(name, len(clips) / seconds, frames / seconds, None, None)


def _in_turns(
    pool: pipelines.Pool, work: Any, clips: list[Path], rounds: int
) -> tuple[float, float, float]:
    """What work gives per second, its clips per second, and that by decoding's, part by part."""
    done, seconds, decoding, warm = 0, 0.0, 0.0, clips[0]
    for part in (clips[number::rounds] for number in range(rounds)):
        decoding += pool.timed(pipelines.decode_only, part, warm)[1]
        given, taken = pool.timed(work, part, warm)
        done, seconds = done + given, seconds + taken
    return done / seconds, len(clips) / seconds, decoding / seconds


def _ours(
    options: argparse.Namespace,
    pool: pipelines.Pool,
    clips: list[Path],
    backend: str,
) -> tuple[dict[str, float], float]:
    """Rates by that of decoding, and of the whole's chips by that of random seeks; prints rows."""
    share, chips = _whole(options, pool, clips, backend)
    shares = {"whole": share}
    settings = (("rate", 5.0), ("backend", backend))
    native = (("rate", "native"), ("backend", backend))
    for name, wanted, few in (
        ("pictures alone", (("faces", settings), ("signals", settings)), clips),
        ("chips alone", (("faces", settings),), clips),
        ("signals native", (("signals", native),), clips[: max(4, len(clips) // 6)]),
    ):
        done, rate, share = _in_turns(pool, pipelines.Pictures(wanted), few, options.rounds)
        shown = None if name == "signals native" else done
        _row(f"{backend}: {name}", rate, rate * FRAMES, shown, share)
        shares[name] = share
    return shares, chips


def _whole(
    options: argparse.Namespace, pool: pipelines.Pool, clips: list[Path], backend: str
) -> tuple[float, float]:
    """Rate of `prepare` by that of decoding, and of chips by that of random seeks, in turns."""
    usual = {"rate": 5.0, "backend": backend}
    asked = [make_request(name, usual) for name in ("faces", "signals")]
    asked += [make_request("short_term", {})]
    # Seconds per clip and per chip, in means over the turns.
    decoding, whole, chip, theirs, startup = [], [], [], [], []
    for part in (clips[number :: options.rounds] for number in range(options.rounds)):
        decoding.append(pool.timed(pipelines.decode_only, part, clips[0])[1] / len(part))
        rate, chips, start = _timed(part, asked, options.processes)
        whole.append(1 / rate)
        chip.append(1 / chips)
        startup.append(start)
        found, taken = pool.timed(pipelines.chips_by_seeking, part[: options.processes], clips[0])
        theirs.append(taken / max(found, 1))
    rate, share = 1 / np.mean(whole), float(np.mean(decoding) / np.mean(whole))
    name = f"{backend}: whole (start-up {np.mean(startup):.1f} s)"
    _row(name, rate, rate * FRAMES, 1 / np.mean(chip), share)
    seeking = 1 / np.mean(theirs)
    name = f"random seeks + dlib ({options.processes / seeking:.2f} s per chip)"
    _row(name, seeking / (5 * SECONDS), 0, seeking, None)
    return share, float(np.mean(theirs) / np.mean(chip))


def _timed(clips: list[Path], requests: list, processes: int) -> tuple[float, float, float]:
    """Clips and chips per second after the first clips, and the seconds of start-up."""
    corpus = Corpus(
        "benchmark",
        "apparent",
        (Target("openness", 0, 1, 1),),
        tuple(Clip(f"clip_{number:03d}", path) for number, path in enumerate(clips)),
    )
    times: list[float] = []
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        summary = prepare(
            corpus,
            requests,
            store=folder,
            workers=processes,
            hook=lambda done, total, name: times.append(time.perf_counter()),
        )
        ended = time.perf_counter()
    assert not summary.failed, summary.failures[:3]
    warm = 2 * processes
    rate = (len(times) - warm) / (ended - times[warm - 1])
    coverage = summary.features[0].coverage or 0.0
    startup = max(0.0, times[warm - 1] - started - warm / rate)
    return rate, rate * 5 * SECONDS * coverage, startup


def _dumping(pool: pipelines.Pool, clips: list[Path], warm: Path) -> None:
    """What pipelines that start from frames do before anything else."""
    few = clips[: min(12, len(clips) // 2)]
    frames, seconds = pool.timed(pipelines.dump_frames, few, warm)
    _row("OpenCV, every frame to a JPEG file", len(few) / seconds, frames / seconds, None, None)


def _sound(path: Path) -> list[tuple[str, bool]]:
    """The 68 features against the package, at both window rules: the best of some repeats."""
    from pyAudioAnalysis import ShortTermFeatures

    samples = read_waveform(path).samples.astype(np.float64)
    goals = []
    print(f"\n{'68 audio features of 15 s':44}{'ours ms':>9}{'theirs ms':>10}{'':9}   {'ratio':>7}")
    for name, window, step, goal in (
        ("50 ms windows every 25 ms", 800, 400, 20),
        ("10 segments", len(samples) // 10, len(samples) // 10, 5),
    ):
        ours, theirs = [], []
        for _ in range(REPEATS):
            started = time.perf_counter()
            short_term_features(samples, 16000, window, step)
            between = time.perf_counter()
            ShortTermFeatures.feature_extraction(samples * 32768, 16000, window, step)
            ours.append(between - started)
            theirs.append(time.perf_counter() - between)
        ratio = min(theirs) / min(ours)
        print(f"{name:44}{min(ours) * 1e3:9.1f}{min(theirs) * 1e3:10.1f}{'':9}   {ratio:7.1f} x")
        goals.append((f"{name} >= {goal} x", ratio >= goal))
    return goals


def _memory(options: argparse.Namespace, source: Path, backend: str) -> None:
    """Peak memory of one process for recordings of several lengths."""
    what = f"{backend}: faces + signals + short_term"
    print(f"\n{what:44}{'seconds':>9}{'MB held':>10}{'MB seen':>9}")
    script = Path(__file__).with_name("memory.py")
    for minutes in options.minutes:
        video = make_long(options.media / f"long_{minutes}.mp4", source, minutes)
        result = subprocess.run(
            [sys.executable, str(script), str(video), backend],
            capture_output=True,
            text=True,
            check=True,
        )
        found = json.loads(result.stdout.splitlines()[-1])
        held, seen = found["anonymous"] / 1e6, found["resident"] / 1e6
        print(f"{f'{minutes} min':44}{found['seconds']:9.1f}{held:10.0f}{seen:9.0f}", flush=True)
    if options.minutes:
        print("held: memory without a file behind it; seen: with files that the system may drop")


if __name__ == "__main__":
    sys.exit(main())
