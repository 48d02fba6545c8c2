"""``traitscope audit`` and ``analyse`` as a user types them, for runs and for anyone's tables."""

import json
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest

from tests.support.prepared import make_corpus, make_store
from traitscope.evaluation.trained_runs import evaluate
from traitscope.training.fitting import train

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audited")
    address = make_corpus(folder / "corpus", clips=120)
    make_store(folder / "store", address, streams=("signals",))
    settings = [f"data.corpus={address}", f"data.store={folder / 'store'}"]
    settings += ["model.streams=[signals]", "features.signals.backend=dlib"]
    run = train("functionals", settings, to=folder / "run")
    evaluate(run)
    rows = [f"c{n:03d}.mp4,{'ab'[n // 2 % 2]}" for n in range(120)]
    (folder / "who.csv").write_text("\n".join(["file,group", *rows]))
    return folder


@pytest.mark.slow
def test_audits_of_a_run_are_saved_beside_it_and_shown_by_report(type_in: Run, place: Path) -> None:
    who = place / "who.csv"
    said = []
    for command in (
        ["fairness", place / "run", "--attributes", who, "--minimum", 5],
        ["calibration", place / "run"],
        ["leakage", place / "run"],
    ):
        code, out, err = type_in("audit", *command)
        assert code == 0, err
        assert f"{command[0]} of " in out
        assert "saved as" in err
        said.append(out.splitlines()[1])
    code, _, err = type_in("report", place / "run", "--to", place / "p.html", "--tables", place)
    assert code == 0, err
    page = unescape((place / "p.html").read_text())
    assert said[0].startswith("Groups with enough clips for numbers: 2")
    assert all(words in page for words in said)
    assert "No audit was made" not in page
    assert (place / "audits.csv").is_file()


def test_anyones_predictions_are_audited_as_json(type_in: Run, place: Path) -> None:
    theirs = place / "run" / "evaluation" / "test" / "predictions.csv"
    labels = f"table:{place / 'corpus' / 'clips.csv'}"
    outside = ["--predictions", theirs, "--labels", labels]
    code, out, _ = type_in("audit", "calibration", *outside, "--json", "--to", place / "theirs")
    assert code == 0
    audit = json.loads(out)
    assert audit["name"] == str(theirs)
    assert json.loads((place / "theirs" / "audit-calibration.json").read_text()) == audit
    run = json.loads(type_in("audit", "calibration", place / "run", "--json")[1])
    assert run["cells"] == audit["cells"]


def test_an_outside_report_shows_its_audits(type_in: Run, place: Path) -> None:
    theirs = place / "run" / "evaluation" / "test" / "predictions.csv"
    labels = f"table:{place / 'corpus' / 'clips.csv'}"
    outside = ["--predictions", theirs, "--labels", labels, "--to", place / "out"]
    assert type_in("evaluate", *outside)[0] == 0
    assert type_in("audit", "leakage", *outside)[0] == 0
    page = place / "outside.html"
    assert type_in("report", place / "out" / "report.json", "--to", page)[0] == 0
    assert "No run: the predictions came from a file" in page.read_text()
    assert "clips from a fitted source" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fairness"], "Name either a run, or --predictions FILE"),
        (["calibration", "--predictions", "x.csv"], "--predictions needs --labels"),
        (["leakage", "nowhere"], "There is no folder nowhere"),
        (["perturbation", "nowhere"], "There is no folder nowhere"),
    ],
)
def test_mistakes_are_one_line(type_in: Run, arguments: list[str], message: str) -> None:
    code, out, err = type_in("audit", *arguments)
    assert code == 2
    assert message in err
    assert out == ""


def test_fairness_without_attributes_names_the_cure(type_in: Run, place: Path) -> None:
    code, _, err = type_in("audit", "fairness", place / "run")
    assert code == 2
    assert "--attributes file.csv" in err


def test_signals_are_correlated_and_saved(type_in: Run, place: Path) -> None:
    labels = f"table:{place / 'corpus' / 'clips.csv'}"
    common = ["analyse", "signals-traits", labels, "--store", place / "store"]
    code, out, err = type_in(*common, "--to", place / "an")
    assert code == 0, err
    assert "apparent traits" in out
    assert "hold after correction" in out
    names = {path.name for path in (place / "an").iterdir()}
    assert {"signals-traits.csv", "signals-traits.json", "signals-traits-pearson.png"} <= names
    code, _, err = type_in(*common, "--predictions", place / "run")
    assert code == 2
    assert "--circular" in err
    code, out, _ = type_in(*common, "--predictions", place / "run", "--circular", "--json")
    assert code == 0
    assert json.loads(out)["circular"]


@pytest.mark.slow
def test_ablation_names_a_pattern_that_matches_nothing(type_in: Run, place: Path) -> None:
    labels = f"table:{place / 'corpus' / 'clips.csv'}"
    common = ["analyse", "ablation", labels, "--store", place / "store", "--to", place / "ab"]
    code, out, err = type_in(*common, "features.signals.backend=dlib")
    # the prepared signals have no pose_R columns: the message names the pattern
    assert (code, out) == (2, "")
    assert "No column matches 'pose_R*'" in err


def test_ablation_says_where_signals_told_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    from traitscope.cli.analyse import _print_ablation

    def row(name: str, columns: list[str], ccc: float | None) -> dict[str, object]:
        cells = {"accuracy": 0.9, "ccc": ccc}
        ends = {"low": None, "high": None}
        metrics = {name: {"macro": {"value": value, **ends}} for name, value in cells.items()}
        return {"set": name, "columns": columns, "metrics": metrics}

    sets = [row("gaze", ["gaze_*"], None), row("rotation", ["pose_R*"], 0.4)]
    rows = [*sets, row("constant", [], None)]
    facts = {"kind": "apparent", "corpus": "study", "split": "test", "clips": 9, "targets": []}
    _print_ablation({"rows": rows, **facts})
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert len(notes) == 1
    assert notes[0].startswith("note: gaze: the predictions do not vary")
