"""Tensors of unknown names in, those of a network that stand in the same places out, or why not.

Programs call the same layer by other names, but list the tensors of a network in the order in which
its layers were made, each with the name that PyTorch gives it. Two lists that agree entry by entry
in that last name and in shape are of one network:

    theirs                                  ours
    audio_fc.weight    (32, 68)     ->      project.weight     (32, 68)
    audio_fc.bias      (32,)        ->      project.bias       (32,)
    rnn.weight_ih_l0   (512, 32)    ->      lstm.weight_ih_l0  (512, 32)

Where two layers or branches side by side are alike (the frame and the face of CR-Net), nothing
tells which comes first there, and the user has to.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from traitscope.errors import shown, some

_COUNTER = "num_batches_tracked"
"""Of a norm; left out, as programs of before it was counted left it out."""
_STATISTICS = ("running_mean", "running_var")
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Places:
    """What stands where.

    Attributes:
        names: name there -> name here.
        why: why nothing does, as the reason of an account; empty where something does.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    why: str = ""


def by_place(
    theirs: Mapping[str, Tensor],
    network: nn.Module,
    known: Iterable[str],
    *,
    rename: Mapping[str, str],
) -> Places:
    """Match the tensors that no name tells with those that the network lacks, all or none.

    Args:
        theirs: the file's, in its order, by names that are none of the network's.
        network: ours.
        known: names of the network that the file has already.
        rename: how names begin there -> here, as the user says: what is below is matched apart.
    """
    own = _learnable(network)
    for name in known:
        own.pop(name, None)
    there = {n: tuple(t.shape) for n, t in theirs.items() if not n.endswith(_COUNTER)}
    names: dict[str, str] = {}
    for begins, ours in (*rename.items(), ("", "")):
        part = {n: shape for n, shape in there.items() if n.startswith(begins) and n not in names}
        wanted = {
            n: shape for n, shape in own.items() if n.startswith(ours) and n not in names.values()
        }
        if part and (why := _differences(part, wanted)):
            return Places(why=why)
        names |= dict(zip(part, wanted, strict=False))
    return Places(names=names)


def _differences(there: Shapes, own: Shapes) -> str:
    """Why two lists of tensors are not those of one network; empty if they are."""
    if not there or not own:
        return "this model has none like it"
    if len(there) != len(own):
        return f"no known name, and no place: {len(there)} such tensors there, {len(own)} here"
    for (name, shape), (ours, wanted) in zip(there.items(), own.items(), strict=True):
        if (_last(name), shape) != (_last(ours), wanted):
            return (
                f"no known name, and no place: where {shown(name, 80)} {list(shape)} stands there, "
                f"{ours} {list(wanted)} stands here"
            )
    if alike := _alike(own):
        return (
            f"no known name, and no place: {some(alike, 4)} are alike here; say which is which "
            f"with train.start.rename={{theirs: ours}}"
        )
    return ""


def _learnable(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """What a file of another program would hold of a network: no ranges of targets."""
    parameters = {name for name, _ in network.named_parameters()}
    return {
        name: tuple(tensor.shape)
        for name, tensor in network.state_dict().items()
        if name in parameters or _last(name) in _STATISTICS
    }


def _alike(own: Shapes) -> list[str]:
    """Parts of one part that hold the same shapes and are not numbered: their order is a taste."""
    inside: dict[str, dict[str, list[tuple[str, tuple[int, ...]]]]] = defaultdict(dict)
    for name, shape in own.items():
        words = name.split(".")
        for depth in range(len(words) - 1):
            parent, part = ".".join(words[:depth]), ".".join(words[: depth + 1])
            rest = ".".join(words[depth + 1 :])
            inside[parent].setdefault(part, []).append((rest, shape))
    for parts in inside.values():
        for tensors in parts.values():
            same = [other for other, its in parts.items() if its == tensors]
            # layer1 and layer2, or 0 and 1: everybody makes these one after the other
            if len(same) > 1 and not all(re.search(r"\d$", each) for each in same):
                return same
    return []


def _last(name: str) -> str:
    return name.rpartition(".")[2]
