"""``state.ckpt`` of an interrupted training in, where it goes on out."""

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitscope.errors import DataError, shown
from traitscope.files import check_regular
from traitscope.runs.settings import RunConfig
from traitscope.training.history import read_history

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

STATE = "state.ckpt"
_ELSEWHERE: Any = {
    **dict.fromkeys(("stages", "seeds", "search", "searched"), True),
    "data": {"corpus", "store"},
}
"""Settings that say where data lies, how long to learn, and how settings were found."""
_PREFIX = "model."  # of the network's tensors in the state of the loop
_LARGEST_BYTES = 2**38
"""A network of billions of weights, with the two moments that Adam keeps of each."""

_KINDS: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("stage", "done", "batches", "kept", "epoch", "global_step"), int),
    "best": (float, type(None)),
    **dict.fromkeys(("decisive", "losses", "optimizer_states", "lr_schedulers"), list),
    **dict.fromkeys(("state_dict", "loops", "callbacks"), dict),
}
"""What training reads of it, ours and Lightning's."""

# What a loader that meets other types than it saved may raise, far from the file's name.
_ODD = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


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
        training: mark of the settings; empty in states of before.
        each: target -> the epoch of the stage that is best for it, where these are kept.
    """

    path: Path
    stage: int
    done: int
    batches: int
    kept: int
    tensors: "Mapping[str, Tensor]"
    training: str = ""
    each: Mapping[str, int] = field(default_factory=dict)

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
        DataError: the state is damaged, of a version that wrote less, or gone; or what a training
            adds to, such as ``history.csv``, is damaged.
    """
    path, logs = folder / STATE, (folder / "history.csv", folder / "steps.csv")
    lines = [len(read_history(log)) if log.is_file() else 0 for log in logs]
    if not path.exists():
        if lines[0] > 1:  # one may have been written before the first state was
            raise DataError(f"{path} is missing, though epochs are done. {_cure(folder)}")
        return None
    check_regular(path, largest=_LARGEST_BYTES)
    try:
        tree = _sound(path)
        numbers = {key: int(tree[key]) for key in ("stage", "done", "batches", "kept")}
        tensors, training = dict(tree["state_dict"]), str(tree.get("training", ""))
        each = {str(target): int(epoch) for target, (_, epoch) in tree.get("each", {}).items()}
        return Saved(path, tensors=tensors, training=training, each=each, **numbers)
    except Exception as error:
        # Whatever a torn file makes torch raise: a dozen kinds, none of which a user can act on.
        raise _damaged(path, error) from error


def mark(config: RunConfig) -> str:
    """A mark of a training's settings; a resumed one has the same, whatever its ``train.*``."""
    # Corpus and store may have moved; how long and how fast it learns may change on resuming.
    tree = config.model_dump(mode="json", exclude=_ELSEWHERE)
    text = json.dumps([tree, len(config.stages)], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def check_saved(saved: Saved, config: RunConfig) -> None:
    """Refuse the state of another training: of the same shape, it would go on silently.

    Raises:
        DataError: its settings are others, or it is in a stage that there is not.
    """
    if saved.training and saved.training != mark(config):  # states of before have none
        raise DataError(
            f"{saved.path} belongs to another training, with other settings. "
            f"{_cure(saved.path.parent)}"
        )
    if saved.stage >= len(config.stages):
        stages = f"it is in stage {saved.stage + 1} of {len(config.stages)}"
        raise _damaged(saved.path, ValueError(stages))


def check_tensors(saved: Saved, model: "Module") -> None:
    """Refuse a state whose tensors are not of this network, before anything is written of them.

    Raises:
        DataError: a name or a shape differs.
    """
    theirs, own = saved.weights(), model.state_dict()
    if {n: t.shape for n, t in theirs.items()} != {n: t.shape for n, t in own.items()}:
        raise _damaged(saved.path, ValueError("its tensors are of another network"))


@contextmanager
def naming_state(path: Path | None, begun: Callable[[], bool]) -> Iterator[None]:
    """Name the state in what goes wrong until it is in place.

    Args:
        path: of the state; None where training starts fresh.
        begun: whether training has begun with it: from then on errors are not the state's.
    """
    try:
        yield
    except _ODD as error:
        if path is None or begun():
            raise
        raise _damaged(path, error) from error


def _sound(path: Path) -> Mapping[str, Any]:
    """The tree of a state whose bytes are those that were written, of kinds that are expected."""
    import torch

    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()  # the loader itself compares no checksums
    if broken:
        raise ValueError(f"the checksum of {broken} differs")
    # mmap: what is not asked for, such as the optimiser's tensors, is not read
    tree: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    for name, kind in _KINDS.items():
        if not isinstance(tree[name], kind) or isinstance(tree[name], bool):
            raise TypeError(f"{name} is {shown(tree[name], 40)}")
    if min(tree[name] for name in ("stage", "done", "batches", "epoch", "global_step")) < 0:
        raise ValueError("a count is negative")
    # Lightning takes what is there of the list: without its moments an optimiser begins anew.
    if len(tree["optimizer_states"]) != 1 or not isinstance(tree["optimizer_states"][0], dict):
        raise ValueError("it has no state of one optimiser")
    mapping: Mapping[str, Any] = tree
    return mapping


def _damaged(path: Path, error: Exception) -> DataError:
    why = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
    return DataError(
        f"{path} is damaged, or an earlier version wrote it ({why}). {_cure(path.parent)}"
    )


def _cure(folder: Path) -> str:
    return (
        f"Bring it back from a copy. The best epoch so far is safe in the run: start a new one "
        f"from it with traitscope train ... --to FOLDER --from {folder}"
    )
