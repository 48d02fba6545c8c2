"""A report as a page, pictures and tables: report.json(s) in, files out."""

from importlib import import_module
from typing import Any

_HOMES = {
    "write_report": "traitscope.report.page",
    "export": "traitscope.report.exports",
    "audits_of": "traitscope.report.folders",
    "histories_of": "traitscope.report.folders",
}

__all__ = ["audits_of", "export", "histories_of", "write_report"]


def __getattr__(name: str) -> Any:
    """Import a writer when it is first used: templates and plotting stay out of light imports."""
    if name not in _HOMES:
        raise AttributeError(f"module 'traitscope.report' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
