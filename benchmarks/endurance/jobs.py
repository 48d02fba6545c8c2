"""Jobs in trouble: what becomes of `prepare`, a store and a run, in a sentence per case.

Each case takes a `Place` and seconds, and returns what it did; it raises `BrokenError` where
something was lost, wrong, or not said in words. What is killed, and whose clock jumps, is only ever
a child.
"""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

from benchmarks.endurance.mutating import mutate
from benchmarks.endurance.place import CLIPS, STUDY, Ended, Place, lacking, wrong

_CLOCK = """\
# Loaded by every Python of the child: its clock jumps by up to two days with every look at it.
import random, time
_plain, _plain_ns, _random = time.time, time.time_ns, random.Random(0)
time.time = lambda: _plain() + _random.uniform(-172800, 172800)
time.time_ns = lambda: _plain_ns() + _random.randint(-172800, 172800) * 10**9
"""
_WITHOUT_RIGHTS = """
import ctypes, os
if os.getuid() == 0:  # modes do not bind root, unless it gives up its capabilities
    ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())
from traitscope.cli import main
main()
"""


class BrokenError(Exception):
    """Something was lost or wrong, or not said in words."""


def killed(place: Place, seconds: float) -> str:
    """`kill -9` of the command or of one of its workers, again and again, then one run in peace."""
    rng = random.Random(0)
    until = time.monotonic() + seconds
    rounds = workers = 0
    while time.monotonic() < until or not rounds:
        store = place.folder / "killed"
        shutil.rmtree(store, ignore_errors=True)
        for _ in range(3):
            process = place.start("prepare", STUDY, "--store", store, *_ALL, "--workers", 2)
            workers += _kill_one(
                process, rng.uniform(0.1, 1.0) * place.seconds, worker=rounds % 2 == 0
            )
            rounds += 1
            _expect(not wrong(store, place.sound), f"killed: {wrong(store, place.sound)}")
        last = place.prepare(store)
        _expect(last.code == 0, f"after a kill: {last.text}")
        _whole(place, store, "after kills")
    return f"{rounds} kills, {workers} of them of a worker alone: nothing lost, nothing wrong"


def _kill_one(process: "subprocess.Popen[str]", seconds: float, *, worker: bool) -> bool:
    """Kill the command with all it started, or the worker it started last; True for a worker."""
    children: list[psutil.Process] = []
    if worker:  # workers come late, behind the imports: wait for one
        while _runs(process) and not children:
            children = psutil.Process(process.pid).children(recursive=True)
            time.sleep(0.01)
    else:
        time.sleep(seconds)  # any moment of a run, however slow the machine
    alone = bool(children)
    if alone:
        try:
            max(children, key=lambda child: child.pid).kill()
        except psutil.NoSuchProcess:
            alone = False
    elif _runs(process):
        os.killpg(process.pid, signal.SIGKILL)
    text, _ = process.communicate()
    _expect("Traceback" not in text, f"a kill ends in a traceback: {text}")
    return alone


def _runs(process: "subprocess.Popen[str]") -> bool:
    return process.poll() is None


def full_disk(place: Place, seconds: float) -> str:
    """A disk that fills: a small file system where one may be mounted, else a limit on files."""
    folder = place.folder / "small"
    folder.mkdir(exist_ok=True)
    size = 300
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder)]
    is_mounted = subprocess.run(mounting, capture_output=True, check=False).returncode == 0
    try:
        limit = None if is_mounted else _small_files
        ended = place.prepare(folder / "store", before=limit)
        _expect(ended.code in {1, 2} and ended.is_clear, f"full disk: {ended}")
        _expect(not wrong(folder / "store", place.sound), "full disk: a stream is wrong")
        if is_mounted:
            subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
        again = place.prepare(folder / "store")
        if again.code:
            words = ("prepare", STUDY, "--store", folder / "store", *_ALL, "--retry")
            again = place.run(*words)
        _whole(place, folder / "store", "with room again")
    finally:
        if is_mounted:
            subprocess.run(["umount", str(folder)], check=True)
    how = f"a disk of {size} KiB" if is_mounted else "files of 8 KiB at most (no right to mount)"
    return f"{how}: exit {ended.code}, {_words(ended)}; whole once there was room"


