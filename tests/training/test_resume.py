"""Every system resumes to the bit, or goes on by the settings that were changed."""

import json
import math
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from tests.support.changed_rates import CHANGES
from tests.support.killed import train_and_die
from tests.support.prepared import data, history, make_corpus, make_store, requests
from tests.support.prepared_streams import fill_store, tiny_settings
from traitscope.errors import ConfigError, DataError
from traitscope.models import s2d
from traitscope.runs.settings import Stage
from traitscope.training import loop, orders, stages
from traitscope.training.fitting import train
from traitscope.types import Stream

RESUMED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "face_cnn": ({"dropouts": [0.3]}, ["augment.flip.probability=0.5", "augment.erase={}"]),
    "resnet_lstm": ({"dropout": 0.3}, ["augment.colour={}", "train.schedule=plateau"]),
    "au_hybrid": (
        {"dropout": 0.5},
        ["augment.decimate_shift_slice.shift=2", "augment.mixup.alpha=0.4"],
    ),
    "s2d": ({"dropout": 0.3}, ["augment.flip.probability=0.5", "train.distil.weight=0.5"]),
}
"""Model -> dropout and augmentation, so that something random is at work."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with random pictures and numbers for the models of ``RESUMED``."""
    folder = tmp_path_factory.mktemp("pictures")
    address = make_corpus(folder, clips=20)
    for name in RESUMED:
        fill_store(folder / "store", address, name, tiny_settings(name))
    return folder


@pytest.mark.parametrize(
    "name",
    [
        *("au_hybrid", "s2d"),
        # of the same loop, with larger networks of pictures
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("face_cnn", "resnet_lstm")),
    ],
)
def test_every_system_resumes_to_the_bit_with_augmentation_and_dropout(
    pictures: Path, tmp_path: Path, name: str
) -> None:
    changes, extra = RESUMED[name]
    settings = [*data(pictures), *tiny_settings(name, **changes), *extra, "train.batch_size=4"]
    settings += ["train.epochs=3", "train.early_stop=0", "train.lr=0.01"]
    settings += ["trainer.tensorboard=false"]
    whole = train(name, settings, to=tmp_path / "whole")
    assert len({row["train_loss"] for row in history(whole)}) == 3

    def stop(done: int, total: int, news: str) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(name, settings, to=tmp_path / "part", hook=stop)
    resumed = train(name, to=tmp_path / "part", resume=True)
    assert history(resumed) == history(whole)
    for tensor_name, tensor in load_file(whole / "model.safetensors").items():
        again = load_file(resumed / "model.safetensors")[tensor_name]
        np.testing.assert_array_equal(tensor, again)


STAGES = """\
model: {name: audio_lstm}
stages:
  - {name: first, optimizer: adam, lr: 0.02, epochs: 3, batch_size: 6, accumulate: 2}
  - {name: second, optimizer: sgd, lr: 0.01, epochs: 4, batch_size: 6, schedule: cosine}
"""
MOMENTS = {
    "in an epoch": ("batch", 1, 1, 1),
    "at the end of an epoch, before the state": ("recorded", 0, 1, 0),
    "at the end of an epoch, before the weights": ("saved", 1, 2, 3),
    "at the boundary of the stages": ("recorded", 1, 0, 0),
}
"""What a killed run had come to (moment, stage, epoch), and the epoch of the second stage that it
goes on with."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, a store, and a recipe of two stages with dropout and noise."""
    folder = tmp_path_factory.mktemp("sound")
    make_store(folder / "store", make_corpus(folder), streams=["mid_term"])
    (folder / "two.yaml").write_text(STAGES)
    return folder


def two_stages(sound: Path) -> tuple[str, list[str]]:
    extra = ["model.dropout=0.3", "augment.noise={}", "trainer.tensorboard=false"]
    return str(sound / "two.yaml"), [*data(sound), *extra]


@pytest.fixture(scope="module")
def never_stopped(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    name, settings = two_stages(sound)
    return train(name, settings, to=tmp_path_factory.mktemp("whole") / "run", accelerator="cpu")


def assert_same(one: Path, other: Path) -> None:
    """Histories and weights of two runs are equal to the bit."""
    assert history(one) == history(other)
    first, second = (load_file(run / "model.safetensors") for run in (one, other))
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert tensor.tobytes() == second[name].tobytes(), name


@pytest.fixture(scope="module")
def uninterrupted(
    sound: Path, never_stopped: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, int], Path]:
    """Runs that were never stopped, whose rates change with an epoch of the second stage."""

    @cache
    def run(change: str, first: int) -> Path:
        if change == "same":
            return never_stopped
        name, settings = two_stages(sound)
        longer = CHANGES[change] if change == "more" else []
        schedule = f"train.second.schedule=tests.support.changed_rates.{change}_from_{first}"
        to = tmp_path_factory.mktemp("changed") / "run"
        return train(name, [*settings, schedule, *longer], to=to, accelerator="cpu")

    return run


