import shutil
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.support.media_files import write_video
from traitscope import load_corpus
from traitscope.corpora import table
from traitscope.errors import ConfigError, DataError

UNIT = {"low": 0, "high": 1, "direction": 1}
DECLARED = {
    "kind": "apparent",
    "targets": {
        "neuroticism": {"low": 0, "high": 1, "direction": -1},
        "interview": UNIT,
        "openness": UNIT,
    },
    "attributes": ["age", "gender"],
    "notes": ["Not for hiring."],
}
HEADER = (
    "clip,path,source,subject,split,start,end,openness,neuroticism,interview,age,gender,transcript"
)
ROWS = (
    'a.1,videos/a.mp4,talk a,s1,Training,0,15,0.25,0.5,0.75,33,female,"Well, ""so"" it is."',
    "a.2,videos/a.mp4,talk a,s1,VALID,15,30.5,,1,0,,,",
    "b.mp4,,,,test,,,1e-1,0.2,0.3,old,male,",
)


def write(
    folder: Path,
    text: str = "\n".join([HEADER, *ROWS]),
    *,
    declared: object = DECLARED,
    encoding: str = "utf-8",
    name: str = "clips.csv",
) -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    if declared is not None:
        (folder / "clips.yaml").write_text(yaml.safe_dump(declared))
    return path


def test_three_rows_become_three_clips_with_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "b.mp4").touch()
    corpus = load_corpus(f"table:{write(tmp_path)}")
    assert corpus.name == "table:clips.csv"
    assert corpus.kind == "apparent"
    assert corpus.notes == ("Not for hiring.",)
    assert corpus.target_names == ("openness", "neuroticism", "interview")
    assert corpus.target("neuroticism").direction == -1
    first, second, third = corpus.clips
    assert (first.id, first.path) == ("a.1", tmp_path / "videos/a.mp4")
    assert (first.start, first.end) == (0, 15)
    assert (first.source, first.subject, first.split) == ("talk a", "s1", "train")
    assert first.targets == {"openness": 0.25, "neuroticism": 0.5, "interview": 0.75}
    assert first.transcript == 'Well, "so" it is.'
    assert first.attributes == {"age": 33.0, "gender": "female"}
    assert second.targets == {"neuroticism": 1.0, "interview": 0.0}
    assert (second.split, second.attributes, second.transcript) == ("validation", {}, None)
    assert third.path == tmp_path / "b.mp4"
    assert (third.source, third.subject, third.split) == ("b.mp4", None, "test")
    assert third.attributes == {"age": "old", "gender": "male"}


@pytest.mark.parametrize(
    ("encoding", "change"),
    [
        ("utf-8-sig", str),
        ("utf-8", lambda text: text.replace("\n", "\r\n") + "\r\n\r\n"),
        ("utf-8", lambda text: text + "\n,,,,,,,,,,,,\n"),
        ("utf-8", lambda text: text.replace(",", "\t").replace("Well\t", "Well,")),
        ("utf-8", lambda text: text.replace("clip,path", " clip , path")),
    ],
    ids=["byte-order mark", "Windows lines", "empty rows", "tabs", "spaces"],
)
def test_spreadsheet_exports_are_read(tmp_path: Path, encoding: str, change: object) -> None:
    plain = table.load(write(tmp_path))
    text = change("\n".join([HEADER, *ROWS]))  # type: ignore[operator]
    assert table.load(write(tmp_path, text, encoding=encoding)) == plain


def test_semicolons_come_with_decimal_commas(tmp_path: Path) -> None:
    declared = {"kind": "apparent", "targets": {"openness": UNIT}}
    corpus = table.load(
        write(tmp_path, "clip;openness\nMüller;0,25\nb;0.5\nc;1\n", declared=declared)
    )
    assert [(c.id, c.targets["openness"]) for c in corpus.clips] == [
        ("Müller", 0.25),
        ("b", 0.5),
        ("c", 1.0),
    ]


def test_a_parquet_table_is_the_same_corpus(tmp_path: Path) -> None:
    plain = table.load(write(tmp_path))
    frame = pd.read_csv(tmp_path / "clips.csv")
    frame.to_parquet(tmp_path / "clips.parquet")
    corpus = table.load(tmp_path / "clips.parquet")
    assert corpus.clips == plain.clips
    (tmp_path / "clips.csv").unlink()
    assert table.load(tmp_path) == corpus


def test_a_folder_is_the_table_inside(tmp_path: Path) -> None:
    assert table.load(write(tmp_path).parent) == table.load(tmp_path / "clips.csv")


