"""The one training loop of all neural models: Lightning's, with our stages, order and records.

In: a network and a stage of its training. Out: what is known of each batch and epoch, and which
epoch is worth keeping; `stages` runs the stages and writes. Batch order and draws are pure
functions of seed and epoch (each stage begins with the same ones), dropout is one of seed, stage,
epoch and batch: a resumed run repeats an uninterrupted one to the bit on a CPU.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from traitscope.data.batches import to_tensors
from traitscope.errors import ConfigError, TraitscopeError
from traitscope.nn.pretrained import hold_frozen
from traitscope.registry import NOTHING, Typed
from traitscope.runs.best_epochs import save_epoch, settle
from traitscope.runs.checkpoint import predicted, save_fitted
from traitscope.runs.settings import RunConfig, Stage
from traitscope.training import losses, pace
from traitscope.training._lightning import EarlyStopping, LightningModule
from traitscope.training.best import Best, Mode
from traitscope.training.devices import ALONE, Devices
from traitscope.training.distillation import SelfDistillation
from traitscope.training.history import StepLog, mean_loss, record, split_scores
from traitscope.training.label_noise import LabelNoise
from traitscope.training.optimisation import groups_of, optimizer_of, rate, schedule_of
from traitscope.training.saved import mark
from traitscope.training.tracking import named_for
from traitscope.training.training_set import TrainingSet
from traitscope.training.weighting import DensityWeights, clip_weights
from traitscope.types import Batch, Hook

HIGHER_IS_BETTER = frozenset({"r2", "ccc"})


@dataclass(frozen=True)
class Session:
    """One sitting of the loop: what is fitted on, where to write, on what device, who watches."""

    data: TrainingSet
    folder: Path
    accelerator: str = "auto"
    workers: int = 0
    hook: Hook | None = None
    typed: Typed = NOTHING
    devices: Devices = ALONE

    def __deepcopy__(self, memo: object) -> "Session":
        """Stay one when the loop is copied to average its weights: the data is not copied."""
        return self

    def lean(self) -> "Session":
        """The same session with only what the loop takes, to be sent to another process."""
        # Of the plan's module nothing is asked any more, and a module cannot be sent.
        nobody: Any = None
        return replace(self, data=replace(self.data, plan=nobody), hook=None)

    @property
    def config(self) -> RunConfig:
        """The settings of the run."""
        return self.data.config

    @property
    def monitor(self) -> str:
        """Name of the score that decides which epoch is best."""
        return f"validation_{self.config.trainer.monitor}"

    @property
    def mode(self) -> Mode:
        """Whether the deciding score is better when lower or higher."""
        return "max" if self.config.trainer.monitor in HIGHER_IS_BETTER else "min"


class Loop(LightningModule):
    """The LightningModule of the whole zoo: models differ in forward and loss, never here."""

    def __init__(
        self, model: torch.nn.Module, session: Session, *, index: int, epochs_before: int
    ) -> None:
        super().__init__()
        self.model = model
        self.session = session
        self.index = index
        self.stage: Stage = session.config.stages[index]
        self.loss = losses.find(self.stage.loss, session.data.targets, typed=session.typed)
        self.schedule = schedule_of(self.stage, session.typed)
        self.epochs_before = epochs_before
        self.begun = False  # a resumed state is in place by then
        self.best = Best(session.mode)
        each = session.data.targets if self.stage.keep == "per_target" else ()
        self.best_of = {target.name: Best(session.mode) for target in each}
        self.validation: dict[str, float] = {}
        self._by_target: dict[str, float] = {}
        self.distil = _distillation(model, session, self.stage, self.loss)
        weighted = self.stage.weighting == "density"
        labels = self.loss.shares_of(session.data.fitting.labels()) if weighted else None
        self.weights = None if labels is None else DensityWeights(labels)
        column = self.stage.clip_weights
        self._clip_weights = clip_weights(session.data.fitting.clips, column) if column else {}
        noise = (self.stage.label_noise, session.data.corpus, session.data.fitting.clips)
        self._noise = LabelNoise(*noise, session.data.targets) if noise[0] else None
        self._compiled = [torch.compile(model)] if session.config.trainer.compile else []
        self._lr = self.stage.lr  # of this epoch and the first group
        self._train_loss = math.nan
        self._factors: list[float] = []  # on it, of each group
        self._decisive: list[float] = []  # the score of each epoch, for ``plateau``
        self._scored: dict[str, Tensor] = {}
        self._losses: list[tuple[Tensor, int]] = []
        self._validation_losses: list[tuple[Tensor, int]] = []
        self._predictions: list[Tensor] = []
        every = session.config.trainer.log_steps if session.devices.first else 0
        self._steps = StepLog(session.folder / "steps.csv", every)

    def transfer_batch_to_device(self, batch: Batch, device: Any, dataloader_idx: int) -> Batch:
        """Move a batch, and augment and normalise its pictures there."""
        return to_tensors(batch, device, augment=self.session.data.fitting.augment)

    def on_train_epoch_start(self) -> None:
        """Begin the losses of an epoch."""
        self._losses = []
        self._set_rates()

    def _set_rates(self) -> None:
        """Hold frozen parts still, and give each group the rate of this epoch."""
        hold_frozen(self.model)
        scores, mode = self._decisive, self.session.mode
        rates = [
            rate(self.stage, self.schedule, self._epoch, factor=f, scores=scores, mode=mode)
            for f in self._factors
        ]
        for group, lr in zip(self.trainer.optimizers[0].param_groups, rates, strict=True):
            group["lr"] = lr
        pace.set_decay(self.trainer.optimizers[0], self.stage, self._epoch)
        self._lr = rates[0]

    @property
    def _epoch(self) -> int:
        """The epoch at work, also before Lightning has counted the one that it resumed after."""
        current: Any = self.trainer.fit_loop.epoch_progress.current
        return int(current.processed)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """One batch -> its loss; dropout and the like are fixed by seed, stage, epoch and batch."""
        # Per batch: loaders draw from the same generator, in another number when resuming.
        devices = self.session.devices
        place = [self.session.config.seed, self.index, self.current_epoch, batch_index]
        place += [devices.rank] * (not devices.first)  # the same masks for other clips are fewer
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))
        progress = (
            self.current_epoch + batch_index / max(1, self.trainer.num_training_batches)
        ) / (self.stage.epochs)
        model = self._compiled[0] if self._compiled else self.model
        targets = batch.targets if self._noise is None else self._noise(batch)
        output = model(batch)
        mask = batch.target_mask
        if self.weights is not None:
            mask = mask * self.weights(self.loss.share(batch.targets))
        if self._clip_weights:
            each = [self._clip_weights[clip] for clip in batch.clips]
            mask = mask * torch.tensor(each, device=mask.device)[:, None]
        loss: Tensor = self.loss(output, targets, mask, progress)
        if self.distil is not None:
            prediction, labels = self.loss.share(predicted(output)), self.loss.share(batch.targets)
            loss = loss + self.distil(output.features, prediction, progress)
            whole = batch.target_mask & ~batch.mixed[:, None]
            self.distil.remember(*map(devices.whole, (output.features, labels, whole)))
        # Still on its device: to look at it here would make the processor wait for the step.
        self._losses.append((loss.detach(), len(batch.clips)))
        self._steps.note(self.stage.name, self.current_epoch, batch_index, self._lr, loss.detach())
        if devices.count > 1:
            left = pace.samples(self.stage, len(self.session.data.fitting))
            left -= batch_index * self.stage.batch_size
            loss = loss * devices.weight(len(batch.clips), min(left, self.stage.batch_size))
        return loss

    def on_validation_epoch_start(self) -> None:
        """Begin the predictions of the whole split, and note which weights make them."""
        self._predictions, self._validation_losses = [], []
        if self.session.config.trainer.ema:  # the averaged weights are in place only until the end
            self._scored = {name: t.clone() for name, t in self.model.state_dict().items()}

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Keep the predictions; metrics are of the whole split, never of a batch."""
        output = self.model(batch)
        loss = self.loss(output, batch.targets, batch.target_mask, 1.0)
        self._validation_losses.append((loss.detach(), len(batch.clips)))
        self._predictions.append(predicted(output).double())

    def on_validation_epoch_end(self) -> None:
        """Score the whole split."""
        examples = self.session.data.selection
        devices = self.session.devices
        predictions = devices.whole(torch.cat(self._predictions)).cpu().numpy()
        # Here and not at the end: hours of epochs behind NaN are lost hours.
        if not np.isfinite(predictions).all():
            raise _diverged("predictions")
        labels, targets = examples.labels(), self.session.data.targets
        self.validation, self._by_target = split_scores(labels, predictions, targets)
        parts = devices.gathered(_plain(self._validation_losses))
        mean = mean_loss([loss for part in parts for loss in part])
        self.validation = {"loss": mean, **self.validation}
        if self.session.config.trainer.plots and devices.first:
            from traitscope.plotting import plot_epoch

            epoch = self.epochs_before + self.current_epoch
            path = self.session.folder / "plots" / f"epoch_{epoch:03d}.png"
            plot_epoch(labels, predictions, targets, f"validation, epoch {epoch}", path)
        # The score that decides is in the units of the labels, unless these differ.
        score = self.validation[self.session.config.trainer.monitor]
        if len({(target.low, target.high) for target in targets}) > 1:
            # Labels of 0..100 beside labels of 0..1 would decide alone which epoch is best.
            macro, _ = split_scores(
                self.loss.shares_of(labels), self.loss.shares_of(predictions), targets
            )
            score = macro[self.session.config.trainer.monitor]
        self._decisive.append(score)
        self.log(self.session.monitor, score, batch_size=len(examples), logger=False)

    def on_train_epoch_end(self) -> None:
        """Record the epoch, and decide whether it is the best."""
        parts = self.session.devices.gathered(_plain(self._losses))
        train_loss = mean_loss([loss for part in parts for loss in part])
        if not math.isfinite(train_loss):
            raise _diverged("losses")
        scores = {f"validation_{name}": value for name, value in self.validation.items()}
        row = {"stage": self.stage.name, "epoch": self.current_epoch, "lr": self._lr}
        row |= {"train_loss": train_loss, **scores}
        if self.session.devices.first:
            record(self.session.folder / "history.csv", row)
        if self.logger:
            by_target = {f"validation_{name}": value for name, value in self._by_target.items()}
            numbers = {k: v for k, v in (row | by_target).items() if isinstance(v, float)}
            numbers = {k: v for k, v in numbers.items() if math.isfinite(v)}
            numbers = named_for(self.session.config, numbers)
            self.logger.log_metrics(numbers, self.epochs_before + self.current_epoch)
        self._train_loss = train_loss
        self._decide()

    def _decide(self) -> None:
        """Note that this epoch is the one to keep, if it is."""
        if not self.session.data.selection or self.stage.keep == "last":
            self.best.epoch = self.current_epoch
            return
        self.best.note(self.current_epoch, self._decisive[-1])
        for target, best in self.best_of.items():
            score = self._by_target[f"{self.session.config.trainer.monitor}/{target}"]
            best.note(self.current_epoch, score)

    def keep(self) -> None:
        """Write the weights of an epoch that is to be kept, after the state; tell who watches."""
        if not self.session.devices.first:
            return
        number, trainer = self.epochs_before + self.current_epoch, self.session.config.trainer
        if place := pace.place_of(self.session.folder, trainer, number):
            save_fitted(place, self.model, tensors=self._scored)
        folder = self.session.folder
        if self.best.epoch == self.current_epoch:
            save_fitted(folder, self.model, tensors=self._scored)
        epochs = {target: best.epoch for target, best in self.best_of.items() if best.epoch >= 0}
        if self.current_epoch in epochs.values():
            save_epoch(folder, self.current_epoch, self.model, self._scored)
            settle(folder, epochs)
        if self.session.hook:  # last: whoever stops the training here has the whole epoch
            total = sum(stage.epochs for stage in self.session.config.stages)
            shown = self.validation.get("mae", self._train_loss)
            what = "validation MAE" if self.validation else "loss"
            self.session.hook(number + 1, total, f"{what} {shown:.4f}")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add to the state what Lightning does not know: `saved.Saved` reads it."""
        batches: Any = self.trainer.fit_loop.epoch_loop.batch_progress.current
        whole = self._epoch > self.current_epoch
        checkpoint["stage"] = self.index
        checkpoint["training"] = mark(self.session.config)
        checkpoint["done"] = self._epoch
        checkpoint["batches"] = 0 if whole else batches.processed
        parts = [] if whole else self.session.devices.gathered(_plain(self._losses))
        checkpoint["losses"] = [loss for part in parts for loss in part]
        checkpoint["best"], checkpoint["kept"] = self.best.loss, self.best.epoch
        checkpoint["each"] = {name: (best.loss, best.epoch) for name, best in self.best_of.items()}
        checkpoint["decisive"] = self._decisive

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the best so far."""
        mode = self.session.mode
        self.best = Best(mode, checkpoint["best"], checkpoint["kept"])
        of_before = {name: Best(mode, *best) for name, best in checkpoint.get("each", {}).items()}
        self.best_of = {name: of_before.get(name, best) for name, best in self.best_of.items()}
        self._decisive = list(checkpoint["decisive"])
        if self.session.devices.first:  # those of all: the others begin without
            self._losses = [(torch.tensor(x), size) for x, size in checkpoint["losses"]]

    def on_fit_start(self) -> None:
        """Leave a resumed stage that had stopped early as it is, unless it may now wait longer."""
        if self.device.type == "cuda":  # as the pictures come, see nn.images
            self.model.to(memory_format=torch.channels_last)
        early = self.trainer.early_stopping_callback
        if isinstance(early, EarlyStopping):
            early.patience = self.stage.early_stop
            self.trainer.should_stop = early.wait_count >= early.patience

    def on_train_start(self) -> None:
        """Set the rates of an epoch that goes on in its middle, which Lightning does not begin."""
        self._losses = [(loss.to(self.device), size) for loss, size in self._losses]
        if self.trainer.fit_loop.restarted_mid_epoch:
            self._set_rates()
        self.begun = True

    def configure_optimizers(self) -> Any:
        """The stage's optimiser over the tensors that train; `_set_rates` is its schedule."""
        self._factors = [group.factor for group in groups_of(self.model, self.stage)]
        return optimizer_of(self.model, self.stage)


