"""Pictures per second from a store, beside a folder of JPEGs of the same pixels, in one run.

Rows: 1 and 30 of 75 pictures of a clip, at 112 and 224 px, with 0, 1 and 2 workers, with and
without augmentation (then all the way to normalised floats); the folder is read with PIL to
normalised floats and with OpenCV to bytes, by one process. Batches are of 8 clips, and of 32 as
well where one picture of each is taken: published recipes of one picture have batches of 24 to 64,
most of them of 32. An epoch is at least 512 pictures; it takes the same clips again.

Each row is the median of interleaved rounds; a first one, which fills what is kept between epochs,
is not counted. Then the memory that is a worker's alone, and the time to the first batch beside
that of importing NumPy and OpenCV.

Limits, on an idle machine: 3 x PIL, .8 x OpenCV, 250 MB, 3 x the import.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import psutil

from benchmarks.figures import figure
from traitscope.augment import settle
from traitscope.data.batches import to_tensors
from traitscope.data.examples import Examples
from traitscope.data.loader import Loader, reading
from traitscope.features.store import StatusRow, Store
from traitscope.media.pictures import IMAGENET_MEAN, IMAGENET_SD
from traitscope.types import Clip, Draw, Rows, Stream

ROWS, KEY = 75, "faces-0"
PICTURES = 512
"""Of an epoch, at least. At its end memory goes back to the system, for which a short one pays
dearly; epochs of a corpus are of thousands."""
READ = ((1, 8), (1, 32), (30, 8))
"""Pictures of a clip, and clips of a batch."""
AUGMENT: dict[str, dict[str, Any]] = {"flip": {}, "crop": {}, "colour": {}, "erase": {}}


@dataclass(frozen=True)
class Case:
    """What is read: some pictures of so many pixels of each clip, in batches of clips."""

    store: Store
    clips: int
    size: int
    count: int
    batch: int

    @property
    def passes(self) -> int:
        """How often an epoch takes every clip."""
        return -(-PICTURES // (self.clips * self.count))

    @property
    def name(self) -> str:
        """What it is called in the tables."""
        return f"{self.count} of {ROWS}, {self.batch} clips"

    def examples(self, *, augment: bool) -> Examples:
        """Random rows of each clip, as in training."""
        return examples_of(self.store, self.clips, self.size, self.count, augment)


def main() -> None:
    """Print one table, then memory and start."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="few clips, one round")
    short = parser.parse_args().short
    clips, rounds = (8, 3) if short else (64, 5)
    print("| pictures, batch | px | way | images/s | x PIL float | x OpenCV uint8 |")
    print("|--:|--:|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as place:
        for size in (112,) if short else (112, 224):
            store = make(Path(place) / str(size), clips, size)
            for count, batch in READ:
                _table(Case(store, clips, size, count, batch), rounds)
        print()
        _memory_and_start(Path(place) / "112" / "store", clips)


def make(folder: Path, clips: int, size: int) -> Store:
    """Write the same JPEGs into a store and into a folder per clip."""
    rng = np.random.default_rng(0)
    store = Store(folder / "store")
    store.add(KEY, {"extractor": "faces"})
    pool = []
    for _ in range(ROWS):  # as coarse as makes of 224 px the 12 kB of a face chip
        pixels = cv2.resize(rng.integers(0, 256, (48, 48, 3), np.uint8), (size, size))
        pool.append(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
    for number in range(clips):
        images = pool[number % ROWS :] + pool[: number % ROWS]
        store.write(KEY, f"c{number}", Stream(np.arange(ROWS) / 5, images=tuple(images)))
        store.record(KEY, StatusRow(f"c{number}", rows=ROWS, coverage=1.0))
        jpegs = folder / "jpegs" / f"c{number}"
        jpegs.mkdir(parents=True)
        for row, image in enumerate(images):
            (jpegs / f"{row}.jpg").write_bytes(image)
    return store


def examples_of(store: Store, clips: int, size: int, count: int, augment: bool) -> Examples:
    """Random rows of each clip, as in training."""
    draws = {"faces": Draw(train=Rows("random", count), evaluate=Rows("even", count), size=size)}
    chosen = settle(AUGMENT, ["faces"]) if augment else ()
    all_clips = [Clip(f"c{number}") for number in range(clips)]
    return Examples(all_clips, store, {"faces": KEY}, draws, targets=[]).for_training(0, chosen)


def _table(case: Case, rounds: int) -> None:
    jpegs = case.store.folder.parent / "jpegs"
    order = [
        [(n, int(row)) for row in np.random.default_rng(n).choice(ROWS, case.count, replace=False)]
        for n in range(case.clips)
    ]
    ways: dict[str, Callable[[], object]] = {
        "folder, PIL float": lambda: [_pil(jpegs, rows) for rows in order],
        "folder, OpenCV uint8": lambda: [_opencv(jpegs, rows) for rows in order],
    }
    with _open_ways(case) as more:
        ways |= more
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        print(f"{case.name}, {case.size} px: {rounds} rounds", file=sys.stderr, flush=True)
        for number in range(rounds + 1):  # the first fills what is kept between epochs
            for name, way in ways.items():
                begin = perf_counter()
                for _ in range(case.passes if name.startswith("folder") else 1):
                    way()
                if number:
                    seconds[name].append(perf_counter() - begin)
    pictures = case.passes * case.clips * case.count
    rates = {name: pictures / median(times) for name, times in seconds.items()}
    pil, opencv = rates["folder, PIL float"], rates["folder, OpenCV uint8"]
    for name, rate in rates.items():
        if name == "store, 0 workers":
            what = f"{case.name}, {case.size} px from a store, by"
            figure(f"{what} PIL", rate / pil, least=3)
            figure(f"{what} OpenCV to bytes", rate / opencv, least=0.8)
        row = f"| {case.name} | {case.size} | {name} | {rate:.0f} "
        print(f"{row}| {rate / pil:.2f} | {rate / opencv:.2f} |", flush=True)


class _open_ways:  # noqa: N801
    """The ways through our loader, each with its workers started."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._open: list[Any] = []

    def __enter__(self) -> dict[str, Callable[[], object]]:
        ways: dict[str, Callable[[], object]] = {}
        case = self._case
        for augment in (False, True):
            examples = case.examples(augment=augment)
            for workers in (0, 1, 2):
                crew = reading([examples], workers)
                readers = crew.__enter__()
                self._open.append(crew)
                order = [*range(case.clips)] * case.passes
                loader = Loader(examples, batch_size=case.batch, sampler=order, readers=readers)
                name = f"store, {workers} workers"
                if augment:
                    ways[f"{name}, augmented float tensors"] = lambda one=loader: _tensors(one)
                else:
                    ways[name] = lambda one=loader: _drain(iter(one))
        return ways

    def __exit__(self, *error: object) -> None:
        for crew in self._open:
            crew.__exit__(None, None, None)


def _drain(batches: Iterator[Any]) -> None:
    for _ in batches:
        pass


def _tensors(loader: Loader) -> None:
    """All the way to what a network gets: normalised and augmented."""
    for batch in loader:
        to_tensors(batch, augment=loader.examples.augment)


def _pil(folder: Path, rows: list[tuple[int, int]]) -> np.ndarray[Any, Any]:
    from PIL import Image

    pictures = [
        np.asarray(Image.open(folder / f"c{n}" / f"{row}.jpg").convert("RGB"), np.float32) / 255
        for n, row in rows
    ]
    return ((np.stack(pictures) - IMAGENET_MEAN) / IMAGENET_SD).transpose(0, 3, 1, 2)


def _opencv(folder: Path, rows: list[tuple[int, int]]) -> np.ndarray[Any, Any]:
    paths = [str(folder / f"c{n}" / f"{row}.jpg") for n, row in rows]
    return np.stack([cv2.imread(path, cv2.IMREAD_COLOR_RGB) for path in paths])


def _memory_and_start(folder: Path, clips: int) -> None:
    examples = examples_of(Store(folder), clips, 112, 30, augment=False)
    begin = perf_counter()
    with reading([examples], 1) as readers:
        batches = iter(Loader(examples, batch_size=8, readers=readers))
        next(batches)
        first = perf_counter() - begin
        _drain(batches)
        children = psutil.Process().children()
        used = max(child.memory_full_info().uss for child in children) / 1e6
    begin = perf_counter()
    subprocess.run([sys.executable, "-c", "import numpy, cv2"], check=True)
    imports = perf_counter() - begin
    figure("memory of a worker that reads", used, most=250, unit="MB")
    figure("first batch, by importing NumPy and OpenCV", first / imports, most=3)
    print(f"unique memory of a worker: {used:.0f} MB (limit 250)")
    print(
        f"first batch with a worker: {first:.2f} s, {first / imports:.1f} x a process that imports "
        f"NumPy and OpenCV (limit 3)"
    )


if __name__ == "__main__":
    main()
