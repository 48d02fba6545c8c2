"""Which features a run's predictions rest on: what is lost when they are dealt to other clips.

Columns that say the same thing stand in for each other, so that each alone looks unimportant: they
are permuted as groups (all statistics of a column, a whole stream, or what the user names).
"""

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from traitscope.data import protocols
from traitscope.data.examples import Examples, gather
from traitscope.errors import ConfigError, DataError
from traitscope.features.origins import serving
from traitscope.features.remote import open_store
from traitscope.files import write_csv
from traitscope.runs.checkpoint import Checkpoint, load
from traitscope.runs.labels import own_corpus
from traitscope.statistics import metrics
from traitscope.types import Batch, Hook

Groups = Mapping[str, Mapping[str, NDArray[np.intp] | None]]
"""Group -> stream -> its columns; None for the whole stream with its mask."""

METRICS = ("mae", "ccc")
# Frames of a whole split, not pooled, need not fit beside the network.
_AT_ONCE = 256  # clips


def measure_importance(
    run: Path | str,
    *,
    split: str = "validation",
    groups: Literal["column", "stream"] | Mapping[str, Sequence[str]] = "column",
    repeats: int = 5,
    store: Path | str | None = None,
    model: str | None = None,
    streams: Iterable[str] = (),
    labels: str | None = None,
    hook: Hook | None = None,
) -> dict[str, Any]:
    """Permute groups of a run's features among clips, and measure what the predictions lose.

    Args:
        run: folder of a trained run.
        split: whose clips; not those it was fitted on.
        groups: a group is a column with all its statistics, or a stream; or name -> patterns of
            columns such as ``signals.AU*``.
        repeats: permutations per group.
        store: where the features are; the run's own by default.
        model: the dotted path of an outside model the run was trained with.
        streams: dotted paths of outside extractors that the run reads.
        labels: address of its corpus, needed where a module from outside reads it.
        hook: called as hook(done, total, group).

    Returns:
        The scores (macro MAE and CCC) and, per group, mean and sd of the loss: how much higher the
        MAE and how much lower the CCC become. JSON values; the largest loss of MAE first.

    Raises:
        ConfigError: a pattern matches no column.
        DataError: there are too few clips, or the run reads images.
    """
    checkpoint = load(run, model=model, streams=streams)
    batch, truth = _batch(checkpoint, split, store, labels)
    chosen = _grouped(batch, groups) if isinstance(groups, str) else _named(batch, groups)
    before = metrics.macro_scores(truth, _predict(checkpoint, batch))
    rows: list[dict[str, Any]] = []
    for done, (name, parts) in enumerate(chosen.items()):
        if hook:
            hook(done, len(chosen), name)
        lost = []
        for repeat in range(repeats):  # the same permutations for every group
            order = np.random.default_rng(repeat).permutation(len(batch.clips))
            after = metrics.macro_scores(truth, _predict(checkpoint, permuted(batch, parts, order)))
            lost.append([_loss(before, after, metric) for metric in METRICS])
        rows.append({"group": name, "columns": _width(batch, parts), **_summary(lost)})
    if hook:
        hook(len(chosen), len(chosen), "")
    rows.sort(key=lambda row: -row["mae"]["mean"])
    return {
        "run": str(run),
        "split": split,
        "clips": len(batch.clips),
        "repeats": repeats,
        "scores": {metric: before[metric] for metric in METRICS},
        "rows": rows,
    }


def _width(batch: Batch, parts: Mapping[str, NDArray[np.intp] | None]) -> int:
    """How many columns a group has."""
    whole = {name: array.shape[-1] for name, array in batch.streams.items()}
    return sum(whole[name] if places is None else len(places) for name, places in parts.items())


def permuted(
    batch: Batch, parts: Mapping[str, NDArray[np.intp] | None], order: NDArray[np.intp]
) -> Batch:
    """Give each clip the columns of another clip, all columns of a group from the same one."""
    streams, masks = dict(batch.streams), dict(batch.masks)
    for stream, columns in parts.items():
        if columns is None:
            streams[stream] = streams[stream][order]
            # A mask says which rows are padding: it goes where its rows go.
            if stream in masks:
                masks[stream] = masks[stream][order]
        else:
            # A copy, since every group is dealt out from the same originals.
            changed = streams[stream].copy()
            changed[:, columns] = changed[order][:, columns]
            streams[stream] = changed
    return replace(batch, streams=streams, masks=masks)


