"""Optional packages: asked for where they are used, with the command that brings them."""

import importlib
from types import ModuleType

from traitscope.errors import MissingError


def require(package: str, *, extra: str, why: str) -> ModuleType:
    """Import an optional package, or say which extra installs it.

    A package that is installed but broken raises its own ImportError: hiding that behind
    "not installed" would send the user the wrong way.

    Raises:
        MissingError: the package is not installed.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        # What is missing may also be something that the installed package needs.
        if error.name is None or error.name.split(".")[0] != package.split(".")[0]:
            raise
        raise MissingError(
            f"{why} needs the package {package!r}, which is not installed. "
            f"Install it with: pip install 'traitscope[{extra}]'"
        ) from error
