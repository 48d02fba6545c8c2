"""The network of the best epoch of each target, in a run's folder: written, read, used as one.

    model.safetensors             the epoch that is best on all targets together
    best_epochs.json              {"openness": 7, "agreeableness": 4, ...}
    model_epoch_004.safetensors   of those epochs the tensors that train
    model_epoch_007.safetensors

Traits are learnt at different speeds: what is best for one is overfitted, or not yet learnt, for
another. An epoch that is best for several targets lies there once; frozen tensors, which are the
same in all of them, only in ``model.safetensors``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from traitscope.errors import DataError, shown
from traitscope.files import read_json, replacing, write_json
from traitscope.runs.checkpoint import predicted
from traitscope.runs.checksums import BEST_EPOCHS, EPOCH_FILES
from traitscope.runs.fit import tensors_in
from traitscope.types import Batch

_CURE = "Train again."


def file_of(folder: Path, epoch: int) -> Path:
    """Where the tensors of an epoch of the last stage lie."""
    return folder / EPOCH_FILES.replace("*", f"{epoch:03d}")


def save_epoch(folder: Path, epoch: int, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Write the tensors of an epoch; the file appears whole or not at all.

    Args:
        folder: the run.
        epoch: of the stage.
        model: says which parameters are frozen: these are left out.
        tensors: of the network, by name; the model's own where empty.
    """
    frozen = {name for name, tensor in model.named_parameters() if not tensor.requires_grad}
    state = {n: t for n, t in (tensors or model.state_dict()).items() if n not in frozen}
    with replacing(file_of(folder, epoch)) as draft:
        save_file({name: t.contiguous().clone() for name, t in state.items()}, draft)


def settle(folder: Path, epochs: Mapping[str, int]) -> None:
    """Note which epoch is best for which target, and take away those that are no more."""
    if epochs:
        write_json(folder / BEST_EPOCHS, dict(epochs))
    else:
        (folder / BEST_EPOCHS).unlink(missing_ok=True)
    # Last: killed before, the note still finds all that it names.
    named = {file_of(folder, epoch) for epoch in epochs.values()}
    for path in set(folder.glob(EPOCH_FILES)) - named:
        path.unlink()


class BestOfEach(nn.Module):
    """One network that predicts each target with the tensors of the epoch that was best for it.

    Attributes:
        overall: the network of the epoch that is best on all targets together.
        best_epochs: target -> its epoch, in the order of the predictions.
    """

    def __init__(
        self,
        overall: nn.Module,
        epochs: Mapping[str, int],
        tensors: Mapping[int, dict[str, Tensor]],
    ) -> None:
        super().__init__()
        self.overall = overall
        self.best_epochs = dict(epochs)
        # No buffers: they stay in main memory, and only those of one epoch are on a GPU at once.
        self._tensors = dict(tensors)

    def forward(self, batch: Batch) -> Tensor:
        """A batch -> predictions (clips, targets), each column of its own epoch."""
        device = next(self.overall.parameters()).device
        of_epoch = {}
        for epoch, tensors in self._tensors.items():
            own = {name: tensor.to(device) for name, tensor in tensors.items()}
            of_epoch[epoch] = predicted(torch.func.functional_call(self.overall, own, (batch,)))
        columns = [
            of_epoch[epoch][:, place] for place, epoch in enumerate(self.best_epochs.values())
        ]
        return torch.stack(columns, dim=1)


def best_of_each(folder: Path, network: nn.Module, targets: Sequence[str]) -> nn.Module:
    """The network of a run with the best epoch of each target; as it is where none were chosen.

    Args:
        folder: the run.
        network: with the tensors of ``model.safetensors``.
        targets: names, in the order of its predictions.

    Raises:
        DataError: files are missing, damaged, or of another network.
    """
    path = folder / BEST_EPOCHS
    if not path.is_file():  # without validation clips no epoch is better than another
        return network
    tree = read_json(path, root=dict, damaged=_CURE)
    epochs: dict[str, Any] = {target: tree.get(target) for target in targets}
    if any(type(epoch) is not int or not 0 <= epoch < 10**9 for epoch in epochs.values()):
        raise DataError(f"{path} is damaged ({shown(tree, 80)}). {_CURE}")
    state = network.state_dict()
    tensors: dict[int, dict[str, Tensor]] = {}
    for epoch in dict.fromkeys(epochs.values()):
        file = file_of(folder, epoch)
        tensors[epoch] = tensors_in(file)
        for name, tensor in tensors[epoch].items():
            if name not in state or (tensor.shape or (1,)) != (state[name].shape or (1,)):
                raise DataError(f"{file} does not fit its run: {shown(name, 80)}. {_CURE}")
            # A single number is saved as one of one.
            tensors[epoch][name] = tensor.reshape(state[name].shape)
    return BestOfEach(network, epochs, tensors)
