"""A stage's optimiser: which tensors train, how fast each of them, and how the rate falls.

The learning rate of an epoch is a pure function of the settings, the epoch and (of ``plateau``) the
scores so far. Nothing of it is kept in a state, so that a training that was resumed with other
settings goes on at exactly the rate that these settings say for the epoch.
"""

import fnmatch
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from traitscope.errors import ConfigError
from traitscope.registry import NOTHING, Typed, function
from traitscope.runs.settings import SCHEDULES, Stage

Schedule = Callable[[int, Stage], float]
"""Somebody's own: the epoch (from 0) and the stage -> factor on its learning rate."""

_THRESHOLD = 1e-4
"""Smaller relative gains are none to ``plateau``; PyTorch's value, which Keras' callback shares."""


@dataclass
class Group:
    """Tensors of one learning rate and one weight decay.

    Attributes:
        factor: on the learning rate of the stage.
        decay: the weight decay.
        tensors: of the network.
    """

    factor: float
    decay: float
    tensors: list[nn.Parameter] = field(default_factory=list)


def freeze(model: nn.Module, stage: Stage, trainable: frozenset[str]) -> None:
    """Let the tensors train that the model declares trainable and the stage does not freeze.

    Args:
        model: the network.
        stage: its ``freeze`` holds patterns of tensor names, such as ``backbone.*``.
        trainable: names of the tensors that train unless a stage freezes them.

    Raises:
        ConfigError: a pattern matches no tensor, or nothing is left to train.
    """
    for pattern in (*stage.freeze, *stage.lr_factors):
        if not fnmatch.filter([name for name, _ in model.named_parameters()], pattern):
            raise ConfigError(f"{pattern!r} matches no tensor of the model: it has no effect.")
    for name, tensor in model.named_parameters():
        # What the model froze itself stays frozen: a stage can only freeze more.
        frozen = any(fnmatch.fnmatchcase(name, pattern) for pattern in stage.freeze)
        tensor.requires_grad_(name in trainable and not frozen)
    if not any(tensor.requires_grad for tensor in model.parameters()):
        raise ConfigError(f"Stage {stage.name!r} freezes every tensor: nothing is left to train.")


def groups_of(model: nn.Module, stage: Stage) -> list[Group]:
    """The tensors that train, by learning rate and weight decay, in the order of the network."""
    above = _layers_above(name for name, _ in model.named_parameters())
    groups: dict[tuple[float, float], Group] = {}
    for name, tensor in model.named_parameters():
        if not tensor.requires_grad:
            continue
        factor = lr_factor(stage, name) * stage.layer_decay ** above[name]
        # Scales of norms and biases have one axis: pulled towards zero they only lose their role.
        spared = stage.decay == "weights" and tensor.ndim < 2
        decay = 0.0 if spared else stage.weight_decay
        groups.setdefault((factor, decay), Group(factor, decay)).tensors.append(tensor)
    return list(groups.values())


def optimizer_of(model: nn.Module, stage: Stage) -> torch.optim.Optimizer:
    """The stage's optimiser over the tensors that train, see `groups_of`."""
    given: Any = [
        {"params": group.tensors, "lr": stage.lr * group.factor, "weight_decay": group.decay}
        for group in groups_of(model, stage)
    ]
    if stage.optimizer == "sgd":
        return torch.optim.SGD(given, lr=stage.lr, momentum=stage.momentum)
    kind = torch.optim.Adam if stage.optimizer == "adam" else torch.optim.AdamW
    return kind(given, lr=stage.lr, betas=stage.betas)


def lr_factor(stage: Stage, name: str) -> float:
    """Factor on the learning rate of one tensor; the first pattern that matches decides."""
    matching = (f for pattern, f in stage.lr_factors.items() if fnmatch.fnmatchcase(name, pattern))
    return next(matching, 1.0)


