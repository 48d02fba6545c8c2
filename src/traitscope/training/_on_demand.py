"""Packages that are imported when somebody needs them, and not because an import passes by.

In: the name of a package, and the little of it that is asked for in passing. Out: a module in its
place that gives that little, and runs the package's own ``__init__.py`` as soon as anything else is
asked of it. Other versions of those who pass by may ask for more: then the package is imported as
it would have been, which takes longer and is as right.
"""

import importlib.util
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_one_at_a_time = threading.RLock()
_OURS = "__left_by_traitscope__"
"""The one name that we keep in such a module; its own shall not meet ours."""


@dataclass
class _Left:
    known: Mapping[str, Callable[[], Any]]
    whole: bool
    after: Callable[[], None]
    waits: bool = True


class OnDemand(ModuleType):
    """A package that has been located, and runs when it is needed."""

    def __getattr__(self, name: str) -> Any:
        left: _Left | None = self.__dict__.get(_OURS)
        if left is not None and left.waits and name in left.known:
            return left.known[name]()
        # Whoever looks at all modules for a mark of his own asks this one, too.
        if not name.startswith("__"):
            self.run()
            if type(self) is not OnDemand:
                return getattr(self, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def run(self) -> None:
        """Become the package itself; those who hold it already hold that."""
        # Other threads wait here; what the package imports finds it half made, as any package.
        with _one_at_a_time:
            left: _Left | None = self.__dict__.get(_OURS)
            if left is None or not left.waits:
                return
            left.waits = False
            assert self.__spec__ is not None
            assert self.__spec__.loader is not None
            self.__spec__.loader.exec_module(self)
            self.__class__ = ModuleType  # type: ignore[assignment]
            del self.__dict__[_OURS]
            left.after()


class _Whole(MetaPathFinder, Loader):
    """Runs a package before a module inside it: these import one another in a certain order."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Give the module that running the package has imported; others know where the rest is."""
        package = sys.modules.get(name.rpartition(".")[0])
        if type(package) is not OnDemand or not package.__dict__[_OURS].whole:
            return None
        package.run()
        return importlib.util.spec_from_loader(name, self) if name in sys.modules else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """It is there."""
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """It has run."""


def leave(
    name: str,
    known: Mapping[str, Callable[[], Any]],
    *,
    whole: bool = False,
    after: Callable[[], None] = lambda: None,
) -> bool:
    """Put a package where imports look first, unless it is imported, or not there.

    Args:
        name: of the package.
        known: what it gives without being run, each as a function that makes it.
        whole: whether modules inside it cannot be imported before it.
        after: called once, when the package has run.

    Returns:
        Whether it stands there now.
    """
    spec = None if name in sys.modules else _located(name)
    if spec is None:
        return False
    module = importlib.util.module_from_spec(spec)
    module.__class__ = OnDemand
    module.__dict__[_OURS] = _Left(known, whole, after)
    if whole and not any(isinstance(finder, _Whole) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Whole())
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], child, module)
    return True


def _located(name: str) -> ModuleSpec | None:
    """Where a package lies, without running those around it, as ``find_spec`` would."""
    parent = name.rpartition(".")[0]
    if not parent:
        return PathFinder.find_spec(name)
    around = _located(parent)
    return PathFinder.find_spec(name, around.submodule_search_locations) if around else None
