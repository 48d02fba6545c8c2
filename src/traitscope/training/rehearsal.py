"""A network before its first step: is the device there, and can the smallest step be made?

In: a network and what it is fitted on. Out: nothing, or an error that names the setting.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from traitscope.data.batches import collate, to_tensors
from traitscope.errors import ConfigError, TraitscopeError, shown
from traitscope.nn.pretrained import hold_frozen
from traitscope.registry import NOTHING, Typed
from traitscope.runs.checkpoint import predicted
from traitscope.runs.settings import Stage
from traitscope.training import losses
from traitscope.training.optimisation import schedule_of
from traitscope.training.pace import on_gpu
from traitscope.training.training_set import TrainingSet
from traitscope.types import Batch


def check_settings(data: TrainingSet, *, accelerator: str, typed: Typed = NOTHING) -> None:
    """Refuse a device that is not there, and losses and schedules that nobody knows.

    Raises:
        ConfigError: says which, and what to type instead.
    """
    if accelerator == "gpu" and not _has_gpu():
        raise ConfigError(
            "There is no GPU that PyTorch can use on this machine (accelerator=gpu). Train with: "
            "--accelerator cpu, or see: traitscope doctor"
        )
    for stage in data.config.stages:
        losses.find(stage.loss, typed=typed)
        schedule_of(stage, typed)


def check_devices(
    data: TrainingSet, count: int, *, accelerator: str, elsewhere: bool = False
) -> None:
    """Refuse more devices than there are, or than a batch can be dealt to.

    Args:
        data: what is fitted on.
        count: of devices.
        accelerator: where.
        elsewhere: whether they are those of a cluster, which knows them.

    Raises:
        ConfigError: says what does not go, and what does.
    """
    if count == 1:
        return
    if not elsewhere and on_gpu(accelerator) and count > torch.cuda.device_count():
        raise ConfigError(
            f"There are {torch.cuda.device_count()} GPUs on this machine, and --devices {count} "
            f"are wanted. Take fewer, or --accelerator cpu."
        )
    for stage in data.config.stages:
        if stage.batch_size % count:
            raise ConfigError(
                f"A batch of {stage.batch_size} clips cannot be dealt to {count} devices: it is "
                f"that of all of them together. Set: {_setting([stage], f'batch_size={count}')} "
                f"(or a multiple), or take other --devices."
            )
    if 0 < len(data.selection) < count:
        raise ConfigError(
            f"{len(data.selection)} validation clips are too few for {count} devices. Take fewer."
        )


def _has_gpu() -> bool:
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def rehearse(network: nn.Module, data: TrainingSet, typed: Typed = NOTHING) -> None:
    """Make the smallest step that training will make, without learning from it.

    Batch normalisation of a batch of one, a loss that asks for what the model does not give and
    NaN in weights that came from elsewhere all show here, before anything is written.

    Raises:
        ConfigError: names the setting.
        TraitscopeError: the predictions are no numbers.
    """
    stages = data.config.stages
    batch = _smallest(data)
    with torch.no_grad(), _as_it_was(network):
        try:
            output = network(batch)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise ConfigError(
                f"{data.config.model['name']} normalises over the clips of a batch, and cannot "
                f"train on one clip at a time. Set: {_setting(stages, 'batch_size=2')}"
            ) from error
        if not torch.isfinite(predicted(output)).all():
            raise TraitscopeError(
                "The predictions before the first step are not finite: the weights that training "
                "starts from hold NaN or infinity. Start from others."
            )
        for stage in stages:
            _try_loss(stage, output, batch, data, typed)


def parts_idle(network: nn.Module, stage: Stage, data: TrainingSet, typed: Typed = NOTHING) -> bool:
    """Whether a step leaves tensors that learn without a gradient.

    A loss may leave a part of a network out, as squared errors do with the variance that it states.
    """
    batch = _smallest(data)
    loss = losses.find(stage.loss, data.targets, typed=typed)
    with _as_it_was(network), torch.enable_grad():
        loss(network(batch), batch.targets, batch.target_mask, 0.0).backward()
        idle = any(t.requires_grad and t.grad is None for t in network.parameters())
        network.zero_grad()
    return idle


def _smallest(data: TrainingSet) -> Batch:
    # Two clips, or one where a step has one: what fails at 32 fails at two.
    count = min(2, len(data.fitting), *(stage.batch_size for stage in data.config.stages))
    examples = data.fitting.__getitems__([(0, index) for index in range(count)])
    return to_tensors(collate(examples, data.fitting.targets))


@contextmanager
def _as_it_was(network: nn.Module) -> Iterator[None]:
    """Train on something, and leave running statistics and draws as they were."""
    buffers = {name: tensor.clone() for name, tensor in network.named_buffers()}
    network.train()
    hold_frozen(network)
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            for name, tensor in network.named_buffers():
                with torch.no_grad():
                    tensor.copy_(buffers[name])


def _try_loss(stage: Stage, output: Any, batch: Any, data: TrainingSet, typed: Typed) -> None:
    loss = losses.find(stage.loss, data.targets, typed=typed)
    try:
        loss(output, batch.targets, batch.target_mask, 0.0)
    except AttributeError as error:
        if "." in stage.loss:
            raise
        raise ConfigError(
            f"The loss {shown(stage.loss)} needs {shown(str(error.name))} of a model, which "
            f"{data.config.model['name']} does not give. Set: {_setting([stage], 'loss=mse')}"
        ) from error


def _setting(stages: Iterable[Stage], what: str) -> str:
    return " ".join(
        f"train.{what}" if stage.name == "fit" else f"train.{stage.name}.{what}" for stage in stages
    )
