"""Which tensors train, how fast, and how the rate falls; in the loop and alone."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from tests.support.prepared import data, history, make_corpus, make_store
from traitscope.errors import ConfigError, TraitscopeError
from traitscope.nn.pretrained import hold_frozen
from traitscope.runs.settings import Stage
from traitscope.training import loop
from traitscope.training.fitting import train
from traitscope.training.optimisation import (
    freeze,
    lr_scale,
    optimizer_of,
    rate,
    schedule_of,
)

BASE = ["train.optimizer=adam", "train.lr=0.01", "train.schedule=constant", "train.milestones=[]"]
QUICK = [*BASE, "train.batch_size=8", "trainer.tensorboard=false"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("optimisation")
    make_store(folder / "store", make_corpus(folder), streams=["mid_term"])
    return folder


def run(place: Path, to: Path, *settings: str, **options: Any) -> Path:
    return train("audio_lstm", [*data(place), *QUICK, *settings], to=to, **options)


def net() -> torch.nn.Sequential:
    return torch.nn.Sequential(
        torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 1)
    )


def names(model: torch.nn.Module) -> frozenset[str]:
    return frozenset(name for name, _ in model.named_parameters())


def test_frozen_tensors_are_those_that_match_and_come_back_in_the_next_stage() -> None:
    model = net()
    every = names(model)
    freeze(model, Stage(freeze=("0.*", "1.*")), every)
    assert {n for n, t in model.named_parameters() if t.requires_grad} == {"2.weight", "2.bias"}
    freeze(model, Stage(), every)
    assert all(t.requires_grad for t in model.parameters())


def test_what_the_model_itself_froze_stays_frozen() -> None:
    model = net()
    freeze(model, Stage(), frozenset({"2.weight"}))
    assert [n for n, t in model.named_parameters() if t.requires_grad] == ["2.weight"]


def test_patterns_without_effect_are_refused() -> None:
    model = net()
    with pytest.raises(ConfigError, match=r"'backbone\.\*' matches no tensor"):
        freeze(model, Stage(freeze=("backbone.*",)), names(model))
    with pytest.raises(ConfigError, match="matches no tensor"):
        freeze(model, Stage(lr_factors={"head.*": 2}), names(model))
    with pytest.raises(ConfigError, match="nothing is left to train"):
        freeze(model, Stage(freeze=("*",)), names(model))


def test_batch_statistics_of_frozen_parts_do_not_drift() -> None:
    model = net()
    freeze(model, Stage(freeze=("0.*", "1.*")), names(model))
    model.train()
    hold_frozen(model)
    before = model[1].running_mean.clone()
    model(torch.randn(8, 2) + 5)
    assert torch.equal(model[1].running_mean, before)
    assert model[2].training


def test_layers_learn_at_their_own_rate() -> None:
    stage = Stage(lr=0.1, lr_factors={"2.*": 10, "*": 0.5})
    groups = optimizer_of(net(), stage).param_groups
    rates = {len(group["params"]): group["lr"] for group in groups}
    assert rates == {4: pytest.approx(0.05), 2: pytest.approx(1.0)}


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (Stage(schedule="step", milestones=(2, 3), factor=0.1), [1, 1, 0.1, 0.01]),
        (Stage(warmup_epochs=2), [1 / 3, 2 / 3, 1, 1]),
        (Stage(schedule="cosine", epochs=4), [1, (1 + np.sqrt(0.5)) / 2, 0.5, 0.14644661]),
        (
            Stage(schedule="cosine", epochs=3, warmup_epochs=1, lr=1, min_lr=0.5),
            [0.5, 1, 0.75, 0.5],
        ),
    ],
)
def test_rates_by_hand(stage: Stage, expected: list[float]) -> None:
    assert [lr_scale(stage, epoch) for epoch in range(4)] == pytest.approx(expected)


def test_a_frozen_layer_does_not_move_in_a_run(place: Path, tmp_path: Path) -> None:
    before = run(place, tmp_path / "a", "train.epochs=1", "train.freeze=[lstm.*]")
    after = run(place, tmp_path / "b", "train.epochs=3", "train.freeze=[lstm.*]")
    first, last = (load_file(f / "model.safetensors") for f in (before, after))
    assert all(np.array_equal(first[n], last[n]) for n in first if n.startswith("lstm"))
    assert not np.array_equal(first["project.weight"], last["project.weight"])


def test_the_kept_weights_are_the_running_mean_that_was_validated(
    place: Path, tmp_path: Path
) -> None:
    plain = run(place, tmp_path / "plain", "train.epochs=4")
    averaged = run(place, tmp_path / "ema", "train.epochs=4", "trainer.ema=0.9")
    assert [r["train_loss"] for r in history(plain)] == [r["train_loss"] for r in history(averaged)]
    best = min(float(row["validation_mae"]) for row in history(averaged))
    kept = json.loads((averaged / "metrics.json").read_text())["validation"]["mae"]
    assert kept == pytest.approx(best, abs=1e-6)
    assert best != min(float(row["validation_mae"]) for row in history(plain))


def test_averaging_survives_a_resume(place: Path, tmp_path: Path) -> None:
    whole = run(place, tmp_path / "whole", "train.epochs=4", "trainer.ema=0.9")

    def stop(done: int, total: int, news: str) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(place, tmp_path / "part", "train.epochs=4", "trainer.ema=0.9", hook=stop)
    train("audio_lstm", to=tmp_path / "part", resume=True)
    assert history(tmp_path / "part") == history(whole)


def test_resuming_a_finished_final_fit_keeps_the_running_mean(place: Path, tmp_path: Path) -> None:
    settings = ["train.epochs=2", "trainer.ema=0.9", "protocol.fit=train+validation"]
    folder = run(place, tmp_path / "run", *settings)
    kept = load_file(folder / "model.safetensors")
    train("audio_lstm", to=folder, resume=True)
    again = load_file(folder / "model.safetensors")
    assert all(np.array_equal(kept[name], again[name]) for name in kept)


def test_an_epoch_whose_score_is_undefined_is_neither_the_best_nor_the_end(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, epochs = loop.split_scores, iter(range(9))

    def undefined_at_first(*given: Any) -> Any:
        macro, by_target = real(*given)
        return {**macro, **({"ccc": math.nan} if next(epochs) == 0 else {})}, by_target

    monkeypatch.setattr(loop, "split_scores", undefined_at_first)
    settings = ["train.epochs=4", "trainer.monitor=ccc", "train.early_stop=3"]
    folder = run(place, tmp_path / "run", *settings)
    scores = [float(row["validation_ccc"]) for row in history(folder)]
    assert math.isnan(scores[0])
    assert len(scores) == 4
    kept = json.loads((folder / "metrics.json").read_text())["validation"]["ccc"]
    assert kept == pytest.approx(max(scores[1:]), abs=1e-6)


@pytest.mark.parametrize(
    ("setting", "advice"),
    [("early_stop=2", r"train\.early_stop=0$"), ("schedule=plateau", r"train\.schedule=constant$")],
)
def test_what_watches_validation_is_refused_without_any(
    place: Path, tmp_path: Path, setting: str, advice: str
) -> None:
    quick = [s for s in QUICK if not s.startswith(f"train.{setting.partition('=')[0]}")]
    settings = [*data(place), *quick, f"train.{setting}", "protocol.fit=train+validation"]
    with pytest.raises(ConfigError, match=f"No validation clips are held out.*{advice}"):
        train("audio_lstm", settings, to=tmp_path / "run")


def test_validation_without_a_trait_cannot_choose_an_epoch(tmp_path: Path) -> None:
    make_store(tmp_path / "store", make_corpus(tmp_path), streams=["mid_term"])
    table = tmp_path / "clips.csv"
    header, *lines = table.read_text().splitlines()
    rows = [line.split(",") for line in lines]
    unlabelled = [[*row[:3], "", *row[4:]] if row[2] == "validation" else row for row in rows]
    table.write_text("\n".join([header, *map(",".join, unlabelled)]))
    with pytest.raises(ConfigError, match=r"label for openness, .*: train\.keep=last$"):
        run(tmp_path, tmp_path / "a", "train.epochs=2")
    folder = run(tmp_path, tmp_path / "b", "train.epochs=2", "train.keep=last")
    assert len(history(folder)) == 2


def test_a_final_fit_that_diverges_says_so(place: Path, tmp_path: Path) -> None:
    settings = ["train.lr=1e30", "train.epochs=3", "protocol.fit=train+validation"]
    quick = [s for s in QUICK if not s.startswith("train.lr")]
    with pytest.raises(TraitscopeError, match=r"diverged: losses.*Lower train\.lr"):
        train("audio_lstm", [*data(place), *quick, *settings], to=tmp_path / "run")


def test_another_score_can_decide_which_epoch_is_kept(place: Path, tmp_path: Path) -> None:
    folder = run(place, tmp_path / "run", "train.epochs=6", "trainer.monitor=ccc")
    best = max(float(row["validation_ccc"]) for row in history(folder))
    kept = json.loads((folder / "metrics.json").read_text())["validation"]["ccc"]
    assert kept == pytest.approx(best, abs=1e-6)


def test_training_stops_early_without_gain(place: Path, tmp_path: Path) -> None:
    settings = ["train.epochs=50", "train.early_stop=2", "train.freeze=[lstm.*,project.*]"]
    slow = [*settings, "train.lr_factors={'*': 1e-12}"]
    assert len(history(run(place, tmp_path / "run", *slow))) < 10


def test_a_rate_changed_on_resume_is_used_and_recorded(place: Path, tmp_path: Path) -> None:
    folder = run(place, tmp_path / "run", "train.epochs=2")
    train("audio_lstm", ["train.epochs=4", "train.lr=0.001"], to=folder, resume=True)
    assert [float(row["lr"]) for row in history(folder)] == pytest.approx(
        [0.01, 0.01, 0.001, 0.001]
    )
    changes = json.loads((folder / "changes.json").read_text())
    assert changes == [{"epochs_done": 2, "changes": ["train.epochs=4", "train.lr=0.001"]}]
    with pytest.raises(ConfigError, match=r"'train.freeze=\[lstm\.\*\]' cannot change"):
        train("audio_lstm", ["train.freeze=[lstm.*]"], to=folder, resume=True)


def test_a_rate_changed_on_resume_keeps_its_schedule(place: Path, tmp_path: Path) -> None:
    step = ["train.schedule=step", "train.milestones=[1]"]
    plain = [s for s in QUICK if "schedule" not in s and "milestones" not in s]
    folder = train(
        "audio_lstm", [*data(place), *plain, *step, "train.epochs=2"], to=tmp_path / "run"
    )
    train("audio_lstm", ["train.epochs=3", "train.lr=0.02"], to=folder, resume=True)
    assert [float(row["lr"]) for row in history(folder)] == pytest.approx([0.01, 0.001, 0.002])


def test_a_training_that_stopped_early_stays_stopped_until_it_may_wait_longer(
    place: Path, tmp_path: Path
) -> None:
    settings = ["train.epochs=50", "train.early_stop=2", "train.lr_factors={'*': 1e-12}"]
    folder = run(place, tmp_path / "run", *settings)
    stopped = history(folder)
    train("audio_lstm", to=folder, resume=True)
    assert history(folder) == stopped
    train("audio_lstm", ["train.early_stop=4"], to=folder, resume=True)
    assert len(history(folder)) == len(stopped) + 2


def test_a_changed_plateau_is_used_on_resume(place: Path, tmp_path: Path) -> None:
    plateau = ["train.schedule=plateau", "train.patience=40", "train.lr=1e-6"]
    plain = [s for s in QUICK if not re.match(r"train\.(schedule|milestones|lr)=", s)]
    settings = [*data(place), *plain, *plateau, "train.epochs=3"]
    folder = train("audio_lstm", [*settings, "train.milestones=[]"], to=tmp_path / "run")
    train("audio_lstm", ["train.epochs=6", "train.patience=1"], to=folder, resume=True)
    rates = [float(row["lr"]) for row in history(folder)]
    # Two epochs without gain are more than one: the rate is that of a plateau of the new settings.
    assert rates[:3] == [rates[0]] * 3
    assert rates[3] == pytest.approx(0.1 * rates[0])


@pytest.mark.parametrize("change", ["weight_decay=0.1", "betas=[0.5,0.9]"])
def test_what_the_saved_state_holds_cannot_change_on_resume(
    place: Path, tmp_path: Path, change: str
) -> None:
    folder = run(place, tmp_path / "run", "train.epochs=1")
    with pytest.raises(ConfigError, match=r"cannot change in a resumed run"):
        train("audio_lstm", [f"train.{change}"], to=folder, resume=True)
    assert not (folder / "changes.json").exists()


def test_the_rate_of_an_epoch_follows_from_settings_epoch_and_scores() -> None:
    def rates(stage: Stage, epochs: int, **more: Any) -> list[float]:
        return [rate(stage, schedule_of(stage), epoch, **more) for epoch in range(epochs)]

    cosine = Stage(lr=0.1, schedule="cosine", epochs=4)
    assert rates(cosine, 4) == [0.1 * lr_scale(cosine, epoch) for epoch in range(4)]
    assert rates(cosine, 4, factor=0.5) == [0.05 * lr_scale(cosine, epoch) for epoch in range(4)]
    plateau = Stage(lr=0.1, schedule="plateau", patience=1, min_lr=0.002)
    scores = [0.5, 0.4, 0.4, math.nan, 0.39, 0.41, 0.42, 0.43, 0.44, 0.45, 0.46]
    seen = [rate(plateau, schedule_of(plateau), n, scores=scores[:n]) for n in range(12)]
    # Two epochs in a row without gain (0.4, undefined) act; then again two by two, to the floor.
    expected = [0.1] * 4 + [0.01] * 3 + [0.002] * 5
    assert seen == pytest.approx(expected)
    higher = [rate(plateau, schedule_of(plateau), 3, scores=[0.1, 0.2, 0.3], mode="max")]
    assert higher == [0.1]


def test_the_rate_of_plateau_is_that_of_torch() -> None:
    stage = Stage(lr=0.1, schedule="plateau", patience=2, factor=0.5)
    scores = np.random.default_rng(0).normal(size=40).round(2).tolist()
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    torchs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
    for epoch, score in enumerate(scores):
        ours = rate(stage, schedule_of(stage), epoch, scores=scores[:epoch])
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6, abs=1e-7)
        torchs.step(score)
