"""A small corpus of sounds, `prepare` in a process of its own, and whether a store is as it was."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.support.media_files import tone, write_sound
from traitscope.errors import TraitscopeError
from traitscope.features.store import OK, Store

CLIPS = 24
EXTRACT = ("--extract", "short_term,mid_term,waveform")
STUDY = "table:study/clips.csv"


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, and what it said in all."""

    code: int
    text: str

    @property
    def is_clear(self) -> bool:
        """Whether it says what is wrong in words, without a traceback."""
        return self.code in {0, 1, 2} and "Traceback" not in self.text


class Place:
    """A folder with a corpus, and a sound store of it to compare with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        study = folder / "study"
        study.mkdir()
        rows = []
        for number in range(CLIPS):
            write_sound(study / f"{number}.wav", tone(0.4 + 0.05 * number, hertz=200 + 20 * number))
            split = ("train", "train", "train", "validation", "test")[number % 5]
            rows.append(f"c{number},{number}.wav,{split},{(number * 7 % CLIPS) / CLIPS:.3f}")
        (study / "clips.csv").write_text("\n".join(["clip,path,split,openness", *rows, ""]))
        target = "targets:\n  openness: {low: 0, high: 1, direction: 1}\n"
        (study / "clips.yaml").write_text(f"kind: apparent\n{target}")
        self.sound = folder / "sound"
        begun = time.monotonic()
        done = self.prepare(self.sound)
        self.seconds = time.monotonic() - begun
        if done.code:
            raise SystemExit(f"The corpus of this benchmark cannot be prepared: {done.text}")

    def start(
        self,
        *words: object,
        environment: Mapping[str, str] | None = None,
        before: Callable[[], None] | None = None,
        program: Sequence[str] = ("-m", "traitscope"),
    ) -> "subprocess.Popen[str]":
        """Start a command of ours, in a group of its own, so that it can be killed whole."""
        return subprocess.Popen(
            [sys.executable, *program, *map(str, words)],
            cwd=self.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=before,
        )

    def run(self, *words: object, **how: object) -> Ended:
        """Run a command of ours to its end."""
        process = self.start(*words, **how)  # type: ignore[arg-type]
        text, _ = process.communicate()
        return Ended(process.returncode, text)

    def prepare(self, store: Path, *, workers: int = 2, **how: object) -> Ended:
        """Extract the features of the corpus."""
        words = ("prepare", STUDY, "--store", store, *EXTRACT, "--workers", workers)
        return self.run(*words, **how)

    def copy(self, name: str) -> Path:
        """A store to be harmed."""
        to = self.folder / name
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.sound, to)
        return to


def wrong(store: Path, sound: Path) -> list[str]:
    """Streams that a store gives out and that are not those of a sound one; what is refused is not.

    Returns:
        what is wrong, a line each.
    """
    faults = []
    for key in Store(sound).fingerprints():
        for clip, given in _readable(store, key).items():
            if not np.array_equal(given, Store(sound).read(key, clip).values, equal_nan=True):
                faults.append(f"{key}: {clip} is not what it was")
    return faults


def lacking(store: Path, sound: Path) -> list[str]:
    """Streams of the sound store that are missing in another, or refused."""
    return [
        f"{key}: {clip}"
        for key in Store(sound).fingerprints()
        for clip in set(_readable(sound, key)) - set(_readable(store, key))
    ]


def _readable(folder: Path, key: str) -> dict[str, np.ndarray]:
    given = {}
    store = Store(folder)
    try:
        rows = store.statuses(key)
    except TraitscopeError:
        return {}
    for clip, row in rows.items():
        if row.status == OK:
            try:
                given[clip] = np.asarray(store.read(key, clip).values)
            except TraitscopeError:
                continue
    return given
