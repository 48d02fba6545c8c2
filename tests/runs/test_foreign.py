"""Weights of other programs: files of their layouts, made here, become runs; code in them is not.

The layouts are those of the five systems: DeepPersonality's ``.pkl`` (a checkpoint with its
``model_state_dict``), Head Motion's ``.pt``, the ``.pth`` of S2D and AffectNet, and plain state
dictionaries of timm and torchvision.
"""

import json
import os
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from tests.models.test_contracts import shapes_of
from tests.support.command_line import type_in
from tests.support.prepared import data, history, make_corpus
from tests.support.prepared_streams import fill_store, tiny_settings
from traitscope import registry
from traitscope.errors import ConfigError, DataError
from traitscope.nn.tensor_files import read_tensors
from traitscope.runs.checkpoint import load
from traitscope.runs.conversion import convert
from traitscope.training.fitting import train

HEAD = 5
SMALL = ["model.backbone=test_resnet", "model.size=32"]


def small_network() -> torch.nn.Module:
    torch.manual_seed(3)
    network: torch.nn.Module = timm.create_model("test_resnet", num_classes=HEAD)
    return network


def layouts(state: dict[str, torch.Tensor]) -> dict[str, Any]:
    """What each program would save of a network."""
    parallel = OrderedDict((f"module.{name}", tensor) for name, tensor in state.items())
    optimizer = {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.01}]}
    return {
        "deep_personality.pkl": {
            "epoch": 99,
            "best_acc": 0.91,
            "model_state_dict": state,
            "optimizer_state_dict": optimizer,
        },
        "head_motion.pt": dict(state),
        "affectnet.pth": {"iter": 10, "state_dict": parallel, "optimizer": optimizer},
        "s2d.pth": {"model": state, "args": {"lr": 1e-5}, "epoch": 3},
        "plain.pth": OrderedDict(state),
    }


@pytest.mark.parametrize("name", list(layouts({})))
def test_every_layout_becomes_a_run_that_predicts_as_the_network(name: str, tmp_path: Path) -> None:
    network = small_network()
    torch.save(layouts(network.state_dict())[name], tmp_path / name)
    account = convert(tmp_path / name, model="image_backbone", to=tmp_path / "run", settings=SMALL)
    assert not account.fresh
    assert not [left for left in account.left if "running" in left or "weight" in left]
    run = load(tmp_path / "run")
    images = torch.rand(2, 3, 32, 32)
    expected = torch.sigmoid(network.eval()(images))
    found = run.fitted._score(images)
    np.testing.assert_allclose(found.detach(), expected.detach(), rtol=1e-5)
    assert [t.direction for t in run.facts.targets] == [1, 1, 1, 1, -1]
    assert "Trained by another program" in (tmp_path / "run" / "card.md").read_text()


def test_a_safetensors_file_is_read(tmp_path: Path) -> None:
    save_file(small_network().state_dict(), tmp_path / "net.safetensors")
    made = convert(
        tmp_path / "net.safetensors", model="image_backbone", to=tmp_path / "run", settings=SMALL
    )
    assert not made.fresh


