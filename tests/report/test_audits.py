"""Audits on the page and in the files: every kind with its figure, its numbers and its limits."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.image import imread

from tests.report.sample import make_audits, make_report, read
from tests.report.test_page import NASTY, Page
from traitscope.audit.findings import Audit, from_json, to_json
from traitscope.report import audits_of, export, write_report
from traitscope.report.audit_drawings import curves, forests
from traitscope.report.audit_sentences import audit_words
from traitscope.report.audits import audit_tables

AUDITS = {tree["audit"]: from_json(tree, where="the sample") for tree in make_audits()}


def page_of(folder: Path, audits: Sequence[Audit]) -> Page:
    beside = {"runs/a": audits}
    return Page(write_report([read(make_report())], folder / "p.html", audits=beside))


def test_every_audit_has_its_section_and_figures(tmp_path: Path) -> None:
    page = page_of(tmp_path, list(AUDITS.values()))
    for words in (
        "Groups of people",
        "Calibration and spread",
        "Leakage",
        "Changes of the recording",
        "clear gaps, which neither a constant nor",
        "female (openness: scored 0.150 higher than others, labelled 0.050 higher)",
        "flagged: brightness 1 (openness)",
        "more than half the sd of scores between clips: 1",
        "the interval leaves 1 out for openness",
        "1 changed copy could not be scored",
        "does not show that there is no bias",
        "made: fairness, calibration, leakage, perturbation",
    ):
        assert words in page.text, words
    # four panels per trait; five forests, three forests and two heats, one set of curves
    assert page.count("figure") == 20 + 5 + 5 + 1
    labels = [a.get("aria-label") for tag, a in page.tags if tag == "svg"]
    assert any("openness flagged at -1, 1" in str(label) for label in labels)


def test_without_audits_the_page_says_so_and_the_card_lacks_them(tmp_path: Path) -> None:
    page = page_of(tmp_path, [])
    assert "No audit was made of these predictions" in page.text
    assert "not made: fairness, calibration, leakage, perturbation" in page.text
    assert "Audits missing" in page.text


def test_some_audits_are_not_all(tmp_path: Path) -> None:
    page = page_of(tmp_path, [AUDITS["leakage"]])
    assert "made: leakage; not made: fairness, calibration, perturbation" in page.text


def test_the_checklist_names_what_a_report_lacks(tmp_path: Path) -> None:
    report = make_report(run=False)
    report["corpus"]["notes"] = []
    for part in report["parts"].values():
        part["rows"] = [row for row in part["rows"] if row["role"] != "lookup"]
    text = Page(write_report([read(report)], tmp_path / "p.html")).text
    assert "Data and licence missing the corpus has no notes" in text
    assert "Baselines missing constant (mean), look-up by source, shrunk" in text
    assert "missing: look-up by source" in text
    assert "Protocol stated official split, fitted on train" in text
    # without a run nothing can be predicted again
    assert "not made: fairness, calibration, leakage " in text


def test_small_groups_and_lost_clips_are_in_the_tables() -> None:
    tables = audit_tables(AUDITS["fairness"])
    assert tables[-1].rows == (("gender", "x", "3", "fewer than 20 clips"),)
    assert all(len(row) == len(t.header) for t in tables for row in t.rows)
    rows = audit_tables(AUDITS["perturbation"])[0].rows
    assert rows[-1][:3] == ("brightness", "1 stops", "11 of 12")
    assert rows[-1][3].endswith("!")
    assert not rows[-2][3].endswith("!")
    far = audit_tables(AUDITS["perturbation"])[1].rows
    assert far[-1][:4] == ("brightness", "1 stops", "11", "0.60 sd; 6; 1.000")


def test_figures_hold_the_numbers_of_the_audit() -> None:
    forest = forests(AUDITS["fairness"])[0]
    assert [row[0] for row in forest.rows] == ["female, n 60", "male, n 60"]
    kinds = [[mark.kind for mark in marks] for _, marks in forest.rows]
    assert kinds == [["labels", "clear", "residual"], ["labels", "model", "residual"]]
    assert [mark.value for mark in forest.rows[0][1]] == pytest.approx([0.05, 0.15, 0.1])
    name, steps, moved, flagged = curves(AUDITS["perturbation"])[0].series[0]
    assert name == "openness"
    assert steps == (-1.0, -0.5, 0.0, 0.5, 1.0)
    assert moved == pytest.approx((-0.6, -0.3, 0.0, 0.3, 0.6))
    assert flagged == (True, False, False, False, True)


def test_each_trait_has_a_table_with_all_gaps_beside_each_other() -> None:
    table = audit_tables(AUDITS["fairness"])[0]
    assert table.header[3:7] == ("labels", "predictions", "residuals", "given label")
    assert table.rows[0][4] == "0.150 [0.050, 0.250] *"
    assert not table.rows[1][4].endswith("*")


def test_words_are_no_verdict() -> None:
    for audit in AUDITS.values():
        said = audit_words(audit).lower()
        assert "fair" not in said.split()
        assert "passed" not in said


def test_what_comes_from_attributes_is_escaped(tmp_path: Path) -> None:
    tree = make_audits()[0]
    tree["groups"][0]["value"] = NASTY
    tree["notes"] = [NASTY]
    page = page_of(tmp_path, [from_json(tree, where="the sample")])
    assert "<script>alert(1)" not in page.raw


def test_audits_are_exported_with_a_picture_each(tmp_path: Path) -> None:
    empty = {"title": "all", "clips": 0, "sources": 0, "rows": [], "reason": "no clips"}
    points = {"clip": [], "source": [], "true": {}, "predicted": {}, "baselines": {}}
    report = make_report(clips=30) | {"parts": {"all": empty}, "points": points}
    files = export([read(report)], tmp_path / "f", audits={"runs/a": list(AUDITS.values())})
    names = {path.name for path in files}
    assert {"audits.csv", "audits.md", "audits.tex", "1-runs-a-fairness.png"} <= names
    for kind in AUDITS:
        assert imread(tmp_path / "f" / f"1-runs-a-{kind}.png").shape[1] >= 900
    table = pd.read_csv(tmp_path / "f" / "audits.csv")
    assert set(table["audit"]) == set(AUDITS)
    shift = table[(table["item"] == "brightness 0.5 stops") & (table["target"] == "openness")]
    assert shift.set_index("measure")["value"]["shift: mean"] == pytest.approx(0.15)
    latex = (tmp_path / "f" / "audits.tex").read_text()
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}")
    assert "±" not in latex
    markdown = (tmp_path / "f" / "audits.md").read_text()
    assert "fewer than 20 clips" in markdown


def test_audits_are_found_beside_runs_and_report_files(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for folder in (run / "evaluation" / "test", tmp_path / "outside"):
        folder.mkdir(parents=True)
        (folder / "audit-leakage.json").write_text(json.dumps(to_json(AUDITS["leakage"])))
    files = [run, tmp_path / "outside" / "report.json", tmp_path / "none.json"]
    reports = [read(make_report(name)) for name in ("runs/a", "their.csv", "b")]
    found = audits_of(files, reports)
    assert sorted(found) == ["runs/a", "their.csv"]
    assert found["their.csv"][0].audit == "leakage"


def test_groups_of_coded_values_are_drawn_with_their_attribute() -> None:
    audit = AUDITS["fairness"]
    coded = [
        group.model_copy(update={"attribute": name, "value": value})
        for group, name, value in zip(
            audit.groups, ("GENDER", "GENDER × AGE"), ("2", "2 × old"), strict=False
        )
    ]
    forest = forests(audit.model_copy(update={"groups": tuple(coded)}))[0]
    assert [row[0] for row in forest.rows] == ["GENDER 2, n 60", "GENDER 2 × old, n 60"]
