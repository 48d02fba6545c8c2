"""OpenFace tables with traits: labels, clips and sources; nothing else becomes a target."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.support.label_files import KEYS, write_labels
from traitscope import load_corpus
from traitscope.corpora import openface
from traitscope.errors import DataError

HEADER = (
    "ID, File, Word, vi_1, vi_2, Happy, Angry, Surprise, Sad, Fear, frame, timestamp, confidence, "
    "success, AU01_r, gaze_angle_x, pose_Rx, extroversion, neuroticism, agreeableness, "
    "conscientiousness, openness"
)
ONE, TWO = "-bcdefghij_.000.mp4", "_BCDEFGHIJK.003.mp4"


def row(number: int, file: str, traits: str, *, frame: int = 1, word: str = "so") -> str:
    return (
        f"{number}, {file}, {word}, 1, 2, 0, 0, 0, 0, 1, {frame}, 0.03, 0.98, 1, 2, 3, 4, {traits}"
    )


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "phm.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_a_long_table_becomes_one_clip_per_file(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        row(7, TWO, ".1, .2, .3, .4, .5"),
        row(7, TWO, ".1, .2, .3, .4, .5", frame=2),
        row(3, ONE, "0.6, 0.7, 0.8, 0.9, 1"),
    )
    corpus = load_corpus(f"openface:{path}")
    assert [(c.id, c.source, c.path, c.split) for c in corpus.clips] == [
        (TWO, "_BCDEFGHIJK", path, None),
        (ONE, "-bcdefghij_", path, None),
    ]
    assert corpus.clips[0].targets == {
        "extraversion": 0.1,
        "neuroticism": 0.2,
        "agreeableness": 0.3,
        "conscientiousness": 0.4,
        "openness": 0.5,
    }
    assert corpus.target_names == (
        *("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism"),
    )
    assert corpus.target("neuroticism").label == "neuroticism (high = stable)"
    assert "3 rows, 1 to 2 per clip." in corpus.notes
    assert "Emotions are not used: Happy, Angry, Surprise, Sad, Fear." in corpus.notes
    assert "Columns that are not used: Word, vi_1, vi_2." in corpus.notes


def test_a_file_cut_into_several_clips_is_known_by_number(tmp_path: Path) -> None:
    rows = [row(number, ONE, ".1, .2, .3, .4, .5") for number in (1, 2)]
    corpus = openface.load(write(tmp_path, *rows))
    assert [(clip.id, clip.source) for clip in corpus.clips] == [
        ("1", "-bcdefghij_"),
        ("2", "-bcdefghij_"),
    ]


def test_clip_names_say_which_rows_are_whose() -> None:
    rows = pd.DataFrame({"File": ["a", "b", "b"], " ID": [1, 2, 2]})
    assert openface.clip_names(rows).tolist() == ["a", "b", "b"]
    assert openface.clip_names(rows.assign(**{" ID": [1, 2, 3]})).tolist() == ["1", "2", "3"]
    assert openface.clip_names(rows[["File"]]).tolist() == ["a", "b", "b"]
    assert openface.clip_names(rows[[" ID"]]).tolist() == ["1", "2", "2"]
    with pytest.raises(DataError, match="needs a column ID or File; there are: frame"):
        openface.clip_names(pd.DataFrame({"frame": [1]}))


def test_every_fault_is_listed(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        row(1, ONE, ".1, .2, .3, .4, .5"),
        row(1, ONE, ".1, .2, .3, .4, .6"),
        row(2, TWO, ".1, .2, .3, .4, "),
        row(2, TWO, ".1, .2, .3, .4, .5"),
        row(3, "c", "1.1, x, .3, .4, .5"),
        row(4, "d/e", ".1, .2, .3, .4, .5"),
    )
    with pytest.raises(DataError) as caught:
        openface.load(path)
    message = str(caught.value)
    for part in [
        f"openness: not the same in all rows of a clip: {ONE}, {TWO}",
        "extraversion: outside 0 to 1: c (1.1)",
        "neuroticism: not a number: c",
        "'d/e' cannot be a clip id",
    ]:
        assert part in message, part


def test_a_clip_without_a_label_has_none(tmp_path: Path) -> None:
    corpus = openface.load(write(tmp_path, row(1, ONE, ".1, .2, , .4, .5")))
    assert "agreeableness" not in corpus.clips[0].targets
    assert len(corpus.clips[0].targets) == 4


def test_other_names_leave_the_direction_open_until_it_is_declared(tmp_path: Path) -> None:
    path = write(tmp_path, row(1, "talk", ".1, .2, .3, .4, .5"))
    corpus = openface.load(path)
    assert (corpus.clips[0].source, corpus.target("neuroticism").direction) == ("talk", None)
    assert any("Nothing says whether a high neuroticism" in note for note in corpus.notes)
    ranges = "\n".join(
        f"  {name}: {{low: 0, high: 2, direction: 1}}" for name in corpus.target_names
    )
    (tmp_path / "clips.yaml").write_text(f"kind: self_reported\ntargets:\n{ranges}\n")
    corpus = openface.load(path)
    assert (corpus.kind, corpus.target("neuroticism").direction) == ("self_reported", 1)
    assert corpus.target("openness").high == 2


def test_tables_without_traits_or_with_one_twice_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column of a trait"):
        openface.load(write(tmp_path, "1,2", header="ID,AU01_r"))
    with pytest.raises(DataError, match="two columns of extraversion"):
        openface.load(write(tmp_path, "1,.1,.2", header="ID,extraversion,extroversion"))
    with pytest.raises(DataError, match="has no rows"):
        openface.load(write(tmp_path))
    with pytest.raises(DataError, match="There is no file"):
        openface.load(tmp_path / "no.csv")


def test_a_folder_of_csvs_takes_its_labels_from_clips_csv(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("frame, AU01_r\n1, 2\n")
    (tmp_path / "clips.csv").write_text("clip,openness\na,.5\nb,.25\n")
    (tmp_path / "clips.yaml").write_text(
        "kind: apparent\ntargets:\n  openness: {low: 0, high: 1, direction: 1}\n"
    )
    clips = openface.load(tmp_path).clips
    assert [clip.path for clip in clips] == [tmp_path / "a.csv", None]


def test_a_folder_of_csvs_takes_the_labels_of_first_impressions(tmp_path: Path) -> None:
    write_labels(tmp_path / "annotation", "train", {ONE: dict.fromkeys(KEYS, 0.5)})
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / ONE.replace(".mp4", ".csv")).touch()
    clip = load_corpus(f"openface:{tmp_path}").clips[0]
    assert clip.path == tmp_path / "tables/-bcdefghij_.000.csv"
    assert (clip.split, clip.source) == ("train", "-bcdefghij_")


def test_a_folder_without_labels_says_what_to_put_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no usable labels for OpenFace CSVs: put clips\.csv"):
        openface.load(tmp_path)


def test_long_tables_are_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(i // 5, f"c{i // 5}", f"{i // 5 / 10}, .2, .3, .4, .5") for i in range(50)]
    path = write(tmp_path, *rows)
    whole = openface.load(path)
    monkeypatch.setattr(openface, "_PART", 7)
    assert openface.load(path) == whole
    assert len(whole.clips) == 10
    assert "50 rows, 5 to 5 per clip." in whole.notes


@pytest.mark.shared
def test_a_real_table_without_traits_says_so(shared: Path) -> None:
    with pytest.raises(DataError, match="no column of a trait"):
        openface.load(shared / "data/openface/pyfeat_OpenFace_Test.csv")


@pytest.mark.shared
def test_the_case_with_a_comma_at_each_end_is_refused(shared: Path) -> None:
    folder = shared / "data" / "cases" / "02_rows_longer_than_header"
    assert len(openface.load(folder / "long_ok.csv").clips[0].targets) == 5
    with pytest.raises(DataError, match=r"more cells than columns .*: row 2, .*200 in all"):
        openface.load(folder / "long_trailing.csv")


@pytest.mark.parametrize("kind", ["semicolons", "quotes", "utf-16", "parquet"])
def test_a_long_table_however_it_is_written(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, row(1, ONE, ".1, .2, .3, .4, .5"), row(2, TWO, ".2, .2, .3, .4, .5"))
    plain = openface.load(path)
    frame = pd.read_csv(path, skipinitialspace=True, dtype={"ID": str})
    if kind == "parquet":
        path = tmp_path / "phm.parquet"
        frame.to_parquet(path)
    elif kind == "utf-16":
        path.write_text(path.read_text(), encoding="utf-16")
    elif kind == "quotes":
        frame.to_csv(path, index=False, quoting=2)
    else:
        frame.to_csv(path, index=False, sep=";", decimal=",")
    read = openface.load(path)
    assert [(c.id, c.source, c.targets) for c in read.clips] == [
        (c.id, c.source, c.targets) for c in plain.clips
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_tables_in_linked_folders_are_found(tmp_path: Path) -> None:
    corpus, disk = tmp_path / "corpus", tmp_path / "disk"
    write_labels(corpus / "annotation", "train", {ONE: dict.fromkeys(KEYS, 0.5)})
    disk.mkdir()
    (disk / ONE.replace(".mp4", ".csv")).touch()
    (corpus / "tables").symlink_to(disk)
    assert load_corpus(f"openface:{corpus}").clips[0].path is not None
