"""Does a saved network fit its settings? Found out before any memory is taken.

In: what a run describes, and the head of its ``model.safetensors``. Out: nothing, or a DataError;
the tensors themselves to whoever asks for them.
Settings and tensors stand in different files, and either may be damaged or a stranger's: a width of
10**8 would take all memory before the first tensor is compared.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file

from traitscope.errors import DataError, shown
from traitscope.files import check_regular

LARGEST_BYTES = 16 * 2**30
"""Of the tensors of a run."""
_SPARE = 10_000  # parts of a network beyond the tensors it saves


def check_fit(path: Path, build: Callable[[], Any]) -> None:
    """Refuse a network whose tensors are not those that its settings say.

    Args:
        path: ``model.safetensors`` of the run.
        build: makes the Model or Estimator from the settings.

    Raises:
        DataError: it cannot be made, or has tensors of other names or shapes.
    """
    # Only the head of the file is read, some kilobytes of perhaps gigabytes.
    saved = saved_shapes(path)
    try:
        import torch

        # Shapes without memory; the bound is for depth=10**8, which would loop for hours.
        with torch.device("meta"), _at_most(4 * len(saved) + _SPARE):
            fitted = build()
    # Whatever a network makes of settings that contradict each other.
    except (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError) as e:
        if "meta" in str(e):  # it looks at its values while it is made, and there are none yet
            return
        raise DataError(
            f"The network of {path.parent} cannot be made from its settings: {shown(str(e))}. "
            f"run.yaml or features.json is damaged: train again."
        ) from e
    network, prefix = (fitted, "") if hasattr(fitted, "forward") else (_inner(fitted), "network/")
    # Trees and ridges check their own arrays when they are restored.
    if network is None:
        return
    # A single number is saved as one of one: torch takes both.
    state = network.state_dict().items()
    wanted = {f"{prefix}{name}": tuple(t.shape) or (1,) for name, t in state}
    found = {name: shape or (1,) for name, shape in saved.items() if name.startswith(prefix)}
    # Both ways: a tensor too many is as wrong as one too few.
    for name in sorted({*wanted, *found}):
        if wanted.get(name) != found.get(name):
            raise DataError(
                f"{path} does not fit its run: {shown(name, 80)} is {_size(found.get(name))} in "
                f"the file and {_size(wanted.get(name))} by the settings. Train again."
            )


def saved_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of saved tensors; their values are not read.

    Raises:
        DataError: the file is missing, damaged or no plain file.
    """
    try:
        check_regular(path, largest=LARGEST_BYTES)
        with safe_open(path, "np") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing. The run is not finished.") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}). Train again.") from error


def saved_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a saved file, by name.

    Raises:
        DataError: it is missing, damaged or no plain file.
    """
    saved_shapes(path)
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}). Train again.") from error


def tensors_in(path: Path) -> dict[str, Any]:
    """The same as tensors."""
    import torch

    return {name: torch.from_numpy(array) for name, array in saved_arrays(path).items()}


def _inner(fitted: Any) -> Any:
    """The network that an estimator stands on, if it does."""
    inner = getattr(fitted, "network", None)
    return inner if hasattr(inner, "state_dict") else None


def _size(shape: tuple[int, ...] | None) -> str:
    return "not there" if shape is None else shown(list(shape), 80)


@contextmanager
def _at_most(count: int) -> Iterator[None]:
    """End the making of a network with more parts and tensors than a count."""
    from torch.nn.modules import module

    made = 0

    def note(*_: Any) -> None:
        nonlocal made
        made += 1
        if made > count:
            raise ValueError("the settings ask for many more layers than were saved")

    handles = (
        module.register_module_module_registration_hook(note),
        module.register_module_parameter_registration_hook(note),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
