"""A stage's optimiser: which tensors train, how fast each of them, and how the rate falls."""

import fnmatch
import math
from typing import Any, Literal

import torch
from torch import nn

from traitscope.errors import ConfigError
from traitscope.runs.settings import Stage


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
        frozen = any(fnmatch.fnmatchcase(name, pattern) for pattern in stage.freeze)
        tensor.requires_grad_(name in trainable and not frozen)
    if not any(tensor.requires_grad for tensor in model.parameters()):
        raise ConfigError(f"Stage {stage.name!r} freezes every tensor: nothing is left to train.")


def optimizer_of(model: nn.Module, stage: Stage) -> torch.optim.Optimizer:
    """The stage's optimiser over the tensors that train, one group per learning rate."""
    by_factor: dict[float, list[nn.Parameter]] = {}
    for name, tensor in model.named_parameters():
        if tensor.requires_grad:
            by_factor.setdefault(lr_factor(stage, name), []).append(tensor)
    groups: Any = [{"params": t, "lr": stage.lr * factor} for factor, t in by_factor.items()]
    how: Any = {"lr": stage.lr, "weight_decay": stage.weight_decay}
    # One kernel per step on a GPU; on a CPU it would round otherwise and gain little.
    how["fused"] = all(t.is_cuda for group in by_factor.values() for t in group) or None
    if stage.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=stage.momentum, **how)
    kind = torch.optim.Adam if stage.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, betas=stage.betas, **how)


def lr_factor(stage: Stage, name: str) -> float:
    """Factor on the learning rate of one tensor; the first pattern that matches decides."""
    matching = (f for pattern, f in stage.lr_factors.items() if fnmatch.fnmatchcase(name, pattern))
    return next(matching, 1.0)


def schedule_of(optimizer: torch.optim.Optimizer, stage: Stage, mode: Literal["min", "max"]) -> Any:
    """The stage's schedule, stepped once per epoch; None for a constant rate.

    Args:
        optimizer: what it acts on.
        stage: its settings.
        mode: whether the score that ``plateau`` watches is better when lower or higher.
    """
    if stage.schedule == "plateau":
        return torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer,
            mode=mode,
            factor=stage.factor,
            patience=stage.patience,
            min_lr=stage.min_lr,
        )
    if stage.schedule == "constant" and not stage.warmup_epochs:
        return None
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: lr_scale(stage, epoch))


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


def rescale(optimizer: torch.optim.Optimizer, schedule: Any, ratios: list[float]) -> None:
    """Multiply the learning rates that a resumed state brought back, one ratio per group."""
    for group, ratio in zip(optimizer.param_groups, ratios, strict=True):
        group["lr"] *= ratio
        if "initial_lr" in group:
            group["initial_lr"] *= ratio
    if hasattr(schedule, "base_lrs"):
        schedule.base_lrs = [lr * r for lr, r in zip(schedule.base_lrs, ratios, strict=True)]


def renew(schedule: Any, stage: Stage) -> None:
    """Let ``plateau`` go on with the stage's settings, not with those in a resumed state."""
    if isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
        schedule.patience, schedule.factor = stage.patience, stage.factor
        schedule.min_lrs = [stage.min_lr] * len(schedule.min_lrs)
