"""A run -> a folder as model hubs hold them: tensors, settings, and a card they can read.

Left out is what belongs to the corpus or the machine: names of clips, paths, the state for a
resume. What is left is what prediction takes, and is checked like any stranger's folder.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from traitscope.config import read_yaml
from traitscope.errors import DataError, TraitscopeError
from traitscope.evaluation.report import read_report
from traitscope.files import read_json, refuse_used, write_text
from traitscope.runs.checkpoint import Checkpoint, load
from traitscope.runs.checksums import BEST_EPOCHS, EPOCH_FILES, LEARNED, write_checksums
from traitscope.weights import HUB, hub_name

CARD = "README.md"
LIBRARY = "traitscope"
FILES = (*LEARNED, BEST_EPOCHS, EPOCH_FILES, "run.yaml")
"""What is published of a run, where it is there."""

_TASKS = (
    ({"transcript", "text_embedding", "text_counts"}, "text-classification"),
    ({"faces", "frames", "landmarks", "signals", "drawings", "embedding"}, "video-classification"),
)
"""Streams -> the nearest task that hubs know; they have none for regression from videos."""
_METRICS = ("mae", "mse", "r2", "ccc", "accuracy")


def publish(
    run: Checkpoint | Path | str, to: Path | str, *, name: str = "", licence: str = ""
) -> Path:
    """Write a run as a folder that a model hub takes; nothing is uploaded.

    Args:
        run: a run, exported or not, or a loaded checkpoint.
        to: the folder; it must be new or empty.
        name: what the card calls it, ``owner/name`` where it is known; the name of the run's
            folder by default.
        licence: of the weights, as hubs abbreviate it: ``cc-by-4.0``, ``apache-2.0``.

    Returns:
        The folder.

    Raises:
        ConfigError: the folder is used.
        DataError: the run is unfinished or damaged.
    """
    folder = Path(to)
    refuse_used(folder)
    checkpoint = run if isinstance(run, Checkpoint) else load(run)
    folder.mkdir(parents=True, exist_ok=True)
    for path in (path for file in FILES for path in checkpoint.folder.glob(file)):
        shutil.copyfile(path, folder / path.name)
    # Over the copy: a path says who the author is, and where nobody else will find anything.
    settings = without_paths(read_yaml(checkpoint.folder / "run.yaml"))
    write_text(folder / "run.yaml", yaml.safe_dump(settings, sort_keys=False))
    text = hub_card(checkpoint, name or checkpoint.folder.resolve().name, licence)
    write_text(folder / CARD, text)
    write_checksums(folder)
    return folder


def push(folder: Path, to: str, *, private: bool = False) -> str:
    """Upload a published folder; the account is that of the hub's own ``hf auth login``.

    Args:
        folder: that `publish` wrote.
        to: ``hf:owner/name``, with ``@branch`` if not the main one; made if it is not there.
        private: make a repository that others cannot see.

    Returns:
        The address of the upload.

    Raises:
        TraitscopeError: the hub refused it, or cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    repository, revision = hub_name(to)
    hub = HfApi(library_name=LIBRARY)
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    adding = [CommitOperationAdd(path_in_repo=path.name, path_or_fileobj=path) for path in files]
    try:
        hub.create_repo(repository, private=private, exist_ok=True)
        done = hub.create_commit(
            repository, adding, commit_message="Publish a traitscope run", revision=revision
        )
    except (OSError, ValueError, RuntimeError) as error:  # whatever the hub's client raises
        raise TraitscopeError(
            f"{to} was not uploaded: {str(error).strip().splitlines()[0]}. Log in with: hf auth "
            f"login; and check that you may write to {repository}."
        ) from error
    return str(done.commit_url)


def without_paths(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a run in which paths are only the names of their last parts."""
    data = dict(settings.get("data") or {})
    for key in ("corpus", "store", "first_stage"):
        kind, colon, path = str(data.get(key) or "").rpartition(":")
        if path:
            data[key] = f"{kind}{colon}{Path(path).name}"
    return {**settings, "data": data}


def hub_card(checkpoint: Checkpoint, name: str, licence: str = "") -> str:
    """The card of a run with the block of facts that hubs read, and how it is used."""
    path = checkpoint.folder / "card.md"
    if not path.is_file():
        raise DataError(f"{path} is missing: the run is not finished, or not all of it is there.")
    facts = yaml.safe_dump(_metadata(checkpoint, name, licence), sort_keys=False, width=1000)
    return (
        f"---\n{facts}---\n\n{path.read_text(encoding='utf-8').rstrip()}\n{_use(checkpoint, name)}"
    )


def _metadata(checkpoint: Checkpoint, name: str, licence: str) -> dict[str, Any]:
    facts, model = checkpoint.facts, checkpoint.config.model["name"]
    tags = ["personality", "big-five", facts.kind.replace("_", "-"), model]
    block: dict[str, Any] = {"library_name": LIBRARY}
    if licence:
        block["license"] = licence
    block |= {"pipeline_tag": _task(facts.requests), "tags": tags}
    results = _results(checkpoint)
    if results:
        block["metrics"] = sorted({one["type"] for one in results[0]["metrics"]})
        block["model-index"] = [{"name": name.rpartition("/")[2], "results": results}]
    return block


def _task(streams: Mapping[str, Any]) -> str:
    tasks = (task for names, task in _TASKS if names & set(streams))
    return next(tasks, "audio-classification")


def _results(checkpoint: Checkpoint) -> list[dict[str, Any]]:
    """Scores on the test split where it was evaluated, else those that chose the epoch."""
    facts, folder = checkpoint.facts, checkpoint.folder
    scores, split = _tested(folder), "test"
    if not scores and (folder / "metrics.json").is_file():
        split = "validation"
        scores = read_json(folder / "metrics.json", root=dict).get("validation") or {}
    metrics = [
        {"type": key, "value": round(float(value), 6), "name": f"{key}, mean over the targets"}
        for key, value in scores.items()
        if key in _METRICS and isinstance(value, (int, float))
    ]
    if not metrics:
        return []
    task = {"type": "other", "name": f"{facts.kind.replace('_', '-')} Big Five, regression"}
    data = {"type": facts.corpus, "name": facts.corpus, "split": split}
    return [{"task": task, "dataset": data, "metrics": metrics}]


def _tested(run: Path) -> dict[str, float | None]:
    """Scores over all targets of the test split, if the run was evaluated on it."""
    if not (run / "evaluation" / "test" / "report.json").is_file():
        return {}
    model = read_report(run).everything.model
    return {metric: model.macro(metric).value for metric in _METRICS}


def _use(checkpoint: Checkpoint, name: str) -> str:
    name = f"{HUB}{name if '/' in name else f'OWNER/{name}'}"
    lines = ["", "## How to use it", "", "```", "pip install traitscope"]
    lines += [f"traitscope weights fetch {name}", f"traitscope predict {name} clip.mp4", "```", ""]
    needs = {need for request in checkpoint.facts.requests.values() for need in request.all_needs}
    if "tracks" in needs and checkpoint.backend == "mediapipe":
        lines += ["Faces are found by MediaPipe: `traitscope weights fetch face_landmarker.task`."]
        lines += [""]
    return "\n".join(lines)
