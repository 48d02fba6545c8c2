"""The page: complete, escaped, without requests, and honest about what is undefined."""

import copy
import html
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.report.sample import make_history, make_report, read
from traitscope.errors import DataError
from traitscope.report import histories_of, write_report

NASTY = "<script>alert(1)</script>\"'&.mp4"


class Page(HTMLParser):
    """Tags with their attributes, and the text that a reader sees."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.raw = path.read_text(encoding="utf-8")
        self.feed(self.raw)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def page_of(tmp_path: Path, *reports: dict[str, Any], **more: Any) -> Page:
    return Page(
        write_report([read(report) for report in reports], tmp_path / "made" / "page.html", **more)
    )


def test_one_report_says_what_was_measured_on_what(tmp_path: Path) -> None:
    page = page_of(tmp_path, make_report(), histories={"runs/a": make_history()})
    for words in (
        "Apparent personality traits",
        "what observers perceived",
        "first_impressions:fi",
        "protocol official",
        "constant",
        "look-up by source, shrunk",
        "metadata only",
        "permuted",
        "Source-disjoint part",
        "1201 sources occur in both",
        "Not for decisions about people",
        "candidate ranking",
        "Apache-2.0",
        "not re-run",
        "Over epochs",
        "97.4",
    ):
        assert words in page.text
    assert "your personality" not in page.text
    assert "Not a measurement of anybody's personality" in page.text


def test_every_trait_has_its_four_panels(tmp_path: Path) -> None:
    page = page_of(tmp_path, make_report())
    assert page.count("figure") == 5 * 4
    labels = [attrs.get("aria-label") for tag, attrs in page.tags if tag == "svg"]
    assert all(labels)
    assert len(labels) == 20


def test_six_reports_share_their_baselines(tmp_path: Path) -> None:
    reports = [make_report(f"runs/{name}", seed=i) for i, name in enumerate("abcdef")]
    for report in reports:
        for part, own in report["parts"].items():
            own["rows"][1:] = reports[0]["parts"][part]["rows"][1:]
    page = page_of(tmp_path, *reports)
    first_table = page.raw[page.raw.index("Macro over traits") :].split("</table>")[0]
    assert first_table.count("role-model") == 6
    assert first_table.count("role-constant") == 1
    assert "beside" not in first_table
    assert "6 systems side by side" in page.text


def test_baselines_that_differ_are_told_apart(tmp_path: Path) -> None:
    other = make_report("runs/b", clips=80)
    page = page_of(tmp_path, make_report("runs/a"), other)
    assert "constant (mean) (beside runs/a)" in page.text
    assert "constant (mean) (beside runs/b)" in page.text
    assert "different numbers of clips (80, 120)" in page.text


def test_reports_on_two_corpora_are_two_groups(tmp_path: Path) -> None:
    page = page_of(tmp_path, make_report("runs/a"), make_report("runs/b", corpus="table:own.csv"))
    assert "table:own.csv · test" in page.text
    assert page.text.count("Model card") >= 4


def test_outside_predictions_have_no_run_and_no_published_rows(tmp_path: Path) -> None:
    page = page_of(tmp_path, make_report("their.csv", corpus="table:clips.csv", run=False))
    assert "the predictions came from a file" in page.text
    assert "NJU-LAMDA" not in page.text


def test_published_rows_keep_the_digits_and_the_label_of_the_trait(tmp_path: Path) -> None:
    page = page_of(tmp_path, make_report(corpus="fi:/data/fi"))
    assert "neuroticism (high = stable) 0.9100" in page.text
    assert "pascalmi (face chips; ResNet) video 0.8972 – 2000 yes its authors" in page.text
    assert "SlowFast (whole frame) video – 0.019 – not verified its authors" in page.text
    # a re-run by others, on the clips that they had
    assert "0.9255 0.703 1997 third party a third party" in page.text


def test_published_rows_stand_beside_the_same_clips_only(tmp_path: Path) -> None:
    assert "S2D fusion" not in page_of(tmp_path, make_report()).text  # a split of its own
    for change in ({"split": "validation"}, {"protocol": {"kind": "kfold", "fit": "train"}}):
        page = page_of(tmp_path, make_report() | change)
        assert "NJU-LAMDA" not in page.text
        assert "not re-run" not in page.text


def test_udiva_has_its_licence(tmp_path: Path) -> None:
    assert "UDIVA (data) signed agreement" in page_of(tmp_path, make_report()).text


def test_what_comes_from_data_is_escaped(tmp_path: Path) -> None:
    report = make_report(NASTY, corpus=f"first_impressions:{NASTY}")
    report["failures"] = [{"clip": NASTY, "status": NASTY, "reason": NASTY}]
    report["warnings"] = [NASTY]
    report["corpus"]["notes"] = [NASTY]
    report["points"]["clip"][0] = NASTY
    report["run"] = {NASTY: NASTY, "coverage": {NASTY: 0.5}}
    report["corpus"]["targets"][0]["label"] = NASTY
    history = [{"epoch": 0, NASTY: 1.0}, {"epoch": 1, NASTY: 2.0}]
    page = page_of(tmp_path, report, histories={NASTY: history}, cards={NASTY: {NASTY: NASTY}})
    assert "<script>alert" not in page.raw
    assert html.escape("<script>alert(1)</script>") in page.raw
    assert page.count("script") == 2  # the clip list and the page's own
    assert NASTY in page.text


def test_a_card_may_be_text(tmp_path: Path) -> None:
    page = page_of(tmp_path, make_report(), cards={"runs/a": "# Mine <b>\n- bold"})
    assert "# Mine <b>" in page.text


def test_the_clip_list_stays_readable_as_json(tmp_path: Path) -> None:
    report = make_report(clips=20)
    report["points"]["clip"][3] = "</script><b>"
    page = page_of(tmp_path, report)
    found = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page.raw)
    assert found
    assert json.loads(found[1])[3] == "</script><b>"


def test_nothing_is_requested(tmp_path: Path) -> None:
    page = page_of(tmp_path, make_report(), histories={"runs/a": make_history()})
    for tag, attrs in page.tags:
        for name in ("src", "href", "action", "data", "srcset", "poster", "xlink:href"):
            target = attrs.get(name) or "#"
            assert target.startswith(("#", "data:")), (tag, name, target)
        assert tag not in {"iframe", "object", "embed", "base"}
    assert not re.search(r"url\(|@import|fetch\(|XMLHttp|WebSocket|sendBeacon|import\(", page.raw)


def test_undefined_is_written_as_undefined_with_its_reason(tmp_path: Path) -> None:
    report = make_report()
    entry = {"value": None, "low": None, "high": None, "reason": "labels do not vary"}
    report["parts"]["all"]["rows"][0]["metrics"]["ccc"]["macro"] = entry
    report["parts"]["all"]["rows"][0]["metrics"]["r2"]["macro"] = {"value": float("nan")}
    page = page_of(tmp_path, report)
    assert "undefined: labels do not vary" in page.text
    assert "undefined: no reason was given" in page.text
    assert not re.search(r"\b(nan|None|inf)\b", page.text)


def test_failures_are_listed_with_their_reason(tmp_path: Path) -> None:
    page = page_of(tmp_path, make_report())
    assert "3 clips were not scored and are in no number above" in page.text
    assert "dark.001 no_face No face in 75 sampled frames." in page.text


def test_a_clip_that_failed_in_several_reports_is_counted_once(tmp_path: Path) -> None:
    reports = [make_report("runs/a"), make_report("runs/ab")]
    for row in reports[1]["failures"]:  # as a fusion writes them
        row["reason"] = f"runs/a: {row['reason']}"
    page = page_of(tmp_path, *reports)
    assert "3 clips were not scored and are in no number above" in page.text
    assert "dark.001 no_face No face in 75 sampled frames. all" in page.text


def test_scores_without_a_range_are_told_by_their_error(tmp_path: Path) -> None:
    report = make_report()
    report["scoring"] = {"aggregate": "subject"}
    for part in report["parts"].values():
        for row in part["rows"]:
            for cell in row["metrics"]["accuracy"].values():
                cell.update(value=None, low=None, high=None, reason="accuracy needs a range")
            row["metrics"]["skill"]["macro"].update(low=None, high=None)
    page = page_of(tmp_path, report)
    assert re.search(r"\d+ people from \d+ sources", page.text)
    assert re.search(r" checked><label [^>]*>skill</label>", page.raw)


def test_stability_is_never_called_plain_neuroticism(tmp_path: Path) -> None:
    report = make_report()
    report["corpus"]["targets"][4]["label"] = "neuroticism"  # the declared direction decides
    page = page_of(tmp_path, report)
    assert "neuroticism (high = stable)" in page.text
    assert not re.search(r"neuroticism(?! \(high = stable\))", page.text)


def test_an_empty_part_says_why(tmp_path: Path) -> None:
    report = make_report()
    why = "every clip shares a source with training"
    report["parts"]["source_disjoint"].update(clips=0, sources=0, rows=[], reason=why)
    assert f"No numbers: {why}" in page_of(tmp_path, report).text


def test_missing_scores_and_points_leave_a_page(tmp_path: Path) -> None:
    report = make_report()
    report["points"]["predicted"]["openness"][5] = None
    report["points"]["true"]["extraversion"] = [None] * 120
    page = page_of(tmp_path, report)
    assert page.count("figure") == 4 * 4
    assert 'data-dropped="5"' in page.raw
    bare = copy.deepcopy(report)
    bare["points"] = {"clip": [], "source": [], "true": {}, "predicted": {}, "baselines": {}}
    assert "holds no points" in page_of(tmp_path, bare).text


def test_one_clip_and_equal_scores_leave_a_page(tmp_path: Path) -> None:
    report = make_report()
    names = [target["name"] for target in report["corpus"]["targets"]]
    report["points"] = {
        "clip": ["only"],
        "source": ["only"],
        "true": {name: [0.5] for name in names},
        "predicted": {name: [0.5] for name in names},
        "baselines": {},
    }
    assert page_of(tmp_path, report).count("figure") == 20


def test_unbounded_targets_leave_a_page(tmp_path: Path) -> None:
    report = make_report(corpus="udiva:x")
    report["corpus"]["kind"] = "self_reported"
    for target in report["corpus"]["targets"]:
        target |= {"low": None, "high": None}
    assert "Self-reported personality traits" in page_of(tmp_path, report).text


def test_baselines_in_the_points_are_drawn(tmp_path: Path) -> None:
    report = make_report()
    true = report["points"]["true"]
    report["points"]["baselines"] = {"constant": dict.fromkeys(true, [0.5] * 120), "lookup": true}
    page = page_of(tmp_path, report)
    assert "mean of these labels" not in page.text
    assert "look-up" in page.text


def test_a_history_from_a_run_folder_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(
        "stage,epoch,lr,train_loss,validation_ccc\na,0,1,.5,.1\na,1,1,.4,.2\nb,0,1,.3,.3\n"
    )
    report = make_report()
    histories = histories_of(
        [tmp_path, tmp_path / "no.json"], [read(report), read(make_report("x"))]
    )
    assert list(histories) == ["runs/a"]
    assert page_of(tmp_path, report, histories=histories).count("figure") == 22


def test_a_page_needs_a_report(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no report"):
        write_report([], tmp_path / "x.html")
    assert list(tmp_path.iterdir()) == []


def test_importing_the_room_stays_light() -> None:
    code = (
        "import sys, traitscope.report\n"
        "print({'numpy', 'jinja2', 'matplotlib', 'pandas'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


def test_a_page_is_not_written_in_place_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is a folder\. Name a file, for example .*report\.html"):
        write_report([read(make_report())], tmp_path)
    assert not list(tmp_path.parent.glob(f".{tmp_path.name}.part"))


def test_look_ups_that_go_by_person_are_headed_so(tmp_path: Path) -> None:
    tree = make_report()
    for subjects, heading in ((None, "look-up by source "), (9, "look-up by source and person ")):
        tree["counts"]["subjects"] = subjects
        page = Page(write_report([read(tree)], tmp_path / "p.html"))
        assert heading in page.text
        assert ("and person " in page.text) == (subjects is not None)
