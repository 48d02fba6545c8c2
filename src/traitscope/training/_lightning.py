"""The parts of Lightning that the loop uses, imported in half of the time.

Lightning imports torchmetrics to know its ``Metric`` by sight, and torchmetrics imports
torchvision, transformers and SciPy's signal processing for the metrics it has: 3 of 5.5 s on a slow
core; most of the rest is torch's compiler, which any optimiser imports. Nobody logs such a metric
here. So torchmetrics is left to those who use it: until then it is a module that knows ``Metric``
and ``MetricCollection`` alone, the true ones, and imports the rest of itself when anything else is
asked of it.
"""

import importlib.util
import logging
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_PARTS = {
    "Metric": "torchmetrics.metric",
    "MetricCollection": "torchmetrics.collections",
}


class _OnDemand(ModuleType):
    """A package that has been found, and runs its ``__init__.py`` when it is needed."""

    def __getattr__(self, name: str) -> Any:
        if name == "__version__":
            return import_module("torchmetrics.__about__").__version__
        if name in _PARTS:
            import_module("torchmetrics.utilities")  # first: it and metric import one another
            return getattr(import_module(_PARTS[name]), name)
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        self.__class__ = ModuleType  # type: ignore[assignment]
        assert self.__spec__ is not None
        assert self.__spec__.loader is not None
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def _leave_torchmetrics() -> None:
    """Put torchmetrics where imports look first, unless it is imported, or not there."""
    spec = None if "torchmetrics" in sys.modules else importlib.util.find_spec("torchmetrics")
    if spec is not None:
        module = importlib.util.module_from_spec(spec)
        module.__class__ = _OnDemand
        module.__dict__["_logger"] = logging.getLogger("torchmetrics")  # its parts ask for it
        sys.modules["torchmetrics"] = module


_leave_torchmetrics()

from lightning.fabric.plugins.environments.cluster_environment import (  # noqa: E402
    ClusterEnvironment,
)
from lightning.pytorch import LightningModule, Trainer  # noqa: E402
from lightning.pytorch.callbacks import (  # noqa: E402
    Checkpoint,
    EarlyStopping,
    EMAWeightAveraging,
)
from lightning.pytorch.loggers import TensorBoardLogger  # noqa: E402
from lightning.pytorch.strategies import DDPStrategy  # noqa: E402

__all__ = [
    "Checkpoint",
    "ClusterEnvironment",
    "DDPStrategy",
    "EMAWeightAveraging",
    "EarlyStopping",
    "LightningModule",
    "TensorBoardLogger",
    "Trainer",
]
