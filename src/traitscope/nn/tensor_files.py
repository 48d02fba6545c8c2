"""Files of weights that other programs wrote -> their tensors, as data alone.

What is read: files of ``torch.save`` with a dictionary of tensors, which may lie below a key such
as ``model_state_dict``, beside epochs and optimisers; and ``.safetensors``. A file that asks for
code is refused before anything of it is made.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from traitscope.errors import ConfigError, DataError, shown, some
from traitscope.files import check_regular

_LARGEST_BYTES = 16 * 2**30
_BELOW = ("model_state_dict", "state_dict", "model_state", "model", "net", "network", "module")
"""Keys under which programs put the tensors of a network, beside what else they save."""
_WRAPPERS = re.compile(r"^(module\.|_orig_mod\.)+")
"""What torch's DataParallel and compile put before every name."""


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
