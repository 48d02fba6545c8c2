"""The settings of one training: data, protocol, features, model, stages, trainer, seed."""

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

from traitscope.config import Config
from traitscope.data.protocols import Protocol

Share = Annotated[float, Field(gt=0, lt=1)]


class DataConfig(Config):
    """Which clips, which features, which targets."""

    corpus: str = ""
    """Address of the corpus, such as ``fi:/data/fi``."""
    store: str = ""
    """Folder of the feature store."""
    targets: tuple[str, ...] = ()
    """Targets to regress; empty for all of the corpus."""
    allow_attributes: bool = False
    """Let the model take the stream ``metadata`` (age, gender ...); said in its card."""
    first_stage: str = ""
    """Run whose scores of frames a second stage learns from, see ``predict --frames``."""
    out_of_fold: bool = False
    """Of the first stage only scores by networks that had not seen the clip: a run with folds."""


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


SCHEDULES = ("constant", "step", "cosine", "plateau")


class Stage(Config):
    """One optimiser with its loss and schedule."""

    name: str = "fit"
    """What the stage is called in logs and in ``train.NAME.lr=...``."""
    loss: str = "mse"
    """A function of ``losses.py``, or the dotted path of your own, typed with the command."""
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
    schedule: str = "constant"
    """How the learning rate falls: ``constant``, ``step``, ``cosine``, ``plateau``, or the dotted
    path of your own function of epoch and stage, typed with the command."""
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
    weight_decay_end: NonNegativeFloat = 0.0
    """Weight decay of the last epoch, to which it goes in half a cosine; 0 for no change."""
    epochs: PositiveInt = 30
    """How often the validation clips are scored; each time after ``passes`` or so many steps."""
    passes: PositiveInt = 1
    """Passes over the fitting clips in an epoch; rows and augmentation are drawn anew in each."""
    steps_per_epoch: NonNegativeInt = 0
    """Steps of an epoch instead of whole passes, which go on in the next; 0 for passes."""
    batch_size: PositiveInt = 32
    """Clips per step."""
    accumulate: PositiveInt = 1
    """Batches per optimiser step."""
    clip_norm: NonNegativeFloat = 0.0
    """Largest norm of the gradient; 0 for none."""
    early_stop: NonNegativeInt = 0
    """Epochs without gain on validation before stopping; 0 for never."""
    keep: Literal["best", "last", "per_target"] = "best"
    """Which epoch's weights are kept at the end: best on validation, or the last. ``per_target``
    keeps also the best of each target, which is then predicted with them (last stage only)."""
    freeze: tuple[str, ...] = ()
    """Patterns of tensor names that do not train in this stage, such as ``backbone.*``."""
    distil: Distil = Distil()
    """Self-distillation; for models whose output has features."""
    lr_factors: dict[str, PositiveFloat] = Field(default_factory=dict)
    """Pattern of tensor names -> factor on the learning rate; the first match decides."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the learning rate from each numbered layer to the one below it; 1 for none."""
    decay: Literal["all", "weights"] = "all"
    """What weight decay acts on: all tensors, or neither norms nor biases."""
    weighting: Literal["none", "density"] = "none"
    """Weight of each label in the loss: equal, or more where labels are rare."""
    clip_weights: str = ""
    """Attribute of the corpus (a column of its table) with the weight of each clip in the loss."""
    label_noise: Literal["raters"] | NonNegativeFloat = 0.0
    """Standard error of a label, in its units: each step draws labels anew around those given.
    ``raters`` takes each clip's own, from its ratings; 0 for none."""

    @field_validator("schedule")
    @classmethod
    def _known_schedule(cls, schedule: str) -> str:
        if schedule not in SCHEDULES and "." not in schedule:
            raise ValueError(f"there are {', '.join(SCHEDULES)}, and dotted paths of your own")
        return schedule

    @field_validator("name")
    @classmethod
    def _free_name(cls, name: str) -> str:
        if name == "start":
            raise ValueError("'start' is taken: train.start.skip says what --from leaves out")
        return name

    @model_validator(mode="after")
    def _no_idle_setting(self) -> "Stage":
        """Refuse settings that the chosen optimiser or schedule would ignore."""
        own = self.schedule not in SCHEDULES  # which may look at any setting
        uses = {
            "momentum": self.optimizer == "sgd",
            "betas": self.optimizer != "sgd",
            "milestones": own or self.schedule == "step",
            "factor": own or self.schedule in {"step", "plateau"},
            "patience": own or self.schedule == "plateau",
            "min_lr": own or self.schedule in {"cosine", "plateau"},
            "warmup_epochs": self.schedule != "plateau",
            "decay": self.weight_decay > 0,
        }
        # Setting an idle key to its default is no mistake: recipes are copied and trimmed.
        default = type(self).model_fields
        idle = [
            k for k, used in uses.items() if not used and getattr(self, k) != default[k].default
        ]
        if idle:
            raise ValueError(
                f"{', '.join(idle)} would have no effect with optimizer={self.optimizer} and "
                f"schedule={self.schedule}"
            )
        if self.steps_per_epoch and self.passes > 1:
            raise ValueError("steps_per_epoch and passes both say how long an epoch is: leave one")
        if self.schedule == "step" and not self.milestones:
            raise ValueError("schedule=step needs milestones")
        return self


