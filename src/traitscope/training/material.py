"""Settings in, everything a run is fitted on out: clips with features, draws, keys."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from traitscope.corpora import load_corpus
from traitscope.data.examples import Examples, gather
from traitscope.data.protocols import check_leakage, split
from traitscope.data.scaling import Scaler
from traitscope.errors import ConfigError, DataError
from traitscope.features.request import Request
from traitscope.features.store import Store
from traitscope.runs.plan import Plan, plan, stored_requests
from traitscope.runs.settings import RunConfig, Stage
from traitscope.types import Clip, Corpus, Target

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
