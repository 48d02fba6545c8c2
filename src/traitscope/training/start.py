"""How a training begins: fresh, resumed, with the tensors of another, or on another's network."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from traitscope import registry
from traitscope.config import merge, parse_overrides
from traitscope.data.moved import note_places, place_now
from traitscope.errors import ConfigError, shown
from traitscope.files import read_json, write_json
from traitscope.runs.checkpoint import as_it_lies, open_run, read_run, saved_tensors
from traitscope.runs.checksums import check_learned
from traitscope.runs.facts import Facts, run_facts
from traitscope.runs.members import members
from traitscope.runs.plan import Plan, load_run, plan
from traitscope.runs.settings import SETTLED, RunConfig, Start
from traitscope.training.history import read_history

log = logging.getLogger(__name__)


def on_network(
    config: RunConfig, folder: Path | str | None, *, typed: registry.Typed = registry.NOTHING
) -> RunConfig:
    """Give a model that stands on another's network the settings, streams and targets of its run.

    Args:
        config: a run; that of a model without ``STARTS_FROM`` stays as it is.
        folder: the run whose network it is.
        typed: what the user typed; no other dotted name is imported.

    Raises:
        ConfigError: the folder is not named, is a run of another model, or has other targets.
        DataError: it is no run.
    """
    name = config.model["name"]
    wanted = getattr(registry.load("models", name, typed=typed), "STARTS_FROM", None)
    if wanted is None:
        return config
    if folder is None:
        raise ConfigError(
            f"{name} stands on a trained {wanted}. Train that first, then: traitscope train {name} "
            f"--from RUN"
        )
    first = open_run(Path(folder), typed).config
    settings = {key: value for key, value in first.model.items() if key != "name"}
    if first.model["name"] != wanted:
        raise ConfigError(
            f"{name} starts from a run of {wanted}, and {folder} is one of "
            f"{first.model['name']}. Name another run with --from."
        )
    # Its head gives as many scores as it was trained for, in that order.
    if config.data.targets not in {(), first.data.targets}:
        raise ConfigError(
            f"data.targets={list(config.data.targets)} are not those of {folder}: "
            f"{list(first.data.targets)}. Leave data.targets out, or train {wanted} on yours."
        )
    if first.data.corpus == config.data.corpus and first.protocol != config.protocol:
        log.warning("%s has another protocol: it may have learned from clips left out here", folder)
    # What the user typed lies over the settings of the network's own run.
    update = {
        "model": merge({wanted: settings}, config.model),
        "features": merge(first.features, config.features),
        "data": config.data.model_copy(update={"targets": first.data.targets}),
    }
    return config.model_copy(update=update)


ELSEWHERE = frozenset({"backend", "content"})
"""Settings of features that say by what or from which table they were made there, not how."""


def inherited(
    config: RunConfig, name: str, overrides: Sequence[str], start_from: Path | str | None
) -> RunConfig:
    """Give a run the settings of the network that it starts from; what the user wrote lies over.

    Args:
        config: a run as ``name`` and ``overrides`` say.
        name: a recipe or model, whose settings give way, or the user's own file, whose do not.
        overrides: what was typed.
        start_from: a run, or a file, which has no settings.
    """
    if start_from is None and config.start != Start() and not Path(name).exists():
        raise ConfigError("train.start says what is taken, and has no effect without --from RUN.")
    if start_from is None or not (Path(start_from) / "run.yaml").is_file():
        return config
    first = read_run(Path(start_from))
    if first.model["name"] != config.model["name"]:
        return config
    typed = parse_overrides(overrides)
    # A file is the user's own word, as what is typed; a recipe is ours, and gives way.
    written = config.model if Path(name).exists() else dict(typed.get("model") or {})
    model = merge(merge(config.model, first.model), written)
    features: dict[str, Any] = {
        stream: {key: value for key, value in settings.items() if key not in ELSEWHERE}
        for stream, settings in first.features.items()
    }
    features = merge(features, config.features)
    changed = {key: value for key, value in model.items() if config.model.get(key) != value}
    if changed:
        told = ", ".join(f"model.{key}={shown(value, 40)}" for key, value in changed.items())
        log.info("as in %s: %s", start_from, told)
    return config.model_copy(update={"model": model, "features": features})


def begin_with(
    network: Any, start_from: Path, run_plan: Plan, facts: Facts, config: RunConfig
) -> Any:
    """Put the tensors of a run or a file into a network that the seed made.

    Returns:
        The account of every tensor.

    Raises:
        ConfigError: nothing fits.
        DataError: shapes differ, or the file is refused.
    """
    from traitscope.runs.foreign import read_foreign
    from traitscope.runs.transfer import Origin, learnt, take_over, target_axes

    if start_from.is_dir():
        check_learned(start_from)
        first = read_run(start_from)
        there = run_facts(start_from, run_plan.typed)
        tensors = saved_tensors(start_from)
        if first.model["name"] == config.model["name"]:
            tensors = learnt(plan(first, typed=run_plan.typed), there, tensors)
        _warn_of_columns(start_from, there, facts)
        same = there.corpus == facts.corpus
        origin = Origin(str(start_from), tensors, there.targets, same_corpus=same)
    else:
        origin = read_foreign(start_from, network, run_plan.module, rename=config.start.rename)
    axes = target_axes(run_plan, facts)
    account = take_over(network, origin, facts.targets, axes=axes, start=config.start)
    for line in account.lines():
        log.info("%s", line)
    return account


def _warn_of_columns(start_from: Path, there: Facts, here: Facts) -> None:
    for stream, columns in here.columns.items():
        before = there.columns.get(stream, columns)
        if before != columns:
            log.warning(
                "the columns of %s are not those of %s: its first layer was taught with others",
                stream,
                start_from,
            )


def interrupted_run(folder: Path, overrides: Sequence[str]) -> tuple[RunConfig, list[str]]:
    """Settings of an interrupted run, and those among the overrides that are other ones now.

    Raises:
        ConfigError: there is no run, or something else than ``train.*`` changes.
    """
    from traitscope.training.saved import check_saved, read_saved

    if not (folder / "run.yaml").is_file():
        raise ConfigError(f"There is no run in {folder} to resume. Start it without --resume.")
    before = load_run(str(folder))
    # Repeating the whole command that was typed first is no change.
    changes = [o for o in overrides if load_run(str(folder), [o]) != before]
    for change in changes:
        area, *below = change.partition("=")[0].split(".")
        settled = SETTLED & {*below} or "start" in below or bool(members(before))
        if area != "train" or settled:
            raise ConfigError(f"{change!r} cannot change in a resumed run: start a new one.")
    config = as_it_lies(folder, load_run(str(folder), changes))
    saved = read_saved(folder) if changes else None
    if saved is not None:
        check_saved(saved, before)
        _check_over(before, config, saved.stage, saved.done)
    return config, changes


def note_changes(folder: Path, changes: Sequence[str]) -> None:
    """Add to ``changes.json`` what is other from now on."""
    path = folder / "changes.json"
    earlier = read_json(path, root=list, damaged="Delete it.") if path.is_file() else []
    write_json(path, [*earlier, {"epochs_done": _epochs_done(folder), "changes": list(changes)}])


def _check_over(before: RunConfig, after: RunConfig, stage: int, done: int) -> None:
    """Refuse changes of what is over: they would be recorded and have no effect."""
    for index, (old, new) in enumerate(zip(before.stages, after.stages, strict=True)):
        if index < stage and old != new:
            raise ConfigError(
                f"Stage {old.name!r} is over: its settings cannot change any more. Start a new run."
            )
        if index == stage and new.epochs < done:
            raise ConfigError(
                f"{done} epochs are done already, so train.epochs={new.epochs} is too few. To end "
                f"here: train.epochs={done}"
            )


def remember_start(folder: Path, start_from: Path | str | None) -> Path | str | None:
    """Note in a run which other it starts from; a resumed one is told what was noted.

    Stopped in its first epoch, it has no state yet and starts from that run again.
    """
    note = folder / "started_from.json"
    if start_from is not None:
        write_json(note, str(start_from))
    return read_json(note, root=str, damaged="Start a new run.") if note.is_file() else None


def remember_places(folder: Path, config: RunConfig, start_from: Path | str | None) -> None:
    """Note where the data and the runs before lie: they are found when all of it has moved."""
    places = {what: getattr(config.data, what) for what in ("corpus", "store", "first_stage")}
    note_places(folder, {**places, "start": "" if start_from is None else str(start_from)})


def noted_start(folder: Path) -> str | None:
    """The run or file that a run was started from."""
    start = remember_start(folder, None)
    return None if start is None else place_now(folder, "start", str(start))


def save_account(folder: Path, account: Any) -> None:
    """Write what became of each tensor as ``start.json``."""
    if account is not None:
        write_json(folder / "start.json", account.as_json())


def _epochs_done(folder: Path) -> int:
    path = folder / "history.csv"
    return len(read_history(path)) if path.is_file() else 0


def unused_folder(name: str) -> Path:
    """The first of ``runs/NAME-1``, ``-2`` ... that is not there."""
    # The name of a recipe, of a YAML file, or the last part of a dotted path.
    stem = Path(name).stem or "run"
    number = 1
    while Path("runs", f"{stem}-{number}").exists():
        number += 1
    return Path("runs", f"{stem}-{number}")
