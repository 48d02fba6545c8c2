"""The rest of the benchmark in stories: a clip model, a second stage and an action-unit model."""

import json
from pathlib import Path

import pytest

from tests.stories import test_five_systems as five
from tests.stories.test_benchmark_story import Command
from traitscope.types import TRAITS

pytestmark = pytest.mark.slow

place, command = five.place, five.command

VIDEO = ["model.frames=4", "model.size=32", "model.layers=[1,1,1,1]", "model.width=8"]
AU = ["model.rows=32", "model.width=8", "features.signals.backend=dlib", "features.signals.rate=5"]


def test_a_clip_model_and_an_action_unit_model_from_raw_videos(
    command: Command, place: Path
) -> None:
    prepare = ["prepare", "fi:fi", "--store", "store", "--workers", 0, "--for"]
    command(*prepare, "resnet3d", *VIDEO)
    command(*prepare, "au_conv", *AU[:2], "signals.backend=dlib", "signals.rate=5")
    for recipe, settings in (("resnet3d", VIDEO), ("au_conv", AU)):
        settings = [*settings, "protocol.kind=official", "train.batch_size=4"]
        five.trained(command, recipe, f"run-{recipe}", "fi:fi", settings)
        five.predicted(command, f"run-{recipe}", place / "fi" / "test" / five.last_of_test(place))


def test_a_second_stage_learns_from_folds_of_its_first(command: Command, place: Path) -> None:
    command(
        *("prepare", "fi:fi", "--store", "store", "--workers", 0, "--for", "senet"),
        *five.BENCHMARK,
    )
    data = ["data.corpus=fi:fi", "data.store=store", *five.QUICK]
    folds = ["protocol.kind=kfold", "protocol.folds=3", "protocol.fold=all"]
    command("train", "senet", *data, *five.BENCHMARK, *folds, "--to", "first")
    written = json.loads(
        command("predict", "first", "fi:fi", "--frames", "--store", "store", "--json")
    )
    assert written["streams"] == ["frame_scores"]
    assert written["failed"] == []
    first = ["data.first_stage=first", "data.out_of_fold=true", "protocol.kind=official"]
    five.trained(command, "statistics_mlp", "second", "fi:fi", first)
    # A recording is scored by itself: the folds score its frames, and it those.
    recording = place / "fi" / "test" / five.last_of_test(place)
    (scored,) = json.loads(command("predict", "second", recording, "--json"))["clips"]
    assert scored["status"] == "ok"
    assert set(scored["scores"]) == set(TRAITS)
