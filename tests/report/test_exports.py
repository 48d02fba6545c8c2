"""The files for papers: every number in CSV, tables that a typesetter accepts, readable PNGs."""

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.image import imread

from tests.report.sample import make_history, make_report, read
from tests.support.made_systems import judge, part_of, rated_corpus, seeing
from traitscope.report import export, write_report


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What is written of a report whose name would lead out of the folder."""
    folder = tmp_path_factory.mktemp("export") / "in" / "made"
    report = read(make_report("../../a_b|c & 100%", clips=40))
    return export([report], folder, histories={report.name: make_history()})


@pytest.fixture(scope="module")
def folder(files: list[Path]) -> Path:
    return files[0].parent


def test_every_number_is_in_the_csv(folder: Path) -> None:
    table = pd.read_csv(folder / "metrics.csv")
    assert len(table) == 2 * 6 * 10 * 6  # parts, systems, metrics, macro and traits
    undefined = table[table["value"].isna()]
    assert set(undefined["undefined"]) == {"the predictions are constant"}
    assert "neuroticism (high = stable)" in set(table["target"])


def test_failures_are_in_the_csv(folder: Path) -> None:
    assert list(pd.read_csv(folder / "failures.csv")["status"]) == [
        "no_face",
        "no_audio",
        "undecodable",
    ]


def test_markdown_and_latex_escape_names(folder: Path) -> None:
    markdown = (folder / "tables.md").read_text()
    latex = (folder / "tables.tex").read_text()
    assert r"../../a\_b\|c & 100%" in markdown
    assert r"../../a\_b|c \& 100\%" in latex
    assert "undefined: the predictions are constant" in markdown
    assert "### apparent personality traits in " in markdown
    assert r"\caption{apparent personality traits in " in latex
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 6
    widths = {line.count("|") for line in markdown.splitlines() if line.startswith("| look")}
    assert widths == {8}


def test_seeds_have_rows_of_their_own_and_their_mean_an_sd(tmp_path: Path) -> None:
    tree = make_report("runs/a", clips=40)
    del tree["parts"]["source_disjoint"]
    tree["points"] |= {"true": {}, "predicted": {}, "baselines": {}}  # nothing to draw per trait
    rows = tree["parts"]["all"]["rows"]
    seeds = [{**rows[0], "name": f"runs/a (seed {n})", "role": "seed"} for n in range(2)]
    ensemble = {**rows[0], "name": "runs/a (ensemble of 2 seeds)", "role": "ensemble"}
    rows[1:1] = [ensemble, *seeds]
    for cells in (metrics := {**rows[0]["metrics"]}).values():
        cells["macro"] = {**cells["macro"], "sd": 0.0123}
    rows[0] = {**rows[0], "name": "runs/a (mean of 2 seeds)", "metrics": metrics}
    export([read(tree)], tmp_path / "made")
    latex = (tmp_path / "made/tables.tex").read_text()
    assert r"$\pm$ 0.0123" in latex
    assert r"$\pm$ standard deviation over seeds" in latex
    for name in ("mean of 2 seeds", "ensemble of 2 seeds", "seed 0", "seed 1"):
        assert f"runs/a ({name}) &" in latex
    table = pd.read_csv(tmp_path / "made/metrics.csv")
    mean = table[(table["role"] == "model") & (table["part"] == "all")]
    assert set(mean["sd"].dropna()) == {0.0123}
    page = write_report([read(tree)], tmp_path / "page.html").read_text()
    assert "± 0.0123 over seeds" in page
    assert page.count("runs/a (ensemble of 2 seeds)") >= 2


def test_figures_are_large_enough_for_print(folder: Path) -> None:
    pictures = sorted(path.name for path in folder.glob("*.png"))
    assert len(pictures) == 4
    assert all(imread(path).shape[1] >= 1400 for path in folder.glob("*.png"))


def test_names_of_runs_cannot_leave_the_folder(files: list[Path], folder: Path) -> None:
    assert {path.parent for path in files} == {folder}
    assert sorted(files) == sorted(folder.parent.parent.rglob("*.*"))


@pytest.mark.slow
def test_what_the_labels_allow_is_in_every_file(tmp_path: Path) -> None:
    corpus = rated_corpus()
    report = judge(corpus, seeing(part_of(corpus)))
    export([report], tmp_path / "made")
    table = pd.read_csv(tmp_path / "made/ceilings.csv")
    openness = report.ceiling.targets[0]
    mine = table[table["target"] == "openness"].set_index("measure")["value"]
    assert mine["r max"] == openness.r_max.value
    assert mine["ICC(3,k)"] == openness.icc["3,k"].value
    for name in ("tables.md", "tables.tex"):
        text = (tmp_path / "made" / name).read_text()
        assert "reliability of the labels, and what it allows" in text
        assert "3 of 3 raters" in text
