"""Pickles: data is read, and nothing else."""

import os
import pickle
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.label_files import Writer
from traitscope.corpora._unpickling import read_pickle, unpickle
from traitscope.errors import DataError


class Evil:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def outcome(data: bytes) -> str:
    """The message of the error, or "read"."""
    try:
        unpickle(data, where="x")
    except DataError as error:
        return str(error)
    return "read"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_data_of_every_protocol_is_read(protocol: int) -> None:
    tree = {
        "a": {"x.mp4": 0.25, "-y": -1e-300, "": 1},
        "é": {"text": "hé ☃ 'quoted' \"twice\"\n\\x"},
        "rest": [None, True, False, 255, 65535, -70000, 2**70, [], (), (1,), (1, 2, 3, 4)],
    }
    assert unpickle(pickle.dumps(tree, protocol), where="x") == tree


def test_pickles_of_python_2_with_numpy_scalars_are_read() -> None:
    tree = {"interview": {"a": np.float64(0.1), "b": np.float64(0.7)}, "openness": {"a": 0.3}}
    data = Writer().dump(tree)
    assert unpickle(data, where="x") == tree == pickle.loads(data, encoding="latin1")
    assert type(unpickle(data, where="x")["interview"]["b"]) is float


def test_numpy_scalars_of_protocol_0_are_read() -> None:
    data = (
        b"(dp1\nS'a'\np2\ncnumpy.core.multiarray\nscalar\np3\n(cnumpy\ndtype\np4\n"
        b"(S'f8'\np5\nI0\nI1\ntp6\nRp7\n(I3\nS'<'\np8\nNNNI-1\nI-1\nI0\ntp9\nb"
        b"S'\\x9a\\x99\\x99\\x99\\x99\\x99\\xb9?'\np10\ntp11\nRp12\ns."
    )
    assert unpickle(data, where="x") == {"a": 0.1} == pickle.loads(data, encoding="latin1")


def test_protocol_0_of_python_2_is_read() -> None:
    data = b"(dp1\nS'caf\\xc3\\xa9'\np2\nF0.25\nsS'b'\nI01\ns."
    assert unpickle(data, where="x") == {"caf\xc3\xa9": 0.25, "b": True}


@pytest.mark.parametrize("number", [np.float32(0.5), np.int16(-3), np.bool_(True), np.uint8(200)])
def test_scalars_of_numpy_2_are_read_as_numbers(number: Any) -> None:
    data = pickle.dumps({"a": number}, 4)
    assert b"numpy._core.multiarray" in data
    assert unpickle(data, where="x") == {"a": number.item()}


