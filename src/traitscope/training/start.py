"""How a training begins: fresh, resumed, or on another run's network."""

import logging
from collections.abc import Sequence
from pathlib import Path

from traitscope import registry
from traitscope.config import merge
from traitscope.errors import ConfigError
from traitscope.files import read_json, write_json
from traitscope.runs.checkpoint import open_run
from traitscope.runs.checksums import check_learned
from traitscope.runs.plan import load_run
from traitscope.runs.settings import SETTLED, RunConfig
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


def interrupted_run(folder: Path, overrides: Sequence[str]) -> RunConfig:
    """Settings of an interrupted run; only ``train.*`` may be changed now, which is recorded."""
    if not (folder / "run.yaml").is_file():
        raise ConfigError(f"There is no run in {folder} to resume. Start it without --resume.")
    before = load_run(str(folder))
    # Repeating the whole command that was typed first is no change.
    changes = [o for o in overrides if load_run(str(folder), [o]) != before]
    for change in changes:
        area, *below = change.partition("=")[0].split(".")
        if area != "train" or SETTLED & {*below} or before.protocol.fold == "all":
            raise ConfigError(f"{change!r} cannot change in a resumed run: start a new one.")
    config = load_run(str(folder), changes)
    if changes:
        path = folder / "changes.json"
        earlier = read_json(path, root=list, damaged="Delete it.") if path.is_file() else []
        done = _epochs_done(folder)  # what is damaged is said before a change is noted
        write_json(path, [*earlier, {"epochs_done": done, "changes": changes}])
    return config


def remember_start(folder: Path, start_from: Path | str | None) -> Path | str | None:
    """Note in a run which other it starts from; a resumed one is told what was noted.

    Stopped in its first epoch, it has no state yet and starts from that run again.
    """
    note = folder / "started_from.json"
    if start_from is not None:
        check_learned(Path(start_from))
        write_json(note, str(start_from))
    return read_json(note, root=str, damaged="Start a new run.") if note.is_file() else None


def _epochs_done(folder: Path) -> int:
    path = folder / "history.csv"
    return len(read_history(path)) if path.is_file() else 0


def unused_folder(name: str) -> Path:
    """The first of ``runs/NAME-1``, ``-2`` ... that is not there."""
    stem = Path(name).stem or "run"
    number = 1
    while Path("runs", f"{stem}-{number}").exists():
        number += 1
    return Path("runs", f"{stem}-{number}")
