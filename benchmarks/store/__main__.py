"""A store of many small clips: finding that nothing is to do, opening it, and one epoch's reading.

Clips are simulated: a small media file and a stream of 10 rows each. Rows, for 10^3, 10^4 and 10^5
clips: `prepare` on a finished store, with the exponent over all sizes; then, of one file per clip
and packed, opening (which clips are there) and one epoch in random order, and of the same bytes in
Arrow's own file format, by which the packed form was judged. Each is the median of interleaved
rounds within one process; files are in the system's cache, or nearly so.

Limits: an exponent of 1.02; packed no slower than one file per clip, in both columns.
"""

import argparse
import math
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
import pyarrow as pa

from benchmarks.figures import figure
from traitscope.data.examples import Examples, gather
from traitscope.features.origins import media_of, origin_of, serving
from traitscope.features.packing import pack_store
from traitscope.features.preparation import prepare
from traitscope.features.request import Request, make_request
from traitscope.features.status import StatusRow, as_csv
from traitscope.features.store import Store
from traitscope.types import Clip, Corpus, Draw, Rows, Stream, Target

ROWS, COLUMNS, BATCH = 10, 8, 500
NAME = "c{:06d}"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="up to 10^3 clips, one round")
    parser.add_argument("--clips", type=int, default=100_000, help="the largest number")
    parser.add_argument(
        "--read", type=int, default=10_000, help="clips of an epoch, of the largest"
    )
    given = parser.parse_args()
    most = 1_000 if given.short else given.clips
    sizes = [10**power for power in range(2 if given.short else 3, 9) if 10**power <= most]
    with tempfile.TemporaryDirectory() as place:
        stores = {size: make(Path(place) / str(size), size) for size in sizes}
        _resume(stores, rounds=1 if given.short else 5)
        _read(stores[sizes[-1]], min(given.read, sizes[-1]), rounds=1 if given.short else 3)


def make(folder: Path, size: int) -> tuple[Corpus, Request, Store]:
    """Write a finished store of so many clips: the file of one, with another's name in each."""
    request, store = make_request("short_term", {}), Store(folder / "store")
    clips = tuple(Clip(NAME.format(n), path=folder / "media" / f"{n}.wav") for n in range(size))
    corpus = Corpus("simulated", "apparent", (Target("openness", 0, 1),), clips)
    (folder / "media").mkdir(parents=True)
    store.add(request.key, request.fingerprint)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(ROWS, COLUMNS)).astype(np.float32)
    names = tuple(f"column_{number}" for number in range(COLUMNS))
    rows = []
    template = b""
    for clip in clips:
        assert clip.path is not None
        clip.path.write_bytes(clip.id.encode() * 20)
        origin = origin_of(clip, request, media_of(clip), corpus=corpus.name)
        assert origin is not None
        if not template:
            stream = Stream(np.arange(ROWS) / 5, values, columns=names)
            store.write(request.key, clip.id, stream)
            template = store.path(request.key, clip.id).read_bytes()
        data = _renamed(template, NAME.format(0), clip.id)
        store.path(request.key, clip.id).write_bytes(data)
        rows.append(StatusRow(clip.id, rows=ROWS, coverage=1.0, **asdict(origin)))
    (store.folder / request.key / "status.csv").write_bytes(as_csv(rows, header=True))
    store.settle(request.key)
    return corpus, request, store


def _renamed(template: bytes, was: str, now: str) -> bytes:
    """The same file with the row of another clip: a tenth of the time of writing it."""
    start = template.index(b"\x93NUMPY", template.index(b"row.npy"))
    end = template.index(b"PK", start)
    old = template[start:end]
    new = old.replace(was.encode("utf-32-le"), now.encode("utf-32-le"))
    for size in range(len(old), len(old) - 40, -1):  # of the entry, without what follows it
        crc = zlib.crc32(old[:size]).to_bytes(4, "little")
        if template.count(crc) == 2:
            fresh = zlib.crc32(new[:size]).to_bytes(4, "little")
            return template.replace(old, new).replace(crc, fresh)
    raise AssertionError("the sum of the row was not found")


