"""Where else the epochs of a training are written: settings and a run folder in, a logger out.

``history.csv`` is written in any case. Nothing leaves this machine unless the user's own settings
of MLflow or Weights & Biases say so: without them both write into files.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from traitscope import extras
from traitscope.files import read_json, write_json
from traitscope.runs.settings import RunConfig

_NOTE = "tracked.json"


def open_logger(config: RunConfig, folder: Path) -> Any:
    """The logger that Lightning writes to, or False for none beside ``history.csv``.

    A resumed training, and the next stage of one, go on in the record that was begun.

    Raises:
        MissingError: the package is not installed.
    """
    kind = config.trainer.logger
    if kind == "csv":
        return False
    if kind == "tensorboard":
        from traitscope.training._lightning import TensorBoardLogger

        return TensorBoardLogger(folder, name="", version="tensorboard")
    logger = _mlflow(config, folder) if kind == "mlflow" else _wandb(config, folder)
    logger.log_hyperparams(config.model_dump(mode="json"))
    return logger


def named_for(config: RunConfig, numbers: Mapping[str, float]) -> dict[str, float]:
    """Names of metrics as the logger can keep them: ``validation_mae/openness`` as a rule."""
    # MLflow's files would need a folder where the file of validation_mae is.
    mark = "." if config.trainer.logger == "mlflow" else "/"
    return {name.replace("/", mark): value for name, value in numbers.items()}


def _mlflow(config: RunConfig, folder: Path) -> Any:
    """A run of MLflow: at MLFLOW_TRACKING_URI, or in ``mlruns`` beside the run's folder."""
    # It would report to its makers, and it would refuse to write files.
    for name in ("MLFLOW_DISABLE_TELEMETRY", "MLFLOW_ALLOW_FILE_STORE"):
        os.environ.setdefault(name, "true")
    extras.require("mlflow", extra="mlflow", why="trainer.logger=mlflow")
    from lightning.pytorch.loggers import MLFlowLogger

    where = os.environ.get("MLFLOW_TRACKING_URI") or (folder.absolute().parent / "mlruns").as_uri()
    logger = MLFlowLogger(
        experiment_name=config.model["name"],
        run_name=folder.name,
        tracking_uri=where,
        run_id=_before(folder),
    )
    write_json(folder / _NOTE, str(logger.run_id))
    return logger


def _wandb(config: RunConfig, folder: Path) -> Any:
    """A run of Weights & Biases, in files of the run folder unless WANDB_MODE says online."""
    wandb = extras.require("wandb", extra="wandb", why="trainer.logger=wandb")
    from lightning.pytorch.loggers import WandbLogger

    name = _before(folder) or wandb.util.generate_id()
    write_json(folder / _NOTE, name)
    return WandbLogger(
        project="traitscope",
        group=config.model["name"],
        name=folder.name,
        id=name,
        resume="allow",
        save_dir=folder,
        mode=os.environ.get("WANDB_MODE", "offline"),
    )


def _before(folder: Path) -> str | None:
    """What the record of this training is called, where one was begun."""
    path = folder / _NOTE
    if not path.is_file():
        return None
    return str(read_json(path, root=str, damaged="Delete it: a new record is begun then."))
