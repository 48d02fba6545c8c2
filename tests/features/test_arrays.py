"""Features of others as arrays: both layouts, in HDF5 and .npz, and what is wrong with them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.prepared import make_corpus
from traitscope.corpora import load_corpus
from traitscope.errors import ConfigError, DataError
from traitscope.features.imports import Imported, import_features
from traitscope.features.store import Store

h5py = pytest.importorskip("h5py", reason="needs h5py")
CLIPS = [f"c{number:03d}" for number in range(12)]
VALUES = np.random.default_rng(0).normal(size=(12, 4, 3)).astype(np.float32)
TIMES = np.arange(4) / 2


@pytest.fixture
def address(tmp_path: Path) -> str:
    return make_corpus(tmp_path / "study", clips=12)


def write(path: Path, arrays: dict[str, Any]) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **arrays)
        return path
    with h5py.File(path, "w") as file:
        for key, value in arrays.items():
            file[key] = value
    return path


def bring(tmp_path: Path, table: Path, address: str, name: str = "wavlm") -> tuple[Imported, Store]:
    store = Store(tmp_path / "store")
    return import_features(store, table, name=name, corpus=address), store


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_a_group_per_clip_brings_its_rows_and_times(
    tmp_path: Path, address: str, suffix: str
) -> None:
    arrays = {f"{clip}.mp4/wavlm": VALUES[at] for at, clip in enumerate(CLIPS[:11])}
    arrays |= {f"{clip}.mp4/time": TIMES for clip in CLIPS[:11]}
    found, store = bring(tmp_path, write(tmp_path / f"fi{suffix}", arrays), address)
    assert (found.clips, found.without) == (11, ("c011",))
    stream = store.read(found.request.key, "c003")
    np.testing.assert_array_equal(stream.values, VALUES[3])
    np.testing.assert_array_equal(stream.time, TIMES)


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_a_dataset_per_stream_is_dealt_out_by_its_ids(
    tmp_path: Path, address: str, suffix: str
) -> None:
    ids = np.array([f"{clip}.mp4".encode() for clip in reversed(CLIPS)])
    arrays = {"clips": ids, "wavlm": VALUES[::-1], "other": VALUES[:, 0]}
    table = write(tmp_path / f"fi{suffix}", arrays)
    found, store = bring(tmp_path, table, address)
    stream = store.read(found.request.key, "c003")
    np.testing.assert_array_equal(stream.values, VALUES[3])
    assert "a second apart" in stream.info["notes"][0]
    other, _ = bring(tmp_path, table, address, "other")
    assert store.read(other.request.key, "c000").values.shape == (1, 3)


def test_a_missing_row_is_hidden(tmp_path: Path, address: str) -> None:
    values = VALUES.copy()
    values[2, 1] = np.nan
    arrays = {"clips": np.array(CLIPS, "S"), "wavlm": values}
    found, store = bring(tmp_path, write(tmp_path / "fi.h5", arrays), address)
    assert store.read(found.request.key, "c002").mask.tolist() == [True, False, True, True]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"wavlm": VALUES}, "nor a dataset of that name beside one of ids.*It has: wavlm"),
        ({"clips": np.array(CLIPS, "S"), "dino": VALUES}, "no 'wavlm'.*It has: dino"),
        ({"clips": np.array(CLIPS[:5], "S"), "wavlm": VALUES}, "5 ids, but 12 rows"),
        ({"clips": np.array(["c000"] * 12, "S"), "wavlm": VALUES}, "names a clip twice"),
        ({"x000/wavlm": VALUES[0]}, "has none of the 12 clips"),
        ({"c000/wavlm": VALUES[0], "c001/wavlm": VALUES[1, :, :2]}, r"rows of \[2, 3\] features"),
        ({"clips": np.array([], "S1"), "wavlm": VALUES[:0]}, "has no clip"),
        ({"clips": np.array(CLIPS, "S"), "wavlm": np.float32(1)}, "one clips and one wavlm"),
        ({"clips": np.array(b"c000"), "wavlm": VALUES[:1]}, "one clips and one wavlm"),
        ({"c000/wavlm": VALUES[0], "c000/time": np.array([b"0"] * 4)}, r"times of (\|S1|object)"),
        ({"c000/wavlm": VALUES[0], "c000/time": 0.0}, "4 rows and 1 times"),
        (
            {"clips": np.array(CLIPS, "S"), "wavlm": VALUES, "times": np.zeros((3, 4))},
            "12 ids, but times of 3 clips",
        ),
    ],
)
def test_a_file_that_does_not_fit_says_why(
    tmp_path: Path, address: str, arrays: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        bring(tmp_path, write(tmp_path / "fi.h5", arrays), address)


def test_a_damaged_file_and_pickles_in_one_are_refused(tmp_path: Path, address: str) -> None:
    cut = write(tmp_path / "cut.h5", {"clips": np.array(CLIPS, "S"), "wavlm": VALUES})
    cut.write_bytes(cut.read_bytes()[:300])
    with pytest.raises(DataError, match="cannot be read as arrays"):
        bring(tmp_path, cut, address)
    np.savez(tmp_path / "p.npz", clips=np.array([{}], object), wavlm=VALUES)
    with pytest.raises(DataError, match="cannot be read as arrays"):
        bring(tmp_path, tmp_path / "p.npz", address)


def test_times_that_do_not_fit_are_named_before_anything_is_written(
    tmp_path: Path, address: str
) -> None:
    arrays = {f"{clip}/wavlm": VALUES[at] for at, clip in enumerate(CLIPS)}
    arrays |= {"c004/time": np.array([0.0, 2.0, 1.0, 3.0])}
    with pytest.raises(DataError, match="Clip 'c004' has 4 rows and 4 times"):
        bring(tmp_path, write(tmp_path / "fi.h5", arrays), address)
    assert not (tmp_path / "store").exists()


def test_labels_are_no_features_and_columns_have_no_names(tmp_path: Path, address: str) -> None:
    labels = load_corpus(address).labels()
    table = write(tmp_path / "fi.h5", {"clips": np.array(CLIPS, "S"), "wavlm": labels * 3})
    with pytest.raises(DataError, match="column 0 is openness"):
        bring(tmp_path, table, address)
    with pytest.raises(ConfigError, match="features of arrays have no names"):
        import_features(
            Store(tmp_path / "store"), table, name="wavlm", corpus=address, columns=["0"]
        )
