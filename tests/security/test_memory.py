import errno
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch

from tests.support import greedy_extractor
from traitscope import registry
from traitscope.errors import ClipError, DataError, lacks_memory
from traitscope.extract._word_files import read_cues
from traitscope.features import pool
from traitscope.features.extraction import extract_clip
from traitscope.features.preparation import prepare
from traitscope.features.request import make_request
from traitscope.features.store import Store
from traitscope.media import threads_of_children
from traitscope.sheets import open_sheet
from traitscope.sheets._parquet import check_cells
from traitscope.types import Clip, Corpus, Target

GREEDY = "tests.support.greedy_extractor"


def corpus() -> Corpus:
    clips = tuple(Clip(id=f"clip{n}", transcript="some words here") for n in range(2))
    return Corpus(name="c", kind="apparent", targets=(Target("openness"),), clips=clips)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_clip_that_needs_too_much_memory_is_a_row_and_the_others_go_on(
    workers: int, tmp_path: Path
) -> None:
    requests = {GREEDY: {}, "text_counts": {}}
    greedy = make_request(GREEDY, {}, typed=registry.typed(streams=[GREEDY]))
    summary = prepare(corpus(), requests, store=tmp_path, workers=workers)
    assert sorted(summary.failed) == ["clip0", "clip1"]
    rows = Store(tmp_path).statuses(greedy.key)
    assert {row.status for row in rows.values()} == {"out_of_memory"}
    assert all("more memory" in row.reason for row in rows.values())
    other = make_request("text_counts", {})
    assert {row.status for row in Store(tmp_path).statuses(other.key).values()} == {"ok"}


def refused_by_opencv() -> None:
    cv2.resize(np.zeros((10, 10, 3), np.uint8), (2**20, 2**20))


REFUSALS: dict[str, Callable[[], object]] = {
    "Python": lambda: [0] * 10**18,
    "NumPy": lambda: np.zeros((2**20, 2**30)),
    "PyTorch": lambda: torch.zeros(2**50),
    "OpenCV": refused_by_opencv,
    "Arrow": lambda: pa.allocate_buffer(2**60),
    "a device that PyTorch sees": lambda: raised(torch.OutOfMemoryError("CUDA out of memory.")),
    "the system": lambda: raised(OSError(errno.ENOMEM, "Cannot allocate memory")),
}


def raised(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("refuse", REFUSALS.values(), ids=REFUSALS)
def test_refused_memory_is_known_whoever_says_it(
    refuse: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 (each library has its own)
        refuse()
    assert lacks_memory(caught.value)
    monkeypatch.setattr(greedy_extractor.Extractor, "finish", lambda self, inputs: refuse())
    request = make_request(GREEDY, {}, typed=registry.typed(streams=[GREEDY]))
    outcome = extract_clip(corpus().clips[0], [request])[request.key]
    assert isinstance(outcome, ClipError)
    assert outcome.status == "out_of_memory"


@pytest.mark.parametrize(
    "error",
    [ValueError("out of memory"), RuntimeError("shapes differ"), OSError(5, "I/O"), KeyError("x")],
)
def test_other_errors_are_not_short_of_memory(error: Exception) -> None:
    assert not lacks_memory(error)


def test_a_prediction_of_such_a_clip_has_a_reason() -> None:
    request = make_request(GREEDY, {}, typed=registry.typed(streams=[GREEDY]))
    outcome = extract_clip(corpus().clips[0], [request])[request.key]
    assert isinstance(outcome, ClipError)
    assert outcome.status == "out_of_memory"
    assert "Shorten it" in str(outcome)


def test_workers_are_told_their_threads_before_any_library_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    # what the process was started with; what it sets for itself later does not show here
    given = "open('/proc/self/environ', 'rb').read().split(b'\\0')"
    results = dict(pool.run(eval, [given, given], workers=2))
    for found in results.values():
        assert any(each.startswith(b"OPENBLAS_NUM_THREADS=") for each in found)
        assert any(each.startswith(b"OMP_NUM_THREADS=") for each in found)
    assert "OMP_NUM_THREADS" not in os.environ


def test_what_the_user_says_of_threads_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with threads_of_children(1):
        assert os.environ["OMP_NUM_THREADS"] == "7"
        assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_a_small_parquet_file_does_not_become_gigabytes_of_text(tmp_path: Path) -> None:
    cell = pa.array(["x" * 100_000])
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(50_000, np.int32)), cell)
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pa.table({"clip": column, "n": np.arange(50_000)}), path)
    assert path.stat().st_size < 1_000_000
    sheet = open_sheet(path)
    with pytest.raises(DataError, match=r"a\.parquet holds more than .* letters"):
        sheet.read(["clip"])
    assert len(sheet.read([], {"n": np.float64})) == 50_000  # who does not ask does not pay


def test_cells_that_are_read_at_once_have_a_limit(tmp_path: Path) -> None:
    check_cells(tmp_path / "a.csv", 2**31)
    with pytest.raises(DataError, match=r"a\.csv has 2,147,483,649 cells to read.* Split it"):
        check_cells(tmp_path / "a.csv", 2**31 + 1)


def test_categories_and_columns_of_equal_names_of_parquet_stay_readable(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    words = pa.array(["a", "b", "a"]).dictionary_encode()
    numbers = pa.array([5, 6, 5]).dictionary_encode()
    pyarrow.parquet.write_table(pa.table({"words": words, "numbers": numbers}), path)
    found = open_sheet(path).read(["words"], {"numbers": np.float64})
    assert found["words"].tolist() == ["a", "b", "a"]
    assert found["numbers"].tolist() == [5.0, 6.0, 5.0]


@pytest.mark.parametrize("suffix", [".txt", ".srt", ".json", ".vtt"])
def test_words_of_one_clip_have_a_limit(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    with path.open("wb") as sparse:
        sparse.truncate(2**40)
    with pytest.raises(ClipError, match="words of one clip have at most") as caught:
        read_cues(path)
    assert str(path) in str(caught.value)


def test_points_that_declare_more_than_they_hold_take_no_memory(tmp_path: Path) -> None:
    from traitscope.extract._folders import _numbers

    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000, 68, 2), }"
    header += b" " * (118 - len(header) - 1) + b"\n"
    path = tmp_path / "points.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00\x76\x00" + header + bytes(64))
    with pytest.raises(ClipError, match="not readable as points"):
        _numbers(path)
