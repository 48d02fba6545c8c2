"""One evaluation, shown in every way there is: the same verdicts, word for word."""

import csv
import html
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from tests.support.label_files import make_first_impressions
from traitscope import load_corpus
from traitscope.cli import main
from traitscope.escaping import latex as escaped
from traitscope.types import TRAITS


def run(*arguments: str | Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert caught.value.code in (0, None)


def test_page_command_line_json_and_latex_say_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_first_impressions(tmp_path / "fi", train=200, validation=60, test=100, sources=80)
    address = f"fi:{tmp_path / 'fi'}"
    test = [clip for clip in load_corpus(address).clips if clip.split == "test"]
    # neuroticism the wrong way round, so that more than one verdict is due
    rows = [
        {
            "clip": clip.id,
            **{
                f"predicted_{name}": value if name != "neuroticism" else 1 - value
                for name, value in clip.targets.items()
                if name in TRAITS
            },
        }
        for clip in test
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "theirs.csv", index=False)
    given = ["--predictions", tmp_path / "theirs.csv", "--labels", address]
    run("evaluate", *given, "--to", tmp_path / "out")
    printed = capsys.readouterr().out
    saved = json.loads((tmp_path / "out" / "report.json").read_text())
    texts = [verdict["text"] for verdict in saved["verdicts"]]
    assert {"direction", "missing"} & {verdict["kind"] for verdict in saved["verdicts"]}
    assert [line[2:] for line in printed.splitlines() if line.startswith("- ")] == texts

    page, figures = tmp_path / "page.html", tmp_path / "figures"
    run("report", tmp_path / "out" / "report.json", "--to", page, "--tables", figures)
    box = re.search(r'<section class="verdicts">(.*?)</section>', page.read_text(), re.DOTALL)
    assert box is not None
    shown = re.findall(r"<li[^>]*>(.*?)</li>", box[1], re.DOTALL)
    assert [html.unescape(text) for text in shown] == texts
    latex = (figures / "tables.tex").read_text()
    assert re.findall(r"^\\item (.*)$", latex, re.MULTILINE) == [escaped(text) for text in texts]
    assert latex.index(r"\item") < latex.index(r"\begin{table}")
    with (figures / "verdicts.csv").open(newline="") as file:
        assert [row["text"] for row in csv.DictReader(file)] == texts
    markdown = (figures / "tables.md").read_text()
    assert markdown.count("\n- ") == len(texts)