def test_media_is_found_by_id_in_the_declared_folder(tmp_path: Path) -> None:
    media = tmp_path / "media"
    (media / "images").mkdir(parents=True)
    for name in ("a.wav", "a.MP4", "b.c.mkv", "d.txt"):
        (media / name).touch()
    text = "clip,path,openness\na,,1\nb.c,,1\nimages,,1\nd,,1\ne,d.txt,1\nf,x\\y.mp4,1\n"
    declared = {"kind": "apparent", "targets": {"openness": UNIT}, "media": "media"}
    corpus = table.load(write(tmp_path, text, declared=declared))
    assert [clip.path for clip in corpus.clips] == [
        media / "a.MP4",
        media / "b.c.mkv",
        media / "images",
        None,
        media / "d.txt",
        tmp_path / "x" / "y.mp4",
    ]


def test_all_faults_are_listed_in_one_error(tmp_path: Path) -> None:
    text = "\n".join(
        [
            "clip,openness,interview,gender,split,start,end,fps,sources,extra",
            "a,1.5,0.1,f,train,,,,,",
            "a,0.5,0.1,f,train,,,,,",
            "b,high,0.1,f,dev,,,,,",
            "c/d,0.5,0.1,f,train,,,,,",
            "e,0.5,0.1,f,train,5,4,,,",
            "f,-3,inf,f,train,-1,,0,,",
            ",0.5,0.1,f,train,,,,,",
        ]
    )
    with pytest.raises(DataError) as caught:
        table.load(write(tmp_path, text))
    message = str(caught.value)
    for part in [
        "clips.csv has faults; mend them there or in clips.yaml:",
        "there is no column 'neuroticism'",
        "there is no column 'age'",
        "unknown column 'sources': is 'source' meant?",
        "1 rows have no clip id",
        "clip ids occur more than once: 'a'",
        "openness: outside 0 to 1: a (1.5), f (-3)",
        "openness: not a number: b (high)",
        "interview: not a number: f (inf)",
        "split: not one of train, training, val, valid, validation, test: b ('dev')",
        "'c/d' cannot be a clip id",
        "end: not after start: e (5 to 4)",
        "start: not a possible number of seconds: f (-1)",
        "fps: not a possible number of frames per second: f (0)",
    ]:
        assert part in message
    assert "extra" not in message


def test_many_faults_of_a_kind_are_counted(tmp_path: Path) -> None:
    rows = "\n".join(f"c{n},7" for n in range(1000))
    declared = {"kind": "apparent", "targets": {"openness": UNIT}}
    with pytest.raises(DataError, match=r"outside 0 to 1: c0 \(7\), .*c19 \(7\) and 980 more$"):
        table.load(write(tmp_path, f"clip,openness\n{rows}", declared=declared))


def test_columns_that_are_not_used_are_a_note(tmp_path: Path) -> None:
    declared = {"kind": "self_reported", "targets": {"openness": UNIT}}
    text = "clip,openness,extraversion,coder\na,1,1,x\n"
    corpus = table.load(write(tmp_path, text, declared=declared))
    assert corpus.notes == ("Columns that are not used: extraversion, coder.",)


def test_a_misspelt_target_is_asked_about(tmp_path: Path) -> None:
    declared = {"kind": "apparent", "targets": {"openness": UNIT}}
    with pytest.raises(DataError, match=r"no column 'openness' .is 'Opennes' meant"):
        table.load(write(tmp_path, "clip,Opennes\na,1\n", declared=declared))


def test_scores_without_a_range_may_have_any_size(tmp_path: Path) -> None:
    targets = {"openness": {"low": None, "high": None, "direction": None}}
    declared = {"kind": "self_reported", "targets": targets}
    corpus = table.load(write(tmp_path, "clip,openness\na,-3.5\n", declared=declared))
    assert corpus.clips[0].targets == {"openness": -3.5}


def test_without_a_declaration_the_error_shows_one_to_fill_in(tmp_path: Path) -> None:
    path = write(tmp_path, declared=None)
    with pytest.raises(ConfigError, match=r"There is no .*clips\.yaml.*never guessed") as caught:
        table.load(path)
    shown = str(caught.value).split("\n\n", 1)[1]
    assert "openness: {low: FILL, high: FILL, direction: FILL}   # found: 0.1 to 0.25" in shown
    tree = yaml.safe_load(shown)
    assert list(tree["targets"]) == ["openness", "neuroticism", "interview"]
    assert tree["attributes"] == ["age", "gender"]
    (tmp_path / "clips.yaml").write_text(shown)
    with pytest.raises(ConfigError, match="FILL"):
        table.load(path)
    (tmp_path / "clips.yaml").write_text(
        shown.replace("kind: FILL", "kind: apparent")
        .replace("low: FILL", "low: 0")
        .replace("high: FILL", "high: 1")
        .replace("direction: FILL", "direction: 1")
    )
    assert len(table.load(path).clips) == 3


