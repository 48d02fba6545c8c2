"""Work that spawned processes can be sent: tasks are expressions, done some at a time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

DIE = "__import__('os').kill(__import__('os').getpid(), 9)"


def unless_there(path: Path, otherwise: str) -> str:
    """Seven; the first time the file is made, and something else is done."""
    there = f"__import__('os').path.exists({str(path)!r})"
    return f"7 if {there} else (open({str(path)!r}, 'x'), {otherwise})"


def evaluate_all(tasks: Sequence[str]) -> list[Any]:
    """The values of some expressions, each with how many were done together."""
    return [(eval(task), len(tasks)) for task in tasks]
