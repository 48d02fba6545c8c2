"""Train a recipe or a model on prepared features: corpus + store + settings -> a run folder."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from traitscope.config import save_config
from traitscope.data.examples import Example, Examples, collate, fit_scalers
from traitscope.data.protocols import each_fold, groups
from traitscope.errors import ConfigError
from traitscope.files import refuse_used, write_json
from traitscope.runs.card import write_card
from traitscope.runs.checkpoint import (
    Facts,
    build_fitted,
    load,
    load_weights,
    save_facts,
    save_fitted,
)
from traitscope.runs.plan import load_run, typed_model
from traitscope.runs.settings import RunConfig
from traitscope.statistics import metrics
from traitscope.training.material import Material, collect
from traitscope.training.start import free_folder, on_network, origin, resumed
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
        hook: called as hook(done epochs, epochs, news).

    Returns:
        The folder of the run; with ``protocol.fold=all``, of ``fold-0``, ``fold-1`` ... in it.

    Raises:
        TraitscopeError: settings are wrong, or features or labels are missing.

    Example:
        ``train("audio_lstm", ["data.corpus=fi:/data/fi", "data.store=store"], to="runs/a")``
    """
    outside = typed_model(name, overrides)
    folder = Path(to) if to is not None else free_folder(name)
    if resume:
        config = resumed(folder, overrides)
    else:
        refuse_used(folder, otherwise=", or go on with that run: --resume")
        config = load_run(name, overrides)
    how: dict[str, Any] = {"accelerator": accelerator, "workers": workers, "hook": hook}
    if config.protocol.fold == "all":
        more = {"start_from": start_from, **how}
        return _train_folds(config, folder, outside, resume=resume, more=more)
    config = on_network(config, start_from, outside=outside)
    material = collect(config, outside=outside)
    folder.mkdir(parents=True, exist_ok=True)
    save_config(material.config, folder / "run.yaml")
    start_from = origin(folder, start_from)
    log.info(
        "fitting %s on %d clips, selecting on %d; %d left out",
        config.model["name"],
        *map(len, (material.fitting, material.selection, material.failures)),
    )
    if material.plan.is_estimator:
        _fit_estimator(material, folder, start_from=start_from, hook=hook)
    else:
        _fit_model(material, folder, start_from=start_from, resume=resume, **how)
    _finish(material, folder, start_from)
    return folder


def _train_folds(
    config: RunConfig, folder: Path, outside: str | None, *, resume: bool, more: Mapping[str, Any]
) -> Path:
    """Train a run per fold; a resumed training leaves finished folds as they are."""
    first = each_fold(config.protocol)[0]
    network = config.model_copy(update={"protocol": first})
    collect(on_network(network, more["start_from"], outside=outside), outside=outside)
    folder.mkdir(parents=True, exist_ok=True)
    save_config(config, folder / "run.yaml")
    typed = [f"model.name={outside}"] if outside else []
    for number in range(config.protocol.folds):
        place = folder / f"fold-{number}"
        if resume and (place / "metrics.json").is_file():
            continue
        begun = resume and (place / "run.yaml").is_file()
        log.info("fold %d of %d", number + 1, config.protocol.folds)
        train(str(folder), [f"protocol.fold={number}", *typed], to=place, resume=begun, **more)
    return folder


def _fit_estimator(
    material: Material, folder: Path, *, start_from: Path | str | None, hook: Hook | None
) -> None:
    examples = material.examples(material.fitting)
    facts = _facts(material, examples)
    estimator = build_fitted(material.plan, facts)
    if hasattr(material.plan.module, "STARTS_FROM"):
        assert start_from is not None
        load_weights(Path(start_from), estimator.network)
        batch = _reduced(estimator, examples, hook)
    elif start_from is not None:
        raise ConfigError("An estimator is fitted in one step and cannot start from another run.")
    else:
        batch = examples.batch()
    together = {c.id: str(g) for g, clips in enumerate(groups(material.fitting)) for c in clips}
    estimator.fit(batch, [together[clip] for clip in batch.clips])
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


def _fit_model(
    material: Material,
    folder: Path,
    *,
    start_from: Path | str | None,
    resume: bool,
    **how: Any,
) -> None:
    import torch

    from traitscope.training.loop import Session, fit_stages

    config = material.config
    scalers = fit_scalers(material.examples(material.fitting))
    fitting = material.examples(material.fitting, scalers=scalers, seed=config.seed)
    selection = material.examples(material.selection, scalers=scalers)
    facts = _facts(material, fitting)
    save_facts(folder, facts, scalers)
    torch.manual_seed(config.seed)
    model = build_fitted(material.plan, facts)
    begun = resume and (folder / "state.ckpt").is_file()
    if start_from is not None and not begun:
        fresh = load_weights(Path(start_from), model, start=True)
        if fresh:
            log.info("%d tensors are not in %s and start fresh", len(fresh), start_from)
    elif hasattr(model, "load_pretrained") and not begun:
        model.load_pretrained()
    session = Session(
        folder=folder,
        config=config,
        fitting=fitting,
        selection=selection if material.selection else None,
        targets=material.targets,
        **how,
    )
    fit_stages(model, session, resume=resume)


def _facts(material: Material, examples: Examples) -> Facts:
    """What prediction must know; shapes are of one row, or of the pooled vector."""
    first = examples[0].streams.items()
    shapes = {n: a.shape if examples.draws[n].pool else a.shape[1:] for n, a in first}
    return Facts(
        corpus=material.corpus.name,
        kind=material.corpus.kind,
        targets=material.targets,
        requests=material.requests,
        shapes=shapes,
        columns=examples.columns(),
        fitted_clips=len(material.fitting),
    )


def _finish(material: Material, folder: Path, start_from: Path | str | None) -> None:
    """Score the validation clips once with the kept weights, and write the card."""
    checkpoint = load(folder, model=material.outside)
    scores: dict[str, float | None] = {}
    if material.selection:
        examples = checkpoint.examples(material.selection, material.store)
        scores = metrics.macro_scores(examples.labels(), checkpoint.predict_examples(examples))
    facts: dict[str, Any] = {
        "fitted_clips": len(material.fitting),
        "validation_clips": len(material.selection),
        "left_out": [dict(failure) for failure in material.failures],
        "validation": scores,
        "started_from": None if start_from is None else str(start_from),
    }
    write_json(folder / "metrics.json", facts)
    write_card(checkpoint, material.corpus, facts)
