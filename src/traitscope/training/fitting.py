"""Train a recipe or a model on prepared features: corpus + store + settings -> a run folder."""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from traitscope.config import save_config
from traitscope.data.batches import collate, row_shape
from traitscope.data.drawing import Example
from traitscope.data.examples import Examples, fit_scalers
from traitscope.data.protocols import groups
from traitscope.data.record import save_records
from traitscope.data.scaling import Scaler
from traitscope.errors import ConfigError
from traitscope.files import alone, refuse_used, remove_drafts, write_json
from traitscope.media import threads_of_children
from traitscope.registry import Typed
from traitscope.runs.card import write_card
from traitscope.runs.checkpoint import (
    Estimate,
    build_fitted,
    load_weights,
    open_run,
    save_fitted,
    saved_scalers,
)
from traitscope.runs.checksums import forget_checksums, write_checksums
from traitscope.runs.facts import Facts, save_facts
from traitscope.runs.members import Member, members
from traitscope.runs.plan import load_run, typed_names
from traitscope.runs.reference import save_reference, stated_intervals
from traitscope.runs.settings import RunConfig
from traitscope.statistics import metrics
from traitscope.training.checks import check_data
from traitscope.training.recording import check_start, record_training, with_earlier
from traitscope.training.referencing import refer
from traitscope.training.saved import Saved, check_saved, read_saved
from traitscope.training.several import check_parallel, train_members
from traitscope.training.start import (
    begin_with,
    inherited,
    interrupted_run,
    note_changes,
    noted_start,
    on_network,
    remember_places,
    remember_start,
    save_account,
    unused_folder,
)
from traitscope.training.training_set import TrainingSet, collect
from traitscope.training.unchanged import check_unchanged, note_streams
from traitscope.types import Batch, Hook

CLIPS_AT_ONCE = 8
"""Clips whose pictures are in memory together while a network describes them."""

log = logging.getLogger(__name__)


def train(
    name: str,
    overrides: Sequence[str] = (),
    *,
    to: Path | str | None = None,
    resume: bool = False,
    accept_changes: bool = False,
    start_from: Path | str | None = None,
    accelerator: str = "auto",
    workers: int = 0,
    parallel: int = 1,
    devices: int = 1,
    ray: str | None = None,
    streams: Iterable[str] = (),
    hook: Hook | None = None,
) -> Path:
    """Train and save a run.

    Args:
        name: recipe, model, YAML file or dotted path of an outside model.
        overrides: ``key=value`` settings such as ``data.corpus=...`` and ``train.lr=1e-3``.
        to: folder of the run; ``runs/NAME-1``, ``-2`` ... when not given.
        resume: go on with an interrupted run in ``to``.
        accept_changes: go on, though labels, clips or features changed since.
        start_from: run or file of the same architecture whose weights to start from, or run whose
            network a model such as ``crnet_etr`` stands on. Settings of its model are the run's.
        accelerator: ``auto``, ``cpu`` or ``gpu``.
        workers: processes that read a network's examples; 0 reads them here. Losses are the same.
        parallel: trainings at the same time, of folds or of ``seeds=5``.
        devices: processes or GPUs that each batch of a network is dealt to; the run is the same.
        ray: address of a Ray cluster that they are of; ``local`` starts one here.
        streams: dotted paths of extractors from outside whose features the model draws.
        hook: called as hook(done epochs, epochs, news).

    Returns:
        The folder of the run; in it ``fold-0`` ... of all folds, ``seed-0`` ... of ``seeds=5``.

    Raises:
        TraitscopeError: settings are wrong, or features or labels are missing.

    Example:
        ``train("audio_lstm", ["data.corpus=fi:/data/fi", "data.store=store"], to="runs/a")``
    """
    check_parallel(parallel, workers=workers, devices=devices, ray=ray)
    # Before anything is read: from here on only these names are imported.
    typed = typed_names(name, overrides, streams)
    folder = Path(to) if to is not None else unused_folder(name)
    where = {"accelerator": accelerator, "devices": devices, "ray": ray}
    how: dict[str, Any] = {**where, "workers": workers, "parallel": parallel, "hook": hook}
    with alone(folder):
        if resume:
            config, changes = interrupted_run(folder, overrides)
        else:
            refuse_used(folder, otherwise=", or go on with that run: --resume")
            config, changes = inherited(load_run(name, overrides), name, overrides, start_from), []
        source = str(folder / "run.yaml") if resume else name
        start = _Start(typed, source, start_from, accept_changes, tuple(changes))
        begin = _train_members if members(config) else _train_one
        begin(config, folder, start, resume=resume, how=how)
    return folder