@pytest.fixture(scope="module")
def killed(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Path]:
    """Runs that died, by moment and workers."""

    @cache
    def run(moment: str, workers: int) -> Path:
        name, settings = two_stages(sound)
        what, stage, epoch = MOMENTS[moment][:3]
        to = tmp_path_factory.mktemp("killed") / "run"
        train_and_die(name, settings, to=to, moment=what, stage=stage, epoch=epoch, workers=workers)
        return to

    return run


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_killed_run_equals_one_that_was_never_stopped(
    killed: Callable[[str, int], Path],
    uninterrupted: Callable[[str, int], Path],
    tmp_path: Path,
    change: str,
    moment: str,
    workers: int,
) -> None:
    to = shutil.copytree(killed(moment, workers), tmp_path / "run")
    train(str(to), CHANGES[change], to=to, resume=True, workers=workers, accelerator="cpu")
    assert_same(to, uninterrupted(change, MOMENTS[moment][3]))


@pytest.mark.parametrize(("place", "at"), [("on_train_epoch_end", (1, 0)), ("_save", (0, 1))])
def test_a_run_that_crashed_around_its_state_equals_one_that_did_not(
    sound: Path,
    never_stopped: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    at: tuple[int, int],
) -> None:
    name, settings = two_stages(sound)
    inner = getattr(stages._Saving, place)

    def crash(saving: Any, trainer: Any, *rest: Any) -> None:
        module = trainer.lightning_module
        if (module.index, module.current_epoch) != at:
            inner(saving, trainer, *rest)
            return
        if place == "_save":  # the state is written, the kept weights are not
            inner(saving, trainer)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(stages._Saving, place, crash)
        with pytest.raises(KeyboardInterrupt):
            train(name, settings, to=tmp_path / "run", accelerator="cpu")
    train(name, to=tmp_path / "run", resume=True, accelerator="cpu")
    assert_same(tmp_path / "run", never_stopped)