class Canary:
    """An object whose pickle runs a command."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_with_code_is_refused_and_nothing_runs(tmp_path: Path, legacy: bool) -> None:
    sung = tmp_path / "sung"
    tree = {"model_state_dict": small_network().state_dict(), "extra": Canary(sung)}
    torch.save(tree, tmp_path / "evil.pkl", _use_new_zipfile_serialization=not legacy)
    done = type_in(
        "convert", tmp_path / "evil.pkl", *SMALL, "--as", "image_backbone", "--to", tmp_path / "run"
    )
    assert done.returncode == 2
    assert "evil.pkl is refused" in done.stderr
    assert "system" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not sung.exists()
    assert not (tmp_path / "run").exists()


def test_a_pickled_network_is_refused_with_the_cure(tmp_path: Path) -> None:
    torch.save(small_network(), tmp_path / "whole.pt")
    with pytest.raises(DataError, match=r"not only tensors.*Save the network's state_dict"):
        read_tensors(tmp_path / "whole.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"not a pickle", "no file of torch.save, or damaged"), (b"", "no file of torch.save")],
)
def test_damaged_files_are_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "net.pth").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_tensors(tmp_path / "net.pth")
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="no run and no file"):
        read_tensors(tmp_path / "absent.pth")
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    with pytest.raises(DataError, match="no dictionary of tensors, but epoch"):
        read_tensors(tmp_path / "empty.pth")


def test_what_is_missing_or_of_another_shape_is_named(tmp_path: Path) -> None:
    state = small_network().state_dict()
    torch.save({n: t for n, t in state.items() if "fc" not in n}, tmp_path / "headless.pth")
    to = tmp_path / "run"
    with pytest.raises(DataError, match=r"lacks 2 tensors of image_backbone: network\.fc\.weight"):
        convert(tmp_path / "headless.pth", model="image_backbone", to=to, settings=SMALL)
    state["conv1.0.weight"] = torch.zeros(4, 3, 3, 3)
    torch.save(state, tmp_path / "other.pth")
    said = r"'conv1\.0\.weight', here network\.conv1\.0\.weight, is \[4, 3, 3, 3\] in .*other\.pth"
    with pytest.raises(DataError, match=said):
        convert(tmp_path / "other.pth", model="image_backbone", to=to, settings=SMALL)
    with pytest.raises(ConfigError, match="no network"):
        convert(tmp_path / "other.pth", model="functionals", to=to)
    assert not to.exists()


def theirs_of(model: str, names: dict[str, str]) -> tuple[Any, dict[str, torch.Tensor]]:
    """A small network of ours, and what another program would save of it under its names."""
    module = registry.load("models", model)
    targets = registry.load("corpora", "first_impressions").TARGETS
    torch.manual_seed(1)
    network = module.Model(module.TINY, shapes_of(module.inputs(module.TINY)), targets)
    state = {n: t for n, t in network.state_dict().items() if not n.startswith("to_range")}
    theirs = {}
    for name, tensor in state.items():
        for ours, other in names.items():
            name = re.sub(ours, other, name)
        theirs[name] = tensor
    return network, theirs


SIZES = ["model.parts=3", "model.embedding=8", "model.hidden=8"]


def test_names_that_we_do_not_know_are_told_by_their_places(tmp_path: Path) -> None:
    network, theirs = theirs_of(
        "audio_lstm", {"project": "audio_fc", "lstm": "rnn", "score": "out"}
    )
    torch.save({"model_state_dict": theirs}, tmp_path / "net.pkl")
    done = type_in(
        "convert", tmp_path / "net.pkl", *SIZES, "--as", "audio_lstm", "--to", tmp_path / "run"
    )
    assert done.returncode == 0, done.stderr
    assert "8 tensors are taken" in done.stderr
    assert "audio_fc.weight -> project.weight" in done.stderr
    saved = load(tmp_path / "run").fitted.state_dict()
    assert all(torch.equal(saved[n], t) for n, t in network.state_dict().items())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"out.weight": None}, "7 such tensors there, 8 here"),
        ({"out.bias": torch.zeros(7)}, r"'out\.bias' \[7\] stands there, score\.bias \[5\]"),
    ],
)
def test_other_places_are_named(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    _, theirs = theirs_of("audio_lstm", {"project": "audio_fc", "lstm": "rnn", "score": "out"})
    changed = {n: t for n, t in {**theirs, **change}.items() if t is not None}
    torch.save(changed, tmp_path / "net.pt")
    with pytest.raises(ConfigError, match=rf"known to this model.*no place: .*{why}"):
        convert(tmp_path / "net.pt", model="audio_lstm", to=tmp_path / "run", settings=SIZES)
    assert not (tmp_path / "run").exists()


def test_branches_that_are_alike_are_told_by_the_user(tmp_path: Path) -> None:
    """CR-Net's networks of frame and face have the same layers; which is which only names say."""
    names = {r"branches\.frames": "net_b", r"branches\.faces": "net_a", "trunk": "body"}
    network, theirs = theirs_of("crnet", names)
    torch.save(theirs, tmp_path / "net.pkl")
    settings, to = tiny_settings("crnet"), tmp_path / "run"
    with pytest.raises(DataError, match=r"branches\.frames, branches\.faces are alike.*rename"):
        convert(tmp_path / "net.pkl", model="crnet", to=to, settings=settings)
    said = "train.start.rename={net_a.: branches.faces., net_b.: branches.frames.}"
    convert(tmp_path / "net.pkl", model="crnet", to=to, settings=[*settings, said])
    saved = load(to).fitted.state_dict()
    counted = {n: t for n, t in network.state_dict().items() if "num_batches" not in n}
    assert all(torch.equal(saved[n], t) for n, t in counted.items())


