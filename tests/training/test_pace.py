"""What an epoch is: passes, steps, decay, and what is kept of it."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.prepared import data, history, make_corpus, make_store
from traitscope.errors import ConfigError
from traitscope.runs.settings import Stage, TrainerConfig
from traitscope.training import pace
from traitscope.training.fitting import train


def test_one_pass_is_every_clip_once_in_an_order_of_seed_and_epoch() -> None:
    stage = Stage()
    first, second = (pace.order(stage, 7, seed=3, epoch=epoch) for epoch in (0, 1))
    assert sorted(index for _, index in first) == list(range(7))
    assert {number for number, _ in second} == {1}
    assert [index for _, index in first] != [index for _, index in second]
    # As it always was: recorded losses of earlier runs hang on it.
    assert [i for _, i in second] == np.random.default_rng([3, 1]).permutation(7).tolist()


def test_passes_of_an_epoch_draw_a_clip_anew_each_time() -> None:
    drawn = pace.order(Stage(passes=3), 5, seed=0, epoch=2)
    assert len(drawn) == len(set(drawn)) == 15
    assert {number for number, _ in drawn} == {6, 7, 8}


def test_steps_walk_through_all_clips_before_any_is_seen_again() -> None:
    stage = Stage(steps_per_epoch=2, batch_size=3)
    walked = [pair for epoch in range(5) for pair in pace.order(stage, 10, seed=0, epoch=epoch)]
    assert pace.samples(stage, 10) == 6
    assert [number for number, _ in walked] == [0] * 10 + [1] * 10 + [2] * 10
    for number in range(3):
        assert sorted(i for n, i in walked if n == number) == list(range(10))


@pytest.mark.parametrize(
    ("settings", "clips", "alone"),
    [
        ({"batch_size": 4}, 9, True),
        ({"batch_size": 4, "passes": 2}, 9, False),
        ({"batch_size": 1}, 9, False),
        ({"batch_size": 4, "steps_per_epoch": 2}, 9, False),
    ],
)
def test_a_last_batch_of_one_clip_is_noticed(settings: dict, clips: int, alone: bool) -> None:
    assert pace.ends_alone(Stage(**settings), clips) == alone


def test_steps_and_passes_do_not_go_together() -> None:
    with pytest.raises(ValueError, match="leave one"):
        Stage(passes=2, steps_per_epoch=30)


def test_weight_decay_goes_from_one_end_to_the_other() -> None:
    stage = Stage(weight_decay=0.1, weight_decay_end=0.3, epochs=5)
    ends = [pace.decay_of(stage, epoch) for epoch in range(5)]
    assert ends == pytest.approx([0.1, 0.1292893, 0.2, 0.2707107, 0.3])
    assert pace.decay_of(Stage(weight_decay=0.1), 3) == 0.1


def test_float16_is_refused_without_a_gpu() -> None:
    trainer = TrainerConfig(precision="16")
    assert pace.arithmetic(trainer, "gpu") == "16-mixed"
    with pytest.raises(ConfigError, match=r"trainer\.precision=bf16"):
        pace.arithmetic(trainer, "cpu")


def test_an_epoch_of_steps_keeps_the_weights_of_every_second_epoch(tmp_path: Path) -> None:
    make_store(tmp_path / "store", make_corpus(tmp_path))
    settings = ["train.epochs=4", "train.steps_per_epoch=2", "train.batch_size=4"]
    kept = ["trainer.keep_every=2", "trainer.tensorboard=false"]
    run = train("audio_lstm", [*data(tmp_path), *settings, *kept, "train.milestones=[9]"],
                to=tmp_path / "run")  # fmt: skip
    assert len(history(run)) == 4
    files = sorted(path.relative_to(run).as_posix() for path in run.glob("epochs/*/*"))
    assert files == [f"epochs/epoch_{n:03d}/model.safetensors" for n in (1, 3)]