@dataclass(frozen=True)
class _Start:
    """What a training begins with.

    Attributes:
        typed: what the user typed; no other dotted name is imported.
        source: the file that the settings come from, for messages.
        start_from: the run or file to start from, if any.
        accept_changes: whether a resumed run may go on with other data.
        changes: settings that a resumed run goes on with, other than before.
    """

    typed: Typed
    source: str
    start_from: Path | str | None
    accept_changes: bool = False
    changes: tuple[str, ...] = ()


def _train_one(
    config: RunConfig, folder: Path, start: _Start, *, resume: bool, how: Mapping[str, Any]
) -> None:
    """Train one run: find all that it needs, fit it, write it."""
    start_from, typed = start.start_from, start.typed
    if resume and start_from is None:
        start_from = noted_start(folder)
    config = on_network(config, start_from, typed=typed)
    check_start(data := collect(config, typed=typed, source=start.source), start_from)
    check_data(data)
    saved = read_saved(folder) if resume and not data.plan.is_estimator else None
    if data.plan.is_estimator:
        _check_estimator(data, start_from, how["devices"])
    record = record_training(data, start_from)
    changes = list(start.changes)
    if saved is not None:
        check_saved(saved, data.config)
        changes += check_unchanged(folder, data, record, accept=start.accept_changes)
    # Whatever can be wrong with settings and tensors is found before anything is written.
    start = replace(start, start_from=start_from)
    ready = None if data.plan.is_estimator else _network(data, folder, start, saved, how)
    if changes:  # noted only now: what is refused changes nothing
        note_changes(folder, changes)
    remove_drafts(folder)
    forget_checksums(folder)
    remember_start(folder, start_from)  # before run.yaml, without which there is nothing to resume
    remember_places(folder, data.config, start_from)
    save_config(data.config, folder / "run.yaml")
    save_records(folder, [with_earlier(record, folder) if resume else record])
    note_streams(folder, data)
    counts = len(data.fitting), len(data.selection), len(data.failures)
    model = config.model["name"]
    log.info("fitting %s on %d clips, selecting on %d; %d left out", model, *counts)
    if ready is None:
        _fit_estimator(data, folder, start_from=start_from, hook=how["hook"])
    else:
        with threads_of_children(1) if how["workers"] else nullcontext():
            ready.fit(folder, resume=resume, how={**_sitting(how), "typed": typed})
    _write_results(data, folder, start_from=start_from, typed=typed)


def _train_members(
    config: RunConfig, folder: Path, start: _Start, *, resume: bool, how: Mapping[str, Any]
) -> None:
    """Train a run per fold or seed; a resumed training leaves finished ones as they are."""
    every = members(config)
    # The first stands for all: they differ in clips or draws, not in what they need. Only to find
    # out what is wrong: after an hour of the first ones it would come too late.
    first = on_network(every[0].config, start.start_from, typed=start.typed)
    collect(first, typed=start.typed, source=start.source)
    remember_places(folder, config, start.start_from)
    save_config(config, folder / "run.yaml")
    # metrics.json is written last: a training that has it is finished.
    left = [m for m in every if not (resume and (folder / m.name / "metrics.json").is_file())]
    log.info("%d trainings, %d of them finished", len(every), len(every) - len(left))
    parallel = how["parallel"]
    own = {key: value for key, value in how.items() if key not in {"parallel", "hook"}}
    fit = _FitMember(folder, start, resume, own)
    train_members(left, fit, folder, parallel=parallel, hook=how["hook"])


