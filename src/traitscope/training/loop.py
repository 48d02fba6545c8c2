"""The one training loop of all neural models: Lightning's, with our stages, order and records.

In: an untrained network, examples to fit and to select on. Out: ``model.safetensors`` of the kept
epoch, ``history.csv``, ``state.ckpt`` for resume. Batch order and draws are pure functions of seed
and epoch (each stage begins with the same ones), dropout is one of seed, stage, epoch and batch: a
resumed run repeats an uninterrupted one to the bit on a CPU.
"""

import math
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from traitscope.data.examples import collate, to_tensors
from traitscope.errors import ConfigError, TraitscopeError
from traitscope.nn.pretrained import hold_frozen
from traitscope.runs.checkpoint import load_weights, predicted, save_fitted
from traitscope.runs.settings import RunConfig, Stage
from traitscope.training import losses
from traitscope.training.distillation import SelfDistillation
from traitscope.training.history import mean_loss, record, split_scores
from traitscope.training.notices import quiet
from traitscope.training.optimisation import freeze, optimizer_of, renew, rescale, schedule_of
from traitscope.training.state import has_state, mark, naming_state, read_state
from traitscope.training.training_set import TrainingSet
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

    def __deepcopy__(self, memo: object) -> "Session":
        """Stay one when the loop is copied to average its weights: the data is not copied."""
        return self

    @property
    def config(self) -> RunConfig:
        """The settings of the run."""
        return self.data.config

    @property
    def monitor(self) -> str:
        """Name of the score that decides which epoch is best."""
        return f"validation_{self.config.trainer.monitor}"

    @property
    def mode(self) -> Literal["min", "max"]:
        """Whether the deciding score is better when lower or higher."""
        return "max" if self.config.trainer.monitor in HIGHER_IS_BETTER else "min"


class EpochSampler(Sampler[tuple[int, int]]):
    """Shuffled (epoch, index) pairs whose order is a pure function of (seed, epoch)."""

    def __init__(self, length: int, seed: int) -> None:
        self.length = length
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this, also when it resumes."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.length)
        return iter([(self.epoch, int(index)) for index in order])


def fit_stages(model: torch.nn.Module, session: Session, *, resume: bool = False) -> None:
    """Run the stages one after the other, starting inside one of them when resuming."""
    stages = session.config.stages
    trainable = frozenset(name for name, t in model.named_parameters() if t.requires_grad)
    state = session.folder / "state.ckpt"
    resume = resume and has_state(session.folder)  # none before the end of the first epoch
    first: int = read_state(state, session.data)["stage"] if resume else 0
    done = sum(stage.epochs for stage in stages[:first])
    for index in range(first, len(stages)):
        freeze(model, stages[index], trainable)
        loop = Loop(model, session, index=index, epochs_before=done)
        _fit_stage(loop, session, state if resume and index == first else None)
        done += stages[index].epochs
        if loop.best is not None:  # the next stage, and the user, get the kept epoch
            load_weights(session.folder, model)
        else:
            save_fitted(session.folder, model)