def test_big_endian_scalars_keep_their_value() -> None:
    data = (
        b"\x80\x02cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nU\x02f8K\x00K\x01\x87R"
        b"(K\x03U\x01>NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tbU\x08"
        + struct.pack(">d", 0.75)
        + b"\x86R."
    )
    assert unpickle(data, where="x") == 0.75


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_calls_something_is_refused_and_nothing_runs(
    protocol: int, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    path = tmp_path / "annotation_test.pkl"
    path.write_bytes(pickle.dumps({"openness": Evil(os.system, f"touch {mark}")}, protocol))
    with pytest.raises(DataError, match=r"asks for the global '(posix|nt)\.system'.* was run"):
        read_pickle(path)
    assert not mark.exists()
    pickle.loads(path.read_bytes())
    assert mark.exists(), "the attack itself must work, or this test shows nothing"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pickle.dumps(Evil(eval, "1")), r"global 'builtins\.eval'"),
        (pickle.dumps(np.zeros(3)), r"global 'numpy\._core\.\w+\._reconstruct'|_frombuffer"),
        (b"(inumpy\ndtype\n.", "the instruction b'i'"),
        (b"\x80\x02cnumpy\ndtype\nU\x01O\x85R.", "the NumPy dtype 'O'"),
        (b"\x80\x02cnumpy\ndtype\n}\x85R.", "the NumPy dtype dict"),
        (b"\x80\x02cnumpy.core.multiarray\nscalar\nNU\x01x\x86R.", "a scalar|NumPy scalar without"),
        (b"\x80\x02}}b.", "the state of an object"),
        (b"\x80\x02U\x01a)R.", "a call"),
        (b"\x80\x02}(K\x01K\x02\x86K\x03u.", "a dict key of the type tuple"),
        (b"\x80\x09N.", "protocol 9 is not known"),
        (b"PK\x03\x04", "is refused"),
        (b"", "ends in the middle, after 0 bytes"),
        (b"\x80\x02}q\x00U\x05ab", "ends in the middle, after 9 bytes"),
        (b"\x80\x02}q\x00", "ends in the middle"),
        (b"\x80\x02u.", "a mark is missing"),
        (b"\x80\x02h\x07.", "not a readable pickle"),
    ],
)
def test_what_is_no_data_is_refused_with_its_place(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        unpickle(data, where="x")


def test_every_truncation_is_an_error_and_never_another_value() -> None:
    data = Writer().dump({"interview": {"a": np.float64(0.1)}, "openness": {"a": 0.3, "b": 0.5}})
    for length in range(len(data)):
        with pytest.raises(DataError, match=r"ends in the middle|not a readable pickle"):
            unpickle(data[:length], where="x")


def test_bombs_do_not_explode() -> None:
    doubled = b"".join([b"2\x86"] * 60)  # a tuple of itself and itself, sixty times
    started = time.process_time()  # of centuries, where one explodes
    for data in (
        b"\x80\x02r\xff\xff\xff\xff.",
        b"\x80\x02Nr\xff\xff\xff\x7f.",
        b"\x80\x02T\xff\xff\xff\x7fx.",
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fx.",
        b"\x80\x02cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nU\x02f8\x85RJ\xff\xff\xff\x7f\x86R.",
        b"\x80\x02cnumpy\ndtype\nN" + doubled + b"\x85R.",
        b"\x80\x02}N" + doubled + b"Ns.",
        b"\x80\x02N" + doubled + b"N\x93.",
        b"I" + b"9" * 100_000 + b"\n.",
    ):
        assert len(outcome(data)) < 1000
    assert time.process_time() - started < 60


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_integers_that_no_label_needs_are_refused(protocol: int) -> None:
    with pytest.raises(
        DataError, match=r"x is refused: at byte \d+ .* (number|integer|instruction)"
    ):
        unpickle(pickle.dumps({"a": 10**400}, protocol), where="x")
    assert unpickle(pickle.dumps(-(10**30), protocol), where="x") == -(10**30)


@pytest.mark.parametrize(
    "data",
    [
        b"(" + b"}" * 9000 + b"t.",
        b"(" + b"]" * 9000 + b"l.",
        b"N" + b"\x94" * 9000 + b".",
        b"(" * 9000 + b"N.",
    ],
)
def test_many_empty_things_are_refused(data: bytes) -> None:
    with pytest.raises(DataError, match=r"too many for its 900\d bytes"):
        unpickle(b"\x80\x04" + data, where="x")


def test_a_file_of_short_names_and_numbers_is_not_too_many_things() -> None:
    counts = {f"{number:x}": number % 7 for number in range(5000)}
    rows = {f"{number:x}": [number / 7, number / 3] for number in range(5000)}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for table in (counts, rows):
            assert unpickle(pickle.dumps(table, protocol), where="x") == table


@pytest.mark.parametrize("depth", [19, 20, 21, 5000])
def test_data_is_nested_twenty_deep_and_no_deeper(depth: int) -> None:
    lists, dicts = b"]" * depth + b"a" * (depth - 1), b"}" + b"U\x01a}" * (depth - 1)
    for data in (lists, dicts + b"s" * (depth - 1), b")" + b"\x85" * (depth - 1)):
        said = outcome(b"\x80\x02" + data + b".")
        assert said == "read" if depth <= 20 else "asks for" in said and len(said) < 400, said


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"U\x40" + b"x" * 64 + b"0]q\x00h\x00a.", "more than 20 deep inside each other"),
        (b"N" + b"2\x86" * 18 + b".", "more values than its 40 bytes can hold"),
        (b"cnumpy\ndtype\n.", "a NumPy name or dtype as a value"),
        (b"}U\x01acnumpy\ndtype\nU\x02f8\x85Rs.", "a NumPy name or dtype as a value"),
    ],
)
def test_what_comes_out_is_a_tree_of_plain_values(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        unpickle(b"\x80\x02" + data, where="x")


def test_a_value_that_stands_in_two_places_is_read() -> None:
    shared = {"x.mp4": 0.25}
    tree = {"openness": shared, "neuroticism": shared}
    assert unpickle(pickle.dumps(tree, 2), where="x") == tree


@given(st.binary(max_size=60))
def test_any_bytes_are_data_or_an_error(data: bytes) -> None:
    assert outcome(b"\x80\x02" + data).startswith(("x ", "read"))


def test_a_file_that_is_far_too_long_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({}))
    monkeypatch.setattr("traitscope.corpora._unpickling.LARGEST_BYTES", 3)
    with pytest.raises(DataError, match="label files have at most 3"):
        read_pickle(path)