SETTLED = frozenset(
    {
        *("name", "freeze", "lr_factors", "layer_decay", "distil", "keep"),
        *("optimizer", "weight_decay", "decay", "momentum", "betas"),
    }
)
"""Settings of a stage that what it saved for a resume holds or hangs on: they change no more."""


class Start(Config):
    """What of another run's network a training begins with, see ``--from``."""

    skip: tuple[str, ...] = ()
    """Patterns of tensor names that start fresh all the same, such as ``score.*``."""
    only: tuple[str, ...] = ()
    """Patterns of tensor names that are taken, and no others; empty for all."""
    rename: dict[str, str] = Field(default_factory=dict)
    """How names of a file begin -> how they begin here, such as ``{audio_net.: hear.}``."""


class TrainerConfig(Config):
    """How the loop runs, whatever the model."""

    precision: Literal["32", "tf32", "bf16", "16"] = "32"
    """Arithmetic of the forward and backward pass; 16 (float16) and tf32 on a GPU alone."""
    keep_every: NonNegativeInt = 0
    """Keep the weights of every so many epochs, too, in ``epochs``; 0 for none."""
    monitor: Literal["mae", "mse", "r2", "ccc"] = "mae"
    """Macro score on validation that decides what is best, when to stop, and ``plateau``."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of the running mean of the weights that is validated and kept; 0 for none."""
    compile: bool = False
    """Compile the network with torch.compile."""
    logger: Literal["tensorboard", "csv", "mlflow", "wandb"] = "tensorboard"
    """Where epochs are written beside ``history.csv``; ``csv`` is that file alone. ``mlflow`` goes
    to MLFLOW_TRACKING_URI or into ``mlruns`` beside the run, ``wandb`` into the run."""
    log_steps: NonNegativeInt = 0
    """Write loss and rate of every so many batches into ``steps.csv``; 0 for none."""
    save_minutes: NonNegativeFloat = 0.0
    """Save the state inside long epochs as well, after so many minutes; 0 for never."""
    plots: bool = False
    """Draw scatter and residuals of the validation clips after each epoch, into ``plots``."""

    @field_validator("precision", mode="before")
    @classmethod
    def _typed_as_a_number(cls, precision: Any) -> Any:
        """``trainer.precision=32`` is a number to whoever reads what was typed."""
        return str(precision) if type(precision) is int else precision

    @model_validator(mode="before")
    @classmethod
    def _of_before(cls, tree: Any) -> Any:
        """Read what runs of earlier versions have: ``tensorboard``, true or false."""
        if not isinstance(tree, dict) or not isinstance(tree.get("tensorboard"), bool):
            return tree
        rest = {key: value for key, value in tree.items() if key != "tensorboard"}
        return {"logger": "tensorboard" if tree["tensorboard"] else "csv", **rest}


class Searched(Config):
    """How settings were found; written by ``tune`` into what it finds, for card and report."""

    trials: NonNegativeInt = 0
    """Trainings that were compared on the validation clips; 0 for settings of a person."""
    metric: str = ""
    """Macro score on validation that they were compared by."""


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
    start: Start = Start()
    """What is taken of the run that ``--from`` names; ``train.start.skip=`` sets it."""
    trainer: TrainerConfig = TrainerConfig()
    """Precision, which epoch is kept."""
    seed: NonNegativeInt = 0
    """Fixes initial weights, draws and batch order."""
    seeds: PositiveInt = 1
    """Trainings of one system, with this seed and those after it, see ``train --seeds``."""
    search: dict[str, str] = Field(default_factory=dict)
    """Setting -> what ``tune`` searches it in, such as ``loguniform(1e-4,1e-2)``."""
    searched: Searched = Searched()
    """How the settings were found, where a search found them."""

    @field_validator("model")
    @classmethod
    def _has_a_name(cls, model: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(model.get("name"), str):
            raise ValueError("needs a name, as in {name: audio_lstm}")
        return model

    @model_validator(mode="after")
    def _folds_or_seeds(self) -> "RunConfig":
        # Which of the two would its interval be over?
        if self.seeds > 1 and self.protocol.fold == "all":
            raise ValueError("protocol.fold=all and seeds both train several runs: leave one")
        return self

    @field_validator("stages")
    @classmethod
    def _distinct_stages(cls, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
        # train.NAME.lr= would not know which of them is meant.
        if len({stage.name for stage in stages}) < len(stages):
            raise ValueError("two stages have the same name")
        # The next stage begins with one network: the one that is best on all targets together.
        if early := [stage.name for stage in stages[:-1] if stage.keep == "per_target"]:
            raise ValueError(f"keep=per_target is for the last stage, and not for {early[0]!r}")
        return stages
