"""A plan and a store: what a run is trained on is what its saved settings say later."""

from pathlib import Path

import pytest

from tests.support.prepared import data, make_corpus, make_store
from traitscope.errors import DataError
from traitscope.features.store import Store
from traitscope.runs.checkpoint import load
from traitscope.runs.plan import load_run, plan
from traitscope.runs.stored import stored_plan
from traitscope.training.training_set import collect


@pytest.mark.parametrize("model", ["functionals", "audio_lstm"])
def test_the_written_out_settings_plan_the_same_as_was_trained(tmp_path: Path, model: str) -> None:
    make_store(tmp_path / "store", make_corpus(tmp_path))
    found = collect(load_run(model, data(tmp_path)))
    again = plan(found.config)
    assert again.keys == found.plan.keys == found.fitting.keys
    assert again.draws == found.plan.draws
    assert again.options == found.plan.options
    assert again.augment == found.plan.augment


def test_a_backend_that_nobody_named_is_the_one_in_the_store(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", make_corpus(tmp_path))
    config = load_run("functionals", data(tmp_path))
    assert stored_plan(config, plan(config), store).requests["signals"].backend == "dlib"
    named = load_run("functionals", [*data(tmp_path), "features.signals.backend=openface"])
    with pytest.raises(
        DataError, match=r"has no signals-.*\n  traitscope prepare .*backend=openface"
    ):
        stored_plan(named, plan(named), Store(tmp_path / "store"))


def test_a_folder_that_is_no_run_names_those_in_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no folder .*nowhere"):
        load(tmp_path / "nowhere")
    (tmp_path / "runs/a").mkdir(parents=True)
    with pytest.raises(DataError, match=r"is not a run: .* Make one with: traitscope train"):
        load(tmp_path / "runs")
    (tmp_path / "runs/a/run.yaml").touch()
    with pytest.raises(DataError, match=r"Did you mean one of those in it: .*runs.a\?"):
        load(tmp_path / "runs")
