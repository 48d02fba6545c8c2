"""The store of features: what is written is read, whole, or is an error with a cure."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.prepared_streams import FINGERPRINT, KEY, numbers, store_of_faces
from traitscope.errors import DataError, TraitscopeError
from traitscope.features.store import Origin, StatusRow, Store, file_name
from traitscope.types import Stream

AWKWARD = [
    "J4GQm9j0JZ0.003.mp4",
    "j4gqm9j0jz0.003.mp4",
    "-leading dash",
    "_leading line",
    ".hidden",
    'Müller\'s "clip".mp4',
    "a%20b",
    "a b",
    "~home~",
    "x" * 300,
    "x" * 301,
    "名" * 120,
    "name of unknown encoding \udce4",
    "con:*?<>|",
]


def assert_same(one: Stream, other: Stream) -> None:
    np.testing.assert_array_equal(one.time, other.time)
    np.testing.assert_array_equal(one.mask, other.mask)
    assert (one.columns, dict(one.info), one.images) == (
        other.columns,
        dict(other.info),
        other.images,
    )
    if one.values is not None and other.values is not None:
        assert one.values.dtype == other.values.dtype
        np.testing.assert_array_equal(one.values, other.values)
    else:
        assert one.values is other.values is None


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_of_faces(tmp_path / "store")


@pytest.mark.parametrize(
    "stream",
    [
        numbers(),
        numbers(dtype="float64"),
        numbers(0),
        Stream(np.array([0.0, 0.5]), np.array(["Grüße", ""])),
        Stream(np.array([0.0]), np.zeros((1, 3, 4), np.uint8)),
        Stream(np.array([0.0, 0.2, 0.4]), images=(b"\xff\xd8one", b"", b"\xff\xd8three")),
        Stream(np.zeros(0), images=()),
    ],
    ids=["float32", "float64", "no rows", "strings", "bytes", "images", "no images"],
)
def test_what_is_read_is_what_was_written(store: Store, stream: Stream) -> None:
    row = store.write(KEY, "a", stream, origin=Origin(7, "0-3"))
    assert_same(store.read(KEY, "a"), stream)
    assert row == StatusRow("a", "ok", "", len(stream.time), round(stream.coverage, 6), 7, "0-3")


def test_strings_from_a_table_are_stored_and_other_objects_are_refused(store: Store) -> None:
    store.write(KEY, "a", Stream(np.zeros(2), np.array(["x", "yy"], dtype=object)))
    assert store.read(KEY, "a").values.tolist() == ["x", "yy"]  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="allow_pickle"):
        store.write(KEY, "b", Stream(np.zeros(1), np.array([{}], dtype=object)))
    assert not list(store.folder.glob("*/.*"))


def test_the_same_stream_is_the_same_file(store: Store) -> None:
    store.write(KEY, "a", numbers())
    first = store.path(KEY, "a").read_bytes()
    store.write(KEY, "a", numbers())
    assert store.path(KEY, "a").read_bytes() == first


@pytest.mark.parametrize("clip_id", AWKWARD)
def test_awkward_ids_are_stored_and_listed(store: Store, clip_id: str) -> None:
    store.record(KEY, store.write(KEY, clip_id, numbers()))
    assert_same(store.read(KEY, clip_id), numbers())
    assert list(store.statuses(KEY)) == [clip_id]
    (store.folder / KEY / "status.csv").unlink()
    assert list(store.statuses(KEY)) == [clip_id]


def test_file_names_are_plain_and_differ_even_without_capitals() -> None:
    names = [file_name(clip_id) for clip_id in AWKWARD]
    assert len({name.lower() for name in names}) == len(AWKWARD)
    assert file_name("talk_01.mp4") == "talk_01.mp4"
    assert file_name("a b") == "a%20b"
    assert file_name("-x") == "%2Dx"
    for name in names:
        assert len(name) <= 200
        assert name.isascii()
        assert name[0] not in "-."


IDS = st.text(min_size=1, max_size=40).filter(
    lambda text: text not in {".", ".."} and not any(c in "/\\\x7f" or c < " " for c in text)
)


@given(one=IDS, other=IDS)
def test_another_id_is_another_file(one: str, other: str) -> None:
    assert (file_name(one).lower() == file_name(other).lower()) == (one == other)


@pytest.mark.parametrize("clip_id", ["", "..", "a/b", "a\\b", "a\nb"])
def test_an_id_that_could_leave_the_folder_is_refused(store: Store, clip_id: str) -> None:
    with pytest.raises(DataError, match="cannot be a clip id"):
        store.path(KEY, clip_id)


@pytest.mark.parametrize("key", ["", "../x", "a/b", ".", "-x"])
def test_a_key_that_could_leave_the_store_is_refused(store: Store, key: str) -> None:
    with pytest.raises(DataError, match="is not the key of a feature"):
        store.read(key, "a")


def test_a_stream_that_is_not_there_is_an_error_with_the_command_that_makes_it(
    store: Store,
) -> None:
    with pytest.raises(DataError, match=f"No {KEY} features for clip 'x'.*traitscope prepare"):
        store.read(KEY, "x")


def damages(data: bytes) -> Iterator[bytes]:
    for share in (0.0, 0.1, 0.5, 0.9, 0.999):
        yield data[: int(len(data) * share)]
    yield b"not a zip file at all"
    for entry in (b"values.npy", b"jpeg.npy"):
        at = data.find(entry)
        if at >= 0:
            flipped = bytearray(data)
            flipped[at + 250] ^= 0xFF
            yield bytes(flipped)


@pytest.mark.parametrize(
    "stream", [numbers(200), Stream(np.zeros(1), images=(b"j" * 500,))], ids=["numbers", "images"]
)
def test_a_damaged_stream_is_an_error_with_its_name_and_the_cure(
    store: Store, stream: Stream
) -> None:
    store.write(KEY, "a", stream)
    path = store.path(KEY, "a")
    for data in list(damages(path.read_bytes())):
        path.write_bytes(data)
        with pytest.raises(
            DataError,
            match=r"a\.npz is damaged.*Discard it with: traitscope features verify .* --repair",
        ):
            store.read(KEY, "a")


def test_an_entry_longer_than_it_says_is_damage(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(KEY, "a", numbers())
    monkeypatch.setattr("numpy.lib.format.read_array", lambda entry, **_: entry.read(3))
    with pytest.raises(DataError, match="longer than it says"):
        store.read(KEY, "a")


def test_a_stream_with_pickles_inside_is_not_read(store: Store) -> None:
    path = store.path(KEY, "a")
    np.savez(path, time=np.array([{}], dtype=object))
    with pytest.raises(DataError, match=r"damaged.*allow_pickle"):
        store.read(KEY, "a")


def test_a_full_disk_is_one_error_with_the_path_and_leaves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("numpy.lib.format.write_array", full)
        with pytest.raises(TraitscopeError, match=r"Cannot write .*a\.npz: No space left.*--store"):
            store.write(KEY, "a", numbers())
    assert listed(store.folder / KEY) == ["fingerprint.json"]


def test_a_folder_that_cannot_be_made_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TraitscopeError, match=r"Cannot write .*fingerprint\.json"):
        Store(tmp_path / "file").add(KEY, FINGERPRINT)
    with pytest.raises(TraitscopeError, match=r"Cannot write .*status\.csv"):
        Store(tmp_path / "file").record(KEY, StatusRow("a"))


def test_another_recipe_is_another_folder_and_both_are_found(store: Store) -> None:
    other = {"extractor": "faces", "version": 2, "config": {"rate": 5.0, "size": 112}}
    store.add("faces-000000000000", other)
    store.add("my_lab.mine-000000000000", {"extractor": "my_lab.mine", "version": 1, "config": {}})
    assert store.fingerprints() == {
        "faces-000000000000": other,
        KEY: FINGERPRINT,
        "my_lab.mine-000000000000": {"extractor": "my_lab.mine", "version": 1, "config": {}},
    }
    assert store.matching("faces", {"size": 112}, version=2) == ["faces-000000000000"]
    assert store.matching("faces", {"rate": 5}, version=2) == ["faces-000000000000", KEY]
    assert store.matching("faces", {"size": 112, "rate": 1}, version=2) == []
    assert store.matching("faces", {}, version=1) == []
    assert store.matching("signals", {}, version=2) == []


def test_a_store_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "nowhere")
    assert store.fingerprints() == {}
    assert store.statuses(KEY) == {}
    assert store.size_bytes(KEY) == 0


def test_adding_a_key_again_is_fine_but_not_for_other_features(store: Store) -> None:
    store.add(KEY, FINGERPRINT)
    with pytest.raises(DataError, match=r"is of other features than faces-.*Delete the folder"):
        store.add(KEY, {**FINGERPRINT, "version": 3})


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_damaged_fingerprint_is_an_error_with_its_name(store: Store, text: str) -> None:
    (store.folder / KEY / "fingerprint.json").write_text(text)
    with pytest.raises(DataError, match=r"fingerprint\.json is damaged.*prepare again"):
        store.fingerprints()


def test_what_a_killed_run_left_is_removed_and_what_a_running_one_writes_is_not(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.node", lambda: "my-machine.lab")
    folder = store.folder / KEY
    left = [
        f".mymachinelab-{2**22 + 1}-1.tmp",
        f".mymachinelab-{os.getpid()}-1.tmp",
        ".other-1-1.tmp",
    ]
    for name in left:
        (folder / name).write_bytes(b"half")
    store.settle(KEY)
    assert listed(folder) == sorted([*left[1:], "fingerprint.json", "status.csv"])


def test_discarding_removes_one_stream(store: Store) -> None:
    for clip in "ab":
        store.write(KEY, clip, numbers())
    both = store.size_bytes(KEY)
    store.discard(KEY, "a")
    store.discard(KEY, "a")
    assert 0 < store.size_bytes(KEY) < both
    assert list(store.statuses(KEY)) == ["b"]


def test_a_reader_sees_the_old_stream_or_the_new_one_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(KEY, "a", numbers())
    old = store.path(KEY, "a").read_bytes()
    with store.path(KEY, "a").open("rb") as reader:
        store.write(KEY, "a", numbers(50))
        assert reader.read() == old
    with monkeypatch.context() as patch:
        patch.setattr("numpy.lib.format.write_array", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.write(KEY, "a", numbers())
    assert_same(store.read(KEY, "a"), numbers(50))


def test_many_even_times_take_no_room_and_come_back_exactly(tmp_path: Path) -> None:
    store = Store(tmp_path)
    even = Stream(time=0.5 + np.arange(50_000) / 16000, values=np.zeros(50_000, np.int16))
    uneven = Stream(time=np.cumsum(np.full(5000, 0.1)), values=np.zeros(5000, np.int16))
    gap = Stream(
        time=np.arange(5000) / 100, values=np.zeros(5000, np.int16), valid=np.arange(5000) != 7
    )
    for name, stream in (("even", even), ("uneven", uneven), ("gap", gap)):
        store.write("sound-1", name, stream)
        back = store.read("sound-1", name)
        np.testing.assert_array_equal(back.time, stream.time)
        np.testing.assert_array_equal(back.mask, stream.mask)
    assert store.path("sound-1", "even").stat().st_size < 105_000


def test_pictures_may_come_one_after_another(tmp_path: Path) -> None:
    class Lazy:
        """Pictures that are made when they are asked for."""

        def __len__(self):
            return 3

        def __iter__(self):
            return iter([b"one", b"", b"three"])

    store = Store(tmp_path)
    store.write("faces-1", "a", Stream(time=np.arange(3.0), images=Lazy()))
    assert store.read("faces-1", "a").images == (b"one", b"", b"three")
