"""A table of anybody's features becomes a stream: keys, units, times, faults, and a model on it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.command_line import type_in
from tests.support.prepared import make_corpus
from traitscope.corpora import load_corpus
from traitscope.errors import ConfigError, DataError
from traitscope.extract.imported import read_table
from traitscope.features.imports import import_features
from traitscope.features.store import Store


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    return make_corpus(tmp_path / "corpus")


def features(address: str, path: Path) -> Path:
    """A table that knows the labels, with noise, and one column nobody can use."""
    rng = np.random.default_rng(0)
    clips = load_corpus(address).clips
    frame = pd.DataFrame([dict(clip.targets) for clip in clips]) + rng.normal(
        0, 0.02, (len(clips), 5)
    )
    frame.columns = [f"f_{name} [score]" for name in frame.columns]
    frame.insert(0, "clip", [f"{clip.id}.mp4" for clip in clips])
    frame["who"] = "somebody"
    frame.to_csv(path, index=False)
    return path


def test_one_row_per_clip_with_units_and_gaps(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "clip,pitch [Hz],energy\n007,120.5,\nNA?,,\nb,1e2,0.5\n")
    table = read_table(path)
    assert table.columns == ("pitch", "energy")
    assert table.units == {"pitch": "Hz"}
    np.testing.assert_array_equal(table.streams["007"].values, [[120.5, np.nan]])
    assert table.streams["007"].info["units"] == {"pitch": "Hz"}
    assert table.streams["NA?"].coverage == 0
    assert table.streams["b"].time.tolist() == [0.0]


def test_rows_with_times_are_put_in_order(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "time,clip,x\n2.0,a,3\n0.5,a,1\n0,b,9\n1.0,a,2\n")
    stream = read_table(path).streams["a"]
    assert stream.time.tolist() == [0.5, 1.0, 2.0]
    assert stream.values[:, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "semicolon.csv"])
def test_every_format_gives_the_same_content(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"clip": ["a", "b"], "x": [0.25, np.nan], "y": [1, 2]})
    path = tmp_path / f"t.{suffix}"
    if suffix == "parquet":
        frame.to_parquet(path)
    else:
        separator = {"csv": ",", "tsv": "\t"}.get(suffix, ";")
        frame.to_csv(path, sep=separator, decimal="," if separator == ";" else ".", index=False)
    frame.to_csv(tmp_path / "plain.csv", index=False)
    assert read_table(path).content == read_table(tmp_path / "plain.csv").content


def test_another_value_name_or_clip_is_another_content(tmp_path: Path) -> None:
    texts = ["clip,x\na,1\n", "clip,x\na,2\n", "clip,y\na,1\n", "clip,x\nb,1\n"]
    contents = [read_table(write(tmp_path / "t.csv", text)).content for text in texts]
    assert len(set(contents)) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,x\na,1\n", "no column 'clip'. It has: name, x"),
        ("clip\na\n", "no column of features"),
        ("clip,x\na,high\n", r"not numbers: x \(such as 'high'\)"),
        ("clip,x\na,1\na,2\n", "several rows for 1 clips .a., and no column 'time'"),
        ("clip,time,x\na,,1\n", "1 rows whose time is missing or negative"),
        ("clip,x\n,1\n", "1 rows without a clip id"),
        ("clip,x,x [Hz]\na,1,2\n", "the column 'x' twice"),
        ("", "it is empty"),
    ],
)
def test_faults_of_a_table_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(write(tmp_path / "t.csv", text))
    with pytest.raises(DataError, match="There is no file"):
        read_table(tmp_path / "absent.csv")


def test_clips_without_a_row_keep_a_status_row(tmp_path: Path, corpus: str) -> None:
    path = write(tmp_path / "t.csv", "clip,x\nc000,1\nc001.mp4,2\nother,3\n")
    found = import_features(tmp_path / "store", path, name="mine", corpus=corpus)
    assert (found.clips, len(found.without), found.ignored) == (2, 38, ("other",))
    statuses = Store(tmp_path / "store").statuses(found.request.key)
    assert statuses["c001"].status == "ok"
    assert statuses["c002"].status == "missing"


def test_a_taken_name_or_a_foreign_table_is_refused(tmp_path: Path, corpus: str) -> None:
    path = write(tmp_path / "t.csv", "clip,x\nother,1\n")
    with pytest.raises(ConfigError, match="'signals' is an extractor"):
        import_features(tmp_path / "store", path, name="signals", corpus=corpus)
    with pytest.raises(ConfigError, match="name"):
        import_features(tmp_path / "store", path, name="a/b", corpus=corpus)
    with pytest.raises(DataError, match="none of the 40 clips"):
        import_features(tmp_path / "store", path, name="mine", corpus=corpus)


def test_from_a_table_to_scores_of_another_table(tmp_path: Path, corpus: str) -> None:
    table, store, run = features(corpus, tmp_path / "t.csv"), tmp_path / "store", tmp_path / "run"
    command = ("features", "import", store, table, "--name", "mine", "--corpus", corpus)
    assert "not numbers: who" in type_in(*command).stderr
    names = ",".join(c for c in read_names(table) if c.startswith("f_"))
    done = type_in(*command, "--columns", names, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["units"]["f_openness"] == "score"
    settings = (f"data.corpus={corpus}", f"data.store={store}", "--to", run)
    wrong = type_in("train", "functionals", "model.streams=[signal]", *settings)
    assert wrong.returncode == 2
    assert "is 'signals' meant?" in wrong.stderr
    trained = type_in("train", "functionals", "model.streams=[mine]", *settings)
    assert trained.returncode == 0, trained.stderr
    scored = type_in("evaluate", run, "--json")
    assert scored.returncode == 0, scored.stderr
    row = json.loads(scored.stdout)["parts"]["all"]["rows"][0]
    assert row["metrics"]["pearson"]["macro"]["value"] > 0.9
    predicted = type_in("predict", run, table, "--json")
    assert predicted.returncode == 0, predicted.stderr
    scores = {clip["clip"]: clip["scores"] for clip in json.loads(predicted.stdout)["clips"]}
    saved = pd.read_csv(run / "evaluation" / "test" / "predictions.csv", index_col="clip")
    for clip, predictions in saved["predicted_openness"].items():
        assert scores[f"{clip}.mp4"]["openness"] == pytest.approx(predictions, abs=1e-6)
    bare = write(tmp_path / "bare.csv", "clip,f_openness\nx,0.5\n")
    refused = type_in("predict", run, bare, "--json")
    assert refused.returncode == 2
    assert "no column 'f_conscientiousness'" in refused.stderr


def read_names(path: Path) -> list[str]:
    header = path.read_text().splitlines()[0]
    return [name.partition(" [")[0] for name in header.split(",")]


def test_two_tables_of_one_name_need_a_choice(tmp_path: Path, corpus: str) -> None:
    store = tmp_path / "store"
    keys = []
    for number in (1, 2):
        rows = "".join(f"{c.id},{i * number}\n" for i, c in enumerate(load_corpus(corpus).clips))
        path = write(tmp_path / "t.csv", f"clip,x\n{rows}")
        keys.append(import_features(store, path, name="mine", corpus=corpus).request)
    settings = ("model.streams=[mine]", f"data.corpus={corpus}", f"data.store={store}")
    refused = type_in("train", "functionals", *settings, "--to", tmp_path / "a")
    assert refused.returncode == 2
    assert "2 tables 'mine' of different content" in refused.stderr
    chosen = f"features.mine.content={keys[0].config.content}"
    done = type_in("train", "functionals", *settings, chosen, "--to", tmp_path / "b")
    assert done.returncode == 0, done.stderr


@pytest.mark.shared
def test_the_labels_of_the_case_are_left_out_and_said(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "cases" / "01_labels_as_features"
    address, table = f"table:{folder / 'clips.csv'}", folder / "features.csv"
    command = ("features", "import", tmp_path / "s", table, "--name", "mine", "--corpus", address)
    done = type_in(*command)
    assert done.returncode == 0, done.stderr
    assert "no features, so left out: openness, extraversion" in done.stderr
    assert "mine: 2 columns for 40 clips" in done.stdout
    asked = type_in(*command, "--columns", "pitch,openness", "--json")
    assert json.loads(asked.stdout)["columns"] == ["pitch", "openness"]


@pytest.mark.parametrize(
    "name",
    [
        *("openness", "Openness", "OPENMINDEDNESS_Z", "true_extroversion", "label.neuroticism"),
        *("Negative Emotionality", "interview_score", "Age", "gender", "split", "fold", "index"),
        *("predicted_agreeableness", "warmth", "Subject"),
    ],
)
def test_columns_named_like_labels_are_no_features(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "t.csv", f"clip,x,{name}\na,1,2\nb,3,4\n")
    read = read_table(path, labels=["warmth"])
    assert (read.columns, read.left_out) == (("x",), (name,))
    assert read_table(path, columns=[name]).columns == (name,)


@pytest.mark.parametrize("name", ["f_openness", "mouth_open", "o", "O", "image", "language_model"])
def test_columns_that_only_look_like_labels_are_features(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "t.csv", f"clip,x,{name}\na,1,2\n")
    assert read_table(path).left_out == ()


def test_five_letters_are_the_big_five(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "clip,x,O,C,E,A,N\na,1,2,3,4,5,6\n")
    assert read_table(path).columns == ("x",)
    only = write(tmp_path / "u.csv", "clip,O,C,E,A,N,split\na,2,3,4,5,6,7\n")
    with pytest.raises(DataError, match="No features by their names: O, C, E, A, N, split"):
        read_table(only)


def test_a_column_that_is_a_label_by_its_numbers_is_left_out(tmp_path: Path, corpus: str) -> None:
    clips = load_corpus(corpus).clips
    rows = "".join(
        f"{c.id},{i % 7},{10 - 4 * c.targets['openness']!r}\n" for i, c in enumerate(clips)
    )
    path = write(tmp_path / "t.csv", f"clip,x,rating\n{rows}")
    found = import_features(tmp_path / "store", path, name="mine", corpus=corpus)
    assert found.columns == ("x",)
    assert found.left_out == ("rating (it is openness)",)
    asked = import_features(
        tmp_path / "store", path, name="mine", corpus=corpus, columns=["x", "rating"]
    )
    assert asked.columns == ("x", "rating")
    alone = write(tmp_path / "u.csv", f"clip,x,rating\n{rows}".replace(",x,", ",age,"))
    with pytest.raises(DataError, match=r"no features but labels: rating \(it is openness\)"):
        import_features(tmp_path / "store", alone, name="mine", corpus=corpus)


@pytest.mark.parametrize(
    "text",
    [
        ",clip,x\n0,a,0.5\n1,b,1.5\n",
        "Unnamed: 0,clip,x\n0,a,0.5\n1,b,1.5\n",
        "Clip;x\na;0,5\nb;1,5\n",
        "clip,x\na, 0.5\n\nb,1.5\n,\n",
    ],
)
def test_features_are_read_however_they_are_written(tmp_path: Path, text: str) -> None:
    read = read_table(write(tmp_path / "t.csv", text))
    assert read.columns == ("x",)
    assert [float(s.values[0, 0]) for s in read.streams.values()] == [0.5, 1.5]


def test_features_that_moved_by_a_column_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"more cells than columns .*: row 2, row 3; 2 in all"):
        read_table(write(tmp_path / "t.csv", "clip,x,y\na,1,2,\nb,3,4,\n"))
