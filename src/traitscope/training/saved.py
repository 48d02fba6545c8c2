"""``state.ckpt`` of an interrupted training in, where it goes on out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitscope.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

STATE = "state.ckpt"
_PREFIX = "model."  # of the network's tensors in the state of the loop


@dataclass(frozen=True)
class Saved:
    """Where a training was stopped.

    Attributes:
        path: of the state.
        stage: index of the stage.
        done: epochs of it that are done.
        batches: of the next epoch that are done, where the state was saved inside it.
        kept: the epoch of the stage whose weights are kept; -1 for none.
        tensors: of the loop, by name.
    """

    path: Path
    stage: int
    done: int
    batches: int
    kept: int
    tensors: "Mapping[str, Tensor]"

    def weights(self) -> "dict[str, Tensor]":
        """Tensors of the network; of a running mean, which is what was validated, the mean."""
        return {
            name.removeprefix(_PREFIX): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(_PREFIX)
        }


def read_saved(folder: Path) -> Saved | None:
    """Read where a run was stopped; None before the end of its first epoch.

    Raises:
        DataError: the state is damaged, or of a version that wrote less.
    """
    path = folder / STATE
    if not path.is_file():
        return None
    import torch

    try:
        # mmap: what is not asked for, such as the optimiser's tensors, is not read
        tree: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        numbers = {key: int(tree[key]) for key in ("stage", "done", "batches", "kept")}
        return Saved(path, tensors=dict(tree["state_dict"]), **numbers)
    except Exception as error:
        # Whatever a torn file makes torch raise: a dozen kinds, none of which a user can act on.
        raise DataError(
            f"{path} is damaged, or an earlier version wrote it. The best epoch so far is safe in "
            f"the run. Start a new one from it: traitscope train ... --to FOLDER --from {folder}"
        ) from error
