"""The stages of a training one after the other, and what each leaves on the disk.

In: an untrained network, examples to fit and to select on. Out: ``model.safetensors`` of the kept
epoch, ``history.csv``, ``state.ckpt`` for resume. At the end of each epoch the state is written
first and the kept weights after it:

    epoch n ends -> state.ckpt (of n, "n is kept") -> model.safetensors (of n)
                 ^ killed here: n is repeated      ^ killed here: written again from the state

so that the weights in the folder are never those of an epoch that the state knows nothing of, also
where the next stage has begun.
"""

import signal
import threading
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from traitscope.files import replacing
from traitscope.runs.best_epochs import save_epoch, settle
from traitscope.runs.checkpoint import load_weights, save_fitted
from traitscope.training import pace
from traitscope.training._batch_norm import shared_statistics
from traitscope.training._lightning import (
    Checkpoint,
    EarlyStopping,
    EMAWeightAveraging,
    Trainer,
)
from traitscope.training.devices import Devices
from traitscope.training.history import cut
from traitscope.training.loop import Loop, Session, arithmetic
from traitscope.training.notices import quiet
from traitscope.training.optimisation import freeze
from traitscope.training.orders import loaders
from traitscope.training.rehearsal import parts_idle
from traitscope.training.saved import STATE, Saved, check_tensors, naming_state, read_saved
from traitscope.training.tracking import open_logger


def fit_stages(model: torch.nn.Module, session: Session, *, resume: bool = False) -> None:
    """Run the stages one after the other, starting inside one of them when resuming."""
    stages = session.config.stages
    trainable = frozenset(name for name, t in model.named_parameters() if t.requires_grad)
    saved = read_saved(session.folder) if resume else None
    first = 0 if saved is None else saved.stage
    freeze(model, stages[first], trainable)
    if session.devices.first:
        _put_back(saved, model, session)
    done = sum(stage.epochs for stage in stages[:first])
    for index in range(first, len(stages)):
        freeze(model, stages[index], trainable)
        loop = Loop(model, session, index=index, epochs_before=done)
        _fit_stage(loop, session, saved if index == first else None)
        done += stages[index].epochs
        if loop.best.loss is not None:  # the next stage, and the user, get the kept epoch
            load_weights(session.folder, model)
        elif session.devices.first:
            save_fitted(session.folder, model)


def fit_part(devices: Devices, model: torch.nn.Module, session: Session, resume: bool) -> None:
    """Run the stages in a process that fits together with others."""
    fit_stages(model, replace(session, devices=devices), resume=resume)


def _put_back(saved: Saved | None, model: torch.nn.Module, session: Session) -> None:
    """Make the folder agree with the state: what was written of later epochs is repeated."""
    if saved is not None:
        check_tensors(saved, model)
    names = [stage.name for stage in session.config.stages]
    stage, epoch = (0, 0) if saved is None else (saved.stage, saved.done)
    for file in ("history.csv", "steps.csv"):
        cut(session.folder / file, names, stage=stage, epoch=epoch)
    if saved is None:
        return
    # Inside an epoch the state holds other weights than those that were kept at the end of one.
    last = saved.done - 1 if not saved.batches else -1
    if saved.kept == last >= 0:
        save_fitted(session.folder, model, tensors=saved.weights())
    if last in saved.each.values() and last >= 0:
        save_epoch(session.folder, last, model, saved.weights())
    settle(session.folder, {target: epoch for target, epoch in saved.each.items() if epoch >= 0})


def _fit_stage(loop: Loop, session: Session, saved: Saved | None) -> None:
    stage, settings = loop.stage, session.config.trainer
    saving = _Saving(session.folder / STATE, settings.save_minutes, session.devices)
    callbacks: list[Any] = [saving]
    if stage.early_stop:
        callbacks.append(
            # An undefined score (of predictions that do not vary yet) is no gain, and no end.
            EarlyStopping(
                session.monitor, patience=stage.early_stop, mode=session.mode, check_finite=False
            )
        )
    averaging = [EMAWeightAveraging(decay=settings.ema)] if settings.ema else []
    callbacks += averaging
    logger = open_logger(session.config, session.folder) if session.devices.first else False
    on_gpu = pace.on_gpu(session.accelerator)
    # The same clips in each process: all have to agree on the answer before they talk.
    idle = session.devices.count > 1 and parts_idle(loop.model, stage, session.data, session.typed)
    with quiet(), arithmetic(settings.precision):
        trainer = Trainer(
            accelerator=session.accelerator,
            **session.devices.trainer(on_gpu=on_gpu, parts_idle=idle),
            precision=pace.arithmetic(settings, session.accelerator),
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
        begin = {} if saved is None else {"epoch": saved.done, "batches": saved.batches}
        ctrl_c = signal.getsignal(signal.SIGINT)
        try:
            path = None if saved is None else saved.path
            shared = session.devices.count > 1 and not on_gpu
            with (
                shared_statistics(loop.model, wanted=shared),
                loaders(session, stage, **begin) as both,
                naming_state(path, lambda: loop.begun),
            ):
                trainer.fit(loop, *both, ckpt_path=path, weights_only=True)
        except SystemExit as error:  # what Lightning makes of Ctrl-C, after muting the next one
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, ctrl_c)
            raise KeyboardInterrupt from error
        for average in averaging:  # Lightning leaves it out when a resumed stage is over already
            average.on_train_end(trainer, loop)
    loop.model.to("cpu")
    session.devices.gathered(None)  # what is read next has been written by then


class _Saving(Checkpoint):
    """Write the state and then the kept weights after each epoch, and the state within long ones.

    A subclass of Lightning's marker, so that it is called last, when the epoch is recorded.
    """

    def __init__(self, path: Path, minutes: float, devices: Devices) -> None:
        self.path, self.seconds, self.devices = path, 60 * minutes, devices
        self.saved_at = time.monotonic()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *batch: Any) -> None:
        """Save after so many minutes, where no gradient is half accumulated."""
        if not self.seconds:
            return
        if not self.devices.agreed(time.monotonic() >= self.saved_at + self.seconds):
            return
        last = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        if not last and not trainer.fit_loop._should_accumulate():
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Save the epoch."""
        self._save(trainer)
        pl_module.keep()

    def _save(self, trainer: Any) -> None:
        # All have to come here: Lightning lets one write, and has the others wait.
        with replacing(self.path) if self.devices.first else nullcontext(self.path) as draft:
            trainer.save_checkpoint(draft)
        self.saved_at = time.monotonic()