def _fit_stage(loop: "Loop", session: Session, state: Path | None) -> None:
    stage = loop.stage
    callbacks: list[Any] = [
        ModelCheckpoint(
            dirpath=session.folder,
            filename="state",
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
    ]
    if stage.early_stop:
        callbacks.append(
            # An undefined score (of predictions that do not vary yet) is no gain, and no end.
            EarlyStopping(
                session.monitor, patience=stage.early_stop, mode=session.mode, check_finite=False
            )
        )
    averaging = [EMAWeightAveraging(decay=ema)] if (ema := session.config.trainer.ema) else []
    callbacks += averaging
    logger: Any = False
    if session.config.trainer.tensorboard:
        logger = TensorBoardLogger(session.folder, name="", version="tensorboard")
    with quiet():
        trainer = lightning.Trainer(
            accelerator=session.accelerator,
            devices=1,
            precision="bf16-mixed" if session.config.trainer.precision == "bf16" else "32-true",
            max_epochs=stage.epochs,
            accumulate_grad_batches=stage.accumulate,
            gradient_clip_val=stage.clip_norm or None,
            callbacks=callbacks,
            logger=logger,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            default_root_dir=session.folder,
        )
        selection = _evaluation_loader(session) if session.data.selection else None
        loaders = _fitting_loader(session, stage), selection
        ctrl_c = signal.getsignal(signal.SIGINT)
        try:
            with naming_state(state, lambda: loop.begun):
                trainer.fit(loop, *loaders, ckpt_path=state, weights_only=True)
        except SystemExit as error:  # what Lightning makes of Ctrl-C, after muting the next one
            signal.signal(signal.SIGINT, ctrl_c)
            raise KeyboardInterrupt from error
        for average in averaging:  # Lightning leaves it out when a resumed stage is over already
            average.on_train_end(trainer, loop)
    loop.model.to("cpu")


class Loop(lightning.LightningModule):
    """The LightningModule of the whole zoo: models differ in forward and loss, never here."""

    def __init__(
        self, model: torch.nn.Module, session: Session, *, index: int, epochs_before: int
    ) -> None:
        super().__init__()
        self.model = model
        self.session = session
        self.index = index
        self.stage: Stage = session.config.stages[index]
        self.loss = losses.find(self.stage.loss)
        self.epochs_before = epochs_before
        self.begun = False  # a resumed state is in place by then
        self.best: float | None = None
        self.validation: dict[str, float] = {}
        self._by_target: dict[str, float] = {}
        self.distil = _distillation(model, session, self.stage)
        self._compiled = [torch.compile(model)] if session.config.trainer.compile else []
        self._lr = self.stage.lr  # of this epoch and the first group
        self._rates: list[float] = []  # of each group of tensors, before any schedule
        self._rates_saved: list[float] = []
        self._scored: dict[str, Tensor] = {}
        self._losses: list[tuple[float, int]] = []
        self._validation_losses: list[tuple[float, int]] = []
        self._predictions: list[Tensor] = []

    def transfer_batch_to_device(self, batch: Batch, device: Any, dataloader_idx: int) -> Batch:
        """Move a batch; Lightning cannot look into a frozen one."""
        return to_tensors(batch, device)

    def on_train_epoch_start(self) -> None:
        """Begin the losses of the epoch, with frozen parts held still."""
        hold_frozen(self.model)
        self._lr = float(self.trainer.optimizers[0].param_groups[0]["lr"])
        self._losses = []

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """One batch -> its loss; dropout and the like are fixed by seed, stage, epoch and batch."""
        # Per batch: loaders draw from the same generator, in another number when resuming.
        place = [self.session.config.seed, self.index, self.current_epoch, batch_index]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))
        progress = (
            self.current_epoch + batch_index / max(1, self.trainer.num_training_batches)
        ) / (self.stage.epochs)
        model = self._compiled[0] if self._compiled else self.model
        output = model(batch)
        loss = self.loss(output, batch.targets, batch.target_mask, progress)
        if self.distil is not None:
            loss = loss + self.distil(output.features, predicted(output), progress)
            whole = batch.target_mask & ~batch.mixed[:, None]
            self.distil.remember(output.features, batch.targets, whole)
        self._losses.append((float(loss.detach()), len(batch.clips)))
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
        self._validation_losses.append((float(loss), len(batch.clips)))
        self._predictions.append(predicted(output).double().cpu())

    def on_validation_epoch_end(self) -> None:
        """Score the whole split."""
        examples = self.session.data.selection
        predictions = torch.cat(self._predictions).numpy()
        if not np.isfinite(predictions).all():
            raise _diverged("predictions")
        labels, targets = examples.labels(), self.session.data.targets
        self.validation, self._by_target = split_scores(labels, predictions, targets)
        self.validation = {"loss": mean_loss(self._validation_losses), **self.validation}
        if self.session.config.trainer.plots:
            from traitscope.plotting import plot_epoch

            epoch = self.epochs_before + self.current_epoch
            path = self.session.folder / "plots" / f"epoch_{epoch:03d}.png"
            plot_epoch(labels, predictions, targets, f"validation, epoch {epoch}", path)
        score = self.validation[self.session.config.trainer.monitor]
        self.log(self.session.monitor, score, batch_size=len(examples), logger=False)

    def on_train_epoch_end(self) -> None:
        """Record the epoch, keep its weights if they are the best, tell who watches."""
        train_loss = mean_loss(self._losses)
        if not math.isfinite(train_loss):
            raise _diverged("losses")
        scores = {f"validation_{name}": value for name, value in self.validation.items()}
        row = {"stage": self.stage.name, "epoch": self.current_epoch, "lr": self._lr}
        row |= {"train_loss": train_loss, **scores}
        record(self.session.folder / "history.csv", row)
        if self.logger:
            by_target = {f"validation_{name}": value for name, value in self._by_target.items()}
            numbers = {k: v for k, v in (row | by_target).items() if isinstance(v, float)}
            numbers = {k: v for k, v in numbers.items() if math.isfinite(v)}
            self.logger.log_metrics(numbers, self.epochs_before + self.current_epoch)
        self._keep()
        if self.session.hook:
            total = sum(stage.epochs for stage in self.session.config.stages)
            shown = self.validation.get("mae", train_loss)
            what = "validation MAE" if self.validation else "loss"
            self.session.hook(
                self.epochs_before + self.current_epoch + 1, total, f"{what} {shown:.4f}"
            )

    def _keep(self) -> None:
        if not self.session.data.selection or self.stage.keep == "last":
            save_fitted(self.session.folder, self.model)
            return
        score = self.validation[self.session.config.trainer.monitor]
        loss = -score if self.session.mode == "max" else score
        if self.best is None or math.isnan(self.best) or loss < self.best:
            self.best = loss
            save_fitted(self.session.folder, self.model, tensors=self._scored)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say which stage the state belongs to, the best so far, and the rates it began with."""
        checkpoint["stage"] = self.index
        checkpoint["training"] = mark(self.session.data)
        checkpoint["best"] = self.best
        checkpoint["rates"] = self._rates

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the best so far."""
        self.best = checkpoint["best"]
        self._rates_saved = checkpoint["rates"]

    def on_fit_start(self) -> None:
        """Leave a resumed stage that had stopped early as it is, unless it may now wait longer."""
        early = self.trainer.early_stopping_callback
        if isinstance(early, EarlyStopping):
            early.patience = self.stage.early_stop
            self.trainer.should_stop = early.wait_count >= early.patience

    def on_train_start(self) -> None:
        """Apply settings of rates that were changed for the rest of a resumed run."""
        schedules = self.trainer.lr_scheduler_configs
        schedule = schedules[0].scheduler if schedules else None
        renew(schedule, self.stage)
        if self._rates_saved and self._rates_saved != self._rates:
            ratios = [new / old for new, old in zip(self._rates, self._rates_saved, strict=True)]
            rescale(self.trainer.optimizers[0], schedule, ratios)
        self.begun = True

    def configure_optimizers(self) -> Any:
        """The stage's optimiser over the tensors that train, and its schedule."""
        optimizer = optimizer_of(self.model, self.stage)
        self._rates = [float(group["lr"]) for group in optimizer.param_groups]
        schedule = schedule_of(optimizer, self.stage, self.session.mode)
        if schedule is None:
            return optimizer
        return [optimizer], [{"scheduler": schedule, "monitor": self.session.monitor}]


