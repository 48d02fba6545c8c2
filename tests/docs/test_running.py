"""Every command of every page, run on tiny data as it is printed, but for names and sizes."""

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import chdir
from pathlib import Path

import pytest

from tests.support.command_line import type_in
from tests.support.page_commands import PAGES, blocks, commands
from tests.support.page_world import STUDY, make_world
from traitscope import registry
from traitscope.runs.plan import load_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

ELSEWHERE = {
    "serve": "runs until it is stopped: tests/service starts it and asks it",
    "benchmark zoo_small": "trains twelve systems, many minutes; docs/compare.md's own suite runs",
    "predict runs/words": "needs a speech model: tests/extract/test_hearing.py",
    "weights fetch": "needs the network: tests/test_weights.py fetches from a server of its own",
}
"""What is not run here -> why, and what runs it."""
_NAMES = {"/data/": "data/", "RECIPE": "functionals", "C": STUDY, "S": "features"}
"""What a page writes -> what stands for it here."""
MODELS = {
    "functionals": "folds=3",
    "au_hybrid": "width=16 units=8 channels=[16,16] kernels=[4,3] squeeze=4 hidden=[16,8]"
    " longest=60",
    "crnet": "size=64 face_size=64 samples=8192 depth=18 channels=[4,4,8,8]",
    "face_cnn": "pretrained=false width=0.125 size=32 images=3 evaluation_images=2",
    "hrnet": "backbone=test_resnet size=32 images=2 evaluation_images=2",
    "resnet3d": "size=32 layers=[1,1,1,1] width=4",
    "resnet_lstm": "backbone=resnet18 pretrained=false width=0.125 size=32 hidden=16 segments=4"
    " windows=2 face_pixels=120",
    "s2d_112": "size=32 patch=8 frames=3 dim=16 depth=2 heads=2 prompt_dim=4 temporal_dim=8"
    " temporal_heads=2 pretrained=false",
    "senet": "backbone=test_resnet size=32 images=2 evaluation_images=all",
    "statistics_mlp": "longest=20 hidden=[16,8]",
    "text_stack": "components=4 penalties=[1,10] folds=2 boosting.rounds=5 boosting.leaves=3",
}
"""Recipe of a page -> its network in small; what the page sets itself stays as printed."""
TRAINING = {
    "au_hybrid": "train.passes=1 train.batch_size=8",
    "resnet_lstm": "train.steps_per_epoch=2",
    "s2d_112": "train.passes=1",
    "senet": "protocol.folds=3",
}
MORE = {"analyse explanations": "--split train"}
"""Command -> what it needs so that a study of sixteen clips is enough."""


def _scripts(page: str) -> list[str]:
    """What a page shows in Python to be run, beside files of an own package."""
    return [code for code in blocks(page, "python") if "import traitscope\n" in code]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def place(world: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The world, cleared afterwards of what a page has made; features stay for the next."""
    monkeypatch.syspath_prepend(world)
    importlib.invalidate_caches()
    before = {*world.iterdir(), *(world / "runs").iterdir()}
    yield world
    for path in (*world.iterdir(), *(world / "runs").iterdir()):
        if path not in before and path.exists():
            path.rename(world.parent / f"{world.name}-{len(list(world.parent.iterdir()))}")
    for name in [name for name in sys.modules if name.split(".")[0] == "my_lab"]:
        del sys.modules[name]


@pytest.mark.parametrize("page", [page for page in PAGES if any(commands(page))])
def test_every_command_of_a_page_runs(page: str, place: Path) -> None:
    for words in commands(page):
        if any(" ".join(words).startswith(known) for known in ELSEWHERE):
            continue
        typed = _small([_here(word) for word in words])
        if _makes_again(typed, place):
            continue  # "your own" ends in the runs that the world has already
        done = type_in(*typed, cwd=place)
        assert done.returncode == 0, f"{' '.join(typed)}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", [page for page in PAGES if any(_scripts(page))])
def test_every_example_in_python_runs(page: str, place: Path) -> None:
    for code in _scripts(page):
        with chdir(place):
            exec(compile(code, page, "exec"), {})


def _here(word: str) -> str:
    if word in _NAMES:
        return _NAMES[word]
    key, equals, value = word.partition("=")
    if equals and value in _NAMES:
        return f"{key}={_NAMES[value]}"
    return word.replace("/data/", "data/").replace("RECIPE", "functionals")


def _makes_again(words: Sequence[str], place: Path) -> bool:
    return words[0] == "train" and (place / words[words.index("--to") + 1]).exists()


def _small(words: list[str]) -> list[str]:
    """A command with the sizes of a test: a tiny network, one epoch, no process of its own."""
    if words[0] == "prepare":
        recipe = words[words.index("--for") + 1] if "--for" in words else ""
        return [*words, *_model(recipe, words), "--workers", "0"]
    if words[0] == "train":
        recipe = words[1]
        short = [*_epoch(recipe), *TRAINING.get(recipe, "").split()]
        return [*words, *_model(recipe, words), *short]
    return [*words, *MORE.get(" ".join(words[:2]), "").split()]


def _model(recipe: str, words: Sequence[str]) -> list[str]:
    """Settings of the small network that the page does not set itself."""
    typed = {word.partition("=")[0] for word in words}
    settings = [f"model.{setting}" for setting in MODELS.get(recipe, "").split()]
    return [setting for setting in settings if setting.partition("=")[0] not in typed]


def _epoch(recipe: str) -> Iterator[str]:
    """One epoch of each stage, with a rate that may be of one epoch."""
    if recipe not in registry.names("recipes"):
        return
    stages = load_run(recipe).stages
    for stage in stages:
        prefix = f"train.{stage.name}" if len(stages) > 1 else "train"
        yield f"{prefix}.epochs=1"
        if stage.schedule == "step":
            yield f"{prefix}.milestones=[1]"
        if stage.schedule == "cosine":
            yield f"{prefix}.schedule=constant"
    if stages:
        yield "trainer.tensorboard=false"