def test_a_state_inside_an_epoch_goes_on_there_to_the_bit(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, settings = two_stages(sound)
    # Its first epoch stays the best: what was kept of it must outlive the state of the next.
    settings += ["train.first.epochs=1", "train.second.lr=30"]
    whole = train(name, settings, to=tmp_path / "whole", accelerator="cpu")
    errors = [float(row["validation_mae"]) for row in history(whole)]
    assert min(errors[1:]) == errors[1]
    steps: list[tuple[int, int, int]] = []
    step = loop.Loop.training_step

    def note(module: Any, batch: Any, index: int) -> Any:
        steps.append((module.index, module.current_epoch, index))
        if steps[-1] == (1, 1, 3) and len(steps) > 5:
            raise KeyboardInterrupt
        return step(module, batch, index)

    with monkeypatch.context() as patched:
        patched.setattr(loop.Loop, "training_step", note)
        often = [*settings, "trainer.save_minutes=1e-9"]
        with pytest.raises(KeyboardInterrupt):
            train(name, often, to=tmp_path / "run", accelerator="cpu")
        steps.clear()
        train(name, to=tmp_path / "run", resume=True, accelerator="cpu")
    assert steps[0] == (1, 1, 3)
    assert_same(tmp_path / "run", whole)


def test_a_loader_is_made_with_the_epoch_that_goes_on() -> None:
    # Workers ask for their batches before anybody can tell the sampler which epoch it is.
    sampler = orders.EpochSampler(6, 0, Stage(), epoch=2, skip=2)
    order = np.random.default_rng([0, 2]).permutation(6)
    assert list(sampler) == [(2, int(index)) for index in order[2:]]
    assert len(list(sampler)) == 6


def stopped(name: str, settings: list[str], to: Path, *, epochs: int) -> Path:
    """A run that was stopped when so many epochs were saved."""

    def stop(done: int, *_: object) -> None:
        if done == epochs:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(name, settings, to=to, hook=stop, accelerator="cpu")
    return to


def test_more_epochs_on_resuming_are_those_of_a_run_with_more_epochs(
    sound: Path, tmp_path: Path
) -> None:
    name, settings = two_stages(sound)
    plain = [*settings, "train.second.schedule=constant", "train.first.epochs=1"]
    longer = [*plain, "train.second.epochs=6"]
    whole = train(name, longer, to=tmp_path / "whole", accelerator="cpu")
    part = stopped(name, plain, tmp_path / "part", epochs=3)
    train(name, ["train.second.epochs=6"], to=part, resume=True, accelerator="cpu")
    assert_same(part, whole)


SCHEDULES = """
def first_then_other(epoch, stage):
    \"\"\"A rate of .01 for two epochs, and .002 from then on.\"\"\"
    return 1.0 if epoch < 2 else 0.2
"""


def test_another_rate_on_resuming_is_a_run_whose_rate_changed_there(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_rates.py").write_text(SCHEDULES)
    monkeypatch.syspath_prepend(str(tmp_path))
    name, settings = two_stages(sound)
    plain = [*settings, "train.first.epochs=1", "train.second.schedule=constant"]
    own = [s for s in plain if "schedule" not in s]
    own.append("train.second.schedule=my_rates.first_then_other")
    whole = train(name, own, to=tmp_path / "whole", accelerator="cpu")
    assert len({row["lr"] for row in history(whole)}) == 3
    part = stopped(name, plain, tmp_path / "part", epochs=3)
    train(name, ["train.second.lr=0.002"], to=part, resume=True, accelerator="cpu")
    assert [row["train_loss"] for row in history(part)] == [
        row["train_loss"] for row in history(whole)
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (["cosine", "epochs=4"], ["epochs=8"], lambda e: 0.5 * (1 + math.cos(math.pi * e / 8))),
        (["step", "milestones=[2]"], ["milestones=[3]"], lambda e: 0.1 if e >= 3 else 1.0),
    ],
)
def test_a_schedule_goes_on_at_the_rate_its_settings_say(
    sound: Path, tmp_path: Path, before: list[str], after: list[str], expected: Any
) -> None:
    quick = ["train.optimizer=adam", "train.lr=0.01", "train.batch_size=16"]
    schedule, *more = before
    settings = [*data(sound), *quick, "trainer.tensorboard=false", "train.epochs=4"]
    settings = [s for s in settings if not (s == "train.epochs=4" and "epochs=4" in more)]
    settings += [f"train.schedule={schedule}", *(f"train.{each}" for each in more)]
    settings += ["train.milestones=[]"] if schedule == "cosine" else []
    part = stopped("audio_lstm", settings, tmp_path / "part", epochs=2)
    changes = [f"train.{each}" for each in after]
    train("audio_lstm", changes, to=part, resume=True, accelerator="cpu")
    rates = [float(row["lr"]) / 0.01 for row in history(part)]
    assert rates[2:] == pytest.approx([expected(epoch) for epoch in range(2, len(rates))])
    assert min(rates) > 1e-3  # no epoch was trained at zero


def test_what_is_over_cannot_be_changed(sound: Path, tmp_path: Path) -> None:
    name, settings = two_stages(sound)
    part = stopped(name, settings, tmp_path / "part", epochs=5)
    before = {path.name: path.read_bytes() for path in part.iterdir()}
    with pytest.raises(ConfigError, match=r"Stage 'first' is over"):
        train(name, ["train.first.epochs=9"], to=part, resume=True)
    with pytest.raises(ConfigError, match=r"2 epochs are done already.*train\.epochs=2"):
        train(name, ["train.second.epochs=1"], to=part, resume=True)
    assert {path.name: path.read_bytes() for path in part.iterdir()} == before


@pytest.mark.parametrize("what", ["labels", "features", "a clip"])
def test_other_data_are_refused_and_named_until_they_are_accepted(
    tmp_path: Path, what: str
) -> None:
    address = make_corpus(tmp_path)
    store = make_store(tmp_path / "store", address, streams=["mid_term"])
    name, settings = "audio_lstm", [*data(tmp_path), "train.epochs=3", "trainer.tensorboard=false"]
    part = stopped(name, settings, tmp_path / "part", epochs=1)
    table = tmp_path / "clips.csv"
    if what == "labels":
        table.write_text(table.read_text().replace("c002,s001,train,0.", "c002,s001,train,0.1"))
        said = r"1 clips of small have other labels \(c002\)"
    elif what == "a clip":
        table.write_text("\n".join(r for r in table.read_text().split("\n") if "c002" not in r))
        said = r"1 fitted clips are gone \(c002\)"
    else:
        key = requests()["mid_term"].key
        values = np.full((6, 8), 0.5, np.float32)
        columns = store.read(key, "c003").columns
        stream = Stream(time=np.arange(6) / 5, values=values, columns=columns)
        store.record(key, store.write(key, "c003", stream))
        store.settle(key)
        said = rf"1 clips have other {key} in .*store \(c003\)"
    with pytest.raises(DataError, match=rf"has changed: {said}.*--accept-changes"):
        train(name, to=part, resume=True)
    assert len(history(part)) == 1  # as the kill left it
    train(name, to=part, resume=True, accept_changes=True)
    assert len(history(part)) == 3
    assert re.search(said, json.dumps(json.loads((part / "changes.json").read_text())))


@pytest.mark.parametrize("origin", ["pretrained", "run"])
def test_a_run_stopped_in_its_first_epoch_starts_again_from_where_it_began(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: str
) -> None:
    def load_pretrained(model: Any) -> None:
        with torch.no_grad():
            model.backbone.cls_token.fill_(0.25)

    monkeypatch.setattr(s2d.Model, "load_pretrained", load_pretrained)
    settings = [*data(pictures), *tiny_settings("s2d"), "train.epochs=1", "train.batch_size=4"]
    first = train("s2d", settings, to=tmp_path / "first") if origin == "run" else None
    whole = train("s2d", [*settings, "seed=1"], to=tmp_path / "whole", start_from=first)

    def stop(*news: object) -> None:
        raise KeyboardInterrupt

    part = tmp_path / "part"
    with monkeypatch.context() as patched:
        patched.setattr(loop.Loop, "on_train_start", stop)
        with pytest.raises(KeyboardInterrupt):
            train("s2d", [*settings, "seed=1"], to=part, start_from=first)
    assert not (part / "state.ckpt").exists()
    train("s2d", to=part, resume=True)
    assert history(part) == history(whole)
    assert (part / "metrics.json").read_text() == (whole / "metrics.json").read_text()
