"""Weights that another program saved in, tensors by the names of our network out.

What is read: files of ``torch.save`` with a dictionary of tensors (DeepPersonality's ``.pkl``, the
``.pt`` of Head Motion, the ``.pth`` of S2D and AffectNet; the dictionary may lie below a key such
as ``model_state_dict``, beside epochs and optimisers) and ``.safetensors`` (timm, torchvision). All
of them as data alone: a file that asks for code is refused before anything of it is made.

Names are made ours by the table ``FOREIGN`` at the end of the model's file: pairs of a pattern and
what it becomes, of which the first that matches decides. What no name tells is told by its place,
see `places`.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

from torch import Tensor, nn

from traitscope.errors import ConfigError, DataError, shown, some
from traitscope.nn.tensor_files import read_tensors
from traitscope.runs.places import by_place
from traitscope.runs.transfer import Origin


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
    unknown: dict[str, Tensor] = {}
    for theirs, tensor in tensors.items():
        name = _renamed(theirs, known, table)
        # Two branches of one shape would fall onto each other here, the later over the earlier.
        if name in ours:
            raise DataError(
                f"{path}: {shown(theirs, 80)} and {shown(renamed.get(name, name), 80)} are both "
                f"{name} of this model. Is it the file of another one?"
            )
        if name not in known:
            unknown[theirs] = tensor
            continue
        ours[name] = tensor
        if name != theirs:
            renamed[name] = theirs
    placed = by_place(unknown, network, ours, rename=rename)
    left = {
        name: placed.why or "a count of batches" for name in unknown if name not in placed.names
    }
    ours |= {name: tensors[theirs] for theirs, name in placed.names.items()}
    if not ours:
        raise ConfigError(
            f"Nothing in {path} is known to this model: it has {some(list(tensors), 4)}, the model "
            f"{some(sorted(known), 4)} ({placed.why}). Name the model that the file is of."
        )
    here = {name: theirs for theirs, name in placed.names.items()}
    return Origin(str(path), ours, renamed=renamed | here, placed=here, left=left)


def _renamed(name: str, known: set[str], table: Sequence[tuple[str, str]]) -> str:
    if name in known:
        return name
    for pattern, ours in table:
        changed, count = re.subn(pattern, ours, name, count=1)
        if count and changed in known:
            return changed
    return name
