"""Batches read ahead by other processes: the same ones, and one line when something goes wrong."""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.support.pictures import KEY, KILLING, make_pictures, pictures
from traitscope.augment import Augmentation
from traitscope.config import Config
from traitscope.data import loader as loader_module
from traitscope.data import readers as readers_module
from traitscope.data import shelf
from traitscope.data.batches import to_tensors
from traitscope.data.drawing import Example, generator
from traitscope.data.examples import Examples
from traitscope.data.loader import Loader
from traitscope.data.readers import Index, Readers
from traitscope.errors import DataError, TraitscopeError
from traitscope.media.pictures import decode_rows
from traitscope.types import Stream

AUGMENT = {"flip": {}, "crop": {}, "colour": {}, "erase": {}, "mixup": {}}
ORDER = [(epoch, clip) for epoch, clip in zip([4] * 6, [3, 1, 5, 0, 2, 4], strict=True)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures") / "store"
    make_pictures(folder)
    return folder


def store(folder: Path):
    from traitscope.features.store import Store

    return Store(folder)


def test_other_processes_read_the_same_batches_of_several_sets(folder: Path) -> None:
    examples = pictures(store(folder), augment=AUGMENT)
    plain = pictures(store(folder))
    with closing(Readers([examples, plain], 2)) as readers:
        here = Loader(examples, batch_size=4, sampler=ORDER)
        there = Loader(examples, batch_size=4, sampler=ORDER, readers=readers)
        others = iter(Loader(plain, batch_size=1, readers=readers, which=1))
        for _ in range(3):  # slots and what is kept in memory are used again
            for one, other in zip(here, there, strict=True):
                next(others)  # a set may be read while another is
                assert one.clips == other.clips
                np.testing.assert_array_equal(one.masks["faces"], other.masks["faces"])
                seen = [to_tensors(batch, augment=examples.augment) for batch in (one, other)]
                np.testing.assert_array_equal(*(batch.streams["faces"] for batch in seen))


@pytest.mark.parametrize("idle", [True, False])
def test_whoever_waits_reads_as_well(
    folder: Path, monkeypatch: pytest.MonkeyPatch, idle: bool
) -> None:
    examples, read_here = pictures(store(folder)), []

    def read(examples: Examples, indices: Sequence[Index], **how: Any) -> list[Example]:
        read_here.extend(indices)
        return readers_module.read(examples, indices, **how)

    monkeypatch.setattr(loader_module, "read", read)
    with closing(Readers([examples], 1)) as readers:
        monkeypatch.setattr(readers, "idle", lambda number: idle)
        batches = Loader(examples, batch_size=1, sampler=ORDER, readers=readers)
        read_by_both = [batch.clips[0] for batch in batches]
        for batch in batches:  # one that was read here is left behind, too
            assert batch.clips == (read_by_both[0],)
            break
    assert read_by_both == [f"clip_{clip}" for _, clip in ORDER]
    # Two are asked for at the beginning, so the third is the first to be read here.
    assert read_here == ([ORDER[2], ORDER[5], ORDER[2]] if idle else [])


@pytest.mark.parametrize("threads", [2, 4, 9])
def test_threads_decode_the_same_pictures(
    folder: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    examples = pictures(store(folder), augment=AUGMENT)
    alone, together = (readers_module.read(examples, ORDER, threads=n) for n in (1, threads))
    for one, other in zip(alone, together, strict=True):
        assert one.clip == other.clip
        np.testing.assert_array_equal(one.streams["faces"], other.streams["faces"])
        assert one.draws.keys() == other.draws.keys()
    last = examples.clips[ORDER[-1][1]].id

    def damaged(images: Any, size: Any, what: str) -> Any:
        if last in what:
            raise DataError("it is damaged")
        return decode_rows(images, size, what)

    monkeypatch.setattr("traitscope.data.drawing.decode_rows", damaged)
    with pytest.raises(DataError, match=f"'{last}'"):
        readers_module.read(examples, ORDER, threads=threads)


def test_what_becomes_of_a_batch_does_not_hang_on_the_next_one(folder: Path) -> None:
    examples = pictures(store(folder))
    with closing(Readers([examples], 1)) as readers:
        batches = Loader(examples, batch_size=1, readers=readers)
        tensors = [to_tensors(batch) for batch in batches]
        again = [to_tensors(batch) for batch in batches]
    for one, other in zip(tensors, again, strict=True):
        np.testing.assert_array_equal(one.streams["faces"], other.streams["faces"])
        np.testing.assert_array_equal(one.masks["faces"], other.masks["faces"])


def test_an_epoch_may_be_left_early(folder: Path) -> None:
    examples = pictures(store(folder))
    with closing(Readers([examples], 1)) as readers:
        batches = Loader(examples, batch_size=1, readers=readers)
        for batch in batches:
            assert batch.clips == ("clip_0",)
            break
        assert [batch.clips[0] for batch in batches] == [f"clip_{n}" for n in range(6)]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_clip_that_cannot_be_read_is_named_in_one_line(tmp_path: Path, workers: int) -> None:
    made = make_pictures(tmp_path / "store")
    made.path(KEY, "clip_4").write_bytes(b"PK no zip")
    examples = pictures(made)
    readers = Readers([examples], workers) if workers else None
    with pytest.raises(DataError, match=r"clip_4.* is damaged") as error:
        list(Loader(examples, batch_size=2, readers=readers))
    assert "\n" not in str(error.value)
    if readers:
        readers.close()


def test_a_process_that_is_killed_names_its_clip(folder: Path) -> None:
    examples = pictures(store(folder), augment=[KILLING])
    with closing(Readers([examples], 1)) as readers:
        loader = Loader(examples, batch_size=6, readers=readers)
        # Its rows were read with those of the others; it ends when this clip's turn comes again.
        clip = next(n for n in range(6) if generator(3, 0, n, 1).integers(4) == 0)
        died = rf"ended \(signal 9\) at clip 'clip_{clip}'"
        with pytest.raises(TraitscopeError, match=died) as error:
            list(loader)
    assert "\n" not in str(error.value)


def test_a_clip_that_cannot_be_changed_is_named_and_not_the_last_one_read(folder: Path) -> None:
    def refuse(streams: Any, masks: Any, config: Any, rng: Any) -> Any:
        raise DataError("It is too dark.")

    refusing = Augmentation("refusing", Config(), augment=refuse)
    batches = Loader(pictures(store(folder), augment=[refusing]), batch_size=6, sampler=ORDER)
    with pytest.raises(DataError, match=r"^Clip 'clip_3': It is too dark\.$"):
        list(batches)


def test_pictures_are_read_where_they_lie(tmp_path: Path) -> None:
    made = make_pictures(tmp_path / "store", clips=1)
    whole, lying = made.read(KEY, "clip_0"), made.read(KEY, "clip_0", in_place=True)
    assert list(lying.images or ()) == list(whole.images or ())
    assert lying.images[-2:] == whole.images[-2:]  # type: ignore[index]
    np.testing.assert_array_equal(lying.mask, whole.mask)


def test_a_store_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    made = make_pictures(tmp_path / "store", clips=2)
    examples = pictures(made, clips=2)
    examples.batch()
    other = made.read(KEY, "clip_1")
    made.write(KEY, "clip_1", other)
    with pytest.raises(DataError, match=r"clip_1\.npz changed while it was in use"):
        examples.batch()


@pytest.mark.parametrize("at", ["offset", "length"])
def test_pictures_that_lie_elsewhere_are_damage(tmp_path: Path, at: str) -> None:
    made = make_pictures(tmp_path / "store", clips=1)
    path = made.path(KEY, "clip_0")
    data = bytearray(path.read_bytes())
    if at == "length":
        data = data.replace(
            b"'|u1', 'fortran_order': False, 'shape': (",
            b"'|u1', 'fortran_order': False, 'shape': (1",
        )
    else:
        ends = made.read(KEY, "clip_0").images
        length = sum(map(len, ends or ())).to_bytes(8, "little")
        data = data.replace(length, (10**9).to_bytes(8, "little"))
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="damaged"):
        made.read(KEY, "clip_0", in_place=True)


def test_readers_import_what_they_need() -> None:
    code = "import sys, traitscope.data.readers; print(*sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"cv2", "numpy"} & set(answer)
    heavy = {"torch", "lightning", "pandas", "scipy", "sklearn", "matplotlib"}
    assert not (heavy | {"pydantic", "yaml", "av"}) & set(answer)  # settings and FFmpeg, too


def test_a_reader_takes_little_memory(folder: Path) -> None:
    examples = pictures(store(folder))
    with closing(Readers([examples], 1)) as readers:
        list(Loader(examples, batch_size=2, readers=readers))
        [child] = [
            one
            for one in psutil.Process().children()
            if "resource_tracker" not in str(one.cmdline())
        ]
        assert child.memory_full_info().uss < 250e6


def test_a_script_without_a_main_guard_reads_with_workers(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from tests.support.pictures import make_pictures, pictures\n"
        "from traitscope.data.loader import Loader\n"
        "from traitscope.data.readers import Readers\n"
        "examples = pictures(make_pictures(Path('store')))\n"
        "readers = Readers([examples], 2)\n"
        "print(sum(len(b.clips) for b in Loader(examples, batch_size=2, readers=readers)))\n"
    )
    import os

    root = Path(__file__).resolve().parents[2]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "src")])}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, env=environ
    )
    assert (done.stdout, done.returncode) == ("6\n", 0), done.stderr


