"""traitscope: Big Five from short videos, end to end, with numbers one can trust.

``__init__.pyi`` beside this file tells editors and type checkers the same names with their types.
"""

from importlib import import_module
from typing import Any

# Importing all that a verb needs takes seconds: it waits until the verb is used.
_VERBS = {
    "load_corpus": ("traitscope.corpora", "load_corpus"),
    "prepare": ("traitscope.interface", "prepare"),
    "train": ("traitscope.interface", "train"),
    "evaluate": ("traitscope.interface", "evaluate"),
    "evaluate_predictions": ("traitscope.evaluation.assessment", "evaluate_predictions"),
    "write_report": ("traitscope.report", "write_report"),
    "predict": ("traitscope.interface", "predict"),
    "explain": ("traitscope.interface", "explain"),
    "compare_systems": ("traitscope.evaluation.comparison", "compare_systems"),
    "fuse": ("traitscope.evaluation.fusion", "fuse"),
    "import_features": ("traitscope.features.imports", "import_features"),
    "convert": ("traitscope.runs.conversion", "convert"),
    "tune": ("traitscope.experiments.search", "tune"),
    "Run": ("traitscope.interface", "Run"),
    "Predictor": ("traitscope.predictor", "Predictor"),
    "Predictions": ("traitscope.interface", "Predictions"),
}

__all__ = ["__version__", *sorted(_VERBS)]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import a verb when it is first used: importing the package stays light."""
    if name not in _VERBS:
        raise AttributeError(f"module 'traitscope' has no attribute {name!r}")
    module, attribute = _VERBS[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    """List the verbs: what is not imported yet can be completed all the same."""
    return sorted({*globals(), *_VERBS})