def test_names_that_we_do_not_know_are_renamed_by_the_user(tmp_path: Path) -> None:
    _, theirs = theirs_of("audio_lstm", {"project": "audio_fc", "score": "out"})
    torch.save({"model_state_dict": {**theirs, "aux.weight": torch.ones(3)}}, tmp_path / "net.pkl")
    with pytest.raises(DataError, match=r"5 such tensors there, 4 here.*train\.start\.rename"):
        convert(tmp_path / "net.pkl", model="audio_lstm", to=tmp_path / "run", settings=SIZES)
    names = "train.start.rename={audio_fc.: project., out.: score.}"
    account = convert(
        tmp_path / "net.pkl", model="audio_lstm", to=tmp_path / "run", settings=[*SIZES, names]
    )
    assert len(account.taken) == 8
    assert list(account.left) == ["aux.weight"]
    assert load(tmp_path / "run").facts.corpus == "first_impressions"
    with pytest.raises(ConfigError, match=r"no tensor of .* begins with 'sound'"):
        convert(
            tmp_path / "net.pkl",
            model="audio_lstm",
            to=tmp_path / "b",
            settings=["train.start.rename={sound: project}"],
        )


@pytest.mark.parametrize(
    ("model", "settings", "network", "untaken"),
    [
        ("face_cnn", ["model.backbone=resnet18"], "resnet18", "head."),
        ("resnet_lstm", [], "resnet50", ""),
        ("dan", [], "vgg16_bn", "score."),
    ],
)
def test_torchvisions_names_fit_the_models_built_from_its_networks(
    model: str, settings: list[str], network: str, untaken: str
) -> None:
    from traitscope.runs.foreign import _renamed
    from traitscope.runs.layers import row_shape
    from traitscope.runs.plan import load_run, plan

    run_plan = plan(load_run(model, settings))
    shapes = {s: row_shape(run_plan.requests[s], draw) for s, draw in run_plan.draws.items()}
    targets = registry.load("corpora", "first_impressions").TARGETS
    with torch.device("meta"):
        ours = run_plan.module.Model(run_plan.options, shapes, targets).state_dict()
        theirs = getattr(torchvision.models, network)().state_dict()
    renamed = {_renamed(name, set(ours), run_plan.module.FOREIGN): t for name, t in theirs.items()}
    taken = {name: t for name, t in renamed.items() if name in ours}
    assert all(ours[name].shape == t.shape for name, t in taken.items())
    left = [name for name in renamed if name not in ours]
    assert all(name.startswith(("fc.", "classifier.")) for name in left), left
    assert len(taken) > 50


def test_training_starts_from_a_file_and_says_what_it_took(tmp_path: Path) -> None:
    settings = tiny_settings("image_backbone")
    address = make_corpus(tmp_path, clips=20)
    fill_store(tmp_path / "store", address, "image_backbone", settings)
    torch.save({"state_dict": timm.create_model("test_resnet").state_dict()}, tmp_path / "in1k.pth")
    quick = ["train.epochs=1", "train.batch_size=8", "trainer.tensorboard=false"]
    run = train(
        "image_backbone",
        [*data(tmp_path), *settings, *quick],
        to=tmp_path / "run",
        start_from=tmp_path / "in1k.pth",
    )
    account = json.loads((run / "start.json").read_text())
    assert set(account["fresh"]) == {"network.fc.weight", "network.fc.bias"}
    assert "has [1000, " in account["left"]["network.fc.weight"]
    assert len(account["taken"]) > 50
    assert len(history(run)) == 1