@dataclass(frozen=True)
class _FitMember:
    """Trains one of several, in this process or another; see `several`."""

    folder: Path
    start: _Start
    resume: bool
    how: Mapping[str, Any]

    def __call__(self, member: Member, hook: Hook | None) -> None:
        place = self.folder / member.name
        begun = self.resume and (place / "run.yaml").is_file()
        log.info("training %s", place)
        with alone(place):  # it may be resumed by itself, too
            if not begun:
                refuse_used(place, otherwise=", or go on with that run: --resume")
            config = interrupted_run(place, [])[0] if begun else member.config
            _train_one(config, place, self.start, resume=begun, how={**self.how, "hook": hook})


def _sitting(how: Mapping[str, Any]) -> dict[str, Any]:
    """What one training is told of how all of them run."""
    return {key: value for key, value in how.items() if key != "parallel"}


def _check_estimator(data: TrainingSet, start_from: Path | str | None, devices: int) -> None:
    """Refuse what only networks can do."""
    if devices > 1:
        raise ConfigError("An estimator is fitted in one step: leave --devices out.")
    if start_from is not None and not hasattr(data.plan.module, "STARTS_FROM"):
        raise ConfigError(
            "An estimator is fitted in one step and cannot start from another run: no --from."
        )


def _fit_estimator(
    data: TrainingSet, folder: Path, *, start_from: Path | str | None, hook: Hook | None
) -> None:
    """Build, fit and write an estimator."""
    facts = _facts(data)
    estimator = build_fitted(data.plan, facts)
    if hasattr(data.plan.module, "STARTS_FROM"):
        assert start_from is not None
        load_weights(Path(start_from), estimator.network)
        batch = _reduced(estimator, data.fitting, hook)
    else:
        batch = data.fitting.batch()
    # Clips of one person or recording are left out together where it chooses by leaving out.
    members = enumerate(groups(data.fitting.clips))
    group_of = {clip.id: str(group) for group, clips in members for clip in clips}
    estimator.fit(batch, [group_of[clip] for clip in batch.clips])
    save_facts(folder, facts, {})
    save_fitted(folder, estimator)


def _reduced(estimator: Any, examples: Examples, hook: Hook | None) -> Batch:
    """Describe clips a few at a time: their pictures would not fit into memory together."""
    described: list[Example] = []
    for first in range(0, len(examples), CLIPS_AT_ONCE):
        part = examples.clips[first : first + CLIPS_AT_ONCE]
        rows = estimator.reduce(examples.batch(range(first, first + len(part))))
        described += [
            Example(clip, {"features": row}) for clip, row in zip(part, rows, strict=True)
        ]
        if hook:
            hook(len(described), len(examples), "clips seen by the network")
    return collate(described, examples.targets)


@dataclass(frozen=True)
class _Ready:
    """A network that is ready for its first step.

    Attributes:
        data: what it is fitted on, standardised.
        scalers: that did so.
        facts: what prediction must know.
        network: with the tensors that it begins with.
        account: of the tensors that came from elsewhere, if any did.
    """

    data: TrainingSet
    scalers: Mapping[str, Scaler]
    facts: Facts
    network: Any
    account: Any

    def fit(self, folder: Path, *, resume: bool, how: Mapping[str, Any]) -> None:
        """Fit it; the loop keeps the best epoch."""
        from traitscope.training.devices import in_company
        from traitscope.training.loop import Session
        from traitscope.training.on_ray import in_company_on
        from traitscope.training.pace import on_gpu
        from traitscope.training.stages import fit_part, fit_stages

        save_facts(folder, self.facts, self.scalers)
        save_account(folder, self.account)
        settings = dict(how)
        count, ray = settings.pop("devices"), settings.pop("ray")
        session = Session(self.data, folder, **settings)
        work = (count, fit_part, self.network, session.lean(), resume)
        gpu = on_gpu(session.accelerator)
        company = in_company(*work) if ray is None else in_company_on(ray, *work, gpu=gpu)
        with company as devices:
            fit_stages(self.network, replace(session, devices=devices), resume=resume)