def _diverged(what: str) -> TraitscopeError:
    return TraitscopeError(
        f"The training has diverged: {what} are not finite. Lower train.lr, or set "
        f"train.clip_norm=1."
    )


def _distillation(
    model: torch.nn.Module, session: Session, stage: Stage
) -> SelfDistillation | None:
    if not stage.distil.weight:
        return None
    num_features: Any = getattr(model, "num_features", None)
    if num_features is None:
        raise ConfigError(
            f"{session.config.model['name']} has no features to distil from: leave out "
            f"train.distil.weight."
        )
    return SelfDistillation(stage.distil, session.data.fitting.labels(), num_features)


def _fitting_loader(session: Session, stage: Stage) -> DataLoader[Any]:
    examples = session.data.fitting
    # A last batch of one breaks batch normalisation; it is dropped in this epoch's order only.
    lonely = len(examples) % stage.batch_size == 1 and len(examples) > stage.batch_size
    return DataLoader(
        examples,  # type: ignore[arg-type]
        batch_size=stage.batch_size,
        sampler=EpochSampler(len(examples), session.config.seed),
        collate_fn=_Collate(examples.targets),
        drop_last=lonely,
        **_processes(session),
    )


def _evaluation_loader(session: Session) -> DataLoader[Any]:
    return DataLoader(
        session.data.selection,  # type: ignore[arg-type]
        batch_size=max(stage.batch_size for stage in session.config.stages),
        shuffle=False,
        drop_last=False,
        collate_fn=_Collate(session.data.selection.targets),
        **_processes(session),
    )


def _processes(session: Session) -> dict[str, Any]:
    """Spawned, for decoders and stores have threads and locks that must not be forked."""
    if not session.workers:
        return {}
    return {
        "num_workers": session.workers,
        "multiprocessing_context": "spawn",
        "persistent_workers": True,
    }


@dataclass(frozen=True)
class _Collate:
    """Collate as a picklable callable, for loader workers."""

    targets: Sequence[str]

    def __call__(self, examples: list[Any]) -> Batch:
        return to_tensors(collate(examples, self.targets))
