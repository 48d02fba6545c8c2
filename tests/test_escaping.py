"""Text of strangers stays text in CSV, Markdown and LaTeX; reading CSV back gives it again."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traitscope.escaping import cell, latex, markdown, plain
from traitscope.files import write_csv
from traitscope.sheets import open_sheet

FORMULAS = ['=HYPERLINK("http://x","y")', "+1+cmd", "-2+3", "@SUM(A1)", "\tx", "\rx"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_becomes_text_and_comes_back(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert plain(cell(text)) == text
    assert plain(cell(f"'{text}")) == f"'{text}"


@pytest.mark.parametrize("value", [0, -1.5, None, "", "-1.5", "+2e-3", "-inf", "a-b", "'quoted'"])
def test_numbers_and_other_text_stay_what_they_are(value: object) -> None:
    assert cell(value) is value


@given(st.text())
def test_whatever_is_written_is_read_again(text: str) -> None:
    written = cell(text)
    assert plain(written) == text
    assert written[:1] not in "=@\t\r" or len(text) < 2


def test_our_tables_hold_no_formula_and_our_reader_gives_the_ids_back(tmp_path: Path) -> None:
    ids = ["-2qsCrkXdWs.001", "=1+1", "@x", "'-a", "plain"]
    path = write_csv(tmp_path / "t.csv", ["clip", "-score"], [[name, -0.5] for name in ids])
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["clip", "'-score"]
    assert [row[0][0] in "=+-@" for row in rows[1:]] == [False] * 5
    assert {row[1] for row in rows[1:]} == {"-0.5"}
    table = open_sheet(path).read()
    assert table["clip"].tolist() == ids
    assert table["-score"].astype(float).tolist() == [-0.5] * 5


def test_markdown_and_latex_show_what_was_meant() -> None:
    assert markdown("a|b `c` <img src=x> [d](e)") == r"a\|b \`c\` \<img src=x\> \[d\](e)"
    assert markdown("- no list\n# no heading") == r"\- no list \# no heading"
    assert markdown("1. no list") == r"1\. no list"
    assert latex("50 % of a_b\n{x}") == r"50 \% of a\_b \{x\}"
