"""Weights that another program saved in, tensors by the names of our network out.

What is read: files of ``torch.save`` with a dictionary of tensors (DeepPersonality's ``.pkl``, the
``.pt`` of Head Motion, the ``.pth`` of S2D and AffectNet; the dictionary may lie below a key such
as ``model_state_dict``, beside epochs and optimisers) and ``.safetensors`` (timm, torchvision). All
of them as data alone: a file that asks for code is refused before anything of it is made.

Names are made ours by the table ``FOREIGN`` at the end of the model's file: pairs of a pattern and
what it becomes, of which the first that matches decides.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from traitscope.errors import ConfigError, DataError, shown, some
from traitscope.files import check_regular
from traitscope.runs.transfer import Origin

_LARGEST_BYTES = 16 * 2**30
_BELOW = ("model_state_dict", "state_dict", "model_state", "model", "net", "network", "module")
"""Keys under which programs put the tensors of a network, beside what else they save."""
_WRAPPERS = re.compile(r"^(module\.|_orig_mod\.)+")
"""What torch's DataParallel and compile put before every name."""


def read_foreign(
    path: Path, network: nn.Module, module: ModuleType, *, rename: Mapping[str, str]
) -> Origin:
    """Read a file of weights for a network of ours.

    Args:
        path: the file.
        network: whose names they get.
        module: the model's file, whose table ``FOREIGN`` says how.
        rename: how names begin there -> here, as the user says; it comes before the table.

    Raises:
        ConfigError: the file is not there.
        DataError: it is damaged, holds code, or no tensors.
    """
    tensors = read_tensors(path)
    known = set(network.state_dict())
    typed = [(f"^{re.escape(theirs)}", ours) for theirs, ours in rename.items()]
    for (pattern, _), theirs in zip(typed, rename, strict=True):
        if not any(re.match(pattern, name) for name in tensors):
            raise ConfigError(
                f"train.start.rename: no tensor of {path} begins with {theirs!r}. It has "
                f"{some(list(tensors), 6)}."
            )
    table: Sequence[tuple[str, str]] = (*typed, *getattr(module, "FOREIGN", ()))
    ours: dict[str, Tensor] = {}
    renamed: dict[str, str] = {}
    left: dict[str, str] = {}
    for theirs, tensor in tensors.items():
        name = _renamed(theirs, known, table)
        # Two branches of one shape would fall onto each other here, the later over the earlier.
        if name in ours:
            raise DataError(
                f"{path}: {shown(theirs, 80)} and {shown(renamed.get(name, name), 80)} are both "
                f"{name} of this model. Is it the file of another one?"
            )
        if name not in known:
            left[theirs] = "this model has none like it"
            continue
        ours[name] = tensor
        if name != theirs:
            renamed[name] = theirs
    if not ours:
        raise ConfigError(
            f"Nothing in {path} is known to this model: it has {some(list(tensors), 4)}, the model "
            f"{some(sorted(known), 4)}. Name the model that the file is of."
        )
    return Origin(str(path), ours, renamed=renamed, left=left)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, by its names; nothing in it is run.

    Raises:
        ConfigError: it is not there.
        DataError: it is damaged, holds code, or no tensors.
    """
    if not path.exists():
        raise ConfigError(f"There is no run and no file {path}. Check the path.")
    check_regular(path, largest=_LARGEST_BYTES)
    if path.suffix == ".safetensors":
        try:
            return dict(load_file(path))
        except (SafetensorError, OSError, ValueError) as error:
            raise DataError(f"{path} is damaged ({error}). Download it again.") from error
    tree = _loaded(path)
    tensors = _tensors_in(tree)
    if not tensors:
        keys = some([str(key) for key in tree], 6) if isinstance(tree, Mapping) else shown(tree, 40)
        raise DataError(
            f"{path} holds no dictionary of tensors, but {keys}. Save the network's state_dict "
            f"with the program that made it, and name that file."
        )
    return {_WRAPPERS.sub("", name): tensor for name, tensor in tensors.items()}


def _loaded(path: Path) -> Any:
    """What ``torch.save`` wrote, read by torch's reader of data."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # A file of strangers makes torch raise a dozen kinds; which one it is tells its words.
        words = str(error)
        code = re.search(r"GLOBAL ([\w.]+)", words)
        if code or "unrecognized function" in words or "Unsupported class" in words:
            asks = f": it asks for {shown(code[1], 80)}" if code else ""
            raise DataError(
                f"{path} is refused, because it holds code or objects and not only tensors{asks}. "
                f"Nothing of it was run. Save the network's state_dict with the program that made "
                f"it, and name that file."
            ) from None
        raise DataError(
            f"{path} is no file of torch.save, or damaged ({type(error).__name__}). Download it "
            f"again, or name the file with the network's state_dict."
        ) from None


def _tensors_in(tree: Any) -> dict[str, Tensor]:
    """The dictionary of tensors in a tree of dictionaries: at its top, or below a usual key."""
    if not isinstance(tree, Mapping):
        return {}
    # Counters and versions stand beside the tensors in some programs; they are no reason to miss.
    tensors = {str(name): value for name, value in tree.items() if isinstance(value, Tensor)}
    if tensors and len(tensors) >= len(tree) / 2:
        return tensors
    for key in _BELOW:
        found = _tensors_in(tree.get(key))
        if found:
            return found
    return {}


def _renamed(name: str, known: set[str], table: Sequence[tuple[str, str]]) -> str:
    if name in known:
        return name
    for pattern, ours in table:
        changed, count = re.subn(pattern, ours, name, count=1)
        if count and changed in known:
            return changed
    return name
