"""What one training is: data, protocol, features, model, stages, trainer, seed.

In: a name (recipe, model, file or dotted path) and ``key=value`` settings. Out: a frozen RunConfig,
and a Plan that says which streams with which settings its model takes.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from traitscope import registry
from traitscope.augment import Augmentation, settle
from traitscope.config import Config, build, merge, parse_overrides, read_yaml
from traitscope.errors import ConfigError
from traitscope.extract import Request, make_request
from traitscope.protocols import Protocol
from traitscope.types import Draw

IMPORTED = "imported"
"""The extractor that stands for tables brought into the store."""

Share = Annotated[float, Field(gt=0, lt=1)]
log = logging.getLogger(__name__)


class DataConfig(Config):
    """Which clips, which features, which targets."""

    corpus: str = ""
    """Address of the corpus, such as ``fi:/data/fi``."""
    store: str = ""
    """Folder of the feature store."""
    targets: tuple[str, ...] = ()
    """Targets to regress; empty for all of the corpus."""
    allow_attributes: bool = False
    """Let the model see age, gender ...; said in its card."""


class Distil(Config):
    """Self-distillation: learn from samples that look alike, see ``distillation``."""

    weight: NonNegativeFloat = 0.0
    """Weight of the extra loss; 0 turns it off."""
    bins: Annotated[int, Field(ge=1, le=20)] = 5
    """Quantile bins of each target's labels."""
    memory: PositiveInt = 64
    """Samples kept per target and bin."""
    neighbours: PositiveInt = 5
    """Nearest samples of each bin that give the soft target."""
    temperature: PositiveFloat = 0.1
    """How fast a neighbour's say falls with its cosine similarity."""
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Share of the stage over which the weight grows from zero."""


class Stage(Config):
    """One optimiser with its loss and schedule."""

    name: str = "fit"
    """What the stage is called in logs and in ``train.NAME.lr=...``."""
    loss: str = "mse"
    """A function of ``losses.py``."""
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """Update rule."""
    lr: PositiveFloat = 1e-3
    """Learning rate at its highest."""
    weight_decay: NonNegativeFloat = 0.0
    """L2 penalty (decoupled for adamw)."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Momentum of sgd."""
    betas: tuple[Share, Share] = (0.9, 0.999)
    """Decay of the running means of adam and adamw."""
    schedule: Literal["constant", "step", "cosine", "plateau"] = "constant"
    """How the learning rate falls."""
    milestones: tuple[PositiveInt, ...] = ()
    """Epochs at which ``step`` multiplies the learning rate by ``factor``."""
    factor: Share = 0.1
    """Multiplier of ``step`` and ``plateau``."""
    patience: PositiveInt = 3
    """Epochs without gain before ``plateau`` acts."""
    min_lr: NonNegativeFloat = 0.0
    """Floor of ``cosine`` and ``plateau``."""
    warmup_epochs: NonNegativeInt = 0
    """Epochs of linear warm-up, before any schedule but ``plateau``."""
    epochs: PositiveInt = 30
    """Passes over the fitting clips."""
    batch_size: PositiveInt = 32
    """Clips per step."""
    accumulate: PositiveInt = 1
    """Batches per optimiser step."""
    clip_norm: NonNegativeFloat = 0.0
    """Largest norm of the gradient; 0 for none."""
    early_stop: NonNegativeInt = 0
    """Epochs without gain on validation before stopping; 0 for never."""
    keep: Literal["best", "last"] = "best"
    """Which epoch's weights are kept at the end: best on validation, or the last."""
    freeze: tuple[str, ...] = ()
    """Patterns of tensor names that do not train in this stage, such as ``backbone.*``."""
    distil: Distil = Distil()
    """Self-distillation; for models whose output has features."""
    lr_factors: dict[str, PositiveFloat] = Field(default_factory=dict)
    """Pattern of tensor names -> factor on the learning rate; the first match decides."""

    @model_validator(mode="after")
    def _no_idle_setting(self) -> "Stage":
        """Refuse settings that the chosen optimiser or schedule would ignore."""
        uses = {
            "momentum": self.optimizer == "sgd",
            "betas": self.optimizer != "sgd",
            "milestones": self.schedule == "step",
            "factor": self.schedule in {"step", "plateau"},
            "patience": self.schedule == "plateau",
            "min_lr": self.schedule in {"cosine", "plateau"},
            "warmup_epochs": self.schedule != "plateau",
        }
        default = type(self).model_fields
        idle = [
            k for k, used in uses.items() if not used and getattr(self, k) != default[k].default
        ]
        if idle:
            raise ValueError(
                f"{', '.join(idle)} would have no effect with optimizer={self.optimizer} and "
                f"schedule={self.schedule}"
            )
        if self.schedule == "step" and not self.milestones:
            raise ValueError("schedule=step needs milestones")
        return self