def _plain(losses: list[tuple[Tensor, int]]) -> list[tuple[float, int]]:
    """Losses as numbers, fetched from their device at once."""
    values = torch.stack([loss for loss, _ in losses]).tolist() if losses else []
    return list(zip(values, [size for _, size in losses], strict=True))


def _diverged(what: str) -> TraitscopeError:
    return TraitscopeError(
        f"The training has diverged: {what} are not finite. Lower train.lr, or set "
        f"train.clip_norm=1."
    )


def _distillation(
    model: torch.nn.Module, session: Session, stage: Stage, units: losses.InShares
) -> SelfDistillation | None:
    if not stage.distil.weight:
        return None
    num_features: Any = getattr(model, "num_features", None)
    if num_features is None:
        raise ConfigError(
            f"{session.config.model['name']} has no features to distil from: leave out "
            f"train.distil.weight."
        )
    labels = units.shares_of(session.data.fitting.labels())
    return SelfDistillation(stage.distil, labels, num_features)


@contextmanager
def arithmetic(precision: str) -> Iterator[None]:
    """Let matrices and convolutions on a GPU round to TF32 (10 bits) unless 32 bits are asked."""
    matrices, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest" if precision == "32" else "high")
    torch.backends.cudnn.allow_tf32 = precision != "32"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(matrices)
        torch.backends.cudnn.allow_tf32 = convolutions
