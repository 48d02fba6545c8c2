"""Train a recipe or a model on prepared features: corpus + store + settings -> a run folder."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitscope import metrics
from traitscope.card import write_card
from traitscope.checkpoints import (
    Facts,
    build_fitted,
    load,
    load_weights,
    on_network,
    read_json,
    refuse_used,
    save_facts,
    save_fitted,
    write_json,
)
from traitscope.config import save_config
from traitscope.corpora import load_corpus
from traitscope.data import Example, Examples, collate, fit_scalers, gather
from traitscope.errors import ConfigError, DataError
from traitscope.extract import Request
from traitscope.protocols import check_leakage, each_fold, groups, split
from traitscope.runs import SETTLED, Plan, RunConfig, Stage, load_run, plan, typed_model
from traitscope.scaling import Scaler
from traitscope.store import Store
from traitscope.stored import stored_requests
from traitscope.types import Batch, Clip, Corpus, Hook, Target

CLIPS_AT_ONCE = 8
"""Clips whose pictures are in memory together while a network describes them."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Material:
    """What a run is fitted on, ready: clips with features, draws, keys.

    Attributes:
        config: the run, resolved.
        plan: its model and draws.
        corpus: the annotations.
        targets: what is regressed.
        store: where the features are.
        requests: stream -> the extraction whose features are used.
        fitting: clips with all streams.
        selection: validation clips with all streams; empty without validation.
        failures: clips left out, with reasons.
        outside: dotted path of an outside model, as the user typed it.
    """

    config: RunConfig
    plan: Plan
    corpus: Corpus
    targets: tuple[Target, ...]
    store: Store
    requests: Mapping[str, Request]
    fitting: tuple[Clip, ...]
    selection: tuple[Clip, ...]
    failures: tuple[Mapping[str, str], ...]
    outside: str | None = None

    def examples(
        self,
        clips: Sequence[Clip],
        *,
        scalers: Mapping[str, Scaler] | None = None,
        seed: int | None = None,
    ) -> Examples:
        """Examples of some clips; with a seed they are drawn as in training."""
        keys = {stream: request.key for stream, request in self.requests.items()}
        names = [target.name for target in self.targets]
        return Examples(
            clips,
            self.store,
            keys,
            self.plan.draws,
            targets=names,
            scalers=scalers,
            seed=seed,
            augment=self.plan.augment,
        )


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
    folder = Path(to) if to is not None else _free_folder(name)
    if resume:
        config = _resumed(folder, overrides)
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
    start_from = _origin(folder, start_from)
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


def collect(config: RunConfig, *, outside: str | None = None) -> Material:
    """Find everything a run needs before any work starts."""
    for key in ("corpus", "store"):
        if not getattr(config.data, key):
            example = {"corpus": "table:clips.csv", "store": "store"}[key]
            raise ConfigError(f"data.{key} is not set. Say, for example: data.{key}={example}")
    run_plan = plan(config, outside=outside)
    store = Store(Path(config.data.store))
    requests = stored_requests(config, run_plan, store)
    corpus = load_corpus(config.data.corpus)
    targets = tuple(corpus.target(name) for name in config.data.targets) or corpus.targets
    splits = split(corpus, config.protocol)
    for part in {"validation", "test"} - set(splits.fit):
        for warning in check_leakage(splits.fitted, splits.part(part), config.protocol):
            log.warning("%s: %s", part, warning)
    keys = {stream: request.key for stream, request in requests.items()}
    labelled = [c for c in splits.fitted if any(t.name in c.targets for t in targets)]
    fitting, left_out = gather(labelled, store, keys)
    to_select_on = () if "validation" in splits.fit else splits.validation
    selection, unseen = gather(to_select_on, store, keys)
    if len(fitting) < 2:
        raise DataError(
            f"{len(fitting)} of {len(splits.fitted)} fitting clips have labels and usable "
            f"features; at least 2 are needed. See: traitscope features show {store.folder}"
        )
    _check_watched(config, run_plan, selection, targets)
    resolved = _resolved(config, run_plan, requests, targets)
    return Material(
        config=resolved,
        plan=plan(resolved, outside=outside),
        corpus=corpus,
        targets=targets,
        store=store,
        requests=requests,
        fitting=tuple(fitting),
        selection=tuple(selection),
        failures=(*left_out, *unseen),
        outside=outside,
    )


