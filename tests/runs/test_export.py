"""An exported run: what the folder holds, who can score with it, and what is refused."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.command_line import type_in
from tests.support.openface_tables import write_table
from tests.support.prepared import make_corpus, make_store
from traitscope.corpora import load_corpus
from traitscope.errors import ConfigError, DataError
from traitscope.features.preparation import prepare
from traitscope.features.store import Store
from traitscope.runs.checkpoint import load
from traitscope.runs.export import export
from traitscope.runs.plan import requests_for
from traitscope.training.fitting import train

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "score_exported.py"
FORBIDDEN = "bad = {forbidden} & set(sys.modules)\nif bad: sys.exit(f'imported: {{sorted(bad)}}')\n"


def another_process(code: str, *, forbidden: set[str]) -> str:
    """Run code in a new interpreter, and fail if it has imported something."""
    source = f"import sys\n{code}\n" + FORBIDDEN.format(forbidden=repr(forbidden))
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def scores_of(text: str) -> dict[str, list[float]]:
    """Clip -> scores, of what the example prints."""
    _, *rows = csv.reader(io.StringIO(text))
    return {clip: [float(score) for score in scores] for clip, *scores in rows}


def example(model: Path, store: Path, clips: list[str]) -> dict[str, list[float]]:
    words = [str(EXAMPLE), str(model), str(store), *clips]
    code = f"import runpy\nsys.argv = {words!r}\nrunpy.run_path(sys.argv[0])"
    return scores_of(another_process(code, forbidden={"torch", "traitscope", "pandas", "scipy"}))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows.csv, store, run, and the exported model of the run."""
    folder = tmp_path_factory.mktemp("exported")
    address = f"openface:{write_table(folder / 'rows.csv', clips=16)}"
    settings = ["model.streams=[signals]", "features.signals.backend=openface"]
    prepare(load_corpus(address), requests_for("functionals", settings), store=folder / "store")
    data = [f"data.corpus={address}", f"data.store={folder / 'store'}"]
    train("functionals", [*data, *settings], to=folder / "run")
    exported = export(folder / "run", folder / "model")
    assert exported.difference < 1e-9
    return folder


def test_predict_without_pytorch_gives_the_scores_of_the_run(place: Path) -> None:
    table = place / "rows.csv"
    words = ["predict", "--onnx", str(place / "model"), str(table), "--json"]
    code = f"from traitscope.cli import app\napp({words!r}, standalone_mode=False)"
    tree = json.loads(another_process(code, forbidden={"torch", "lightning", "timm"}))
    from traitscope.prediction.clips import predict

    run = predict(place / "run", table, workers=0)
    assert [clip["clip"] for clip in tree["clips"]] == [one.clip for one in run]
    for one, clip in zip(run, tree["clips"], strict=True):
        assert clip["scores"] == pytest.approx(dict(one.scores), abs=1e-9)


def test_numpy_and_the_runtime_alone_reproduce_the_scores_of_prepared_features(place: Path) -> None:
    checkpoint = load(place / "run")
    corpus = load_corpus(checkpoint.config.data.corpus)
    clips = corpus.clips[:6]
    examples = checkpoint.examples(clips, Store(place / "store"))
    scores = example(place / "model", place / "store", [clip.id for clip in clips])
    assert list(scores) == [clip.id for clip in clips]
    wanted = checkpoint.predict_examples(examples)
    np.testing.assert_allclose(list(scores.values()), wanted, atol=1e-9)


def test_the_json_of_inputs_says_what_is_taken(place: Path) -> None:
    tree = json.loads((place / "model" / "inputs.json").read_text())
    request = load(place / "run").facts.requests["signals"]
    signals = tree["streams"]["signals"]
    assert signals["key"] == request.key
    assert signals["fingerprint"] == json.loads(json.dumps(request.fingerprint))
    assert signals["draw"]["pool"] == ["mean", "sd", "min", "max", "change"]
    assert len(signals["columns"]) == signals["shape"][0]
    assert [target["name"] for target in tree["output"]["targets"]][:1] == ["openness"]
    assert {check["clips"] for check in tree["check"]} == {1, 4}