SETTLED = frozenset(
    {
        *("name", "freeze", "lr_factors", "schedule", "distil"),
        *("optimizer", "weight_decay", "momentum", "betas"),
    }
)
"""Settings of a stage that what it saved for a resume holds or hangs on: they change no more."""


class TrainerConfig(Config):
    """How the loop runs, whatever the model."""

    precision: Literal["32", "bf16"] = "32"
    """Arithmetic of the forward and backward pass."""
    monitor: Literal["mae", "mse", "r2", "ccc"] = "mae"
    """Macro score on validation that decides what is best, when to stop, and ``plateau``."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of the running mean of the weights that is validated and kept; 0 for none."""
    compile: bool = False
    """Compile the network with torch.compile."""
    tensorboard: bool = True
    """Write TensorBoard event files into the run."""
    plots: bool = False
    """Draw scatter and residuals of the validation clips after each epoch, into ``plots``."""


class RunConfig(Config):
    """Everything one training depends on; saved whole with the run."""

    data: DataConfig = DataConfig()
    """Corpus, store and targets."""
    protocol: Protocol = Protocol()
    """How clips are split and what is fitted on."""
    features: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Extractor -> settings that differ from its defaults."""
    augment: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Transform of training examples -> settings that differ from its defaults, in order."""
    model: dict[str, Any]
    """``name`` of the model, and its own settings."""
    stages: tuple[Stage, ...] = ()
    """Stages of a neural model; none for an estimator."""
    trainer: TrainerConfig = TrainerConfig()
    """Precision, which epoch is kept."""
    seed: NonNegativeInt = 0
    """Fixes initial weights, draws and batch order."""

    @field_validator("model")
    @classmethod
    def _has_a_name(cls, model: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(model.get("name"), str):
            raise ValueError("needs a name, as in {name: audio_lstm}")
        return model

    @field_validator("stages")
    @classmethod
    def _distinct_stages(cls, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
        if len({stage.name for stage in stages}) < len(stages):
            raise ValueError("two stages have the same name")
        return stages


@dataclass(frozen=True)
class Plan:
    """A run's model with its checked settings, the streams it draws and their extraction.

    Attributes:
        module: the model's file.
        options: the model's own Config.
        draws: stream name -> Draw.
        requests: stream name -> the extraction that makes it.
        augment: transforms of training examples, in order.
    """

    module: ModuleType
    options: Config
    draws: Mapping[str, Draw]
    requests: Mapping[str, Request]
    augment: tuple[Augmentation, ...] = ()

    @property
    def is_estimator(self) -> bool:
        """True for a model that is fitted in one step, without gradient."""
        return hasattr(self.module, "Estimator")


def load_run(name: str, overrides: Sequence[str] = ()) -> RunConfig:
    """Find a recipe, a model, a file or a dotted path, and lay the settings over it.

    Args:
        name: looked for in this order: recipe, model, YAML file or run folder, dotted path.
        overrides: ``key=value`` settings; ``train.lr=`` sets the single stage, and
            ``train.STAGE.lr=`` a named one.

    Raises:
        ConfigError: nothing has that name, or a setting is unknown or contradictory.
    """
    tree = _base(name)
    changes = parse_overrides(overrides)
    stage_changes = changes.pop("train", {})
    if not isinstance(stage_changes, dict):
        raise ConfigError(f"train={stage_changes!r} is not a setting; write train.lr=... .")
    tree = merge(tree, changes)
    if stage_changes:
        tree["stages"] = _change_stages(list(tree.get("stages") or [{}]), stage_changes)
    where = " + ".join([name, *overrides])
    return build(RunConfig, tree, where=where)


def plan(config: RunConfig, *, outside: str | None = None) -> Plan:
    """Load the run's model and work out what it needs.

    Args:
        config: the run.
        outside: the dotted model path the user typed, if any; no other is imported.

    Raises:
        ConfigError: model or feature settings are wrong, or stages are given to an estimator.
    """
    name = config.model["name"]
    module = registry.load("models", name, outside=outside is not None and name == outside)
    settings = {key: value for key, value in config.model.items() if key != "name"}
    options = build(module.Config, settings, where=f"model settings of {name}")
    draws = module.inputs(options)
    idle = sorted(set(config.features) - set(draws))
    if idle:
        raise ConfigError(
            f"features.{idle[0]} has no effect: {name} takes {', '.join(sorted(draws)) or 'none'}."
        )
    if hasattr(module, "Estimator") and (config.stages or config.augment):
        raise ConfigError(
            f"{name} is fitted in one step: stages, train.* and augment.* settings have no effect "
            f"on it."
        )
    requests = {
        stream: _request(stream, draw.extract, config.features.get(stream, {}))
        for stream, draw in draws.items()
    }
    draws = {  # pictures from elsewhere have a size of their own
        stream: replace(draw, size=draw.size or draw.extract.get("size"))
        if requests[stream].name == IMPORTED
        else draw
        for stream, draw in draws.items()
    }
    return Plan(module, options, draws, requests, settle(config.augment, draws))


def _request(stream: str, wanted: Mapping[str, Any], given: Mapping[str, Any]) -> Request:
    """The extraction of a stream; no extractor, or known content, is what was imported."""
    if "content" in given:
        return make_request(IMPORTED, {"name": stream, **given})
    settings = merge(wanted, given)
    if stream in registry.names("extract") or "." in stream:
        return make_request(stream, settings, outside="." in stream)
    return make_request(IMPORTED, {"name": stream, **settings})


def typed_model(name: str, overrides: Sequence[str] = ()) -> str | None:
    """The dotted model path in what the user typed, if there is one."""
    typed = [o.partition("=")[2] for o in overrides if o.startswith("model.name=")]
    candidates = [*typed, name] if not Path(name).exists() else typed
    return next((t for t in candidates if "." in t and not t.endswith((".yaml", ".yml"))), None)


def requests_for(name: str, overrides: Sequence[str] = ()) -> list[Request]:
    """Extractions that a recipe or model needs, for ``prepare --for``.

    ``STREAM.key=value`` is accepted beside ``features.STREAM.key=value``.
    """
    heads = {override: override.partition("=")[0].split(".")[0] for override in overrides}
    own = [o for o in overrides if heads[o] in {*RunConfig.model_fields, "train"}]
    draws = plan(load_run(name, own), outside=typed_model(name, own)).draws  # model.* may change
    full = [f"features.{o}" if heads[o] in draws else o for o in overrides]
    config = load_run(name, full)
    found = plan(config, outside=typed_model(name, full)).requests
    tables = [stream for stream, request in found.items() if request.name == IMPORTED]
    if tables and len(tables) == len(found):
        raise ConfigError(
            f"{name} has nothing to extract: {no_extractor(tables[0])} Bring a table in with: "
            f"traitscope features import"
        )
    for stream in tables:
        log.warning("%s", no_extractor(stream))
    return [request for stream, request in found.items() if stream not in tables]


def no_extractor(stream: str) -> str:
    """Say that a stream has to come from a table, with the extractor that may be meant."""
    near = get_close_matches(stream, registry.names("extract"), n=1)
    hint = f" (is {near[0]!r} meant?)" if near else ""
    return f"{stream!r} is no extractor{hint}, so it is taken from an imported table."


def recipe_path(name: str) -> Path:
    """Where a shipped recipe is."""
    return Path(registry.__file__).parent / "recipes" / f"{name}.yaml"


def _base(name: str) -> dict[str, Any]:
    if name in registry.names("recipes"):
        return read_yaml(recipe_path(name))
    if name in registry.names("models"):
        return {"model": {"name": name}}
    path = Path(name)
    if path.is_dir() and (path / "run.yaml").is_file():
        return read_yaml(path / "run.yaml")
    if path.is_file() or path.suffix in {".yaml", ".yml"}:
        return read_yaml(path)
    if "." in name and "/" not in name:
        return {"model": {"name": name}}
    known = sorted({*registry.names("recipes"), *registry.names("models")})
    raise ConfigError(registry.unknown(name, known, "recipes or models"))


def _change_stages(stages: list[dict[str, Any]], changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Lay ``train.*`` settings over the stages they name."""
    known = [stage.get("name", "fit") for stage in stages]
    for key, value in changes.items():
        if isinstance(value, dict) and key not in Stage.model_fields:
            if key not in known:
                raise ConfigError(registry.unknown(key, known, "stages"))
            index = known.index(key)
            stages[index] = merge(stages[index], value)
        elif len(stages) > 1:
            raise ConfigError(
                f"train.{key} is ambiguous: the run has the stages {', '.join(known)}. "
                f"Write train.{known[0]}.{key}=... ."
            )
        else:
            stages[0] = merge(stages[0], {key: value})
    return stages
