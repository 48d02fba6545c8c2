"""Settings in, what a run is fitted on out: examples to fit and to select on, and what they lack.

Everything that can be wrong with settings, corpus and store is found here, before any work starts.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from traitscope import registry
from traitscope.corpora import saved_corpus
from traitscope.data.examples import Examples, gather
from traitscope.data.protocols import Splits, check_leakage, split
from traitscope.data.scaling import Scaler
from traitscope.errors import ConfigError, DataError
from traitscope.features.origins import serving
from traitscope.features.remote import open_store
from traitscope.features.store import Store
from traitscope.runs.first_stage import on_first_stage
from traitscope.runs.plan import IMPORTED, Plan, plan
from traitscope.runs.settings import RunConfig, Stage
from traitscope.runs.stored import prepare_command, stored_plan
from traitscope.types import Clip, Corpus, Target

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingSet:
    """What one run is fitted on.

    Attributes:
        config: the run, with every default written out.
        plan: its model, and the stored features that it draws.
        corpus: the annotations.
        fitting: clips with labels and all streams; of a network, drawn as in training.
        selection: validation clips, drawn as in evaluation; empty without validation.
        failures: clips left out, with reasons.
    """

    config: RunConfig
    plan: Plan
    corpus: Corpus
    fitting: Examples
    selection: Examples
    failures: tuple[Mapping[str, str], ...]

    @property
    def targets(self) -> tuple[Target, ...]:
        """What is regressed."""
        return tuple(self.corpus.target(name) for name in self.config.data.targets)

    def scaled(self, scalers: Mapping[str, Scaler]) -> "TrainingSet":
        """The same set with standardised streams."""
        fitting, selection = self.fitting.scaled(scalers), self.selection.scaled(scalers)
        return replace(self, fitting=fitting, selection=selection)


def collect(
    config: RunConfig, *, typed: registry.Typed = registry.NOTHING, source: str = ""
) -> TrainingSet:
    """Find everything a run needs before any work starts.

    Args:
        config: the run.
        typed: what the user typed; no other dotted name is imported.
        source: the file that the settings come from, for messages.

    Raises:
        ConfigError: a setting is missing, wrong or without effect.
        DataError: labels or features are missing.
    """
    config, run_plan, store = _planned(config, typed, source)
    corpus = saved_corpus(config.data.corpus, typed, source=source, words="data.corpus=")
    targets = tuple(corpus.target(name) for name in config.data.targets) or corpus.targets
    splits = split(corpus, config.protocol)
    _warn_of_leakage(splits, config)
    # A clip with one of five labels still teaches that one; its mask hides the others.
    labelled = [c for c in splits.fitted if any(t.name in c.targets for t in targets)]
    # Fitted clips cannot choose the epoch: every epoch would look better than the last.
    held_out = () if "validation" in splits.fit else splits.validation
    store = serving(store, [*labelled, *held_out], corpus=corpus.name)
    try:
        fitting, left_out = gather(labelled, store, run_plan.keys, run_plan.draws)
        selection, unseen = gather(held_out, store, run_plan.keys, run_plan.draws)
    except DataError as error:
        made = [r for r in run_plan.requests.values() if r.name != IMPORTED]
        if "no features yet" not in str(error) or not made:
            raise
        raise DataError(f"{error} Make them with:\n  {prepare_command(config, made)}") from error
    if len(fitting) < 2:
        raise DataError(
            f"{len(fitting)} of {len(splits.fitted)} fitting clips have labels and usable "
            f"features; at least 2 are needed. See: traitscope features show {store.folder}"
        )
    _check_watched(config, run_plan, selection, targets)
    names = [target.name for target in targets]
    fitted_on, selected_on = (
        Examples(clips, store, run_plan.keys, run_plan.draws, targets=names)
        for clips in (fitting, selection)
    )
    if not run_plan.is_estimator:  # it is fitted in one step, on what is drawn in evaluation
        fitted_on = fitted_on.for_training(config.seed, run_plan.augment)
    return TrainingSet(
        config=_resolved(config, run_plan, targets),
        plan=run_plan,
        corpus=corpus,
        fitting=fitted_on,
        selection=selected_on,
        failures=(*left_out, *unseen),
    )


def _planned(
    config: RunConfig, typed: registry.Typed, source: str
) -> tuple[RunConfig, Plan, Store]:
    """Settle which stored features a run draws, of its first stage if it has one."""
    for key in ("corpus", "store"):
        if not getattr(config.data, key):
            example = {"corpus": "table:clips.csv", "store": "store"}[key]
            raise ConfigError(f"data.{key} is not set. Say, for example: data.{key}={example}")
    store = open_store(config.data.store)
    wanted = plan(config, typed=typed, source=source)
    config = on_first_stage(config, frozenset(wanted.draws))
    if config.data.first_stage:
        wanted = plan(config, typed=typed, source=source)
    run_plan = stored_plan(config, wanted, store)
    return config, run_plan, store


def _warn_of_leakage(splits: Splits, config: RunConfig) -> None:
    # Said before training: afterwards the number is already in somebody's table.
    for part in {"validation", "test"} - set(splits.fit):
        for warning in check_leakage(splits.fitted, splits.part(part), config.protocol):
            log.warning("%s: %s", part, warning)


def _check_watched(
    config: RunConfig, run_plan: Plan, selection: Sequence[Clip], targets: Sequence[Target]
) -> None:
    """Refuse settings that watch validation scores where there are none to watch."""
    if config.trainer.plots and (run_plan.is_estimator or not selection):
        why = "is fitted in one step" if run_plan.is_estimator else "has no validation clips"
        raise ConfigError(f"trainer.plots=true has no effect: this run {why}. Leave it out.")
    monitor = config.trainer.monitor
    if len(selection) == 1 and monitor in {"r2", "ccc"} and not run_plan.is_estimator:
        raise ConfigError(
            f"trainer.monitor={monitor} is undefined on a single validation clip. Set: "
            f"trainer.monitor=mae"
        )
    unlabelled = [t.name for t in targets if not any(t.name in clip.targets for clip in selection)]
    for stage in config.stages or (() if run_plan.is_estimator else (Stage(),)):
        change = {
            "early_stop=0": stage.early_stop > 0,
            "schedule=constant": stage.schedule == "plateau",
            "keep=last": stage.keep != "last" and bool(selection),
        }
        watching = [setting for setting, watches in change.items() if watches]
        if unlabelled and watching:
            place = f"train.{stage.name}" if len(config.stages) > 1 else "train"
            lack = f"No validation clip has a label for {', '.join(unlabelled)}"
            lack = lack if selection else "No validation clips are held out"
            raise ConfigError(
                f"{lack}, so no score says how good an epoch is. Train without: "
                f"{' '.join(f'{place}.{setting}' for setting in watching)}"
            )


def _resolved(config: RunConfig, run_plan: Plan, targets: Sequence[Target]) -> RunConfig:
    """Write every default out, so that the saved run means the same later."""
    features = {s: r.config.model_dump(mode="json") for s, r in run_plan.requests.items()}
    # Defaults may change in later versions; what this run was trained with may not.
    model = {"name": config.model["name"], **run_plan.options.model_dump(mode="json")}
    stages = config.stages if run_plan.is_estimator else config.stages or (Stage(),)
    data = config.data.model_copy(update={"targets": tuple(target.name for target in targets)})
    update = {"features": features, "model": model, "stages": stages, "data": data}
    update["augment"] = {a.name: a.config.model_dump(mode="json") for a in run_plan.augment}
    return config.model_copy(update=update)