def test_without_traits_every_column_of_numbers_is_shown(tmp_path: Path) -> None:
    path = write(tmp_path, "clip,warmth,age,word\na,3,20,x\n", declared=None)
    with pytest.raises(ConfigError) as caught:
        table.load(path)
    tree = yaml.safe_load(str(caught.value).split("\n\n", 1)[1])
    assert (list(tree["targets"]), tree["attributes"]) == (["warmth"], ["age"])


def test_a_range_left_out_is_an_error(tmp_path: Path) -> None:
    declared = {"kind": "apparent", "targets": {"openness": {"low": 0, "high": 1}}, "kinds": 1}
    with pytest.raises(ConfigError, match="direction: Field required") as caught:
        table.load(write(tmp_path, declared=declared))
    assert "unknown key 'kinds'; did you mean 'kind'?" in str(caught.value)


def test_a_declared_name_that_is_another_column_is_a_fault(tmp_path: Path) -> None:
    declared = {"kind": "apparent", "targets": {"openness": UNIT}, "attributes": ["split"]}
    with pytest.raises(DataError, match="'split' is declared, but it is already something else"):
        table.load(write(tmp_path, "clip,openness,split\na,1,test\n", declared=declared))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "has no rows"),
        (b"clip,openness\n", "has no rows"),
        (b"clip,openness,clip\na,1,2\n", "the column 'clip' is there twice"),
        (b"clip,openness\na,0,5\nb,1\n", r"more cells than columns .*quotes\): row 2\n"),
        (b'clip,openness\n"a,1\n', "is not readable as CSV"),
    ],
)
def test_a_file_that_is_no_table_is_an_error(tmp_path: Path, data: bytes, message: str) -> None:
    path = write(tmp_path)
    path.write_bytes(data)
    with pytest.raises(DataError, match=message):
        table.load(path)


def test_a_damaged_parquet_file_is_an_error(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="is not readable as Parquet"):
        table.load(tmp_path / "x.parquet")


def test_a_table_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no table .*x\.csv\."):
        table.load(tmp_path / "x.csv")
    with pytest.raises(DataError, match=r"There is no table .*clips\.csv or .*clips\.parquet"):
        table.load(tmp_path)


RATED = """clip,rater,source,split,openness,warmth
a,r1,s,train,0.2,1
a,r2,s,train,0.4,2
b,r1,t,test,0.6,3
b,r2,,,0.8,4
c,r3,u,test,1.0,
"""
TWO_TARGETS = {"openness": UNIT, "warmth": {"low": 1, "high": 7, "direction": 1}}


def test_several_raters_are_averaged_and_their_agreement_is_said(tmp_path: Path) -> None:
    declared = {"kind": "apparent", "targets": TWO_TARGETS}
    corpus = table.load(write(tmp_path, RATED, declared=declared))
    assert [(clip.id, clip.source, clip.split) for clip in corpus.clips] == [
        ("a", "s", "train"),
        ("b", "t", "test"),
        ("c", "u", "test"),
    ]
    labels = [clip.targets for clip in corpus.clips]
    assert labels[0] == pytest.approx({"openness": 0.3, "warmth": 1.5})
    assert labels[1] == pytest.approx({"openness": 0.7, "warmth": 3.5})
    assert labels[2] == {"openness": 1.0}
    # openness: between .36 / 2, within .04 / 2, k (5 - 9 / 5) / 2: .16 / .192 and .16 / .18
    assert corpus.notes == (
        "Labels are means over 1 to 2 of 3 raters. Reliability of one rater, ICC(1), and of the "
        "mean, ICC(1, k): openness 0.83 (mean of 1.6: 0.89); warmth 0.78 (mean of 2.0: 0.88).",
    )
    assert corpus.ratings["c"] == {"r3": {"openness": 1.0}}
    assert corpus.ratings["b"]["r2"] == {"openness": 0.8, "warmth": 4.0}


def test_raters_that_contradict_each_other_are_faults(tmp_path: Path) -> None:
    declared = {"kind": "apparent", "targets": TWO_TARGETS}
    text = RATED + "a,r1,s,train,0.3,2\nb,r4,other,train,0.5,9\nd,,x,test,1,1\n"
    with pytest.raises(DataError) as caught:
        table.load(write(tmp_path, text, declared=declared))
    for part in [
        "rated twice by one rater: 'a' (r1)",
        "source: differs between raters: b (t, other)",
        "split: differs between raters: b (test, train)",
        "warmth: outside 1 to 7: b (9)",
        "rows have no rater: 'd'",
    ]:
        assert part in str(caught.value), part


