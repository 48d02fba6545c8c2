"""Two epochs at TINY move every tensor that should train, and nothing of a frozen backbone."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.support.prepared import make_corpus
from tests.support.prepared_streams import fill_store, tiny_settings
from traitscope.runs.checkpoint import build_fitted, load
from traitscope.runs.plan import plan
from traitscope.training.fitting import train

slow = pytest.mark.slow
CASES = [
    pytest.param("face_cnn", {"unfreeze": "none"}, marks=slow),
    ("face_cnn", {"unfreeze": "layer4"}),
    pytest.param("face_cnn", {"unfreeze": "layers", "backbone": "resnet50"}, marks=slow),
    pytest.param("resnet_lstm", {"pool": "flatten"}, marks=slow),
    pytest.param("resnet_lstm", {"pool": "average", "bidirectional": True}, marks=slow),
    ("au_hybrid", {"signals": "all"}),
]


@pytest.mark.parametrize(("name", "changes"), CASES, ids=str)
def test_two_epochs_move_what_trains_and_nothing_else(
    name: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    settings = tiny_settings(name, **changes)
    address = make_corpus(tmp_path, clips=20)
    fill_store(tmp_path / "store", address, name, settings)
    data = [f"data.corpus={address}", f"data.store={tmp_path / 'store'}", "seed=7"]
    quick = ["train.epochs=2", "train.batch_size=4", "trainer.tensorboard=false"]
    quick += ["train.lr=0.01", "train.early_stop=0", "train.keep=last"]
    run = train(name, [*data, *settings, *quick], to=tmp_path / "run")
    checkpoint = load(run)
    torch.manual_seed(7)
    fresh = build_fitted(plan(checkpoint.config), checkpoint.facts)
    trained = load_file(run / "model.safetensors")
    trains = {n for n, tensor in fresh.named_parameters() if tensor.requires_grad}
    assert trains
    for tensor_name, before in fresh.state_dict().items():
        moved = not torch.equal(before, trained[tensor_name])
        if tensor_name in trains:
            assert moved, f"{tensor_name} did not train"
        elif not _in_unfrozen(tensor_name, fresh):
            assert not moved, f"{tensor_name} is frozen and moved"


def _in_unfrozen(tensor_name: str, model: torch.nn.Module) -> bool:
    """Whether a buffer belongs to a layer that trains, such as its batch statistics."""
    owner = model.get_submodule(tensor_name.rpartition(".")[0])
    return any(tensor.requires_grad for tensor in owner.parameters())
