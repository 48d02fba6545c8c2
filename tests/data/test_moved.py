"""A project that was moved or is used from another folder finds its corpus and its store."""

import shutil
from pathlib import Path

import pytest

from tests.support.prepared import history, make_corpus, make_store
from traitscope.data.moved import note_places, place_now
from traitscope.data.record import read_records
from traitscope.evaluation.trained_runs import evaluate
from traitscope.runs.checkpoint import read_run
from traitscope.training.fitting import train

QUICK = ["train.epochs=2", "train.batch_size=8", "trainer.tensorboard=false"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, a store, and a run that was trained with relative paths and stopped halfway."""
    folder = tmp_path_factory.mktemp("home") / "project"
    make_store(folder / "store", make_corpus(folder, clips=20), streams=["mid_term"])

    def stop(done: int, *_: object) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        settings = ["data.corpus=table:clips.csv", "data.store=store", *QUICK]
        with pytest.raises(KeyboardInterrupt):
            train("audio_lstm", settings, to="runs/a", accelerator="cpu", hook=stop)
    return folder


@pytest.mark.parametrize("moved", [False, True])
def test_a_run_goes_on_and_is_evaluated_from_anywhere(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: bool
) -> None:
    copy = Path(shutil.copytree(project.parent, tmp_path / "kept")) / "project"
    if moved:  # as if the place of then were gone
        for file in copy.rglob("places.json"):
            file.write_text(file.read_text().replace(str(project), "/not/there"))
    else:
        for file in copy.rglob("places.json"):
            file.write_text(file.read_text().replace(str(project), str(copy)))
    decoy = tmp_path / "decoy"  # other files of the same names, where the user is now
    make_corpus(decoy, clips=10)
    monkeypatch.chdir(decoy)
    run = copy / "runs" / "a"
    assert read_run(run).data.store == str(copy / "store")
    assert [record.own for record in read_records(run)] == [f"table:{copy / 'clips.csv'}"]
    train("audio_lstm", to=run, resume=True, accelerator="cpu")
    assert len(history(run)) == 2
    report = evaluate(run)
    assert report.everything.clips == 4
    assert not [line for line in report.warnings if "changed since" in line]


def test_places_of_every_kind_of_address(tmp_path: Path) -> None:
    project = tmp_path / "old"
    (project / "udiva, all").mkdir(parents=True)
    run = project / "runs" / "a"
    run.mkdir(parents=True)
    saved = {
        "corpus": f"udiva:{project / 'udiva, all'},task=talk",
        "store": str(project / "udiva, all"),
        "start": "",
    }
    note_places(run, saved)
    assert {what: place_now(run, what, path) for what, path in saved.items()} == saved
    project.rename(tmp_path / "new")
    run = tmp_path / "new" / "runs" / "a"
    there = tmp_path / "new" / "udiva, all"
    assert place_now(run, "corpus", saved["corpus"]) == f"udiva:{there},task=talk"
    assert place_now(run, "store", saved["store"]) == str(there)
    shutil.rmtree(there)
    assert place_now(run, "store", saved["store"]) == saved["store"]  # the message names it