def write_table(result: Mapping[str, Any], path: Path) -> Path:
    """Write one row per group as CSV."""
    cells = [(metric, kind) for metric in METRICS for kind in ("mean", "sd")]
    header = ["group", "columns", *[f"{metric}_loss_{kind}" for metric, kind in cells]]
    rows = (
        [row["group"], row["columns"], *[row[metric][kind] for metric, kind in cells]]
        for row in result["rows"]
    )
    return write_csv(path, header, rows)


def _batch(
    checkpoint: Checkpoint, split: str, store: Path | str | None, labels: str | None
) -> tuple[Batch, NDArray[np.float64]]:
    config = checkpoint.config
    corpus = own_corpus(checkpoint.folder, config, labels)
    clips = protocols.split(corpus, config.protocol).part(split)
    features = serving(open_store(store or config.data.store), clips, corpus=corpus.name)
    ready, _ = gather(clips, features, checkpoint.keys, checkpoint.draws)
    # Two clips can only swap, and half of the draws would leave them as they are.
    if len(ready) < 3:
        raise DataError(f"{len(ready)} clips of {split!r} have features: too few to permute.")
    examples = checkpoint.examples(ready, features)
    _refuse_images(examples)
    return examples.batch(), examples.labels()


def _refuse_images(examples: Examples) -> None:
    for name in examples.keys:
        if examples.stream(name, examples.clips[0].id).images is not None:
            raise DataError(
                f"The run reads the images of {name!r}, which have no columns to permute. "
                f"Importance is for runs on numbers and words."
            )


def _grouped(batch: Batch, by: str) -> Groups:
    """Columns of pooled streams with all their statistics; other streams whole."""
    groups: dict[str, dict[str, NDArray[np.intp] | None]] = {}
    for stream, array in batch.streams.items():
        names = batch.columns.get(stream, ())
        # Series and streams without names have no columns that could be told apart.
        if by == "stream" or array.ndim != 2 or len(names) != array.shape[1]:
            groups[stream] = {stream: None}
            continue
        # Statistics of one signal say nearly the same: dealt apart, each stands in for the others.
        owners = np.array([name.rpartition(".")[0] for name in names])
        for owner in dict.fromkeys(owners.tolist()):
            groups[owner] = {stream: np.flatnonzero(owners == owner)}
    return groups


def _named(batch: Batch, groups: Mapping[str, Sequence[str]]) -> Groups:
    """Columns, or whole streams, whose name matches the user's patterns."""
    chosen: dict[str, dict[str, NDArray[np.intp] | None]] = {}
    for group, patterns in groups.items():
        for stream, array in batch.streams.items():
            names = batch.columns.get(stream, ()) if array.ndim == 2 else ()
            hits = [
                n
                for n, name in enumerate(names)
                if any(fnmatch.fnmatchcase(name, p) or name.startswith(f"{p}.") for p in patterns)
            ]
            # A pattern that names the stream itself takes the mask along, as columns do not.
            if any(fnmatch.fnmatchcase(stream, pattern) for pattern in patterns):
                chosen.setdefault(group, {})[stream] = None
            elif hits:
                chosen.setdefault(group, {})[stream] = np.array(hits)
        if group not in chosen:
            some = [*batch.streams, *[n for names in batch.columns.values() for n in names][:10]]
            raise ConfigError(
                f"No column matches {group}={','.join(patterns)}. There are: {', '.join(some)} ..."
            )
    return chosen


def _predict(checkpoint: Checkpoint, batch: Batch) -> NDArray[np.float64]:
    parts = []
    for first in range(0, len(batch.clips), _AT_ONCE):
        rows = slice(first, first + _AT_ONCE)
        some = replace(
            batch,
            clips=batch.clips[rows],
            streams={name: array[rows] for name, array in batch.streams.items()},
            masks={name: mask[rows] for name, mask in batch.masks.items()},
            targets=batch.targets[rows],
            target_mask=batch.target_mask[rows],
        )
        parts.append(checkpoint.predict(some))
    return np.concatenate(parts)


def _loss(
    before: Mapping[str, float | None], after: Mapping[str, float | None], metric: str
) -> float:
    one, other = before[metric], after[metric]
    if one is None or other is None:
        return float("nan")
    # Errors rise and concordance falls: both ways a loss is above 0.
    return other - one if metric == "mae" else one - other


def _summary(lost: Sequence[Sequence[float]]) -> dict[str, dict[str, float | None]]:
    values = np.array(lost)
    return {
        metric: {
            # Left out, a draw whose score is undefined would make the mean look surer than it is.
            "mean": None if np.isnan(column).any() else float(column.mean()),
            "sd": None if np.isnan(column).any() else float(column.std()),
        }
        for metric, column in zip(METRICS, values.T, strict=True)
    }