def test_a_changed_graph_is_refused(place: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(place / "model", copy)
    with (copy / "model.onnx").open("ab") as file:
        file.write(b"more")
    with pytest.raises(DataError, match=r"model\.onnx is not what training wrote"):
        load(copy)
    (copy / "checksums.json").unlink()
    (copy / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(DataError, match=r"model\.onnx is damaged.*traitscope export"):
        load(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tree: tree.update(format=99), "has the format 99"),
        (lambda tree: tree["streams"].pop("signals"), "'signals', which inputs.json does not say"),
        (lambda tree: tree["streams"]["signals"].update(holds="code"), "damaged .*code"),
        (lambda tree: tree["streams"]["signals"].update(rows=-4), "-4 is no number of rows"),
    ],
)
def test_a_damaged_description_is_refused(
    place: Path, tmp_path: Path, change: object, message: str
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(place / "model", copy)
    (copy / "checksums.json").unlink()
    tree = json.loads((copy / "inputs.json").read_text())
    change(tree)  # type: ignore[operator]
    (copy / "inputs.json").write_text(json.dumps(tree))
    with pytest.raises(DataError, match=message):
        load(copy)


def test_what_is_no_export_and_what_is_one_already_are_named(place: Path, tmp_path: Path) -> None:
    from traitscope.cli import main

    with pytest.raises(SystemExit) as end:
        main(["predict", "--onnx", str(place / "run"), str(place / "rows.csv")])
    assert end.value.code == 2
    with pytest.raises(ConfigError, match="exported already"):
        export(place / "model", tmp_path / "again")
    with pytest.raises(ConfigError, match="there already"):
        export(place / "run", place / "model")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("functionals", ["model.learner=trees", "model.streams=[short_term, signals]"]),
        ("audio_lstm", ["train.epochs=1", "model.hidden=8"]),
    ],
)
def test_trees_and_networks_are_scored_by_numpy_and_the_runtime(
    tmp_path: Path, model: str, settings: list[str]
) -> None:
    address = make_corpus(tmp_path / "corpus")
    store = make_store(tmp_path / "store", address)
    data = [f"data.corpus={address}", f"data.store={store.folder}"]
    if model == "functionals":
        data.append("features.signals.backend=dlib")
    run = train(model, [*data, *settings], to=tmp_path / "run")
    export(run, tmp_path / "model")
    checkpoint, clips = load(run), load_corpus(address).clips[:5]
    wanted = checkpoint.predict_examples(checkpoint.examples(clips, store))
    scores = example(tmp_path / "model", store.folder, [clip.id for clip in clips])
    np.testing.assert_allclose(list(scores.values()), wanted, atol=1e-5)
    # The same run by its graph, wherever a run is taken.
    graph = load(tmp_path / "model")
    again = graph.predict_examples(graph.examples(clips, store))
    np.testing.assert_allclose(again, wanted, atol=1e-5)


@pytest.mark.slow
def test_a_network_in_8_bits_scores_nearly_the_same_and_says_how_nearly(tmp_path: Path) -> None:
    address = make_corpus(tmp_path / "corpus")
    store = make_store(tmp_path / "store", address)
    data = [f"data.corpus={address}", f"data.store={store.folder}"]
    run = train("audio_lstm", [*data, "train.epochs=1", "model.hidden=16"], to=tmp_path / "run")
    done = type_in("export", run, "--to", tmp_path / "small", "--int8", "--json")
    assert done.returncode == 0, done.stderr
    loss = json.loads(done.stdout)["int8"]
    saved = json.loads((tmp_path / "small" / "inputs.json").read_text())["int8"]
    assert saved == loss
    assert loss["operators"]["LSTM"] >= 1
    assert loss["operators"]["MatMul"] + loss["operators"].get("Gemm", 0) >= 1
    assert (loss["calibration_clips"], loss["clips"]) == (24, 8)
    assert loss["bytes_after"] < loss["bytes_before"] / 2
    assert 0 < loss["mean_difference"] < 0.02
    assert loss["speed_up"] > 0
    small, whole = load(tmp_path / "small"), load(run)
    clips = load_corpus(address).clips[:5]
    scores = small.predict_examples(small.examples(clips, store))
    wanted = whole.predict_examples(whole.examples(clips, store))
    assert 0 < np.abs(scores - wanted).max() < 0.1


def test_what_8_bits_would_not_help_is_said(place: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="functionals is no network: 8 bits would gain nothing"):
        export(place / "run", tmp_path / "small", int8=True)
    assert not (tmp_path / "small").exists()
