"""Train a recipe or a model on prepared features: corpus + store + settings -> a run folder."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitscope.config import save_config
from traitscope.data.examples import Example, Examples, collate, fit_scalers
from traitscope.data.protocols import each_fold, groups
from traitscope.data.record import save_records
from traitscope.errors import ConfigError
from traitscope.files import refuse_used, remove_drafts, write_json
from traitscope.media import threads_of_children
from traitscope.registry import Typed
from traitscope.runs.card import write_card
from traitscope.runs.checkpoint import (
    Facts,
    build_fitted,
    load_weights,
    open_run,
    save_facts,
    save_fitted,
)
from traitscope.runs.checksums import forget_checksums, write_checksums
from traitscope.runs.plan import load_run, typed_names
from traitscope.runs.settings import RunConfig
from traitscope.statistics import metrics
from traitscope.training.recording import check_start, record_training
from traitscope.training.start import (
    interrupted_run,
    on_network,
    remember_start,
    unused_folder,
)
from traitscope.training.state import check_state, has_state
from traitscope.training.training_set import TrainingSet, collect
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
    start_from: Path | str | None = None,
    accelerator: str = "auto",
    workers: int = 0,
    streams: Iterable[str] = (),
    hook: Hook | None = None,
) -> Path:
    """Train and save a run.

    Args:
        name: recipe, model, YAML file or dotted path of an outside model.
        overrides: ``key=value`` settings such as ``data.corpus=...`` and ``train.lr=1e-3``.
        to: folder of the run; ``runs/NAME-1``, ``-2`` ... when not given.
        resume: go on with an interrupted run in ``to``.
        start_from: run of the same architecture whose weights to start from, or whose network a
            model such as ``crnet_etr`` stands on.
        accelerator: ``auto``, ``cpu`` or ``gpu``.
        workers: processes that read a network's examples; 0 reads them here. Losses are the same.
        streams: dotted paths of extractors from outside whose features the model draws.
        hook: called as hook(done epochs, epochs, news).

    Returns:
        The folder of the run; with ``protocol.fold=all``, of ``fold-0``, ``fold-1`` ... in it.

    Raises:
        TraitscopeError: settings are wrong, or features or labels are missing.

    Example:
        ``train("audio_lstm", ["data.corpus=fi:/data/fi", "data.store=store"], to="runs/a")``
    """
    typed = typed_names(name, overrides, streams)
    folder = Path(to) if to is not None else unused_folder(name)
    if resume:
        config = interrupted_run(folder, overrides)
    else:
        refuse_used(folder, otherwise=", or go on with that run: --resume")
        config = load_run(name, overrides)
    how: dict[str, Any] = {"accelerator": accelerator, "workers": workers, "hook": hook}
    source = str(folder / "run.yaml") if resume else name
    begin = _train_folds if config.protocol.fold == "all" else _train_one
    begin(config, folder, _Start(typed, source, start_from), resume=resume, how=how)
    return folder


@dataclass(frozen=True)
class _Start:
    """What a training begins with.

    Attributes:
        typed: what the user typed; no other dotted name is imported.
        source: the file that the settings come from, for messages.
        start_from: the run to start from, if any.
    """

    typed: Typed
    source: str
    start_from: Path | str | None


def _train_one(
    config: RunConfig, folder: Path, start: _Start, *, resume: bool, how: Mapping[str, Any]
) -> None:
    """Train one run: find all that it needs, fit it, write it."""
    start_from, typed = start.start_from, start.typed
    config = on_network(config, start_from, typed=typed)
    check_start(data := collect(config, typed=typed, source=start.source), start_from)
    if resume and not data.plan.is_estimator:
        check_state(folder, data)  # before anything of the run is changed
    folder.mkdir(parents=True, exist_ok=True)
    remove_drafts(folder)
    forget_checksums(folder)
    save_config(data.config, folder / "run.yaml")
    start_from = remember_start(folder, start_from)
    save_records(folder, [record_training(data, start_from, folder if resume else None)])
    counts = len(data.fitting), len(data.selection), len(data.failures)
    model = config.model["name"]
    log.info("fitting %s on %d clips, selecting on %d; %d left out", model, *counts)
    if data.plan.is_estimator:
        _fit_estimator(data, folder, start_from=start_from, hook=how["hook"])
    else:
        with threads_of_children(1) if how["workers"] else nullcontext():
            _fit_network(data, folder, start_from=start_from, resume=resume, how=how)
    _write_results(data, folder, start_from=start_from, typed=typed)


def _train_folds(
    config: RunConfig, folder: Path, start: _Start, *, resume: bool, how: Mapping[str, Any]
) -> None:
    """Train a run per fold; a resumed training leaves finished folds as they are."""
    first = each_fold(config.protocol)[0]
    fold = config.model_copy(update={"protocol": first})
    # Only to find out what is wrong: after an hour of the first folds it would come too late.
    fold = on_network(fold, start.start_from, typed=start.typed)
    collect(fold, typed=start.typed, source=start.source)
    folder.mkdir(parents=True, exist_ok=True)
    save_config(config, folder / "run.yaml")
    for number in range(config.protocol.folds):
        place = folder / f"fold-{number}"
        if resume and (place / "metrics.json").is_file():
            continue
        begun = resume and (place / "run.yaml").is_file()
        log.info("fold %d of %d", number + 1, config.protocol.folds)
        own = (
            interrupted_run(place, [])
            if begun
            else load_run(str(folder), [f"protocol.fold={number}"])
        )
        if not begun:
            refuse_used(place, otherwise=", or go on with that run: --resume")
        _train_one(own, place, start, resume=begun, how=how)


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
    elif start_from is not None:
        raise ConfigError("An estimator is fitted in one step and cannot start from another run.")
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


def _fit_network(
    data: TrainingSet,
    folder: Path,
    *,
    start_from: Path | str | None,
    resume: bool,
    how: Mapping[str, Any],
) -> None:
    """Build a network, let it start from elsewhere, and fit it; the loop keeps the best epoch."""
    import torch

    from traitscope.training.loop import Session, fit_stages

    scalers = fit_scalers(data.fitting)
    data = data.scaled(scalers)
    facts = _facts(data)
    save_facts(folder, facts, scalers)
    torch.manual_seed(data.config.seed)  # of the initial weights; the loop seeds its own steps
    network = build_fitted(data.plan, facts)
    if not (resume and has_state(folder)):  # a state brings all tensors with it
        _initialise(network, start_from)
    fit_stages(network, Session(data, folder, **how), resume=resume)


def _initialise(network: Any, start_from: Path | str | None) -> None:
    """Give a network the tensors of another run, or the published ones of its parts."""
    if start_from is not None:
        fresh = load_weights(Path(start_from), network, start=True)
        if fresh:
            log.info("%d tensors are not in %s and start fresh", len(fresh), start_from)
    elif hasattr(network, "load_pretrained"):
        network.load_pretrained()


def _facts(data: TrainingSet) -> Facts:
    """What prediction must know; shapes are of one row, or of the pooled vector."""
    draws, streams = data.plan.draws, data.fitting[0].streams
    shapes = {n: a.shape if draws[n].pool else a.shape[1:] for n, a in streams.items()}
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
    if data.selection:
        examples = checkpoint.examples(data.selection.clips, data.selection.store)
        scores = metrics.macro_scores(examples.labels(), checkpoint.predict_examples(examples))
    facts: dict[str, Any] = {
        "fitted_clips": len(data.fitting),
        "validation_clips": len(data.selection),
        "left_out": [dict(failure) for failure in data.failures],
        "validation": scores,
        "started_from": None if start_from is None else str(start_from),
    }
    write_json(folder / "metrics.json", facts)
    write_card(checkpoint, data.corpus, facts)
    write_checksums(folder)
