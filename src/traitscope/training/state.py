"""``state.ckpt``, what an interrupted training goes on from: read once, and checked before use.

In: the file, and the training that it should belong to. Out: its tree, or an error that names the
file and says how to go on without it. Nothing in it is run.
"""

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from traitscope.errors import DataError, TraitscopeError, shown
from traitscope.files import check_regular
from traitscope.runs.settings import RunConfig
from traitscope.training.history import read_history
from traitscope.training.training_set import TrainingSet

_LARGEST_BYTES = 2**38
"""A network of billions of weights, with the two moments that Adam keeps of each."""

_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "stage": int,
    "epoch": int,
    "global_step": int,
    "best": (float, type(None)),
    "rates": list,
    "state_dict": dict,
    "optimizer_states": list,
    "lr_schedulers": list,
    "loops": dict,
    "callbacks": dict,
}
"""What training reads of it, ours and Lightning's."""

# What a loader that meets other types than it saved may raise, far from the file's name.
_ODD = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def has_state(folder: Path) -> bool:
    """Whether a training can go on from where it was.

    Raises:
        DataError: epochs are done, but the state after them is not there.
    """
    path = folder / "state.ckpt"
    if path.exists():
        return True
    history = folder / "history.csv"
    # Stopped between the row of the first epoch and its state, it has one row and begins again.
    if history.is_file() and len(read_history(history)) > 1:
        raise DataError(f"{path} is missing, though epochs are done. {_cure(path)}")
    return False


def check_state(folder: Path, data: TrainingSet) -> None:
    """Refuse a state that training cannot go on from, before anything of its run is written.

    Raises:
        DataError: see `read_state` and `has_state`.
    """
    if (folder / "history.csv").is_file():
        read_history(folder / "history.csv")  # each epoch is added to it
    if has_state(folder):
        read_state(folder / "state.ckpt", data)


def mark(data: TrainingSet) -> str:
    """A mark of what is trained; a resumed training has the same, whatever its ``train.*``."""
    config: RunConfig = data.config
    # Corpus and store may have moved; how long and how fast it learns may change on resuming.
    tree = config.model_dump(mode="json", exclude={"stages": True, "data": {"corpus", "store"}})
    clips = [clip.id for clip in data.fitting.clips]
    text = json.dumps([tree, len(config.stages), clips], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def read_state(path: Path, data: TrainingSet) -> dict[str, Any]:
    """Read the state of an interrupted training.

    Args:
        path: of ``state.ckpt``.
        data: what is trained.

    Raises:
        DataError: the file is damaged, is no state, or is that of another training.
    """
    import torch

    check_regular(path, largest=_LARGEST_BYTES)
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()  # the loader itself compares no checksums
        if broken:
            raise _damaged(path, f"the checksum of {broken} differs")
        tree = torch.load(path, map_location="cpu", weights_only=True)
    # The reader of archives seeks where a cut file sends it, hence OSError and EOFError.
    except (*_ODD, OSError, EOFError, UnpicklingError, zipfile.BadZipFile) as error:
        raise _damaged(path, str(error).partition("\n")[0]) from error
    if not isinstance(tree, dict):
        raise _damaged(path, f"it holds {shown(tree, 40)}")
    for name, kind in _KINDS.items():
        value = tree.get(name, "nothing")
        if not isinstance(value, kind) or isinstance(value, bool):
            raise _damaged(path, f"{name} is {shown(value, 40)}")
    stages = len(data.config.stages)
    if not 0 <= tree["stage"] < stages or min(tree["epoch"], tree["global_step"]) < 0:
        raise _damaged(path, f"it is in stage {tree['stage']} of {stages}, epoch {tree['epoch']}")
    # Lightning takes what is there of each list: without its moments an optimiser begins anew.
    optimizers, schedules = tree["optimizer_states"], tree["lr_schedulers"]
    odd = not all(isinstance(one, dict) for one in (*optimizers, *schedules))
    if odd or len(optimizers) != 1 or len(schedules) > 1:
        raise _damaged(path, "it has no state of one optimiser")
    if not all(isinstance(rate, float) for rate in tree["rates"]):
        raise _damaged(path, f"rates are {shown(tree['rates'], 40)}")
    if tree.get("training", mark(data)) != mark(data):  # states of before have no mark
        raise DataError(
            f"{path} belongs to another training: other settings, or other clips. {_cure(path)}"
        )
    return tree


@contextmanager
def naming_state(path: Path | None, begun: Callable[[], bool]) -> Iterator[None]:
    """Name the state in what goes wrong until it is in place.

    Args:
        path: of ``state.ckpt``; None where training starts fresh.
        begun: whether training has begun with it; from then on errors are other people's.
    """
    try:
        yield
    except TraitscopeError:
        raise
    except _ODD as error:
        if path is None or begun():
            raise
        raise _damaged(
            path, f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        ) from error


def _damaged(path: Path, why: str) -> DataError:
    return DataError(f"{path} is damaged ({why}). {_cure(path)}")


def _cure(path: Path) -> str:
    again = f"traitscope train {path.parent / 'run.yaml'} --to FOLDER"
    return f"Bring it back from a copy, or train again: {again}"
