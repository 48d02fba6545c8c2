"""The one reader of tables: how files are written, which rows fit, and what is no table."""

import gzip
import pickle
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from traitscope.errors import DataError
from traitscope.sheets import append_columns, as_numbers, open_sheet, read_table, same_name

PLAIN = "clip,score,word\na,0.5,one\nb,-1,two\nc,,\n"


def write(path: Path, text: str | bytes, encoding: str = "utf-8") -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def values(path: Path, **settings: object) -> list[list[object]]:
    sheet = open_sheet(path, **settings)
    frame = sheet.read(["clip", "word"], {"score": np.float64})
    return frame[["clip", "score", "word"]].replace({np.nan: None}).to_numpy().tolist()


PLAIN_VALUES = [["a", 0.5, "one"], ["b", -1.0, "two"], ["c", None, ""]]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.rstrip("\n"),
        PLAIN.replace(",", ", "),
        PLAIN.replace(",", " ,"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", ";").replace("0.5", "0,5"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        PLAIN.replace(",", "|").replace("0.5", "0,5"),
        PLAIN.replace(",", "\t").replace("0.5", "0,5"),
        "sep=;\n" + PLAIN.replace(",", ";"),
        "\n\n" + PLAIN.replace("b,", "\n,,\n   \nb,") + ",,\n\n",
        PLAIN.replace("0.5", '"0.5"').replace("clip", '"clip"'),
        PLAIN.replace("a,0.5,one", '"a", "0.5", "one"'),
        PLAIN.replace("c,,", "c"),
        PLAIN.replace("c,,", "c,-nan(ind),"),
        PLAIN.replace("c,,", "c,1.#IND,"),
        PLAIN.replace("c,,", "c, N/A ,"),
        "\ufeff" + PLAIN,
    ],
)
def test_one_table_however_it_is_written(tmp_path: Path, text: str) -> None:
    assert values(write(tmp_path / "t.csv", text)) == PLAIN_VALUES


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_letters_of_every_encoding_are_read(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "t.csv", PLAIN.replace("one", "Müller"), encoding)
    assert values(path)[0] == ["a", 0.5, "Müller"]
    said = open_sheet(path).notes
    assert bool(said) == (encoding == "cp1252"), said


def test_quotes_hold_separators_ends_of_lines_and_quotes(tmp_path: Path) -> None:
    text = 'clip,score,word\na,1,"one, ""two""\nthree"\nb,2,5" tall\n'
    assert values(write(tmp_path / "t.csv", text)) == [
        ["a", 1.0, 'one, "two"\nthree'],
        ["b", 2.0, '5" tall'],
    ]


def test_ids_stay_text(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "clip,score,word\n007,1,NA\n1e5,2,null\nTrue,3,x\n")
    assert [row[0] for row in values(path)] == ["007", "1e5", "True"]
    assert [row[2] for row in values(path)] == ["NA", "null", "x"]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("clip,score,word\na,1,x,\nb,2,y,\n", "row 2, row 3; 2 in all"),  # a comma ends each row
        ("clip,score,word\na,1,x\nb,0,5,y\n", "row 3; 1 in all"),  # a decimal comma
        ("clip\tscore\tword\na\t1\tx\tmore\n", "row 2; 1 in all"),
        ('clip,score,word\n"a,b",1,x\n\n"c",2,"y",z\n', "row 4; 1 in all"),
        ('clip,score,word\na,1,5" x\nb,2,y,"z"\n', "row 3; 1 in all"),
        ("score,word\nr1,1,x\nr2,2,y\n", "row 2, row 3; 2 in all"),  # as R writes names of rows
    ],
)
def test_rows_longer_than_the_header_are_refused_by_number(
    tmp_path: Path, text: str, rows: str
) -> None:
    path = write(tmp_path / "t.csv", text)
    with pytest.raises(DataError, match=f"more cells than columns .*{rows}"):
        open_sheet(path)


