"""`predict` against `prepare`, its start, what it opens, encoders, long sound and recordings.

Run with ``python -m benchmarks.prediction`` from the repository; ``--short`` is a quick look. Clips
are those of ``benchmarks.extraction``, made once in ``--media``.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import fmean as mean

from benchmarks.extraction.clips import describe, make_clips, make_long
from benchmarks.figures import figure
from benchmarks.prediction import clips, texts

REPEATS = 3
PARTS = ("rates", "start", "opens", "texts", "sound", "recordings", "one")
HERE = Path(__file__).parent
Goals = list[tuple[str, bool]]


def main() -> int:
    """Print the table; 1 if a goal is missed."""
    options = _options()
    media = make_clips(options.media, options.distinct, key_frames=250)
    print(f"{describe(media)}; {options.clips} of them; {options.processes} processes")
    print(f"cores {os.cpu_count()}, load {os.getloadavg()[0]:.1f} before the run\n")
    print(f"{'what':58}{'found':>10}{'':3}{'ratio':>8}")
    goals: Goals = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = clips.train(folder, media, options.backend)
        parts = {
            "rates": lambda: _rates(options, run, media, goals),
            "start": lambda: _start(run, media[0], goals),
            "opens": lambda: _opens(run, media, goals),
            "texts": lambda: _texts(options, folder, goals),
            "sound": lambda: _memory(options, folder, goals),
            "recordings": lambda: _recordings(options, folder, media, goals),
            "one": lambda: _one(run, media[0]),
        }
        for part in options.only:
            parts[part]()
    print(f"\nload {os.getloadavg()[0]:.1f} after the run")
    for goal, met in goals:
        print(f"{'met ' if met else 'MISSED'} {goal}")
    return int(not all(met for _, met in goals))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prediction", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--files", type=Path, help="folder of media for rates, not those made here")
    parser.add_argument("--distinct", type=int, default=6, help="clips that are made")
    parser.add_argument("--rounds", type=int, default=4, help="turns of prepare and predict")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--backend", default="auto", choices=["auto", "mediapipe", "dlib"])
    parser.add_argument("--texts", type=int, default=1500)
    parser.add_argument("--recordings", type=int, nargs="*", default=[1, 10, 120])
    parser.add_argument("--height", type=int, default=720, help="of recordings, in pixels")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between looks at them")
    parser.add_argument("--minutes", type=int, nargs="*", default=[1, 10, 60, 120])
    parser.add_argument("--short", action="store_true", help="few clips and texts, some minutes")
    default = Path(tempfile.gettempdir()) / "traitscope-benchmark"
    parser.add_argument("--media", type=Path, default=default)
    options = parser.parse_args()
    if options.short:
        options.clips, options.rounds, options.texts = 24, 2, 300
        options.minutes = [1, 10]
        options.recordings = [1, 3]
    return options


def _row(what: str, found: str, ratio: float | None = None) -> None:
    against = "" if ratio is None else f"{ratio:8.2f}"
    print(f"{what:58}{found:>10}{'':3}{against}", flush=True)


def _rates(options: argparse.Namespace, run: Path, media: list[Path], goals: Goals) -> None:
    """Clips per second of `prepare` and `predict` on the same clips, in turn, once under way."""
    files = media if options.files is None else sorted(options.files.iterdir())
    paths = [files[number % len(files)] for number in range(options.clips)]
    prepared, predicted = list[float](), list[float]()
    turns = [(clips.preparing, prepared), (clips.predicting, predicted)]
    for number in range(options.rounds):  # in turn: what else the machine does is shared by both
        some = paths[number :: options.rounds]
        for rate, kept in turns:
            kept.append(rate(run, some, options.processes))
        turns.reverse()  # nor does one of them always come when it has just become busier
    ratio = sum(predicted) / sum(prepared)
    _row(f"prepare, clips per second, {options.processes} processes", f"{mean(prepared):.2f}")
    _row("predict, further clips per second", f"{mean(predicted):.2f}", ratio)
    figure("further clips of predict, by those of prepare", ratio, least=0.8)
    goals.append(("further clips >= .8 of prepare", ratio >= 0.8))


def _start(run: Path, clip: Path, goals: Goals) -> None:
    """Seconds until the first prediction of a new process, without the clip itself."""
    starts, imports = [], []
    for _ in range(REPEATS):  # in turn, the best of each: the first one also fills the disk's cache
        first = _in_process("starting.py", str(run), str(clip))
        starts.append(first["startup"])
        imports.append(_in_process("starting.py", "--import", *first["modules"])["seconds"])
    ratio = min(starts) / min(imports)
    _row("importing the libraries that a prediction loads, seconds", f"{min(imports):.1f}")
    _row("start of predict until its first clip, seconds", f"{min(starts):.1f}", ratio)
    figure("start of predict, by importing its libraries", ratio, most=2)
    goals.append(("start <= 2 x importing its libraries", ratio <= 2))


def _opens(run: Path, media: list[Path], goals: Goals) -> None:
    """What is opened for further clips that was open for the first."""
    opened = _in_process("opens.py", str(run), *map(str, (media * 4)[:4]))
    _row("trackers opened for 4 clips, most of one kind and place", str(opened["trackers"]))
    _row("files of the run opened again for further clips", str(opened["again"]))
    goals.append(("nothing opened twice", opened["trackers"] <= 1 and not opened["again"]))


def _texts(options: argparse.Namespace, folder: Path, goals: Goals) -> None:
    """Texts per second against the encoder's own forward pass over sorted batches."""
    encoder = texts.make_encoder(folder / "encoder")
    written = texts.make(options.texts)
    own = texts.own_pass(encoder, written)
    _row("encoder of MiniLM's size (random), its own batches, texts/s", f"{own:.0f}")
    alone = texts.one_by_one(encoder, written[:100])
    _row("one text at a time, texts/s", f"{alone:.0f}", alone / own)
    for name, rate in texts.rates(folder, encoder, written):
        _row(f"{name}, texts/s", f"{rate:.0f}", rate / own)
        figure(f"{name}, texts by the encoder's own pass", rate / own)
        goals.append((f"{name} >= 100 texts/s or >= .7", rate >= 100 or rate / own >= 0.7))


