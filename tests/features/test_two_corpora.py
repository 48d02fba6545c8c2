"""Two corpora that give the same ids to different clips, in one store."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.support.prepared_media import corpus_of, write_sound
from traitscope.cli import main
from traitscope.corpora import load_corpus
from traitscope.errors import DataError
from traitscope.features.origins import serving
from traitscope.features.preparation import prepare
from traitscope.features.store import Store
from traitscope.runs.plan import load_run
from traitscope.training.training_set import collect
from traitscope.types import Clip

CLIPS = 6
SOUND = {"short_term": {}}
KEEP = ("clip", "status", "reason", "rows", "coverage", "media_bytes", "span")


def make(folder: Path, *, pitch: float, labels: float, name: str = "") -> str:
    """A corpus of sounds: another pitch is other media of the same sizes."""
    folder.mkdir()
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "split", "openness"])
        for number in range(CLIPS):
            write_sound(folder / f"c{number}.wav", pitch=pitch + 20 * number)
            split = "train" if number < 4 else "validation"
            writer.writerow([f"c{number}", split, round(labels + 0.05 * number, 3)])
    title = f"name: {name}\n" if name else ""
    (folder / "clips.yaml").write_text(
        f"{title}kind: apparent\ntargets:\n  openness: {{low: 0, high: 1, direction: 1}}\n"
    )
    return f"table:{folder / 'clips.csv'}"


@pytest.fixture
def one(tmp_path: Path) -> str:
    return make(tmp_path / "A", pitch=200, labels=0.1)


@pytest.fixture
def other(tmp_path: Path) -> str:
    return make(tmp_path / "B", pitch=900, labels=0.5)


def seen(address: str, store: Path) -> np.ndarray:
    """What training sees of the clips of a corpus."""
    settings = [f"data.corpus={address}", f"data.store={store}", "model.streams=[short_term]"]
    return np.asarray(
        collect(load_run("functionals", settings)).fitting.batch().streams["short_term"]
    )


def alone(address: str, store: Path) -> np.ndarray:
    prepare(address, SOUND, store=store, workers=0)
    return seen(address, store)


def without_media(address: str) -> str:
    for path in Path(address.removeprefix("table:")).parent.glob("*.wav"):
        path.unlink()
    return address


def as_before(store: Path) -> None:
    """Take away what stores did not record before."""
    for path in store.glob("*/status.csv"):
        rows = list(csv.DictReader(path.open()))
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, KEEP, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def test_each_corpus_is_trained_on_its_own_features(tmp_path: Path, one: str, other: str) -> None:
    store = tmp_path / "store"
    mine, theirs = alone(one, tmp_path / "a"), alone(other, tmp_path / "b")
    assert not np.allclose(mine, theirs)
    first = prepare(one, SOUND, store=store, workers=0)
    second = prepare(other, SOUND, store=store, workers=2)
    assert (first.extracted, second.extracted, second.changed) == (CLIPS, CLIPS, ())
    np.testing.assert_array_equal(seen(one, store), mine)
    np.testing.assert_array_equal(seen(other, store), theirs)
    for address in (one, other):
        again = prepare(address, SOUND, store=store, workers=0)
        assert (again.extracted, again.skipped, again.failed) == (0, CLIPS, ())
    # both tables are called clips.csv: where the media are gone the labels tell them apart
    np.testing.assert_array_equal(seen(without_media(one), store), mine)
    np.testing.assert_array_equal(seen(without_media(other), store), theirs)


def test_training_on_features_of_another_corpus_is_refused_and_both_are_named(
    tmp_path: Path, one: str
) -> None:
    other = make(tmp_path / "B", pitch=900, labels=0.5, name="the other study")
    store = tmp_path / "store"
    prepare(other, SOUND, store=store, workers=0)
    with pytest.raises(
        DataError,
        match=r"6 of 6 clips of table:clips\.csv have no short_term-\w+ of their own.*that of clip "
        r"'c0' was made of .*B/c0\.wav .* in the other study, not of .*A/c0\.wav in table:clips"
        r"\.csv\. Make theirs with: traitscope prepare",
    ):
        seen(one, store)
    # where there are no media to compare, names and labels of both are
    with pytest.raises(
        DataError, match=r"B/c0\.wav .* in the other study, not of table:clips\.csv"
    ):
        seen(without_media(one), store)


def test_a_mixed_up_store_of_before_is_refused(tmp_path: Path, one: str, other: str) -> None:
    store = tmp_path / "store"
    prepare(other, SOUND, store=store, workers=0)
    as_before(store)
    with pytest.raises(DataError, match=r"media \(\d+ bytes\) in a corpus that was not rec"):
        seen(one, store)
    mine = seen(other, store)
    summary = prepare(one, SOUND, store=store, workers=0)
    assert summary.extracted == CLIPS
    np.testing.assert_array_equal(seen(other, store), mine)
    np.testing.assert_array_equal(seen(one, store), alone(one, tmp_path / "a"))


def test_a_store_of_before_stays_usable_and_learns_whose_it_is(tmp_path: Path, one: str) -> None:
    store = tmp_path / "store"
    mine = alone(one, store)
    as_before(store)
    np.testing.assert_array_equal(seen(one, store), mine)
    again = prepare(one, SOUND, store=store, workers=0)
    assert (again.extracted, again.skipped) == (0, CLIPS)
    (key,) = Store(store).fingerprints()
    assert all("table:clips.csv" in row.recorded for row in Store(store).rows(key))
    as_before(store)
    np.testing.assert_array_equal(seen(without_media(one), store), mine)


def test_a_corpus_that_moved_and_a_part_of_it_use_what_is_there(tmp_path: Path, one: str) -> None:
    store = tmp_path / "store"
    mine = alone(one, store)
    shutil.copytree(tmp_path / "A", tmp_path / "moved")
    part = tmp_path / "moved" / "part.csv"
    part.write_text("".join((tmp_path / "A" / "clips.csv").open().readlines()[:-1]))
    np.testing.assert_array_equal(seen(f"table:{tmp_path / 'moved' / 'clips.csv'}", store), mine)
    np.testing.assert_array_equal(seen(f"table:{part}", store), mine)
    np.testing.assert_array_equal(seen(without_media(f"table:{part}"), store), mine)


def test_edited_labels_of_the_same_corpus_are_no_other_corpus(tmp_path: Path, one: str) -> None:
    store = tmp_path / "store"
    mine = alone(one, store)
    table = tmp_path / "A" / "clips.csv"
    table.write_text(table.read_text().replace("0.15", "0.9"))
    np.testing.assert_array_equal(seen(without_media(one), store), mine)


def test_media_that_changed_after_preparation_are_noticed_in_training(
    tmp_path: Path, one: str
) -> None:
    store = tmp_path / "store"
    alone(one, store)
    write_sound(tmp_path / "A" / "c1.wav", pitch=1500)
    with pytest.raises(DataError, match=r"1 of 6 clips .* clip 'c1' was made of .*c1\.wav"):
        seen(one, store)
    summary = prepare(one, SOUND, store=store, workers=0)
    assert (summary.extracted, summary.changed) == (1, ("c1",))
    seen(one, store)


def test_a_clip_without_media_leaves_the_features_of_the_other_corpus(
    tmp_path: Path, one: str, other: str
) -> None:
    store = tmp_path / "store"
    prepare(other, SOUND, store=store, workers=0)
    theirs = seen(other, store)
    summary = prepare(without_media(one), SOUND, store=store, workers=0)
    assert len(summary.failed) in (0, CLIPS)
    np.testing.assert_array_equal(seen(other, store), theirs)


def test_words_are_compared_without_media(tmp_path: Path) -> None:
    words = {"transcript": {}}
    one = corpus_of(Clip("a", transcript="so it is"), Clip("b", transcript="well"))
    other = corpus_of(Clip("a", transcript="not at all"), Clip("b", transcript="well"))
    first = prepare(one, words, store=tmp_path / "store", workers=0)
    (key,) = [feature.key for feature in first.features]
    store = serving(Store(tmp_path / "store"), other.clips, corpus="other")
    with pytest.raises(DataError, match="1 of 2 clips of other have no transcript-"):
        store.statuses(key)


def test_an_export_asks_whose_clips_are_meant(
    tmp_path: Path, one: str, other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store, table = tmp_path / "store", tmp_path / "x.csv"
    for address in (one, other):
        prepare(address, SOUND, store=store, workers=0)
    arguments = ["features", "export", str(store), "short_term", "--csv", str(table)]
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "of two clips 'c0': one of" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*arguments, "--corpus", other])
    served = serving(Store(store), load_corpus(other).clips, corpus="table:clips.csv")
    (key,) = served.fingerprints()
    values = served.read(key, "c0").values
    assert values is not None
    row = next(csv.reader(table.read_text().splitlines()[1:]))
    np.testing.assert_allclose(float(row[3]), values[0, 0], rtol=1e-6)
    with pytest.raises(SystemExit):
        main(["features", "show", str(store)])
    assert f"{2 * CLIPS} ok" in capsys.readouterr().out
