"""Tensors of another training in, a network that begins with them out; every tensor accounted for.

What belongs to the corpus is the new run's own: ranges, the ends of bins, the number of targets. A
head is taken target by target, by name; where a high value means the opposite, its sign turns:

    there: openness  neuroticism (high = stable)        here: neuroticism  openness  interview
              |          |                                        ^           ^
              |          +------------- turned -------------------+           |        fresh
              +-----------------------------------------------------------------+

What else has another shape is refused with both shapes, unless the user leaves it out by name.
"""

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from traitscope.errors import ConfigError, DataError, shown, some
from traitscope.runs.checkpoint import build_fitted
from traitscope.runs.facts import Facts
from traitscope.runs.plan import Plan
from traitscope.runs.settings import Start
from traitscope.types import Target

Axes = Mapping[str, tuple[int, int]]
"""Tensor -> the axis that grows with the number of targets, and its rows per target."""

_FATES = {
    "turned": "high means the opposite there",
    "fresh": "not a target there, or one whose bins cannot be turned",
}


@dataclass(frozen=True)
class Origin:
    """Where tensors come from.

    Attributes:
        name: of the run or file, for messages.
        tensors: by the names of the network.
        targets: what they regress; empty where a file does not say.
        renamed: name of the network -> name in the file, where these differ.
        placed: those among them that no name tells, but their place.
        left: tensors of the file that are none of the network's -> why.
        same_corpus: whether targets without a declared direction mean the same as here.
    """

    name: str
    tensors: Mapping[str, Tensor]
    targets: tuple[Target, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    placed: Mapping[str, str] = field(default_factory=dict)
    left: Mapping[str, str] = field(default_factory=dict)
    same_corpus: bool = False


@dataclass
class Account:
    """What became of each tensor.

    Attributes:
        origin: the run or file.
        taken: names of tensors that were taken, whole or in part.
        fresh: tensors of the network that start as the seed says -> why.
        own: tensors that belong to the corpus or follow from the settings.
        left: tensors of the origin that were not used -> why.
        placed: tensors that were told by their place in the file -> their name there.
        targets: target -> ``taken``, ``turned`` or ``fresh``.
    """

    origin: str
    taken: list[str] = field(default_factory=list)
    fresh: dict[str, str] = field(default_factory=dict)
    own: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    placed: dict[str, str] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values, for ``start.json``."""
        return asdict(self)

    def lines(self) -> list[str]:
        """What a person wants to know, in a few lines."""
        lines = [f"{len(self.taken)} tensors are taken from {self.origin}"]
        if self.placed:
            pairs = [f"{theirs} -> {ours}" for ours, theirs in self.placed.items()]
            lines.append(
                f"{len(pairs)} of them have names that are not known here, and stand there in the "
                f"places of: {some(pairs, 6)}"
            )
        for verb, names in (("start fresh", self.fresh), ("are left", self.left)):
            reasons = dict.fromkeys(names.values())
            for why in reasons:
                same = [name for name in names if names[name] == why]
                lines.append(f"{len(same)} {verb} ({why}): {some(same, 6)}")
        for fate, why in _FATES.items():
            heads = [name for name, its in self.targets.items() if its == fate]
            if heads:
                lines.append(f"heads of {', '.join(heads)} are {fate}: {why}")
        return lines


def take_over(
    network: nn.Module, origin: Origin, targets: Sequence[Target], *, axes: Axes, start: Start
) -> Account:
    """Put the tensors of another training into a network.

    Args:
        network: as the seed made it.
        origin: what to begin with.
        targets: of the network.
        axes: of the network, see `target_axes`.
        start: what to leave out.

    Raises:
        ConfigError: patterns match nothing, or nothing is left to take.
        DataError: shapes differ, or a direction is not declared.
    """
    account = Account(origin.name, left=dict(origin.left), placed=dict(origin.placed))
    chosen = _chosen(origin, start, account)
    _let_rebuild(network, chosen, axes)
    state = network.state_dict()
    parameters = {name for name, _ in network.named_parameters()}
    heads = [name for name in chosen if name in axes]
    fates = _fates(origin, targets, heads) if heads else {}
    account.targets = fates if axes else {}
    turnable = all(axis == 0 and rows == 1 for axis, rows in axes.values())
    fresh_heads = {n for n, fate in fates.items() if fate == "turned"} if not turnable else set()
    for name in fresh_heads:  # bins of a range are no mirror image of each other
        account.targets[name] = "fresh"
    # Collected first and put in at once: of a refusal the network stays as it was.
    result: dict[str, Tensor] = {}
    for name, tensor in chosen.items():
        if name not in state:
            account.left[name] = "the network has none of that name"
        elif name in axes and origin.targets:
            if not _is_such_a_head(state[name], tensor, axes[name], origin):
                raise DataError(_misfit(origin, name, tensor, state[name]))
            result[name] = _head(state[name], tensor, axes[name], origin, targets, account)
        elif (
            tuple(tensor.shape) == tuple(state[name].shape)
            or tensor.numel() == 1 == state[name].numel()
        ):
            result[name] = tensor.reshape(state[name].shape).to(state[name].dtype)
        elif name in axes:
            account.left[name] = f"has {list(tensor.shape)}, here {list(state[name].shape)}"
        else:
            raise DataError(_misfit(origin, name, tensor, state[name]))
    for name in state:
        if name in result:
            account.taken.append(name)
        elif name in parameters:
            account.fresh.setdefault(name, _why_fresh(name, origin, account))
        else:
            account.own.append(name)
    if not parameters & set(result):
        raise ConfigError(
            f"Nothing of {origin.name} can start this model: it has {some(list(chosen), 3)}, the "
            f"model {some(sorted(parameters), 3)}. Name a run of the same architecture."
        )
    network.load_state_dict(result, strict=False)
    return account


def target_axes(run_plan: Plan, facts: Facts) -> dict[str, tuple[int, int]]:
    """Find the tensors that grow with the number of targets: they are the heads.

    The network is made twice, with the run's targets and with one more, without taking memory.
    """
    # A z-score, because its range asks nothing of a model that cuts ranges into bins.
    more = replace(facts, targets=(*facts.targets, Target("one more")))
    try:
        with torch.device("meta"):
            sizes = [_sizes(build_fitted(run_plan, each)) for each in (facts, more)]
    except (NotImplementedError, RuntimeError):  # it looks at values while it is made
        with torch.random.fork_rng(devices=[]):
            sizes = [_sizes(build_fitted(run_plan, each)) for each in (facts, more)]
    axes = {}
    for name, one in sizes[0].items():
        other = sizes[1].get(name, one)
        grown = [i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b]
        if grown:
            axes[name] = (grown[0], other[grown[0]] - one[grown[0]])
    return axes


def learnt(run_plan: Plan, facts: Facts, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those tensors of a run that training changed, or may have: parameters, running statistics.

    A buffer that still is what its settings and targets made it (a range, the ends of bins) tells
    of that run's corpus, and has no place in a run on another.
    """
    with torch.random.fork_rng(devices=[]):
        # The generator is forked: the new network must be the one that its seed makes.
        fresh = build_fitted(run_plan, facts)
    buffers = dict(fresh.named_buffers())
    return {
        name: tensor
        for name, tensor in tensors.items()
        if name not in buffers
        or buffers[name].shape != tensor.shape
        or not torch.equal(buffers[name].to(tensor.dtype), tensor)
    }


def _sizes(network: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.named_parameters()}


def _chosen(origin: Origin, start: Start, account: Account) -> dict[str, Tensor]:
    for pattern in (*start.skip, *start.only):
        if not fnmatch.filter(origin.tensors, pattern):
            raise ConfigError(
                f"train.start: {pattern!r} matches no tensor of {origin.name}. It has "
                f"{some(list(origin.tensors), 8)}."
            )
    chosen = {}
    for name, tensor in origin.tensors.items():
        wanted = not start.only or any(fnmatch.fnmatchcase(name, p) for p in start.only)
        if wanted and not any(fnmatch.fnmatchcase(name, p) for p in start.skip):
            chosen[name] = tensor
        else:
            account.left[name] = "left out by train.start"
    return chosen


def _let_rebuild(network: nn.Module, tensors: Mapping[str, Tensor], axes: Axes) -> None:
    """Let a network that makes parts of itself from what was saved do so (``described``)."""
    if "described" in tensors and tensors["described"].numel():
        network.load_state_dict({n: t for n, t in tensors.items() if n not in axes}, strict=False)


def _fates(origin: Origin, targets: Sequence[Target], heads: Iterable[str]) -> dict[str, str]:
    there = {target.name: target for target in origin.targets}
    fates = {}
    for target in targets:
        known = there.get(target.name)
        if known is None:
            fates[target.name] = "fresh" if origin.targets else "taken"
        elif known.direction == target.direction and (target.direction or origin.same_corpus):
            fates[target.name] = "taken"
        elif None in {known.direction, target.direction}:
            side = origin.name if known.direction is None else "the corpus"
            raise DataError(
                f"{side} does not say whether a high {target.name!r} means more or less of it. "
                f"Declare its direction (1 or -1) there, or let the heads start fresh: "
                f"train.start.skip=[{','.join(heads)}]"
            )
        else:
            fates[target.name] = "turned"
    return fates


def _is_such_a_head(own: Tensor, theirs: Tensor, axis: tuple[int, int], origin: Origin) -> bool:
    """Whether two heads differ in their targets alone."""
    place, rows = axis
    if own.dim() != theirs.dim():
        return False
    rest, other = ([*t.shape[:place], *t.shape[place + 1 :]] for t in (own, theirs))
    return rest == other and theirs.shape[place] == rows * len(origin.targets)


def _head(
    own: Tensor,
    theirs: Tensor,
    axis: tuple[int, int],
    origin: Origin,
    targets: Sequence[Target],
    account: Account,
) -> Tensor:
    """Fill the rows of each target that is known there; the others stay as the seed made them."""
    place, rows = axis
    names = [target.name for target in origin.targets]
    head, source = own.clone().movedim(place, 0), theirs.movedim(place, 0)
    for index, target in enumerate(targets):
        fate = account.targets[target.name]
        if fate == "fresh":
            continue
        first = rows * names.index(target.name)
        block = source[first : first + rows]
        head[rows * index : rows * (index + 1)] = -block if fate == "turned" else block
    return head.movedim(0, place).contiguous()


def _why_fresh(name: str, origin: Origin, account: Account) -> str:
    why = account.left.get(name)
    if why is None:
        return f"not in {origin.name}"
    return why if why.startswith("left out") else f"{origin.name} {why}"


def _misfit(origin: Origin, name: str, theirs: Tensor, ours: Tensor) -> str:
    called = origin.renamed.get(name, name)
    known = shown(called, 80) if called == name else f"{shown(called, 80)}, here {name},"
    return (
        f"{known} is {list(theirs.shape)} in {origin.name} and {list(ours.shape)} in this model. "
        f"Give the model the settings it was trained with (model.*), or let these start fresh: "
        f"train.start.skip=[{name}]"
    )
