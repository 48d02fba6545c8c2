"""All folds: one run each, and every clip predicted once by a run that has not seen it."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.evaluated_systems import FAST
from tests.support.prepared import data, make_corpus, make_store
from traitscope import evaluate, load_corpus, train
from traitscope.audit.leakage import audit_leakage
from traitscope.audit.scored import scored_run
from traitscope.cli import main
from traitscope.data.protocols import Protocol, each_fold, split
from traitscope.errors import ConfigError
from traitscope.evaluation.comparison import compare_systems
from traitscope.evaluation.fusion import fuse
from traitscope.evaluation.report import read_report
from traitscope.runs.checkpoint import load
from traitscope.types import TRAITS

FOLDS = ["protocol.kind=kfold", "protocol.folds=4", "protocol.fold=all"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    make_store(folder / "store", make_corpus(folder), failed=["c005"])
    return folder


@pytest.fixture(scope="module")
def run(place: Path) -> Path:
    return train("functionals", [*data(place), *FOLDS], to=place / "cv")


def test_every_clip_is_predicted_by_a_run_that_has_not_seen_it(place: Path, run: Path) -> None:
    report = evaluate(run, scoring=FAST)
    corpus = load_corpus(f"table:{place / 'clips.csv'}")
    table = pd.read_csv(run / "evaluation/test/predictions.csv").set_index("clip")
    assert sorted(table.index) == sorted({clip.id for clip in corpus.clips} - {"c005"})
    errors = []
    for number, fold in enumerate(each_fold(load_protocol(run))):
        splits = split(corpus, fold)
        theirs = pd.read_csv(run / f"fold-{number}/evaluation/test/predictions.csv")
        assert set(theirs["clip"]) == {clip.id for clip in splits.test} - {"c005"}
        assert not {c.source for c in splits.test} & {c.source for c in splits.train}
        for _, row in theirs.iterrows():
            assert row["predicted_openness"] == table["predicted_openness"][row["clip"]]
        constant = np.array([[c.targets[t] for t in TRAITS] for c in splits.train]).mean(axis=0)
        asked = [c for c in splits.test if c.id != "c005"]
        errors += [abs(np.array([c.targets[t] for t in TRAITS]) - constant) for c in asked]
    rows = {row.role: row.macro("mae") for row in report.everything.rows}
    assert rows["constant"].value == pytest.approx(np.mean(errors))
    assert rows["lookup"].value == pytest.approx(np.mean(errors))  # no source was seen
    assert list(report.parts) == ["all"]
    assert report.counts.scored == 39
    assert [failure.clip for failure in report.failures] == ["c005"]
    assert not any("fitted themselves" in warning for warning in report.warnings)
    apart = [read_report(run / f"fold-{n}") for n in range(4)]
    values = [each.everything.model.macro("mae").value for each in apart]
    assert report.folds["mae"].values == tuple(values)
    assert report.folds["mae"].mean == pytest.approx(np.mean(values))
    assert report.folds["mae"].sd == pytest.approx(np.std(values, ddof=1))
    assert report.everything.model.macro("r2").value > 0.8


def load_protocol(run: Path) -> Protocol:
    return read_report(run).protocol


def test_the_command_line_trains_all_folds_and_prints_their_spread(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = str(tmp_path / "cv")
    folds = ["protocol.kind=kfold", "protocol.folds=3", "protocol.fold=all"]
    settings = [*data(place), *folds, "model.streams=[short_term]"]
    main_quietly(["train", "functionals", *settings, "--to", to])
    assert capsys.readouterr().out.strip() == to
    main_quietly(["evaluate", to])
    shown = capsys.readouterr().out
    assert f"{to}, folds apart: accuracy ." in shown
    assert "39 clips" in shown


def main_quietly(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code in (0, 1)  # one clip of the corpus has no features


def test_a_resumed_training_leaves_finished_folds_alone(place: Path, tmp_path: Path) -> None:
    small = [*data(place), "train.epochs=2", "trainer.tensorboard=false", "train.schedule=constant"]
    small += ["train.milestones=[]", "train.optimizer=adam", "protocol.kind=kfold"]
    run = train("audio_lstm", [*small, "protocol.folds=3", "protocol.fold=all"], to=tmp_path / "cv")
    before = {n: (run / f"fold-{n}/model.safetensors").stat().st_mtime_ns for n in range(3)}
    shutil.rmtree(run / "fold-1")
    (run / "fold-2/metrics.json").unlink()
    again = train("audio_lstm", to=run, resume=True)
    after = {n: (run / f"fold-{n}/model.safetensors").stat().st_mtime_ns for n in range(3)}
    assert again == run
    assert before[0] == after[0]
    assert after[1] > before[1]
    assert (run / "fold-2/metrics.json").is_file()
    with pytest.raises(ConfigError, match="is there already"):
        train("audio_lstm", [*small, "protocol.fold=all"], to=run)


def test_systems_over_all_folds_are_compared_and_fused(
    place: Path, run: Path, tmp_path: Path
) -> None:
    sound = [*data(place), *FOLDS, "model.streams=[short_term]"]
    other = train("functionals", sound, to=tmp_path / "sound")
    for system in (run, other):
        evaluate(system, scoring=FAST)
    assert compare_systems([run, other], scoring=FAST).clips == 39
    both = fuse([run, other], to=tmp_path / "both", scoring=FAST)
    assert both.everything.clips == 39
    assert both.protocol.fold == "all"
    main_quietly(["report", str(run), str(tmp_path / "both"), "--to", str(tmp_path / "page.html")])
    assert "kfold" in (tmp_path / "page.html").read_text()


def test_what_folds_cannot_do_is_said(place: Path, run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fold=all needs kind=kfold"):
        train("functionals", [*data(place), "protocol.fold=all"], to=tmp_path / "x")
    with pytest.raises(ConfigError, match=r"holds a run per fold. Name one, such as .*fold-0"):
        load(run)
    with pytest.raises(ConfigError, match="Folds share their training clips"):
        evaluate(run, split="train")
    with pytest.raises(ConfigError, match="holds a run per fold"):
        evaluate(run, store=place / "store")
    evaluate(run, scoring=FAST)
    with pytest.raises(ConfigError, match="Audit one fold at a time"):
        audit_leakage(scored_run(run))
    missing = [f"data.corpus=table:{place / 'clips.csv'}", f"data.store={tmp_path / 'none'}"]
    with pytest.raises(Exception, match="traitscope prepare"):
        train("functionals", [*missing, *FOLDS], to=tmp_path / "y")
    assert not (tmp_path / "y").exists()  # nothing was begun


def test_few_clips_are_fewer_fitting_clips_and_the_same_test(place: Path, tmp_path: Path) -> None:
    few = train("functionals", [*data(place), "protocol.few=8"], to=tmp_path / "few")
    report = evaluate(few, scoring=FAST)
    assert report.counts.fitted_clips == 8
    corpus = load_corpus(f"table:{place / 'clips.csv'}")
    chosen = split(corpus, Protocol(few=8)).train
    assert {c.id for c in chosen} < {c.id for c in split(corpus, Protocol()).train}
    assert report.counts.scored == sum(clip.split == "test" for clip in corpus.clips)
