"""A packed store: read as the store it was made of, whole or an error, and unpacked to the byte."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.features.test_store import assert_same
from tests.support.object_store import object_store
from tests.support.prepared_streams import KEY, numbers, store_of_faces
from traitscope.cli import main
from traitscope.errors import ConfigError, DataError
from traitscope.features.packing import pack_store, unpack_store
from traitscope.features.remote import open_store, pack
from traitscope.features.status import StatusRow
from traitscope.features.store import Store
from traitscope.features.stored_pictures import StoredPictures
from traitscope.features.verification import verify_store
from traitscope.types import Stream

IDS = ["a", "B.mp4", "-dash", "x" * 300, *(f"c{number}" for number in range(6))]
PICTURES = Stream(np.arange(3) / 5, images=(b"one", b"", b"three"), valid=np.array([1, 0, 1], bool))
SOUND = Stream(np.arange(5000) / 16000, np.arange(5000, dtype=np.float32))
STREAMS = [numbers(), PICTURES, SOUND, numbers(0), numbers(4, "int64")]


@pytest.fixture
def plain(tmp_path: Path) -> Store:
    store = store_of_faces(tmp_path / "plain")
    for number, clip in enumerate(IDS):
        store.record(KEY, store.write(KEY, clip, STREAMS[number % len(STREAMS)]))
    store.record(KEY, StatusRow("lost", "no_face", "There is no face."))
    store.settle(KEY)
    return store


@pytest.fixture
def packed(plain: Store, tmp_path: Path) -> Store:
    pack_store(plain, tmp_path / "packed", shard_bytes=8000)
    return Store(tmp_path / "packed")


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("in_place", [False, True])
def test_a_packed_store_reads_as_the_plain_one(plain: Store, packed: Store, in_place: bool) -> None:
    assert packed.fingerprints() == plain.fingerprints()
    assert packed.statuses(KEY) == plain.statuses(KEY)
    assert packed.size_bytes(KEY) == plain.size_bytes(KEY)
    assert len(list((packed.folder / KEY).glob("*.tar"))) > 1
    for clip in IDS:
        one, other = (store.read(KEY, clip, in_place=in_place) for store in (plain, packed))
        if one.images is not None:
            assert isinstance(other.images, StoredPictures if in_place else tuple)
            assert other.images is not None
            assert list(one.images) == list(other.images)
            one, other = (Stream(s.time, np.zeros(len(s.time)), valid=s.mask) for s in (one, other))
        assert_same(one, other)
    with pytest.raises(DataError, match=r"No faces-.* features for clip 'lost'"):
        packed.read(KEY, "lost")


def test_unpacked_it_is_the_store_it_was(plain: Store, packed: Store, tmp_path: Path) -> None:
    done = unpack_store(packed, tmp_path / "again")
    assert done.streams == len(IDS)
    assert contents(tmp_path / "again") == contents(plain.folder)
    with pytest.raises(DataError, match="is not packed"):
        unpack_store(plain, tmp_path / "more")
    with pytest.raises(DataError, match="is packed already"):
        pack_store(packed, tmp_path / "more")
    with pytest.raises(ConfigError, match="is there already"):
        pack_store(plain, packed.folder)


def test_nothing_is_added_to_a_packed_store(packed: Store) -> None:
    before = contents(packed.folder)
    packed.settle(KEY)
    packed.add(KEY, packed.fingerprint(KEY))
    for change in (
        lambda: packed.write(KEY, "new", numbers()),
        lambda: packed.record(KEY, StatusRow("new")),
        lambda: packed.discard(KEY, "a"),
        lambda: packed.add("other-0", {"extractor": "other"}),
    ):
        with pytest.raises(DataError, match=r"is packed, so nothing can be added.*unpack"):
            change()
    assert contents(packed.folder) == before


def test_any_damaged_byte_is_found(packed: Store) -> None:
    assert verify_store(packed).faults == ()
    rng = np.random.default_rng(0)
    for path in [p for p in sorted(packed.folder.rglob("*")) if p.suffix in {".tar", ".npz"}]:
        whole = path.read_bytes()
        for place in rng.integers(0, len(whole), 3).tolist():
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            faults = verify_store(Store(packed.folder)).faults
            assert any(fault.path == path for fault in faults), (path, place)
        path.write_bytes(whole)
    assert verify_store(Store(packed.folder)).faults == ()


def test_a_damaged_number_is_not_read(packed: Store) -> None:
    assert packed.packed is not None
    place = packed.packed.place(KEY, "a")
    with packed.packed.shard(KEY, place.shard).open("r+b") as file:
        data = os.pread(file.fileno(), place.file_bytes, place.file)
        where = place.file + data.rindex(numbers().values.tobytes())  # type: ignore[union-attr]
        file.seek(where)
        file.write(b"\xff")
    with pytest.raises(DataError, match="checksum of values differs"):
        packed.read(KEY, "a")


def test_damaged_streams_are_not_packed(plain: Store, tmp_path: Path) -> None:
    path = plain.path(KEY, "a")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"is damaged.*verify"):
        pack_store(plain, tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


@pytest.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.slow)])
def address(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Of a place outside of the file system where nothing is yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with object_store() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server)
        for secret in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(secret, "anybody's")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "here")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield f"{request.param}://{tmp_path.name.replace('_', '-')}/store"


def test_a_store_at_an_address_is_fetched_when_it_is_read(
    plain: Store, tmp_path: Path, address: str
) -> None:
    with pytest.raises(DataError, match=r"no packed store at \w+://.*features pack"):
        open_store(address)
    pack(plain, address, shard_bytes=8000)
    store = open_store(Path(address))  # as a command line's path, whose slashes are folded
    assert store.statuses(KEY) == plain.statuses(KEY)
    assert not list(store.folder.rglob("*.tar"))
    assert_same(store.read(KEY, "a"), plain.read(KEY, "a"))
    assert len(list(store.folder.rglob("*.tar"))) == 1
    assert verify_store(open_store(address)).faults == ()
    with pytest.raises(ConfigError, match="is there already"):
        pack(plain, address)
    unpack_store(open_store(address), tmp_path / "again")
    assert contents(tmp_path / "again") == contents(plain.folder)
    with pytest.raises(ConfigError, match="nowhere://x cannot be opened"):
        open_store("nowhere://x")


def test_the_commands_say_what_they_did(
    plain: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> str:
        with pytest.raises(SystemExit) as end:
            main(["features", *words])
        assert not end.value.code
        return capsys.readouterr().out

    packed, again = str(tmp_path / "packed"), str(tmp_path / "again")
    assert "10 streams of 1 features in 1 files" in run("pack", str(plain.folder), "--to", packed)
    assert "10 ok, 1 no_face" in run("show", packed)
    assert "0 faults" in run("verify", packed)
    assert "10 streams of 1 features" in run("unpack", packed, "--to", again)
    assert contents(Path(again)) == contents(plain.folder)
