"""Search the settings of a training: a recipe and spaces in, a folder of trials and a recipe out.

Trials are compared on the validation clips. No label, feature or media of a test clip is read.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from traitscope.config import Config, build, read_yaml, save_config
from traitscope.errors import ConfigError, DataError
from traitscope.experiments.on_ray import Plan, run_trials
from traitscope.experiments.proposals import Chance, Optuna, Proposals
from traitscope.experiments.search_results import write_results
from traitscope.experiments.spaces import Space, drawn, overrides, split_settings
from traitscope.experiments.trials import (
    ENDED,
    Job,
    Metric,
    Trial,
    best_trial,
    end_trial,
    read_trials,
)
from traitscope.files import alone, refuse_used
from traitscope.ray_cluster import open_cluster
from traitscope.runs.plan import load_run, plan, searched_in, typed_names
from traitscope.training.checks import check_data
from traitscope.training.start import unused_folder
from traitscope.training.training_set import collect

Watch = Callable[[Sequence[Trial]], None]

log = logging.getLogger(__name__)


class SearchConfig(Config):
    """A search; saved with it as ``search.yaml``."""

    name: str
    """Recipe, model, YAML file or dotted path."""
    settings: tuple[str, ...] = ()
    """``key=value`` of every trial, and ``key=loguniform(1e-4,1e-2)`` of what is searched."""
    trials: PositiveInt = 12
    """How many trainings are begun in all."""
    metric: Metric = "ccc"
    """Macro score on validation that decides; the best epoch of each trial is chosen by it, too."""
    algorithm: Literal["random", "optuna"] = "random"
    """Who proposes settings: chance, or Optuna's TPE after the trials so far."""
    seed: NonNegativeInt = 0
    """Of the proposals; trainings have their own."""
    scheduler: Literal["asha", "fifo"] = "asha"
    """``asha`` stops trials that others have left behind; ``fifo`` trains all to the end."""
    grace: PositiveInt = 5
    """Epochs before a trial can be stopped."""
    reduction: Annotated[int, Field(ge=2)] = 2
    """One trial in so many goes on from each rung."""
    concurrent: NonNegativeInt = 0
    """Trials at the same time; 0 for as many as there is room for."""
    cpus: PositiveFloat = 1.0
    """Cores of each trial."""
    gpus: NonNegativeFloat = 0.0
    """GPUs of each trial, which may be a part of one."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """Where trials are trained."""
    streams: tuple[str, ...] = ()
    """Dotted paths of extractors from outside."""


CHANGEABLE = frozenset({"trials", "concurrent", "cpus", "gpus", "accelerator"})
"""Settings of a search that another sitting of it may change: the trials stay comparable."""


def tune(
    name: str | None = None,
    settings: Sequence[str] = (),
    *,
    to: Path | str | None = None,
    resume: bool = False,
    address: str | None = None,
    watch: Watch | None = None,
    **options: Any,
) -> Path:
    """Search settings, and write the best as a recipe.

    Args:
        name: recipe, model, YAML file or dotted path; as before when resuming.
        settings: ``key=value``, and ``key=loguniform(low,high)``, ``uniform(low,high)``,
            ``quniform(low,high,step)``, ``randint(low,high)``, ``choice(a,b,...)`` of any setting.
        to: folder of the search; ``runs/tune-NAME-1``, ``-2`` ... when not given.
        resume: go on with the search in ``to``; no trial that is over runs again.
        address: of a Ray cluster; None starts one on this machine.
        watch: called with all trials when one of them has told something new.
        options: fields of `SearchConfig`.

    Returns:
        The folder of the search.

    Raises:
        TraitscopeError: settings are wrong, features are missing, or no trial could be finished.

    Example:
        ``tune("audio_lstm", ["data.corpus=fi:/data/fi", "data.store=store",
        "train.lr=loguniform(1e-5,1e-2)"], trials=20, to="search")``
    """
    if resume:
        folder, config = _resumed(name, settings, to, options)
    else:
        folder, config = _new(name, settings, to, options)
    with alone(folder):
        return _searched(config, folder, address, watch, resume=resume)


def _searched(
    config: SearchConfig, folder: Path, address: str | None, watch: Watch | None, *, resume: bool
) -> Path:
    """Run the trials that are left."""
    plain, spaces = _spaces(config)
    job = _job(config, plain, folder)
    for trial in read_trials(job):
        if trial.reason == ENDED:
            end_trial(job, trial.number, "running")
    earlier = read_trials(job)
    _check_spaces(config, plain, spaces)
    if not resume:
        _check_data(config, plain, spaces)
    save_config(config, folder / "search.yaml")
    fields = {key: getattr(config, key) for key in Plan.__dataclass_fields__}

    def look() -> None:
        if watch:
            watch(read_trials(job))

    if len(earlier) < config.trials or any(trial.status == "running" for trial in earlier):
        with open_cluster(address, why="traitscope tune") as ray:
            proposals = _proposals(config, spaces, job, earlier)
            run_trials(ray, job, Plan(**fields), proposals, earlier, look)
    return _finish(config, spaces, job)


def _new(
    name: str | None, settings: Sequence[str], to: Path | str | None, options: dict[str, Any]
) -> tuple[Path, SearchConfig]:
    if name is None:
        raise ConfigError("Name a recipe or a model to search: traitscope tune face_cnn ...")
    tree = {"name": name, "settings": tuple(settings), **options}
    config = build(SearchConfig, tree, where="The search")
    folder = Path(to) if to is not None else unused_folder(f"tune-{Path(name).stem}")
    refuse_used(folder, otherwise=", or go on with that search: --resume")
    return folder.absolute(), config


def _resumed(
    name: str | None, settings: Sequence[str], to: Path | str | None, options: dict[str, Any]
) -> tuple[Path, SearchConfig]:
    if to is None:
        raise ConfigError("Say which search goes on: traitscope tune --resume --to FOLDER")
    path = Path(to) / "search.yaml"
    if not path.is_file():
        raise ConfigError(f"There is no search in {to} to resume. Start it without --resume.")
    before = build(SearchConfig, read_yaml(path), where=str(path))
    # Repeating the whole command that was typed first is no change.
    given = {**options, **({"name": name} if name else {})}
    given |= {"settings": tuple(settings)} if settings else {}
    after = build(SearchConfig, {**before.model_dump(), **given}, where="The search")
    for key in given:
        if key not in CHANGEABLE and getattr(after, key) != getattr(before, key):
            raise ConfigError(
                f"{key} is {getattr(before, key)!r} in {path} and cannot change in a resumed "
                f"search: trials would not be comparable. Start a new one."
            )
    return Path(to).absolute(), after


def _spaces(config: SearchConfig) -> tuple[list[str], list[Space]]:
    plain, spaces = split_settings(config.settings, searched_in(config.name))
    if not spaces:
        raise ConfigError(
            "Nothing is searched. Give a setting a space, such as "
            '"train.lr=loguniform(1e-5,1e-2)" (with quotes), or name a recipe with one.'
        )
    # What decides between trials decides between their epochs, or the score would not be theirs.
    if not any(setting.startswith("trainer.monitor=") for setting in plain):
        estimator = not load_run(config.name, plain).stages
        plain += [] if estimator else [f"trainer.monitor={config.metric}"]
    return plain, spaces


def _job(config: SearchConfig, plain: Iterable[str], folder: Path) -> Job:
    noted = [f"searched.trials={config.trials}", f"searched.metric={config.metric}"]
    return Job(
        config.name,
        (*plain, *noted),
        folder,
        config.metric,
        config.accelerator,
        config.streams,
    )


def _proposals(
    config: SearchConfig, spaces: Sequence[Space], job: Job, earlier: Sequence[Trial]
) -> Proposals:
    if config.algorithm == "random":
        return Chance(spaces, config.seed)
    return Optuna(spaces, config.seed, job, [t for t in earlier if t.status != "running"])


def _check_spaces(config: SearchConfig, plain: list[str], spaces: Sequence[Space]) -> None:
    """Refuse a misspelt key or a value out of bounds now, not in the seventh trial."""
    first = drawn(spaces, seed=config.seed, number=0)
    for space in spaces:
        for value in space.ends():
            given = [*plain, *overrides({**first, space.key: value})]
            typed = typed_names(config.name, given, config.streams)
            plan(load_run(config.name, given), typed=typed, source=config.name)


def _check_data(config: SearchConfig, plain: list[str], spaces: Sequence[Space]) -> None:
    """Refuse features that are not prepared, and data without clips to compare trials on."""
    first = drawn(spaces, seed=config.seed, number=0)
    streams = [space for space in spaces if space.key.partition(".")[0] == "features"]
    draws = [first, *({**first, s.key: value} for s in streams for value in s.ends())]
    for draw in draws:
        given = [*plain, *overrides(draw)]
        typed = typed_names(config.name, given, config.streams)
        data = collect(load_run(config.name, given), typed=typed, source=config.name)
        check_data(data)
        if not data.selection:
            raise ConfigError(
                "There are no validation clips to compare trials on. Give the labels a validation "
                "split, or choose protocol.kind=random."
            )


def _finish(config: SearchConfig, spaces: Sequence[Space], job: Job) -> Path:
    """Write what came out, or say why nothing did."""
    trials = read_trials(job)
    best = best_trial(job, trials)
    if best is None:
        reasons = [trial.reason for trial in trials if trial.reason]
        why = f"The first that failed: {reasons[0]}" if reasons else "All were stopped before."
        raise DataError(
            f"No trial of {len(trials)} in {job.folder} was finished with a score. {why}"
        )
    write_results(job, config.seed, spaces, trials, best)
    return job.folder