def test_memory_for_a_shelf_is_less_where_there_is_less() -> None:
    asked = []

    def make(size: int) -> int:
        asked.append(size)
        if size > 10_000_000:
            raise OSError("no room")
        return size

    assert 160 < shelf.reserve(10, make) < 10_000_000
    assert asked == sorted(asked, reverse=True)
    asked.clear()
    with pytest.raises(OSError, match="nothing"):
        shelf.reserve(10, lambda size: (_ for _ in ()).throw(OSError("nothing")))


@pytest.mark.skipif(sys.platform != "linux", reason="limits on addresses are Linux's")
def test_examples_are_read_under_a_limit_on_addresses(tmp_path: Path) -> None:
    script = (
        "import resource, psutil\n"
        "from pathlib import Path\n"
        "from tests.support.pictures import make_pictures, pictures\n"
        "from traitscope.data.loader import Loader, reading\n"
        "import cv2\n"
        "cv2.setNumThreads(1)\n"
        "examples = pictures(make_pictures(Path('store')))\n"
        "if __name__ == '__main__':\n"
        "    limit = psutil.Process().memory_info().vms + 500_000_000\n"
        "    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "    for workers in (0, 1):\n"
        "        with reading([examples], workers) as readers:\n"
        "            batches = Loader(examples, batch_size=2, readers=readers)\n"
        "            print(sum(len(batch.clips) for batch in batches))\n"
    )
    (tmp_path / "script.py").write_text(script)
    import os

    root = Path(__file__).resolve().parents[2]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "src")])}
    # Threads take addresses, too, and there are as many as cores.
    environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "script.py"], capture_output=True, text=True, cwd=tmp_path, env=environ
    )
    assert (done.stdout, done.returncode) == ("6\n6\n", 0), done.stderr


def test_a_shelf_is_shared_and_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    from mmap import mmap

    monkeypatch.setattr(shelf, "KEPT_BYTES", 4000)
    memory = shelf.reserve(10, lambda size: mmap(-1, size))
    one, two, reader = (shelf.Shelf(memory, 10, part=part, parts=2) for part in range(3))
    values = np.arange(60, dtype=np.float32).reshape(20, 3)
    stream = Stream(np.arange(20.0), values=values, columns=("a", "b", "c"), info={"notes": ["x"]})
    for place in range(10):
        reader.put(place, stream)  # has no part of its own, so that it keeps nothing
        assert reader.get(place) is None
        (one if place % 2 else two).put(place, stream)
    kept = [place for place in range(10) if one.get(place) is not None]
    assert 2 <= len(kept) < 10
    assert [place for place in range(10) if reader.get(place) is not None] == kept
    for place in kept:
        other = two.get(place)
        assert other is not None
        np.testing.assert_array_equal(other.values, values)
        np.testing.assert_array_equal(other.time, stream.time)
        assert (other.columns, other.info) == (stream.columns, stream.info)
        assert not other.values.flags.writeable  # type: ignore[union-attr]
