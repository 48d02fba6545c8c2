"""traitscope: Big Five estimates from short videos, end to end, with numbers one can trust."""

from importlib import import_module
from typing import Any

_VERBS = {
    "load_corpus": ("traitscope.corpora", "load_corpus"),
    "prepare": ("traitscope.features.preparation", "prepare"),
    "train": ("traitscope.training.fitting", "train"),
    "evaluate": ("traitscope.evaluation.trained_runs", "evaluate"),
    "evaluate_predictions": ("traitscope.evaluation.assessment", "evaluate_predictions"),
    "write_report": ("traitscope.report", "write_report"),
    "predict": ("traitscope.prediction.clips", "predict"),
    "compare_systems": ("traitscope.evaluation.comparison", "compare_systems"),
    "fuse": ("traitscope.evaluation.fusion", "fuse"),
    "import_features": ("traitscope.features.imports", "import_features"),
}

__all__ = ["__version__", *sorted(_VERBS)]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import a verb when it is first used: importing the package stays light."""
    if name not in _VERBS:
        raise AttributeError(f"module 'traitscope' has no attribute {name!r}")
    module, attribute = _VERBS[name]
    return getattr(import_module(module), attribute)