def _layers_above(names: Iterable[str]) -> dict[str, int]:
    """How many numbered layers lie between each tensor and the output, for ``layer_decay``.

    A network is read by its names: ``blocks.0`` ... ``blocks.11`` or ``layer1`` ... ``layer4`` are
    twelve or four layers one above the other; what comes before them lies below the lowest, what
    comes after them above the highest. A name with a single number (``conv1``) is no stack.

        patch_embed   blocks.0   blocks.1   norm   head
             3            2          1        0      0
    """
    names = list(names)
    places = {name: re.match(r"(.*?)(\d+)(?=\.)", name) for name in names}
    stacks: dict[str, set[int]] = {}
    for found in places.values():
        if found is not None:
            stacks.setdefault(found[1], set()).add(int(found[2]))
    stacks = {stem: numbers for stem, numbers in stacks.items() if len(numbers) > 1}
    above: dict[str, int] = {}
    passed: set[str] = set()
    for name in names:
        place = places[name]
        if place is not None and place[1] in stacks:
            passed.add(place[1])
            numbers = sorted(stacks[place[1]])
            above[name] = len(numbers) - numbers.index(int(place[2]))
            continue
        # Of the stacks of the same part of the network: a branch has its own depth.
        near = [stem for stem in stacks if stem.split(".")[0] == name.split(".")[0]] or stacks
        ahead = [len(stacks[stem]) + 1 for stem in near if stem not in passed]
        above[name] = max(ahead, default=0)
    return above


def schedule_of(stage: Stage, typed: Typed = NOTHING) -> Schedule:
    """The stage's schedule, or somebody's own that the user typed.

    Raises:
        ConfigError: there is no such schedule, or it was not typed.
    """
    if stage.schedule in SCHEDULES:
        return lambda epoch, settings: lr_scale(settings, epoch)
    own: Schedule = function(stage.schedule, typed=typed, words=f"train.schedule={stage.schedule}")
    return own


def rate(
    stage: Stage,
    schedule: Schedule,
    epoch: int,
    *,
    factor: float = 1.0,
    scores: Sequence[float] = (),
    mode: Literal["min", "max"] = "min",
) -> float:
    """The learning rate of an epoch.

    Args:
        stage: the settings.
        schedule: see `schedule_of`.
        epoch: from 0.
        factor: of the group of tensors.
        scores: the deciding score of each epoch before, for ``plateau``.
        mode: whether that is better when lower or higher.
    """
    if stage.schedule != "plateau":
        return stage.lr * factor * schedule(epoch, stage)
    lr = stage.lr * factor
    for _ in range(_reductions(scores, stage.patience, mode)):
        lr = max(lr * stage.factor, stage.min_lr)
    return lr


def lr_scale(stage: Stage, epoch: int) -> float:
    """Factor on the learning rate in an epoch (from 0): warm-up, then ``step`` or ``cosine``."""
    if epoch < stage.warmup_epochs:
        return (epoch + 1) / (stage.warmup_epochs + 1)
    if stage.schedule == "step":
        return stage.factor ** sum(epoch >= milestone for milestone in stage.milestones)
    if stage.schedule != "cosine":
        return 1.0
    left = max(1, stage.epochs - stage.warmup_epochs)
    floor = stage.min_lr / stage.lr
    return floor + (1 - floor) * (1 + math.cos(math.pi * (epoch - stage.warmup_epochs) / left)) / 2


def _reductions(scores: Sequence[float], patience: int, mode: Literal["min", "max"]) -> int:
    """How often ``plateau`` has acted: after ``patience`` epochs in a row without gain."""
    best, waited, count = math.inf if mode == "min" else -math.inf, 0, 0
    for score in scores:
        if mode == "min":
            gained = score < best * (1 - _THRESHOLD)
        else:
            gained = score > best * (1 + _THRESHOLD)
        best, waited = (score, 0) if gained else (best, waited + 1)  # of an undefined score: none
        if waited > patience:
            count, waited = count + 1, 0
    return count
