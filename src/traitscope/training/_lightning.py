"""The parts of Lightning that the loop uses, imported in a third of the time.

Lightning imports what hardly anybody uses it for, and knows those things by sight alone:

    torchmetrics        for its ``Metric``; brings torchvision, transformers, SciPy's signals
    its plots           brings Matplotlib
    torch's compiler    for ``OptimizedModule``; an optimiser asks it not to look at each step

Nobody logs such a metric here, and few compile. So each is imported by those who use it; until then
a module stands in its place that knows what is asked in passing, see `_on_demand`.
"""

import logging
import sys
from functools import wraps
from importlib import import_module
from types import FunctionType
from typing import Any

from traitscope.training._on_demand import leave

_METRICS = {"Metric": "torchmetrics.metric", "MetricCollection": "torchmetrics.collections"}
_PLOT = "torchmetrics.utilities.plot"
_COMPILER = "torch._dynamo"
_kept_out: list[tuple[list[Any], tuple[Any, ...], dict[str, Any]]] = []
"""Functions that the compiler is not to look into once it is there, and how they said so."""


class _OfCompiler(type):
    def __instancecheck__(cls, instance: object) -> bool:
        """Ask the true class: without it nobody can have made such a thing."""
        true = getattr(sys.modules.get(f"{_COMPILER}.eval_frame"), "OptimizedModule", None)
        return true is not None and isinstance(instance, true)


class _OptimizedModule(metaclass=_OfCompiler):
    """What ``torch.compile`` makes of a network, as far as Lightning wants to know it."""


def _disable(function: Any = None, *how: Any, **options: Any) -> Any:
    """Keep the compiler out of a function: by nothing, until it is there."""
    if function is None:
        return lambda one: _disable(one, *how, **options)
    if not isinstance(function, FunctionType):
        module: Any = sys.modules[_COMPILER]
        module.run()
        return module.disable(function, *how, **options)
    now = [function]

    @wraps(function)
    def kept_out(*args: Any, **keywords: Any) -> Any:
        return now[0](*args, **keywords)

    _kept_out.append((now, how, options))
    return kept_out


def _keep_out() -> None:
    """Do what was put off while there was no compiler."""
    for now, how, options in _kept_out:
        now[0] = sys.modules[_COMPILER].disable(now[0], *how, **options)
    _kept_out.clear()


def _metric(name: str) -> Any:
    import_module("torchmetrics.utilities")  # first: it and metric import one another
    return getattr(import_module(_METRICS[name]), name)


def _plot(*args: Any, **options: Any) -> Any:
    module: Any = sys.modules[_PLOT]
    if module.plot_single_or_multi_val is _plot:
        module.run()
    return module.plot_single_or_multi_val(*args, **options)


def _leave_all() -> None:
    logger = logging.getLogger("torchmetrics")  # its parts ask for it
    left = leave(
        "torchmetrics",
        {name: lambda name=name: _metric(name) for name in _METRICS}
        | {"__version__": lambda: import_module("torchmetrics.__about__").__version__}
        | {"_logger": lambda: logger},
    )
    if left:  # else its own parts hold the true one
        leave(
            _PLOT,
            {"_AX_TYPE": lambda: object, "_PLOT_OUT_TYPE": lambda: tuple[object, object]}
            | {"plot_single_or_multi_val": lambda: _plot},
        )
    import torch  # noqa: F401  # which the compiler is a part of

    leave(
        _COMPILER,
        {"OptimizedModule": lambda: _OptimizedModule, "disable": lambda: _disable}
        | {"graph_break": lambda: lambda *_: None},
        whole=True,
        after=_keep_out,
    )


_leave_all()

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
