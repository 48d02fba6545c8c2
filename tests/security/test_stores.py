"""Stores under damage: each file is cut, zeroed, swapped or planted, and all else stays usable."""

import csv
import io
import json
import os
import resource
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from traitscope.cli import main
from traitscope.errors import DataError
from traitscope.features.request import make_request
from traitscope.features.store import Origin, Store
from traitscope.features.verification import verify_store
from traitscope.types import Stream

REQUEST = make_request("short_term", {})
KEY = REQUEST.key
OTHER = make_request("mid_term", {})
CLIPS = ("a", "b", "c")
ORIGIN = Origin(1000, "12345678", "/media/x.wav", "small#")


def stream(seed: int) -> Stream:
    values = np.random.default_rng(seed).normal(size=(40, 3)).astype(np.float32)
    return Stream(np.arange(40) / 10, values, columns=("x", "y", "z"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two features of three clips."""
    store = Store(tmp_path / "store")
    for request in (REQUEST, OTHER):
        store.add(request.key, request.fingerprint)
        for seed, clip in enumerate(CLIPS):
            store.record(request.key, store.write(request.key, clip, stream(seed), origin=ORIGIN))
        store.settle(request.key)
    return store


def cut(length: Callable[[int], int]) -> Callable[[Path, Store], None]:
    def damage(path: Path, _: Store) -> None:
        path.write_bytes(path.read_bytes()[: length(path.stat().st_size)])

    return damage


def zeroed(path: Path, _: Store) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def zeroed_inside(path: Path, _: Store) -> None:
    data = bytearray(path.read_bytes())
    middle = data.find(b"values.npy") + 200
    data[middle : middle + 64] = bytes(64)
    path.write_bytes(data)


def of_another_clip(path: Path, store: Store) -> None:
    path.write_bytes(store.path(KEY, "b").read_bytes())


def of_another_feature(path: Path, store: Store) -> None:
    path.write_bytes(store.path(OTHER.key, "a").read_bytes())


def a_folder(path: Path, _: Store) -> None:
    path.unlink()
    path.mkdir()


def a_link_elsewhere(path: Path, store: Store) -> None:
    secret = store.folder.parent / "secret.txt"
    secret.write_text("nobody's business " * 30)
    path.unlink()
    path.symlink_to(secret)


def a_link_to_another_clip(path: Path, store: Store) -> None:
    path.unlink()
    path.symlink_to(store.path(KEY, "b"))


def an_endless_device(path: Path, _: Store) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def a_pipe(path: Path, _: Store) -> None:
    path.unlink()
    os.mkfifo(path)


def entries(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, content: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def npy(array: np.ndarray, *, pickled: bool = False) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=pickled)
    return file.getvalue()


def header(shape: tuple[int, ...], descr: str = "<f8") -> bytes:
    file = io.BytesIO()
    facts = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, facts)
    return file.getvalue()


def planted(**changes: bytes) -> Callable[[Path, Store], None]:
    def damage(path: Path, _: Store) -> None:
        packed(path, {**entries(path), **{f"{name}.npy": d for name, d in changes.items()}})

    return damage


def a_bomb(path: Path, _: Store) -> None:
    """Some kilobytes that become two gigabytes."""
    whole = entries(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in whole.items():
            archive.writestr(name, data)
        with archive.open("bomb.npy", "w", force_zip64=True) as entry:
            entry.write(header((2**20 * 64,), "|u1"))
            for _ in range(64):
                entry.write(bytes(2**20))


def a_lie_about_sizes(path: Path, _: Store) -> None:
    """The directory of the zip says that an entry has four gigabytes."""
    data = bytearray(path.read_bytes())
    place = data.rfind(b"PK\x01\x02")
    data[place + 20 : place + 28] = struct.pack("<II", 2**32 - 2, 2**32 - 2)
    path.write_bytes(data)


def one_entry_twice(path: Path, _: Store) -> None:
    data = entries(path)["values.npy"]
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("values.npy", data)


class Payload:
    """What runs when it is unpickled."""

    def __reduce__(self) -> tuple:
        return (os.system, ("touch unpickled",))


CODE = b"__import__('os').system('touch x')"
DAMAGES: dict[str, Callable[[Path, Store], None]] = {
    "nothing left": cut(lambda _: 0),
    "one byte": cut(lambda _: 1),
    "half": cut(lambda size: size // 2),
    "all but one byte": cut(lambda size: size - 1),
    "zeros": zeroed,
    "zeros inside": zeroed_inside,
    "another clip's": of_another_clip,
    "another feature's": of_another_feature,
    "a folder": a_folder,
    "a link elsewhere": a_link_elsewhere,
    "a link to another clip": a_link_to_another_clip,
    "an endless device": an_endless_device,
    "a pipe": a_pipe,
    "objects": planted(values=npy(np.array([Payload()], dtype=object), pickled=True)),
    "petabytes": planted(values=header((2**50,))),
    "a negative size": planted(values=header((-4,))),
    "rows of nothing": planted(values=header((2**50, 0))),
    "a header of code": planted(values=b"\x93NUMPY\x01\x00\x20\x00" + CODE),
    "times of other rows": planted(time=npy(np.arange(7.0))),
    "endless times": planted(grid=npy(np.array([0.0, 10.0, 1e15]))),
    "no JSON": planted(info=npy(np.array("{"))),
    "deep JSON": planted(info=npy(np.array("[" * 100_000))),
    "NUL bytes": planted(row=npy(np.array("\0" * 8 + "x"))),
    "no row": planted(row=npy(np.array("[]"))),
    "a zip bomb": a_bomb,
    "a lie about sizes": a_lie_about_sizes,
    "one entry twice": one_entry_twice,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_stream_is_named_discarded_and_harms_no_other(
    store: Store, damage: Callable[[Path, Store], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store.folder.parent)
    path = store.path(KEY, "a")
    others = {clip: store.path(KEY, clip).read_bytes() for clip in "bc"}
    damage(path, store)
    with pytest.raises(
        DataError, match=r"a\.npz .*features verify \S+ --repair.*prepare"
    ) as caught:
        store.read(KEY, "a")
    assert len(str(caught.value)) < 1000
    assert "nobody's business" not in str(caught.value)
    for clip in "bc":
        np.testing.assert_array_equal(
            store.read(KEY, clip).values, stream("abc".index(clip)).values
        )
    (fault,) = verify_store(store).faults
    assert fault.path == path
    (mended,) = verify_store(store, repair=True).faults
    assert mended.mended or "folder" in mended.advice
    if mended.mended:
        assert sorted(store.statuses(KEY)) == ["b", "c"]
        assert verify_store(store).faults == ()
    assert {clip: store.path(KEY, clip).read_bytes() for clip in "bc"} == others
    assert {p.name for p in store.folder.parent.iterdir()} <= {"store", "secret.txt"}


def test_a_stream_of_a_machine_with_the_other_byte_order_is_read(store: Store) -> None:
    path = store.path(KEY, "a")
    swapped = np.asarray(stream(0).values).astype(">f4")
    packed(path, {**entries(path), "values.npy": npy(swapped)})
    values = np.asarray(store.read(KEY, "a").values)
    assert values.dtype == np.float32
    assert values.dtype.isnative
    np.testing.assert_array_equal(values, stream(0).values)


def test_an_edited_stream_that_can_be_read_is_found_by_its_checksum(store: Store) -> None:
    path = store.path(KEY, "a")
    packed(path, {**entries(path), "values.npy": npy(np.ones((40, 3), np.float32))})
    (fault,) = verify_store(store).faults
    assert (fault.path, fault.what) == (path, "its checksum is not the one that was written down")


def test_a_bomb_takes_no_memory(store: Store) -> None:
    """In a process that may take little more than it has."""
    a_bomb(store.path(KEY, "a"), store)
    planted(values=header((2**28,)))(store.path(KEY, "b"), store)
    code = f"""
import resource
from pathlib import Path
from traitscope.errors import DataError
from traitscope.features.store import Store
store = Store(Path({str(store.folder)!r}))
store.read({KEY!r}, "c")
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**25, used + 2**25))
for clip in "ab":
    try:
        store.read({KEY!r}, clip)
    except DataError as error:
        print(error)
