"""Runs that a stranger made or changed: nothing runs, nothing else is read, little memory is taken.

Each case changes one file of a sound run; then it is loaded as `evaluate` and `predict` load it.
"""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file, save_file

from tests.support.prepared import data, make_corpus, make_store
from tests.support.stranger import PAYLOAD, Stranger, pipe, zeros
from traitscope.analysis.importance import measure_importance
from traitscope.audit.scored import scored_run
from traitscope.evaluation.comparison import compare_systems
from traitscope.evaluation.fusion import fuse
from traitscope.evaluation.trained_runs import evaluate
from traitscope.prediction.clips import predict
from traitscope.runs.checkpoint import load
from traitscope.training.fitting import train

ELSEWHERE = f"{PAYLOAD}:/data"
QUICK = ["train.epochs=1", "model.hidden=8", "model.embedding=8", "trainer.tensorboard=false"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small corpus with two sound runs: a network and an estimator."""
    folder = tmp_path_factory.mktemp("sound")
    make_store(folder / "store", make_corpus(folder))
    train("audio_lstm", [*data(folder), *QUICK], to=folder / "network", accelerator="cpu")
    signals = ["model.streams=[signals]", "features.signals.backend=dlib"]
    train("functionals", [*data(folder), *signals], to=folder / "estimator")
    for run in ("network", "estimator"):
        evaluate(folder / run)
    return folder


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stranger:
    return Stranger(tmp_path, monkeypatch)


def sent(stranger: Stranger, place: Path, name: str) -> Path:
    """A copy of a sound run in the stranger's folder."""
    run = stranger.folder / "run"
    shutil.copytree(place / name, run, dirs_exist_ok=True)
    return run


Change = Callable[[Path], Any]


def setting(**changes: Any) -> Change:
    """Change settings in run.yaml; ``a__b`` is ``a.b``."""

    def change(run: Path) -> None:
        tree = yaml.safe_load((run / "run.yaml").read_text())
        for path, value in changes.items():
            *parents, last = path.split("__")
            node = tree
            for key in parents:
                node = node[key]
            node[last] = value
        (run / "run.yaml").write_text(yaml.safe_dump(tree))

    return change


def fact(work: Callable[[Any], Any], file: str = "features.json") -> Change:
    """Change a tree of JSON; what ``work`` returns takes its place, unless that is None."""

    def change(run: Path) -> None:
        tree = json.loads((run / file).read_text())
        changed = work(tree)
        (run / file).write_text(json.dumps(tree if changed is None else changed))

    return change


def text(file: str, content: str | bytes) -> Change:
    """Write other content into a file."""

    def change(run: Path) -> None:
        raw = content.encode() if isinstance(content, str) else content
        (run / file).write_bytes(raw)

    return change


def tensors(work: Callable[[dict[str, Any]], Any], file: str = "model.safetensors") -> Change:
    """Change saved tensors."""

    def change(run: Path) -> None:
        arrays = load_file(run / file)
        work(arrays)
        save_file(arrays, run / file)

    return change


def folder_at(file: str) -> Change:
    def change(run: Path) -> None:
        (run / file).unlink()
        (run / file).mkdir()

    return change


def stream(key: str, value: Any) -> Change:
    return fact(lambda tree: next(iter(tree["streams"].values())).update({key: value}))


def target(**values: Any) -> Change:
    return fact(lambda tree: tree["targets"][0].update(values))


def infinite(run: Path) -> None:
    path = run / "features.json"
    path.write_text(re.sub(r'"high": 1(\.0)?', '"high": 1e999', path.read_text(), count=1))


def halved(run: Path) -> None:
    path = run / "model.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
DEEP = "[" * 100_000
PICKLE = b"cos\nsystem\n(S'touch canary'\ntR."
IN_RUN = r"run[/\\]run\.yaml.*"
IN_FACTS = r"run[/\\]features\.json.*[Tt]rain again"
IN_TENSORS = r"run[/\\]model\.safetensors.*Train again"

NETWORK: dict[str, tuple[Change, str]] = {
    "a model of its own": (
        setting(model={"name": PAYLOAD}),
        rf"{IN_RUN}names '{PAYLOAD}'.*--model {PAYLOAD}",
    ),
    "a model in the folder of the run": (setting(model={"name": "run.evil_lab.payload"}), IN_RUN),
    "a module of Python as model": (setting(model={"name": "os.path"}), r"--model os\.path"),
    "a path as model": (setting(model={"name": "../../evil"}), "file holds"),
    # To predict, nobody looks at transforms; training names them, see test_rates_and_weights.
    "a transform of its own": (
        setting(augment={PAYLOAD: {}}),
        "other settings than training wrote",
    ),
    "an extractor of its own": (
        stream("extractor", PAYLOAD),
        rf"features\.json names '{PAYLOAD}'.*--stream {PAYLOAD}",
    ),
    "a YAML tag that calls": (
        text("run.yaml", "model: !!python/object/apply:os.system ['touch canary']\n"),
        f"{IN_RUN}not readable as YAML",
    ),
    "YAML aliases that grow": (text("run.yaml", BOMB), f"{IN_RUN}alias"),
    "YAML that is deep": (text("run.yaml", f"a: {DEEP}"), f"{IN_RUN}levels"),
    "YAML with a number of 5000 digits": (text("run.yaml", "seed: " + "9" * 5000), IN_RUN),
    "a date that is none": (text("run.yaml", "seed: 2020-99-99"), IN_RUN),
    "YAML with a list": (text("run.yaml", "- a\n"), f"{IN_RUN}must hold keys"),
    "settings of two megabytes": (text("run.yaml", "a: " + "x" * 2**21), f"{IN_RUN}1 MB"),
    "settings with many wrong keys": (
        text("run.yaml", "\n".join(f"k{n}: 1" for n in range(20_000))),
        f"{IN_RUN}and 19,?\\d+ more|more",
    ),
    "a huge value": (setting(seed="x" * 500_000), f"{IN_RUN}seed"),
    "a pipe as settings": (lambda run: pipe(run / "run.yaml"), "run.yaml"),
    "a device as settings": (lambda run: zeros(run / "run.yaml"), "run.yaml"),
    "a device as facts": (lambda run: zeros(run / "features.json"), "features.json.*plain file"),
    "a pipe as facts": (lambda run: pipe(run / "features.json"), "features.json.*plain file"),
    "a folder as facts": (folder_at("features.json"), "features.json.*plain file"),
    "deep facts": (text("features.json", DEEP), IN_FACTS),
    "facts that are a list": (text("features.json", "[]"), IN_FACTS),
    "facts that are null": (text("features.json", "null"), IN_FACTS),
    "facts with NaN": (fact(lambda t: t.update(fitted_clips=float("nan"))), IN_FACTS),
    "a shape in words": (stream("shape", ["x"]), IN_FACTS),
    "a shape of none": (stream("shape", [-3]), IN_FACTS),
    "a shape of a milliard": (stream("shape", [10**9]), IN_TENSORS),
    "a width of a hundred million": (
        setting(model__hidden=10**8),
        r"fit its run.*\[.*\].*Train again",
    ),
    "a width beyond all numbers": (setting(model__hidden=10**30), "hidden|settings"),
    "an unknown kind": (fact(lambda t: t.update(kind="mind")), IN_FACTS),
    "an infinite range": (infinite, r"range 0\.0 to inf|range 0 to inf"),
    "a direction that is none": (target(direction=7), "direction 7"),
    "a target with more fields": (target(code=PAYLOAD), IN_FACTS),
    "a scaler without sd": (
        tensors(lambda a: a.pop("mid_term/sd"), "scalers.safetensors"),
        r"scalers\.safetensors.*mid_term.*Train again",
    ),
    "a head of tensors beyond the file": (
        text("model.safetensors", (2**62).to_bytes(8, "little") + b"{}"),
        IN_TENSORS,
    ),
    "half of the tensors": (halved, IN_TENSORS),
    "a pickle as tensors": (text("model.safetensors", PICKLE), IN_TENSORS),
    "a tensor less": (
        tensors(lambda a: a.pop("score.bias")),
        f"{IN_TENSORS}|score.bias.*not there",
    ),
    "a tensor more": (
        tensors(lambda a: a.update(extra=np.zeros(3, np.float32))),
        "extra.*not there.*Train again",
    ),
    "a tensor of another shape": (
        tensors(lambda a: a.update({"score.bias": np.zeros(9, np.float32)})),
        r"score\.bias' is \[9\].*\[5\]",
    ),
    "a device as tensors": (lambda run: zeros(run / "model.safetensors"), "plain file"),
    "a folder as tensors": (folder_at("model.safetensors"), "plain file"),
}
ESTIMATOR: dict[str, tuple[Change, str]] = {
    "a stream of its own": (
        setting(model__streams=[PAYLOAD], features={}),
        rf"{IN_RUN}names '{PAYLOAD}'.*--stream {PAYLOAD}",
    ),
    "a tracker of its own": (setting(features={"signals": {"backend": PAYLOAD}}), "backend"),
    "facts of a model that are a list": (text("model.json", "[]"), "model.json.*Train again"),
    "columns that are a number": (
        fact(lambda t: t.update(columns=5), "model.json"),
        "model.json.*Train again",
    ),
    "arrays of another model": (
        tensors(lambda a: a.update({name: np.zeros(1) for name in a})),
        "damaged|Train again",
    ),
}


@pytest.mark.parametrize("case", NETWORK)
def test_a_changed_network_is_refused_and_does_no_harm(
    case: str, place: Path, stranger: Stranger
) -> None:
    change, message = NETWORK[case]
    run = sent(stranger, place, "network")
    change(run)
    stranger.refused(lambda: load(run), message)


@pytest.mark.parametrize("case", ESTIMATOR)
def test_a_changed_estimator_is_refused_and_does_no_harm(
    case: str, place: Path, stranger: Stranger
) -> None:
    change, message = ESTIMATOR[case]
    run = sent(stranger, place, "estimator")
    change(run)
    stranger.refused(lambda: predict(run, stranger.folder / "clip.wav"), message)


def on_their_corpus(run: Path) -> None:
    """Let run and reports name a corpus that a module of theirs reads."""
    setting(data__corpus=ELSEWHERE)(run)
    report = run / "evaluation" / "test" / "report.json"
    tree = json.loads(report.read_text())
    tree["corpus"]["address"] = ELSEWHERE
    report.write_text(json.dumps(tree))


VERBS: dict[str, Callable[[Path, Path], Any]] = {
    "evaluate": lambda run, other: evaluate(run),
    "audit": lambda run, other: scored_run(run),
    "importance": lambda run, other: measure_importance(run),
    "compare": lambda run, other: compare_systems([run, other]),
    "fuse": lambda run, other: fuse([run, other], to=run.parent / "fused"),
    "train": lambda run, other: train(str(run), to=run.parent / "again"),
    "resume": lambda run, other: train("audio_lstm", to=run, resume=True),
}


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_imports_the_corpus_that_a_run_or_report_names(
    verb: str, place: Path, stranger: Stranger
) -> None:
    run = sent(stranger, place, "network")
    on_their_corpus(run)
    other = stranger.folder / "other"
    shutil.copytree(run, other)
    words = {"evaluate": "--corpus ", "train": "data.corpus=", "resume": "data.corpus="}
    cure = words.get(verb, "--labels ") + ELSEWHERE
    stranger.refused(
        lambda: VERBS[verb](run, other), rf"names '{PAYLOAD}'.*type it yourself: {cure}", place
    )


def test_a_corpus_that_was_typed_is_imported_by_every_verb(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_lab").mkdir()
    (tmp_path / "own_lab" / "clips.py").write_text(
        "from traitscope.corpora import load_corpus\n\n\n"
        f"def load(path):\n    return load_corpus({data(place)[0].partition('=')[2]!r})\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    mine = "own_lab.clips:here"
    settings = [f"data.corpus={mine}", data(place)[1], "model.streams=[signals]"]
    settings.append("features.signals.backend=dlib")
    for run in ("runs/a", "runs/b"):
        train("functionals", settings, to=run)
        assert evaluate(run, corpus=mine).corpus.address == mine
        assert (tmp_path / run / "evaluation" / "test" / "report.json").is_file()
    assert scored_run("runs/a", labels=mine).clips
    assert measure_importance("runs/a", labels=mine, repeats=1)["rows"]
    assert compare_systems(["runs/a", "runs/b"], labels=mine).clips
    assert fuse(["runs/a", "runs/b"], to="runs/ab", labels=mine).members