def _check_watched(
    config: RunConfig, run_plan: Plan, selection: Sequence[Clip], targets: Sequence[Target]
) -> None:
    """Refuse settings that watch validation scores where there are none to watch."""
    if config.trainer.plots and (run_plan.is_estimator or not selection):
        why = "is fitted in one step" if run_plan.is_estimator else "has no validation clips"
        raise ConfigError(f"trainer.plots=true has no effect: this run {why}. Leave it out.")
    dark = [t.name for t in targets if not any(t.name in clip.targets for clip in selection)]
    for stage in config.stages or (() if run_plan.is_estimator else (Stage(),)):
        change = {
            "early_stop=0": stage.early_stop > 0,
            "schedule=constant": stage.schedule == "plateau",
            "keep=last": stage.keep == "best" and bool(selection),
        }
        watching = [setting for setting, watches in change.items() if watches]
        if dark and watching:
            place = f"train.{stage.name}" if len(config.stages) > 1 else "train"
            lack = f"No validation clip has a label for {', '.join(dark)}"
            lack = lack if selection else "No validation clips are held out"
            raise ConfigError(
                f"{lack}, so no score says how good an epoch is. Train without: "
                f"{' '.join(f'{place}.{setting}' for setting in watching)}"
            )


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

    from traitscope.loop import Session, fit_stages

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


def _resolved(
    config: RunConfig,
    run_plan: Plan,
    requests: Mapping[str, Request],
    targets: Sequence[Target],
) -> RunConfig:
    """Write every default out, so that the saved run means the same later."""
    features = {s: r.config.model_dump(mode="json") for s, r in requests.items()}
    model = {"name": config.model["name"], **run_plan.options.model_dump(mode="json")}
    stages = config.stages if run_plan.is_estimator else config.stages or (Stage(),)
    data = config.data.model_copy(update={"targets": tuple(target.name for target in targets)})
    update = {"features": features, "model": model, "stages": stages, "data": data}
    update["augment"] = {a.name: a.config.model_dump(mode="json") for a in run_plan.augment}
    return config.model_copy(update=update)


def _resumed(folder: Path, overrides: Sequence[str]) -> RunConfig:
    """Settings of an interrupted run; only ``train.*`` may be changed now, which is recorded."""
    if not (folder / "run.yaml").is_file():
        raise ConfigError(f"There is no run in {folder} to resume. Start it without --resume.")
    before = load_run(str(folder))
    changes = [o for o in overrides if load_run(str(folder), [o]) != before]
    for change in changes:
        area, *below = change.partition("=")[0].split(".")
        if area != "train" or SETTLED & {*below} or before.protocol.fold == "all":
            raise ConfigError(f"{change!r} cannot change in a resumed run: start a new one.")
    config = load_run(str(folder), changes)
    if changes:
        path = folder / "changes.json"
        earlier = read_json(path) if path.is_file() else []
        write_json(path, [*earlier, {"epochs_done": _epochs_done(folder), "changes": changes}])
    return config


def _origin(folder: Path, start_from: Path | str | None) -> Path | str | None:
    """Note the run that this one starts from: stopped in its first epoch, it starts there again."""
    note = folder / "started_from.json"
    if start_from is not None:
        write_json(note, str(start_from))
    return read_json(note) if note.is_file() else None


def _epochs_done(folder: Path) -> int:
    path = folder / "history.csv"
    return len(path.read_text(encoding="utf-8").splitlines()) - 1 if path.is_file() else 0


def _free_folder(name: str) -> Path:
    stem = Path(name).stem or "run"
    number = 1
    while Path("runs", f"{stem}-{number}").exists():
        number += 1
    return Path("runs", f"{stem}-{number}")