"""
    if not Path("/proc/self/statm").exists() or not hasattr(resource, "RLIMIT_AS"):
        pytest.skip("the memory of a process is limited on Linux only")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "it is compressed, as no file of a store is" in done.stdout
    assert "does not fit into" in done.stdout


def edit_rows(store: Store, change: Callable[[list[list[str]]], list[list[str]]]) -> None:
    path = store.folder / KEY / "status.csv"
    rows = list(csv.reader(path.open()))
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(change(rows))


ROWS: dict[str, Callable[[list[list[str]]], list[list[str]]]] = {
    "a row is missing": lambda rows: [rows[0], *rows[2:]],
    "a row twice": lambda rows: [*rows, rows[1]],
    "a foreign row": lambda rows: [*rows, ["../../etc/passwd", *rows[1][1:]]],
    "a row with NUL": lambda rows: [*rows, ["d\0", *rows[1][1:]]],
    "a row of another file": lambda rows: [*rows[:3], [*rows[3][:9], "../c", rows[3][10]]],
    "no header": lambda rows: rows[1:],
    "a number that is none": lambda rows: [*rows, ["d", "ok", "", "many", *rows[1][4:]]],
    "a column of later": lambda rows: [[*row, "new"] for row in rows],
    "columns of before": lambda rows: [row[:7] for row in rows],
    "nothing": lambda rows: [],
}


@pytest.mark.parametrize("change", ROWS.values(), ids=ROWS)
def test_rows_that_are_wrong_lose_no_clip(
    store: Store, change: Callable[[list[list[str]]], list[list[str]]]
) -> None:
    edit_rows(store, change)
    assert sorted(store.statuses(KEY)) == list(CLIPS)
    store.record(KEY, store.write(KEY, "d", stream(3), origin=ORIGIN))
    assert sorted(store.statuses(KEY)) == [*CLIPS, "d"]
    verify_store(store, repair=True)
    assert sorted(store.statuses(KEY)) == [*CLIPS, "d"]
    assert verify_store(store).faults == ()


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00\x01", b"\x00" * 500, b'clip,status\n"' + b"x" * 200_000]
)
def test_a_status_file_that_is_no_table_is_named_and_written_anew(
    store: Store, content: bytes
) -> None:
    path = store.folder / KEY / "status.csv"
    path.write_bytes(content)
    if content[0] == 0:  # rows inside the files say all
        assert sorted(store.statuses(KEY)) == list(CLIPS)
    else:
        with pytest.raises(DataError, match=r"status\.csv is damaged.*prepare again"):
            store.statuses(KEY)
    assert path in {fault.path for fault in verify_store(store).faults}
    verify_store(store, repair=True)
    assert sorted(store.statuses(KEY)) == list(CLIPS)
    assert verify_store(store).faults == ()


@pytest.mark.parametrize("kind", ["edited", "cut", "a folder", "a list", "missing", "deep"])
def test_a_fingerprint_that_is_wrong_is_named(
    store: Store, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = store.folder / KEY / "fingerprint.json"
    tree = json.loads(path.read_text())
    path.unlink()
    if kind == "a folder":
        path.mkdir()
    elif kind != "missing":
        texts = {"edited": json.dumps({**tree, "version": 99}), "cut": '{"extr', "a list": "[1]"}
        path.write_text({**texts, "deep": "[" * 100_000}[kind])
    with pytest.raises(SystemExit) as caught:
        main(["features", "verify", str(store.folder), "--repair"])
    out, err = capsys.readouterr()
    assert caught.value.code == 1
    assert f"{path}: " in out or f"{path} is damaged" in out
    assert "repare again" in out
    assert "Traceback" not in err
    assert [store.read(KEY, clip).values is not None for clip in CLIPS] == [True] * 3


def test_a_store_that_is_whole_is_exit_code_0(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["features", "verify", str(store.folder)])
    assert caught.value.code == 0
    assert "6 files, 0 faults" in capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        main(["features", "verify", str(store.folder / "nowhere")])
    assert caught.value.code == 2
    assert "There are no features in" in capsys.readouterr().err