def _memory(options: argparse.Namespace, folder: Path, goals: Goals) -> None:
    """Peak memory without a file behind it, of sound of several lengths."""
    for extractor in ("waveform", "logmel", "short_term") if options.minutes else ():
        held = []
        for minutes in options.minutes:
            sound = clips.write_noise(folder / f"{minutes}.wav", minutes)
            script = HERE.parent / "extraction" / "memory.py"
            found = _in_process(str(script), str(sound), options.backend, extractor)
            held.append(found["anonymous"] / 1e6)
            _row(f"{extractor} of {minutes} min, MB held", f"{held[-1]:.0f}", held[-1] / held[0])
        goals.append((f"memory of {extractor} is flat", held[-1] <= held[0] + 60))


def _recordings(options: argparse.Namespace, folder: Path, media: list[Path], goals: Goals) -> None:
    """Peak memory of whole predictions of video, and what windows and one clip cost."""
    if not options.recordings:
        return
    # Few looks: what is held does not depend on how much is looked at in between.
    rate, seconds = f"rate={1 / options.every}", 2 * options.every
    sparse = clips.train(folder / "sparse", media, options.backend, rate, seconds=seconds)
    source, held = clips.of_height(media[0], options.height, folder), []
    for minutes in options.recordings:
        long = make_long(folder / f"long_{minutes}.mp4", source, minutes)
        pairs = 3 if minutes == options.recordings[0] else 0
        once = _in_process("recording.py", str(sparse), str(long), "--pairs", str(pairs))
        held.append(once["anonymous"] / 1e6)
        what = f"predict of {minutes} min of {options.height}p, {once['windows']} windows, MB held"
        _row(what, f"{held[-1]:.0f}", held[-1] / held[0])
        long.unlink()
        if pairs:
            _row("timeline of it, beside the same without", "", once["timeline"])
            goals.append(("timeline and intervals cost < 10 %", once["timeline"] < 1.1))
    figure(f"memory of predict, {options.recordings[-1]} min", held[-1] / held[0])
    goals.append(("memory of predict is flat", held[-1] <= held[0] + 100))


def _one(run: Path, clip: Path) -> None:
    """What a prediction of one clip takes, beside decoding it."""
    one = _in_process("recording.py", str(run), str(clip), "--pairs", "3")
    _row("decoding one 15 s clip of 720p, processor seconds", f"{one['decoded']:.1f}")
    _row("predict of it, warm, face and sound", f"{one['warm']:.1f}", one["warm"] / one["decoded"])
    _row("predict of it in a new process", f"{one['first']:.1f}", one["first"] / one["decoded"])


def _in_process(script: str, *arguments: str) -> dict:
    """Run a script of this folder by itself, and read the JSON it ends with."""
    command = [sys.executable, str(HERE / script), *arguments]
    paths = os.pathsep.join(filter(None, (str(HERE.parents[1]), os.environ.get("PYTHONPATH"))))
    env = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        raise SystemExit(f"{script} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main())