def _resume(stores: dict[int, tuple[Corpus, Request, Store]], rounds: int) -> None:
    seconds: dict[int, list[float]] = {size: [] for size in stores}
    for _ in range(rounds):
        for size, (corpus, request, store) in stores.items():
            repeats = max(1, 1_000 // size)
            begun = process_time()
            for _ in range(repeats):
                summary = prepare(corpus, [request], store=store, workers=0)
            seconds[size].append((process_time() - begun) / repeats)
            assert summary.skipped == size
    print("| clips | prepare, nothing to do: s | us per clip |")
    print("|--:|--:|--:|")
    found = {size: median(some) for size, some in seconds.items()}
    for size, some in found.items():
        print(f"| {size} | {some:.3f} | {some / size * 1e6:.1f} |")
    (least, low), (most, high) = min(found.items()), max(found.items())
    if most > least:
        exponent = math.log(high / low) / math.log(most / least)
        figure(
            f"exponent of an idle prepare, {least} to {most} clips", exponent, most=1.02, unit=""
        )
        print(f"\nexponent: {exponent:.3f}\n")


def _read(made: tuple[Corpus, Request, Store], count: int, rounds: int) -> None:
    corpus, request, store = made
    begun = process_time()
    packing = pack_store(store, store.folder.parent / "packed")
    spent = process_time() - begun
    print(f"packing: {spent:.1f} s, {packing.shards} shards, {packing.size_bytes / 1e6:.0f} MB\n")
    order = np.random.default_rng(1).permutation(len(corpus.clips))[:count]
    arrow = _arrow(store, request.key, corpus, store.folder.parent / "all.arrow")
    ways: dict[str, Callable[[], tuple[float, float]]] = {
        "one file per clip": lambda: _epoch(store.folder, made, order),
        "packed": lambda: _epoch(store.folder.parent / "packed", made, order),
        "Arrow": lambda: _arrow_epoch(arrow, order),
    }
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, read in ways.items():
            found[way].append(read())
    print(f"| way ({len(corpus.clips)} clips) | opening: s | epoch of {count}: us per clip |")
    print("|---|--:|--:|")
    medians = {
        way: [median(column) for column in zip(*times, strict=True)] for way, times in found.items()
    }
    for place, what in enumerate(("opening", "an epoch in random order")):
        ratio = medians["packed"][place] / medians["one file per clip"][place]
        figure(f"{what}, packed by one file per clip", ratio, most=1)
    for way, (opening, epoch) in medians.items():
        print(f"| {way} | {opening:.2f} | {epoch / count * 1e6:.0f} |")


def _epoch(
    folder: Path, made: tuple[Corpus, Request, Store], order: np.ndarray
) -> tuple[float, float]:
    corpus, request, _ = made
    begun = process_time()
    store = serving(Store(folder), corpus.clips, corpus=corpus.name)
    clips, failures = gather(corpus.clips, store, {"sound": request.key})
    assert not failures
    opened = process_time()
    draws = {"sound": Draw(train=Rows(), evaluate=Rows())}
    examples = Examples(clips, store, {"sound": request.key}, draws, targets=())
    for place in order.tolist():
        examples.stream("sound", clips[place].id)
    return opened - begun, process_time() - opened


def _arrow(store: Store, key: str, corpus: Corpus, path: Path) -> Path:
    """The same arrays as rows of Arrow's file format, 500 to a piece."""
    names = ("time", "values", "valid")
    schema = pa.schema([(name, pa.binary()) for name in names])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        stream = store.read(key, corpus.clips[0].id)
        parts = (stream.time, np.asarray(stream.values), stream.mask)
        one = {name: array.tobytes() for name, array in zip(names, parts, strict=True)}
        for first in range(0, len(corpus.clips), BATCH):
            count = min(BATCH, len(corpus.clips) - first)
            writer.write_batch(pa.RecordBatch.from_pylist([one] * count, schema=schema))
    return path


def _arrow_epoch(path: Path, order: np.ndarray) -> tuple[float, float]:
    begun = process_time()
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    opened = process_time()
    pieces = [reader.get_batch(number) for number in range(reader.num_record_batches)]
    for place in order.tolist():
        piece, row = pieces[place // BATCH], place % BATCH
        time, values, valid = (piece.column(name)[row].as_buffer() for name in range(3))
        Stream(
            np.frombuffer(time),
            np.frombuffer(values, np.float32).reshape(ROWS, COLUMNS),
            valid=np.frombuffer(valid, bool),
        )
    return opened - begun, process_time() - opened


if __name__ == "__main__":
    main()