def test_who_is_told_of_long_rows_reads_the_others(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    path = write(tmp_path / "t.csv", "clip,score\na,1\n\nb,2,3\nc,4\n")
    table = read_table(path, tell=lambda kind, where: told.append((kind, where)))
    assert [row["clip"] for row in table.rows] == ["a", "c"]
    assert [where for _, where in told] == ["row 4"]


def test_a_million_cells_cross_the_borders_of_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from traitscope.sheets import _lines

    rows = [f'c{n},{n}.5,"word {n}, and more"' for n in range(2000)]
    path = write(tmp_path / "t.csv", "\n".join(["clip,score,word", *rows]))
    whole = open_sheet(path)
    monkeypatch.setattr(_lines, "_PIECE_BYTES", 101)
    small = open_sheet(path)
    assert small.lines is not None
    assert whole.lines is not None
    assert small.lines.rows == whole.lines.rows
    assert whole.lines.rows.count == 2000
    path.write_text("\n".join(["clip,score,word", *rows, "x,1,y,z"]))
    with pytest.raises(DataError, match="row 2002; 1 in all"):
        open_sheet(path)


def test_parts_are_the_whole(tmp_path: Path) -> None:
    rows = [f"c{n},{n},w" + ("\n,,\n" if n % 3 == 0 else "") for n in range(50)]
    sheet = open_sheet(write(tmp_path / "t.csv", "\n".join(["clip,score,word", *rows])))
    parts = list(sheet.parts(["clip"], 7))
    assert len(parts) > 5
    assert pd.concat(parts)["clip"].tolist() == [f"c{n}" for n in range(50)]


def test_names_are_the_same_in_other_letters(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "Größe")
    sheet = open_sheet(
        write(tmp_path / "t.csv", f"Clip , {decomposed},X,x\na,1,2,3\n"), fold=["clip", "y"]
    )
    assert sheet.columns == ("clip", "Größe", "X", "x")
    assert same_name(decomposed + " ") == "Größe"


def test_an_index_without_a_name_is_left_out_and_said(tmp_path: Path) -> None:
    frame = pd.DataFrame({"clip": ["a", "b"], "x": [1, 2]})
    frame.to_csv(tmp_path / "t.csv")
    frame.set_index(pd.Index(["r1", "r2"])).to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        sheet = open_sheet(tmp_path / name)
        assert sheet.columns == ("clip", "x")
        assert any("Without a name, so left out" in note for note in sheet.notes), name
    again = pd.read_csv(tmp_path / "t.csv")
    again.to_csv(tmp_path / "u.csv")
    assert open_sheet(tmp_path / "u.csv").columns == ("clip", "x")
    assert open_sheet(write(tmp_path / "v.csv", "clip,x,\na,1,\n")).notes == ()


def test_a_named_index_of_parquet_is_a_column(tmp_path: Path) -> None:
    frame = pd.DataFrame({"score": [0.5, -1.0, None], "word": ["one", "two", None]})
    frame.index = pd.Index(["a", "b", "c"], name="clip")
    frame.to_parquet(tmp_path / "t.parquet")
    assert values(tmp_path / "t.parquet") == PLAIN_VALUES
    (tmp_path / "t.parquet").rename(tmp_path / "t.csv")
    assert values(tmp_path / "t.csv") == PLAIN_VALUES


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is empty"),
        (b"\n \n", "it is empty"),
        (b"clip,score\n", "has no rows"),
        (b"clip,score\n,\n\n", "has no rows"),
        (b"clip,score,clip\na,1,2\n", "the column 'clip' is there twice"),
        (b'clip,score\n"a,1\nb,2\n', "not readable as CSV"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "run git lfs pull"),
        (b"/annex/objects/MD5E-s1--x.csv\n", "run git annex get"),
        (b"\n <!DOCTYPE html><html>\n<body>Sign in</body>", "a web page"),
        (b'<?xml version="1.0"?><Error>AccessDenied</Error>', "a web page or XML"),
        (gzip.compress(PLAIN.encode(), mtime=0), "compressed .gzip.: unpack it with gunzip"),
        (pickle.dumps({"clip": [1]}), "a pickle, which is never opened"),
        (pickle.dumps({"clip": [1]}, protocol=0), "a pickle, which is never opened"),
        (b'{"clip": {"0": "a"}}', "it is JSON"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel file"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"abc\0\0\1\2\3def\n", "not text"),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_sheet(write(tmp_path / "t.csv", data))


def test_archives_and_broken_parquet_are_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.xlsx", "w") as archive:
        archive.writestr("[Content_Types].xml", "x")
    with pytest.raises(DataError, match=r"a spreadsheet .*save it as 'CSV UTF-8'"):
        open_sheet(tmp_path / "t.xlsx")
    with zipfile.ZipFile(tmp_path / "t.csv", "w") as archive:
        archive.writestr("a.csv", PLAIN)
    with pytest.raises(DataError, match="a zip archive"):
        open_sheet(tmp_path / "t.csv")
    with pytest.raises(DataError, match="not readable as Parquet"):
        open_sheet(write(tmp_path / "t.parquet", b"PAR1 and no more"))
    with pytest.raises(DataError, match=r"call it \.csv if it is text"):
        open_sheet(write(tmp_path / "u.parquet", PLAIN))
    with pytest.raises(DataError, match="There is no file"):
        open_sheet(tmp_path / "absent.csv")


def test_words_in_a_column_of_numbers_are_an_error_that_names_all_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "clip,x,y,z\na,1,high,1\nb,2,3,?\n")
    with pytest.raises(DataError, match=r"not numbers: y, z \(such as 'high'\)"):
        open_sheet(path).read((), dict.fromkeys("xyz", np.float32))


def test_numbers_of_both_marks_and_all_kinds_of_nothing() -> None:
    cells = pd.Series(
        ["0,5", "0.5", "1e-3", "", "-1.#QNAN", "#N/A", "inf", "-1.#INF", "x", "1.2,3", "1_0"]
    )
    numbers, bad = as_numbers(cells, decimal_comma=True)
    np.testing.assert_array_equal(
        numbers, [0.5, 0.5, 1e-3, np.nan, np.nan, np.nan, np.inf, -np.inf, *[np.nan] * 3]
    )
    assert np.flatnonzero(bad).tolist() == [8, 9, 10]
    assert as_numbers(pd.Series(["0,5"]))[1].all()


def test_a_table_is_written_again_to_the_letter_with_more_columns(tmp_path: Path) -> None:
    to = tmp_path / "to" / "u.csv"
    sheet = open_sheet(write(tmp_path / "t.csv", "\ufeffa; b\n1,50; x\n\n;\n2;  z\n"))
    append_columns(sheet, to, ["c"], [["0.25"], ["0.5"]])
    assert to.read_text(encoding="utf-8") == "a; b;c\n1,50; x;0,25\n2;  z;0,5\n"
    assert open_sheet(to).read((), {"c": np.float64})["c"].tolist() == [0.25, 0.5]
    quoted = open_sheet(write(tmp_path / "t.csv", 'a, b\n1, "x,y"\n2, "z\n"\n'))
    append_columns(quoted, to, ["c"], [["0.25"], ["0.5"]])
    assert to.read_text(encoding="utf-8") == 'a,b,c\n1,"x,y",0.25\n2,"z\n",0.5\n'


def test_columns_that_no_row_reaches_hold_nothing(tmp_path: Path) -> None:
    sheet = open_sheet(write(tmp_path / "t.csv", "clip,score,word\na\nb\n"))
    frame = sheet.read(["clip", "word"], {"score": np.float32})
    assert frame["clip"].tolist() == ["a", "b"]
    assert frame["word"].tolist() == ["", ""]
    assert frame["score"].isna().all()
    assert sheet.read(["word"])["word"].tolist() == ["", ""]
    assert sheet.notes == ("2 rows of t.csv end early; what they lack is missing.",)


def test_rows_of_quotes_are_rows_only_if_they_hold_something(tmp_path: Path) -> None:
    text = 'clip,score,word\n"",,\n",",,\n"\n",,""\n"""",1,\n'
    sheet = open_sheet(write(tmp_path / "t.csv", text))
    assert sheet.read()["clip"].tolist() == [",", '"']


def test_wide_tables_keep_ids_that_look_like_nothing(tmp_path: Path) -> None:
    names = [f"f{n}" for n in range(300)]
    rows = [",".join(["NA", *(str(n) for n in range(299)), "NA"]), ",".join(["b", *["-1"] * 300])]
    path = write(tmp_path / "t.csv", "\n".join([",".join(["clip", *names]), *rows]))
    frame = open_sheet(path).read(["clip"], dict.fromkeys(names, np.float64))
    assert frame["clip"].tolist() == ["NA", "b"]
    assert frame["f298"].tolist() == [298, -1]
    assert np.isnan(frame["f299"][0])


def test_a_column_that_only_late_rows_reach_is_read_in_parts_too(tmp_path: Path) -> None:
    # Pandas refuses columns that no row of the first part has: that was a traceback.
    early = "x,1,\n" * 1500
    path = write(tmp_path / "a.csv", f"clip,a,,b\n{early}y,2,,3\n")
    sheet = open_sheet(path)
    assert sheet.notes == ("1500 rows of a.csv end early; what they lack is missing.",)
    parts = list(sheet.parts(["clip", "b"], 1000))
    together = pd.concat(parts)
    assert list(together.index) == list(range(1501))
    assert list(together["b"]) == [""] * 1500 + ["3"]
    assert list(together["clip"]) == ["x"] * 1500 + ["y"]
