"""What a run holds beside its network, damaged: whoever reads it names the file and the cure."""

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.command_line import type_in
from tests.support.prepared import data, make_corpus, make_store
from traitscope.data.record import read_records
from traitscope.evaluation.trained_runs import evaluate
from traitscope.training.fitting import train
from traitscope.training.history import read_history

QUICK = [
    *("train.optimizer=adam", "train.schedule=constant", "train.milestones=[]", "train.epochs=1"),
    *("model.hidden=8", "model.embedding=8", "trainer.tensorboard=false", "trainer.ema=0.9"),
]
CURES = ("Bring it back from a copy", "train again", "Make it again")
CANARY = "canary"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, and two runs of one architecture that differ in their seed; one is evaluated."""
    folder = tmp_path_factory.mktemp("runs")
    make_store(folder / "store", make_corpus(folder), streams=["mid_term"])
    for name, seed in (("a", 0), ("b", 1)):
        train("audio_lstm", [*data(folder), *QUICK, f"seed={seed}"], to=folder / name)
    evaluate(folder / "a")
    return folder


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {CANARY}",)


def cut(share: float) -> Callable[[Path], None]:
    return lambda path: (
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)]) and None
    )


def text(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def a_bit_changed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def code(path: Path) -> None:
    torch.save({"stage": 0, "state_dict": Evil()}, path)


def another_run(path: Path) -> None:
    shutil.copy(path.parent.parent / "b" / path.name, path)


def state(**changes: Any) -> Callable[[Path], None]:
    """Change what a state holds; None takes it away."""

    def change(path: Path) -> None:
        tree = torch.load(path, weights_only=True)
        for key, value in changes.items():
            tree[key] = value
            if value is None:
                del tree[key]
        torch.save(tree, path)

    return change


STATES: dict[str, Callable[[Path], None]] = {
    "empty": cut(0),
    "a half": cut(0.5),
    "all but the end": cut(0.99),
    "zeros": zeros,
    "a bit changed": a_bit_changed,
    "a folder": a_folder,
    "code": code,
    "code in an old pickle": text(pickle.dumps(Evil(), protocol=2)),
    "words": text(b'a,b\n1,2,3\n"unclosed'),
    "another run's": another_run,
    "a list": lambda path: torch.save([1, 2], path),
    "a stage that is none": state(stage="x"),
    "a stage too many": state(stage=7),
    "a negative epoch": state(epoch=-1),
    "no best": state(best="x"),
    "other counts": state(done="x"),
    "no losses": state(losses=None),
    "no tensors": state(state_dict=None),
    "tensors of another network": state(state_dict={"model.x": torch.zeros(2)}),
    "no optimiser": state(optimizer_states=[]),
    "odd optimisers": state(optimizer_states=["x"]),
    "odd loops": state(loops={"fit_loop": 5}),
    "odd callbacks": state(callbacks={"EMAWeightAveraging": 3}),
}


QUICK_STATES = ("a half", "a bit changed", "code", "another run's", "a stage too many", "odd loops")


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(damage, id=name, marks=() if name in QUICK_STATES else pytest.mark.slow)
        for name, damage in STATES.items()
    ],
)
def test_a_damaged_state_is_named_and_nothing_of_its_run_is_changed(
    place: Path, damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = place / "resumed"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(place / "a", run)
    damage(run / "state.ckpt")
    monkeypatch.chdir(place)
    before = (run / "model.safetensors").read_bytes()
    typed = type_in("train", run, "train.epochs=2", "--to", run, "--resume")
    assert typed.returncode == 2, typed.stderr
    assert f"{run / 'state.ckpt'} " in typed.stderr
    assert any(cure in typed.stderr for cure in (*CURES, "Put the file itself"))
    assert "Traceback" not in typed.stderr
    assert (run / "model.safetensors").read_bytes() == before
    assert not (place / CANARY).exists()


def test_epochs_without_their_state_are_not_begun_anew(place: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(place / "a", run)
    row = (run / "history.csv").read_text().splitlines()[1]
    with (run / "history.csv").open("a") as file:
        file.write(row.replace(",0,", ",1,", 1) + "\n")
    (run / "state.ckpt").unlink()
    typed = type_in("train", run, "train.epochs=3", "--to", run, "--resume")
    assert typed.returncode == 2
    assert f"{run / 'state.ckpt'} is missing, though epochs are done. Bring it" in typed.stderr


TABLES: dict[str, Callable[[Path], None]] = {
    "empty": cut(0),
    "cut within a row": cut(0.93),
    "zeros": zeros,
    "bytes": text(b"\xff\xfe\x00\x80PK\x03\x04" * 50),
    "JSON": text(b'{"a": [null]}'),
    "longer rows": text(b"stage,epoch,clip\n1,2,3,4\n"),
    "an open quote": text(b'stage,epoch\n1,2\n"unclosed'),
    "a folder": a_folder,
}


QUICK_TABLES = ("cut within a row", "bytes", "an open quote")


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(damage, id=name, marks=() if name in QUICK_TABLES else pytest.mark.slow)
        for name, damage in TABLES.items()
    ],
)
def test_damaged_tables_of_a_run_are_named_by_every_verb_that_reads_them(
    place: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    readers: dict[str, list[tuple[object, ...]]] = {
        "clips.csv": [("evaluate", "RUN"), ("audit", "leakage", "RUN")],
        "evaluation/test/clips.csv": [("fuse", "RUN", place / "b", "--to", tmp_path / "fused")],
        "history.csv": [
            ("train", "RUN", "train.epochs=2", "--to", "RUN", "--resume"),
            ("report", "RUN", "--to", tmp_path / "page.html"),
        ],
    }
    for number, (name, verbs) in enumerate(readers.items()):
        run = tmp_path / f"run{number}"
        shutil.copytree(place / "a", run)
        (run / "checksums.json").unlink()  # it would say so before
        damage(run / name)
        for words in verbs if (run / name).is_file() else ():
            typed = type_in(*(run if word == "RUN" else word for word in words))
            assert typed.returncode == 2, (name, words, typed.stderr)
            assert f"{run / name} is damaged" in typed.stderr, (words, typed.stderr)
            assert any(cure in typed.stderr for cure in CURES), typed.stderr


def test_a_record_of_another_run_is_not_believed(place: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(place / "a", run)
    lines = (run / "clips.csv").read_text().splitlines(keepends=True)
    (run / "clips.csv").write_text("".join(lines[:5]))  # whole rows: only the checksum tells
    typed = type_in("evaluate", run)
    assert typed.returncode == 2
    assert f"{run / 'clips.csv'} is not what training wrote" in typed.stderr


def test_whole_tables_are_read(place: Path) -> None:
    assert len(read_history(place / "a" / "history.csv")) == 1
    assert len(read_records(place / "a")[0].clips) == 40
