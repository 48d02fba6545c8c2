"""JSON in and out; no run is written over another."""

import json
from pathlib import Path
from typing import Any

from traitscope.errors import ConfigError, DataError


def refuse_used(folder: Path, *, otherwise: str = ".") -> None:
    """Never write a second run over a first; ``otherwise`` ends the advice.

    Raises:
        ConfigError: the folder holds something.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already. Choose another folder with --to{otherwise}")


def write_json(path: Path, tree: Any) -> None:
    """Write JSON that stays readable."""
    text = json.dumps(tree, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file of a run.

    Raises:
        DataError: it is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"{path} is missing: the run is not finished. Finish it with: traitscope train "
            f"{path.parent} --to {path.parent} --resume"
        ) from error
    except ValueError as error:
        raise DataError(f"{path} is damaged ({error}). Train again.") from error
