"""What a trained model must know of its training to be used again: ``features.json``."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

from safetensors.numpy import save_file

from traitscope import __version__, registry
from traitscope.data.scaling import Scaler
from traitscope.errors import DataError, shown
from traitscope.features.request import Request, make_request
from traitscope.files import read_json, replacing, write_json
from traitscope.types import Kind, Target

FORMAT = 1


@dataclass(frozen=True)
class Facts:
    """What a trained model must know of its training to be used again.

    Attributes:
        corpus: name of the corpus it was fitted on.
        kind: ``apparent`` or ``self_reported``.
        targets: names, ranges and directions.
        requests: stream -> the extraction its features came from.
        shapes: stream -> shape of one row (of the pooled vector).
        columns: stream -> names of the last axis.
        fitted_clips: how many clips it was fitted on.
    """

    corpus: str
    kind: str
    targets: tuple[Target, ...]
    requests: Mapping[str, Request]
    shapes: Mapping[str, tuple[int, ...]]
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fitted_clips: int = 0


def save_facts(folder: Path, facts: Facts, scalers: Mapping[str, Scaler]) -> None:
    """Write ``features.json`` and ``scalers.safetensors``."""
    streams = {
        stream: {
            "extractor": request.name,
            "key": request.key,
            "fingerprint": request.fingerprint,
            "shape": list(facts.shapes[stream]),
            "columns": list(facts.columns.get(stream, ())),
        }
        for stream, request in facts.requests.items()
    }
    # The version is for people who read the file; what is checked is the format.
    tree = {
        "format": FORMAT,
        "traitscope": __version__,
        "corpus": facts.corpus,
        "kind": facts.kind,
        "fitted_clips": facts.fitted_clips,
        "targets": [asdict(target) for target in facts.targets],
        "streams": streams,
    }
    write_json(folder / "features.json", tree)
    arrays = {}
    for stream, scaler in scalers.items():
        arrays[f"{stream}/mean"], arrays[f"{stream}/sd"] = scaler.mean, scaler.sd
    if arrays:
        with replacing(folder / "scalers.safetensors") as draft:
            save_file(arrays, draft)


def run_facts(folder: Path, typed: registry.Typed = registry.NOTHING) -> Facts:
    """What a run knows of its training, from ``features.json`` alone.

    Raises:
        DataError: the file is missing or damaged, or names another version of an extractor.
    """
    tree = read_part(folder / "features.json")
    if tree.get("format") != FORMAT:
        raise DataError(
            f"{folder} has the format {tree.get('format')!r}; this traitscope reads {FORMAT}."
        )
    try:
        streams: dict[str, Any] = tree["streams"]
        return Facts(
            corpus=str(tree["corpus"]),
            # A look-up and no cast: what a file holds is one of the known words, or damaged.
            kind={kind: kind for kind in get_args(Kind)}[tree["kind"]],
            targets=tuple(Target(**target) for target in tree["targets"]),
            requests={name: _request(folder, name, s, typed) for name, s in streams.items()},
            shapes={name: _shape(s["shape"]) for name, s in streams.items()},
            columns={name: tuple(s["columns"]) for name, s in streams.items()},
            fitted_clips=int(tree["fitted_clips"]),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(
            f"{folder / 'features.json'} is damaged ({shown(error)}). Train again."
        ) from error


def _shape(saved: Any) -> tuple[int, ...]:
    """The shape of a row, which a network is built for."""
    if not isinstance(saved, list) or not all(type(n) is int and 0 < n < 2**31 for n in saved):
        raise ValueError(f"{shown(saved)} is no shape")
    return tuple(saved)


def _request(folder: Path, stream: str, saved: Mapping[str, Any], typed: registry.Typed) -> Request:
    """The extraction a stream came from; it must still mean the same."""
    source = str(folder / "features.json")
    settings = saved["fingerprint"]["config"]
    request = make_request(saved["extractor"], settings, typed=typed, source=source)
    # The key is a hash of name, version and settings: another one is another number per row.
    if request.key != saved["key"]:
        raise DataError(
            f"{folder} was trained on {stream} of version {saved['fingerprint'].get('version')}, "
            f"which this traitscope makes differently. Prepare the features and train again."
        )
    return request


def read_part(path: Path) -> Any:
    """A JSON file that a finished run has."""
    finish = f"traitscope train {path.parent} --to {path.parent} --resume"
    missing = f"The run is not finished. Finish it with: {finish}"
    return read_json(path, root=dict, missing=missing, damaged="Train again.")