def _network(
    data: TrainingSet, folder: Path, start: _Start, saved: Saved | None, how: Mapping[str, Any]
) -> _Ready:
    """Build a network and let it start from elsewhere; nothing is written yet."""
    import torch

    from traitscope.training.rehearsal import check_devices, check_settings, rehearse

    check_settings(data, accelerator=how["accelerator"], typed=start.typed)
    elsewhere = how["ray"] is not None
    check_devices(data, how["devices"], accelerator=how["accelerator"], elsewhere=elsewhere)
    # The network in a state was taught with the scalers of its run, whatever is in the store now.
    scalers = fit_scalers(data.fitting) if saved is None else saved_scalers(folder)
    data = data.scaled(scalers)
    facts = _facts(data)
    torch.manual_seed(data.config.seed)  # of the initial weights; the loop seeds its own steps
    network = build_fitted(data.plan, facts)
    account = None
    if saved is not None:  # the state brings all tensors with it
        return _Ready(data, scalers, facts, network, account)
    if start.start_from is not None:
        account = begin_with(network, Path(start.start_from), data.plan, facts, data.config)
        if hasattr(network, "complete"):
            network.complete(account.fresh)
    elif hasattr(network, "load_pretrained"):
        network.load_pretrained()
    rehearse(network, data, start.typed)
    return _Ready(data, scalers, facts, network, account)


def _facts(data: TrainingSet) -> Facts:
    """What prediction must know; shapes are of one row, or of the pooled vector."""
    draws, streams = data.plan.draws, data.fitting[0].streams
    shapes = {n: a.shape if draws[n].pool else row_shape(a) for n, a in streams.items()}
    return Facts(
        corpus=data.corpus.name,
        kind=data.corpus.kind,
        targets=data.targets,
        requests=data.plan.requests,
        shapes=shapes,
        columns=data.fitting.columns(),
        fitted_clips=len(data.fitting),
    )


def _write_results(
    data: TrainingSet, folder: Path, *, start_from: Path | str | None, typed: Typed
) -> None:
    """Score the validation clips once with the kept weights, and write the card.

    The run is loaded as any user would load it: what cannot be loaded must not look finished.
    """
    checkpoint = open_run(folder, typed)
    scores: dict[str, float | None] = {}
    made = Estimate(np.empty((0, len(data.targets))))
    if data.selection:
        examples = checkpoint.examples(data.selection.clips, data.selection.store)
        # As many clips at a time as in training: more might not fit where these did.
        size = min([32, *(stage.batch_size for stage in data.config.stages)])
        made = checkpoint.estimate_examples(examples, size=size)
        scores = metrics.macro_scores(examples.labels(), made.scores)
        scores = {k: v if v is not None and math.isfinite(v) else None for k, v in scores.items()}
    # Undefined scores are null: JSON has no NaN, and readers should not meet one.
    facts: dict[str, Any] = {
        "fitted_clips": len(data.fitting),
        "validation_clips": len(data.selection),
        "left_out": [dict(failure) for failure in data.failures],
        "validation": scores,
        "started_from": None if start_from is None else str(start_from),
    }
    reference = refer(checkpoint, data.fitting, data.selection, made)
    save_reference(folder, reference)
    facts["intervals"] = stated_intervals(reference, checkpoint.facts.targets)
    write_json(folder / "metrics.json", facts)
    write_card(checkpoint, data.corpus, facts)
    write_checksums(folder)
