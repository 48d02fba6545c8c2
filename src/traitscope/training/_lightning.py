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
from collections.abc import Callable
from importlib import import_module
from typing import Any

from traitscope.training._on_demand import leave

_METRICS = {"Metric": "torchmetrics.metric", "MetricCollection": "torchmetrics.collections"}
_PLOT = "torchmetrics.utilities.plot"
_COMPILER = "torch._dynamo"
_passed: list[Any] = []
"""Functions that the compiler would not look into, if it were there."""


class _OfCompiler(type):
    def __instancecheck__(cls, instance: object) -> bool:
        """Ask the true class: without it nobody can have made such a thing."""
        true = getattr(sys.modules.get(f"{_COMPILER}.eval_frame"), "OptimizedModule", None)
        return true is not None and isinstance(instance, true)


class _OptimizedModule(metaclass=_OfCompiler):
    """What ``torch.compile`` makes of a network, as far as Lightning wants to know it."""


def _disable(
    function: Callable[..., Any] | None = None, recursive: bool = True, **_: Any
) -> Callable[..., Any]:
    """Do to a function what the compiler does to keep out of it: nothing, as long as it is out."""
    if function is None:
        return _disable
    _passed.append(function)
    return function


def _ask_again() -> None:
    """Forget what was answered for the compiler: torch keeps it at the function."""
    for function in _passed:
        function.__dict__.pop("__dynamo_disable", None)
    _passed.clear()


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
    if left:
        leave(
            _PLOT,
            {"_AX_TYPE": lambda: object, "_PLOT_OUT_TYPE": lambda: tuple[object, object]}
            | {"plot_single_or_multi_val": lambda: _plot},
        )
    import torch  # noqa: F401

    leave(
        _COMPILER,
        {"OptimizedModule": lambda: _OptimizedModule, "disable": lambda: _disable}
        | {"graph_break": lambda: lambda *_: None},
        whole=True,
        before=_ask_again,
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