def _small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))


def read_only(place: Place, seconds: float) -> str:
    """A store that may not be written: a finished one serves, a lacking one is refused."""
    store = place.copy("read_only")
    (victim,) = list(store.glob("short_term-*/c3.npz"))
    _modes(store, writable=False)
    try:
        _expect(
            place.prepare(store, workers=0, program=("-c", _WITHOUT_RIGHTS)).code == 0,
            "a finished store was refused",
        )
        _modes(store, writable=True)
        victim.unlink()
        _modes(store, writable=False)
        ended = place.prepare(store, workers=0, program=("-c", _WITHOUT_RIGHTS))
        _expect(ended.is_clear and ended.code in {1, 2}, f"read-only: {ended}")
    finally:
        _modes(store, writable=True)
    _expect(place.prepare(store).code == 0, "writable again")
    _whole(place, store, "writable again")
    return f"a finished store serves; with a file missing: exit {ended.code}, {_words(ended)}"


def _modes(store: Path, *, writable: bool) -> None:
    for path in (*store.rglob("*"), store):
        path.chmod((0o777 if path.is_dir() else 0o666) if writable else 0o555)


def two_at_once(place: Place, seconds: float) -> str:
    """Two `prepare` on one store at the same time."""
    store = place.folder / "two"
    shutil.rmtree(store, ignore_errors=True)
    words = ("prepare", STUDY, "--store", store, *_ALL, "--workers", 1)
    both = [place.start(*words) for _ in range(2)]
    ended = [(process.communicate()[0], process.returncode) for process in both]
    for text, code in ended:
        _expect(code == 0 and "Traceback" not in text, f"two at once: {text}")
    _whole(place, store, "two at once")
    return "both end well, and the store is that of one"


def clock(place: Place, seconds: float) -> str:
    """A clock that jumps by days, in the child alone, and files that are from the future."""
    store = place.folder / "clock"
    shutil.rmtree(store, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "sitecustomize.py").write_text(_CLOCK, encoding="utf-8")
        path = os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])
        ended = place.prepare(store, environment={"PYTHONPATH": path})
    _expect(ended.code == 0, f"a clock that jumps: {ended.text}")
    _whole(place, store, "a clock that jumps")
    future = time.time() + 10 * 365 * 86400
    for file in (*store.rglob("*"), *(place.folder / "study").iterdir()):
        os.utime(file, (future, future))
    again = place.prepare(store)
    _expect(again.code == 0, f"files of the future: {again.text}")
    _whole(place, store, "files of the future")
    return "a clock that jumps by two days, and files dated in ten years: nothing lost"


def damaged_store(place: Place, seconds: float) -> str:
    """Files of a store that are damaged, cut or gone: refused or as they were, then mended."""
    until, rounds, refused = time.monotonic() + seconds, 0, 0
    while time.monotonic() < until or not rounds:
        rng = np.random.default_rng(rounds)
        store = place.copy("damaged")
        files = [path for path in sorted(store.rglob("*")) if path.is_file()]
        for number in rng.choice(len(files), 3, replace=False).tolist():
            _harm(files[number], rng)
        faults = wrong(store, place.sound)
        _expect(not faults, f"damaged store, seed {rounds}: {faults}")
        for words in (("features", "verify", store, "--repair"), _prepare(store)):
            ended = place.run(*words)
            _expect(ended.is_clear, f"damaged store, seed {rounds}: {ended}")
            refused += ended.code == 2
        if ended.code:  # a fingerprint or a table of states that is beyond repair: by its advice
            for folder in [path for path in store.iterdir() if path.is_dir()]:
                if str(folder) in ended.text:
                    shutil.rmtree(folder)
            ended = place.run(*_prepare(store))
        _expect(ended.code == 0, f"damaged store, seed {rounds}: {ended}")
        _whole(place, store, f"repaired, seed {rounds}")
        rounds += 1
    return f"{rounds} stores with three files harmed: none gave a wrong stream, all were mended"


