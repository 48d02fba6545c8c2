"""What an epoch is: which clips it fits on in which order, its weight decay, what it leaves.

In: how many clips there are, a stage, a seed. Out: pairs of a pass and a clip; rows are drawn and
augmented by the pass, so that a clip which an epoch sees twice is not drawn alike.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from traitscope.errors import ConfigError
from traitscope.runs.settings import Stage, TrainerConfig

_PRECISION: dict[str, Any] = {
    "32": "32-true",
    "tf32": "32-true",
    "bf16": "bf16-mixed",
    "16": "16-mixed",
}
"""Our word for an arithmetic -> Lightning's."""


def arithmetic(trainer: TrainerConfig, accelerator: str) -> Any:
    """What Lightning calls the arithmetic of a training on a device.

    Raises:
        ConfigError: float16 is asked for where there is no GPU.
    """
    if trainer.precision == "16" and not on_gpu(accelerator):
        raise ConfigError(
            "trainer.precision=16 (float16) runs on a GPU alone. Here, set trainer.precision=bf16 "
            "or leave it out."
        )
    return _PRECISION[trainer.precision]


def on_gpu(accelerator: str) -> bool:
    """Whether a training runs on a GPU."""
    return accelerator == "gpu" or (accelerator == "auto" and torch.cuda.is_available())


def samples(stage: Stage, clips: int) -> int:
    """How many clips an epoch fits on, those that it sees again included."""
    return stage.steps_per_epoch * stage.batch_size or stage.passes * clips


def order(stage: Stage, clips: int, *, seed: int, epoch: int) -> list[tuple[int, int]]:
    """Pass and clip of each sample of an epoch, a pure function of its arguments.

    Steps walk through passes that do not end with the epoch: every clip is seen once before any is
    seen again, however short an epoch is.
    """
    count = samples(stage, clips)
    passed, place = np.divmod(np.arange(epoch * count, (epoch + 1) * count), clips)
    orders = {
        number: np.random.default_rng([seed, number]).permutation(clips)
        for number in range(int(passed[0]), int(passed[-1]) + 1)
    }
    pairs = zip(passed.tolist(), place.tolist(), strict=True)
    return [(number, int(orders[number][at])) for number, at in pairs]


def ends_alone(stage: Stage, clips: int, devices: int = 1) -> bool:
    """Tell whether the last batch of an epoch is one clip, which breaks batch normalisation.

    It is dropped then, in the order of this epoch only; and so is one of fewer clips than devices.
    """
    count = samples(stage, clips)
    return count > stage.batch_size > 1 and 0 < count % stage.batch_size < max(2, devices)


def set_decay(optimizer: Any, stage: Stage, epoch: int) -> None:
    """Give all tensors that decay the weight decay of an epoch."""
    for group in optimizer.param_groups:
        if group["weight_decay"]:
            group["weight_decay"] = decay_of(stage, epoch)


def place_of(run: Path, trainer: TrainerConfig, epoch: int) -> Path | None:
    """Make the folder for the weights of an epoch, of those that are kept beside the best.

    Args:
        run: its folder.
        trainer: says how many are kept.
        epoch: from 0, over all stages.
    """
    if not trainer.keep_every or (epoch + 1) % trainer.keep_every:
        return None
    folder = run / "epochs" / f"epoch_{epoch:03d}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def decay_of(stage: Stage, epoch: int) -> float:
    """Weight decay of an epoch (from 0): from the first one's to the last one's in half a cosine.

    As vision transformers are trained (Caron et al., 2021, https://arxiv.org/abs/2104.14294): what
    is learned late is what is forgotten first, so it is the late weights that are held small.
    """
    if not stage.weight_decay_end or stage.epochs == 1:
        return stage.weight_decay
    way = (1 - np.cos(np.pi * epoch / (stage.epochs - 1))) / 2
    return float(stage.weight_decay + way * (stage.weight_decay_end - stage.weight_decay))
