"""A run folder -> checksums of its files, and later whether they are still what training wrote.

They tell of accidents (a copy that stopped, a file of another run), not of a person who changes
``checksums.json`` as well.
"""

import fnmatch
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from traitscope.config import read_yaml
from traitscope.errors import ConfigError, DataError, some
from traitscope.files import checksum, read_json, write_json

CHECKSUMS = "checksums.json"
LEARNED = (
    *("features.json", "model.json", "model.safetensors", "scalers.safetensors"),
    # of an exported run
    *("model.onnx", "inputs.json", "words.json"),
)
"""What predictions follow from, besides the settings and what ``train.keep=per_target`` adds."""

BEST_EPOCHS = "best_epochs.json"
EPOCH_FILES = "model_epoch_*.safetensors"
"""Which epoch is best for which target, and their tensors, see ``best_epochs``."""

_CHECKED = (*LEARNED, BEST_EPOCHS, EPOCH_FILES, "clips.csv")
"""What is read of a run: which clips it learnt must not be believed of another run's record."""

_SETTINGS = "run.yaml without data.corpus and data.store"
"""Where corpus and store lie a person may write into a run; other settings are part of it."""

_CURE = "Bring the run back from a copy, or train again."


@dataclass(frozen=True)
class Difference:
    """A file of a run that is not what training wrote."""

    path: Path
    what: str


def write_checksums(folder: Path) -> None:
    """Write down the sha256 of each file of a finished run; of folders in it, nothing."""
    # Folders (evaluation, tensorboard) grow after training and are not part of what was learned.
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and path.name != CHECKSUMS]
    sums = {path.name: checksum(path) for path in files if not path.name.startswith(".")}
    write_json(folder / CHECKSUMS, {**sums, _SETTINGS: _settings(folder)})


def forget_checksums(folder: Path) -> None:
    """Remove the checksums of a run that goes on."""
    (folder / CHECKSUMS).unlink(missing_ok=True)


def check_learned(folder: Path) -> None:
    """Refuse a run whose learned files are not those that were written; runs of before have none.

    Raises:
        DataError: names the file and the cure.
    """
    if not (folder / CHECKSUMS).exists():
        return
    for difference in _differences(folder, only=(*_CHECKED, _SETTINGS)):
        raise DataError(
            f"{difference.path} {difference.what}: it was damaged, edited, or taken from another "
            f"run. {_CURE} All files are checked by: traitscope verify {folder}"
        )


def learned_checksum(folder: Path) -> str:
    """One checksum of the files and settings that the predictions of a run follow from."""
    names = [*LEARNED, BEST_EPOCHS, *sorted(path.name for path in folder.glob(EPOCH_FILES))]
    files = [folder / name for name in names if (folder / name).is_file()]
    sums = {path.name: checksum(path) for path in files} | {_SETTINGS: _settings(folder)}
    return hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()


@contextmanager
def naming_edited(folder: Path) -> Iterator[None]:
    """Say of settings that cannot be used that they are not those training wrote, if so."""
    try:
        yield
    except ConfigError as error:
        if not (folder / CHECKSUMS).exists():
            raise
        # Only now: to read all checksums of a sound run would take as long as loading it.
        edited = list(_differences(folder, only=(_SETTINGS,)))
        if not edited:
            raise
        raise ConfigError(f"{error} {edited[0].path} {edited[0].what}. {_CURE}") from error


def no_run(folder: Path) -> DataError:
    """The error for a folder that is no run, with the runs below it, if one of these was meant."""
    if not folder.exists():
        return DataError(
            f"There is no folder {folder}. Name the folder of a run that train has written."
        )
    inside = sorted(path.parent for path in folder.glob("*/run.yaml"))
    cure = (
        f"Did you mean one of those in it: {some([str(path) for path in inside], 3)}?"
        if inside
        else "Make one with: traitscope train"
    )
    return DataError(f"{folder} is not a run: it has no run.yaml. {cure}")


def verify_run(folder: Path) -> tuple[Difference, ...]:
    """Compare each file of a finished run, or of its folds, with what was written down.

    Raises:
        DataError: the folder is no run, or has no checksums.
    """
    # The folder of several trainings holds none of its own.
    every = (path for kind in ("fold-*", "seed-*") for path in sorted(folder.glob(kind)))
    if several := [path for path in every if path.is_dir()]:
        return tuple(difference for each in several for difference in verify_run(each))
    if not (folder / "run.yaml").exists() and not (folder / CHECKSUMS).exists():
        raise no_run(folder)
    return tuple(_differences(folder))


def _settings(folder: Path) -> str:
    # Of the settings and not of the text: a comment or another order is no other run.
    tree = read_yaml(folder / "run.yaml")
    data = tree.get("data")
    if isinstance(data, dict):
        tree = {**tree, "data": {k: v for k, v in data.items() if k not in ("corpus", "store")}}
    text = json.dumps(tree, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _differences(folder: Path, only: tuple[str, ...] = ()) -> Iterator[Difference]:
    sums = read_json(
        folder / CHECKSUMS,
        missing="Trainings that are not finished, and those of earlier versions, have none; "
        f"finish or repeat it: traitscope train {folder} --to FOLDER",
        damaged=_CURE,
    )
    if not isinstance(sums, dict) or not all(isinstance(one, str) for one in sums.values()):
        raise DataError(f"{folder / CHECKSUMS} is damaged (no file -> checksum). {_CURE}")
    for name, known in sums.items():
        if only and not any(fnmatch.fnmatchcase(name, pattern) for pattern in only):
            continue
        path = folder / name
        if name == _SETTINGS:
            if _settings(folder) != known:
                yield Difference(folder / "run.yaml", "has other settings than training wrote")
        elif Path(name).name != name:  # a name from a file leads nowhere else
            yield Difference(folder / CHECKSUMS, f"names {name!r}, which is no file of the run")
        elif not path.is_file():
            what = "is a folder or no plain file" if path.exists() else "is missing"
            yield Difference(path, what)
        elif checksum(path) != known:
            yield Difference(path, "is not what training wrote (its checksum differs)")