def _harm(path: Path, rng: np.random.Generator) -> None:
    data, how = path.read_bytes(), rng.integers(0, 3)
    if how == 0:
        path.unlink()
    else:
        path.write_bytes(data[: len(data) // 2] if how == 1 else mutate(data, rng))


def damaged_run(place: Place, seconds: float) -> str:
    """A run whose files are damaged, cut or gone: it scores as before, or is refused in words."""
    sound = place.folder / "run"
    if not sound.exists():
        data = [f"data.corpus={STUDY}", f"data.store={place.sound}", "model.folds=2"]
        words = ("train", "functionals", *data, "model.streams=[short_term]", "--to", sound)
        made = place.run(*words)
        _expect(made.code == 0, made.text)
    right = _scores(place.run("predict", sound, "study/0.wav", "--json", "--workers", 0))
    until, rounds, refused = time.monotonic() + seconds, 0, 0
    while time.monotonic() < until or not rounds:
        rng = np.random.default_rng(rounds)
        run = place.folder / "harmed"
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(sound, run)
        files = [path for path in sorted(run.rglob("*")) if path.is_file()]
        _harm(files[int(rng.integers(0, len(files)))], rng)
        checked = place.run("verify", run)
        ended = place.run("predict", run, "study/0.wav", "--json", "--workers", 0)
        _expect(ended.is_clear and checked.is_clear, f"damaged run, seed {rounds}: {ended}")
        is_told = checked.code != 0 or ended.code != 0
        _expect(is_told or _scores(ended) == right, f"damaged run, seed {rounds}: other scores")
        refused += is_told
        rounds += 1
    return (
        f"{rounds} runs with a file harmed: {refused} refused or told by verify, others as before"
    )


def older(place: Place, seconds: float) -> str:
    """A store that an older version of an extractor filled: kept, not mistaken for new."""
    store = place.copy("older")
    (folder,) = list(store.glob("short_term-*"))
    tree = json.loads((folder / "fingerprint.json").read_text(encoding="utf-8"))
    tree["version"] -= 1
    past = folder.rename(store / "short_term-000000000000")
    (past / "fingerprint.json").write_text(json.dumps(tree), encoding="utf-8")
    before = {path.name: path.read_bytes() for path in past.glob("*.npz")}
    data = [f"data.corpus={STUDY}", f"data.store={store}", "model.streams=[short_term]"]
    asked = place.run("train", "functionals", *data, "--to", "old_run")
    _expect(asked.code == 2 and "traitscope prepare" in asked.text, f"older store: {asked}")
    _expect(place.prepare(store).code == 0, "older store: prepare")
    _expect(len(before) == CLIPS, "older store: files")
    kept = {path.name: path.read_bytes() for path in past.glob("*.npz")}
    _expect(kept == before, "older store: old features were touched")
    _whole(place, store, "an older store")
    return f"exit 2, {_words(asked)}; prepare fills a folder beside it and keeps the old one"


CASES: dict[str, Callable[[Place, float], str]] = {
    "killed": killed,
    "full disk": full_disk,
    "read-only": read_only,
    "two at once": two_at_once,
    "clock": clock,
    "damaged store": damaged_store,
    "damaged run": damaged_run,
    "older store": older,
}
_ALL = ("--extract", "short_term,mid_term,waveform")


def _prepare(store: Path) -> tuple[object, ...]:
    return ("prepare", STUDY, "--store", store, *_ALL, "--workers", 1)


def _scores(ended: Ended) -> object:
    start = ended.text.find("{")
    return json.loads(ended.text[start : ended.text.rindex("}") + 1])["clips"][0]["scores"]


def _expect(holds: bool, message: str) -> None:
    if not holds:
        raise BrokenError(message)


def _whole(place: Place, store: Path, what: str) -> None:
    _expect(not wrong(store, place.sound), f"{what}: {wrong(store, place.sound)}")
    _expect(not lacking(store, place.sound), f"{what}: lost {lacking(store, place.sound)}")


def _words(ended: Ended) -> str:
    """The first line that says what is wrong."""
    lines = [line.strip() for line in ended.text.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("error") or "space" in line or "rite" in line]
    return f'"{(told or lines or [""])[0][:160]}"'