def test_labels_of_people_are_declared_as_such(tmp_path: Path) -> None:
    declared = {"kind": "self_reported", "targets": {"openness": UNIT}, "aggregate": "subject"}
    text = "clip,subject,openness\na,p,1\nb,p,1\n"
    assert table.load(write(tmp_path, text, declared=declared)).aggregate == "subject"


def test_twelve_different_faults_are_listed_in_one_run(tmp_path: Path) -> None:
    text = "\n".join(
        [
            "clip,openness,neuroticism,age,gender,split,start,end,fps,sources,extra,extra",
            "a,1.5,0.1,3,f,train,,,,,,",
            "a,0.5,0.1,3,f,train,,,,,,",
            "b,high,0.1,3,f,dev,,,,,,",
            "c/d,0.5,0.1,3,f,train,,,,,,",
            "e,0.5,0.1,3,f,train,5,4,,,,",
            "f,0.5,0.1,3,f,train,-1,,0,,,",
            "g,0.5,0.1,3,f,train,,,,,,,one too many",
            ",0.5,0.1,3,f,train,,,,,,",
        ]
    )
    with pytest.raises(DataError) as caught:
        table.load(write(tmp_path, text))
    faults = [line.strip() for line in str(caught.value).splitlines()[1:]]
    wanted = [
        "the column 'extra' is there twice: rename or remove one",
        "more cells than columns (put cells that hold the separator in double quotes): row 8",
        "there is no column 'interview'",
        "unknown column 'sources': is 'source' meant?",
        "1 rows have no clip id",
        "clip ids occur more than once: 'a'",
        "openness: outside 0 to 1: a (1.5)",
        "split: not one of train, training, val, valid, validation, test: b ('dev')",
        "openness: not a number: b (high)",
        "'c/d' cannot be a clip id: it becomes a file name, so it must not be empty",
        "end: not after start: e (5 to 4)",
        "start: not a possible number of seconds: f (-1)",
        "fps: not a possible number of frames per second: f (0)",
    ]
    assert len(faults) == len(wanted) >= 12
    for part in wanted:
        assert sum(part in fault for fault in faults) == 1, part


def test_media_of_any_container_is_found_by_the_id_of_the_clip(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", frames=5, format="mpegts").rename(tmp_path / "00012.MTS")
    write_video(tmp_path / "b.mp4", frames=5)
    shutil.copy(tmp_path / "b.mp4", tmp_path / "b.ogv")
    (tmp_path / "c.dat").write_bytes(b"\0no media\1")
    text = "clip,openness,neuroticism,interview,age,gender\n" + "".join(
        f"{name},0.5,0.5,0.5,30,f\n" for name in ("00012", "b", "b.ogv", "c")
    )
    found = [
        clip.path and clip.path.name for clip in load_corpus(f"table:{write(tmp_path, text)}").clips
    ]
    assert found == ["00012.MTS", "b.mp4", "b.ogv", None]


ONE = {"kind": "apparent", "targets": {"openness": UNIT}}


def test_windows_letters_are_read_and_said(tmp_path: Path) -> None:
    path = write(tmp_path, "Clip;openness\nMüller;0,5\n", declared=ONE, encoding="cp1252")
    corpus = table.load(path)
    assert [(clip.id, clip.targets["openness"]) for clip in corpus.clips] == [("Müller", 0.5)]
    assert corpus.notes == ("clips.csv is not UTF-8; it was read as Windows' Western letters.",)


def test_names_of_files_are_found_in_decomposed_letters(tmp_path: Path) -> None:
    name = unicodedata.normalize("NFD", "Gr\u00fc\u00dfe.mp4")
    (tmp_path / name).touch()
    text = "clip,openness\nGr\u00fc\u00dfe,0.5\n"
    assert table.load(write(tmp_path, text, declared=ONE)).clips[0].path == tmp_path / name


def test_recordings_of_no_clip_are_named(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4", "c.txt"):
        (tmp_path / name).touch()
    corpus = table.load(write(tmp_path, "clip,openness\na,0.5\n", declared=ONE))
    assert corpus.notes == ("Recordings of no clip: b.mp4.",)


def test_an_index_of_pandas_is_no_column(tmp_path: Path) -> None:
    corpus = table.load(write(tmp_path, ",clip,openness\n0,a,0.5\n", declared=ONE))
    assert [clip.id for clip in corpus.clips] == ["a"]
    assert corpus.notes == ("Without a name, so left out: column 1 (an index of pandas?).",)
