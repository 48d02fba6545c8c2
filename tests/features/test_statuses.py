"""What a store says became of each clip: rows that are sorted, mended, noted, and never lost."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.prepared_streams import KEY, numbers, store_of_faces
from traitscope.errors import DataError
from traitscope.features.store import Origin, StatusRow, Store
from traitscope.files import checksum


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_of_faces(tmp_path / "store")


def test_the_last_row_of_a_clip_counts_and_the_file_gets_sorted(store: Store) -> None:
    store.record(KEY, StatusRow("b", "no_face", 'no face,\n "none" at all', media_bytes=3))
    store.record(KEY, store.write(KEY, "c", numbers()))
    store.record(KEY, StatusRow("a", "undecodable", "x"))
    store.record(KEY, store.write(KEY, "a", numbers(2), origin=Origin(9)))
    store.settle(KEY)
    sums = {clip: checksum(store.path(KEY, clip)) for clip in "ac"}
    assert (store.folder / KEY / "status.csv").read_text() == (
        "clip,status,reason,rows,coverage,media_bytes,span,notes,media,corpora,file,sha256\n"
        f"a,ok,,2,0.5,9,,,,,,{sums['a']}\n"
        'b,no_face,"no face, ""none"" at all",0,0.0,3,,,,,,\n'
        f"c,ok,,3,0.666667,0,,,,,,{sums['c']}\n"
    )
    assert list(store.statuses(KEY)) == ["a", "b", "c"]


def test_a_status_file_of_before_is_read_and_gets_its_notes_with_the_next_row(store: Store) -> None:
    path = store.folder / KEY / "status.csv"
    header = "clip,status,reason,rows,coverage,media_bytes,span\n"
    path.write_text(f"{header}a,no_face,none,0,0.0,3,0-1\nb,missing,gone,0,0.0,0,\n")
    old = StatusRow("a", "no_face", "none", media_bytes=3, span="0-1")
    assert store.statuses(KEY) == {"a": old, "b": StatusRow("b", "missing", "gone")}
    told = StatusRow("b", "no_face", "none", notes="turned-face: one | truncated: it ends at 2 s")
    store.record(KEY, told)
    store.settle(KEY)
    assert store.statuses(KEY) == {"a": old, "b": told}
    assert told.noted == ("turned-face: one", "truncated: it ends at 2 s")
    assert path.read_text().startswith(header.replace("span\n", "span,notes,"))


def test_the_notes_of_a_stream_are_in_its_row_and_formulas_come_back_as_they_were(
    store: Store,
) -> None:
    noted = replace(numbers(), info={"notes": ["track: audio 1 of 2", "rate: a|b"]})
    store.record(KEY, store.write(KEY, "=1+1", noted))
    store.record(KEY, StatusRow("-2qs", "error", "+1 is no reason"))
    store.settle(KEY)
    rows = store.statuses(KEY)
    assert rows["=1+1"].noted == ("track: audio 1 of 2", "rate: a/b")
    assert rows["-2qs"].reason == "+1 is no reason"
    text = (store.folder / KEY / "status.csv").read_text()
    wanted = ("'-2qs,error,'+1 is no reason,0,0.0,0,,", "'=1+1,ok,,3,0.666667,0,,track: audio 1")
    for line, start in zip(text.splitlines()[1:], wanted, strict=True):
        assert line.startswith(start)


def test_a_stream_without_a_row_gets_it_back_and_a_row_without_a_stream_is_dropped(
    store: Store,
) -> None:
    rows = {clip: store.write(KEY, clip, numbers(), origin=Origin(5, "1-2")) for clip in "abc"}
    store.record(KEY, rows["a"])
    store.record(KEY, StatusRow("b", "undecodable", "in an earlier run"))
    store.record(KEY, StatusRow("gone"))
    store.path(KEY, "damaged").write_bytes(b"PK")
    assert store.statuses(KEY) == rows


def test_a_row_cut_short_is_left_out_and_a_status_file_of_bytes_is_an_error(
    store: Store,
) -> None:
    store.record(KEY, StatusRow("a", "no_face"))
    path = store.folder / KEY / "status.csv"
    whole = path.read_bytes()
    path.write_bytes(whole + b"b,no_face,because,0,0")
    assert list(store.statuses(KEY)) == ["a"]
    path.write_bytes(whole + b"b,no_face,because,0,zero,0,\n")
    assert list(store.statuses(KEY)) == ["a"]
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"status\.csv is damaged.*prepare again"):
        store.statuses(KEY)


def test_a_status_file_in_order_is_neither_read_twice_nor_written(store: Store) -> None:
    for clip in "ab":
        store.record(KEY, store.write(KEY, clip, numbers()))
    store.settle(KEY)
    path = store.folder / KEY / "status.csv"
    before = path.stat()
    assert store.rows(KEY)[0] is store.rows(KEY)[0]
    store.settle(KEY)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("change", ["cut short", "twice", "out of order", "another's"])
def test_a_status_file_out_of_order_is_written_anew(store: Store, change: str) -> None:
    for clip in "ab":
        store.record(KEY, store.write(KEY, clip, numbers()))
    store.settle(KEY)
    path = store.folder / KEY / "status.csv"
    tidy = path.read_bytes()
    head, *lines = tidy.splitlines(keepends=True)
    store.rows(KEY)  # what was read of it is kept
    path.write_bytes(
        {
            "cut short": tidy + b"c,ok,,3",
            "twice": tidy + lines[0],
            "out of order": head + b"".join(reversed(lines)),
            "another's": tidy + b"gone,ok,,3,1.0,0,,,,,,\n",
        }[change]
    )
    store.settle(KEY)
    assert path.read_bytes() == tidy
    assert [row.clip for row in store.rows(KEY)] == ["a", "b"]
