"""Corpus + store + draws -> examples and batches in an exact order.

What a model sees of a clip is decided here and nowhere else: which rows are drawn, how images are
normalised, how clips are padded. Everything random is a pure function of (seed, epoch, clip).
"""

import fnmatch
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.augment import Augmentation, Sample, blend, change
from traitscope.data.pooling import pool, pooled_columns
from traitscope.data.scaling import Moments, Scaler
from traitscope.errors import ClipError, DataError
from traitscope.features.store import Store
from traitscope.media.pictures import decode_rows
from traitscope.types import Batch, Clip, Draw, Rows, Stream, label_array

KEPT_BYTES = 1 << 30
"""Numbers kept in memory between epochs, per set of examples."""

Array = NDArray[np.float32]
AnyArray = NDArray[Any]


@dataclass(frozen=True)
class Example:
    """What is drawn of one clip: stream -> rows (rows, ...) or a pooled vector, and masks."""

    clip: Clip
    streams: Mapping[str, AnyArray]
    masks: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    mixed: bool = False


def gather(
    clips: Sequence[Clip], store: Store, keys: Mapping[str, str]
) -> tuple[list[Clip], list[dict[str, str]]]:
    """Split clips into those whose streams are all there and those that failed, with reasons.

    Args:
        clips: in the order to keep.
        store: where the features are.
        keys: stream name -> key of its folder in the store.

    Raises:
        DataError: some clips were never prepared; names the first of them.
    """
    statuses = {stream: store.statuses(key) for stream, key in keys.items()}
    absent = [c.id for c in clips if any(c.id not in rows for rows in statuses.values())]
    if absent:
        raise DataError(
            f"{len(absent)} of {len(clips)} clips have no features yet in {store.folder} "
            f"(first: {absent[0]!r})."
        )
    ready, failures = [], []
    for clip in clips:
        rows = [statuses[stream][clip.id] for stream in keys]
        bad = next((row for row in rows if row.status != "ok"), None)
        if bad is None:
            ready.append(clip)
        else:
            failures.append({"clip": clip.id, "status": bad.status, "reason": bad.reason})
    return ready, failures


def draw_example(
    clip: Clip,
    streams: Mapping[str, Stream],
    draws: Mapping[str, Draw],
    *,
    rng: np.random.Generator | None,
    scalers: Mapping[str, Scaler],
) -> Example:
    """Draw what the model takes of one clip.

    Args:
        clip: the clip.
        streams: its streams, by name.
        draws: what the model takes.
        rng: the source of randomness in training; None in evaluation.
        scalers: fitted scalers of the standardised streams.

    Raises:
        ClipError: a stream has no valid row.
    """
    values: dict[str, AnyArray] = {}
    masks: dict[str, NDArray[np.bool_]] = {}
    drawn_times: dict[str, NDArray[np.float64]] = {}
    for name, draw in draws.items():
        stream = chosen_columns(streams[name], draw.columns)
        if not stream.mask.any():
            raise ClipError(f"Clip {clip.id!r} has no usable row of {name}.", status="empty")
        if draw.pool:
            vector = pool(stream, draw.pool)
            values[name] = scalers[name](vector) if name in scalers else vector
            continue
        rows = _rows(draw, stream, rng, drawn_times)
        if draw.group:
            drawn_times.setdefault(draw.group, stream.time[rows])
        masks[name] = stream.mask[rows]
        if stream.images is not None:
            what = f"{name} of clip {clip.id!r}"
            values[name], shown = decode_rows([stream.images[r] for r in rows], draw.size, what)
            masks[name] = masks[name] & shown
        else:
            values[name] = _take(stream, rows, scalers.get(name))
    return Example(clip, values, masks)


def chosen_columns(stream: Stream, patterns: Sequence[str]) -> Stream:
    """Keep the columns of a stream whose name matches a pattern such as ``AU*_r``.

    Raises:
        DataError: a pattern matches none of the stream's columns.
    """
    if not patterns:
        return stream
    for pattern in patterns:
        if not fnmatch.filter(stream.columns, pattern):
            raise DataError(
                f"No column matches {pattern!r}. There are: {', '.join(stream.columns) or 'none'}."
            )
    kept = [
        index
        for index, column in enumerate(stream.columns)
        if any(fnmatch.fnmatchcase(column, pattern) for pattern in patterns)
    ]
    assert stream.values is not None
    names = tuple(stream.columns[index] for index in kept)
    return replace(stream, values=stream.values[..., kept], columns=names)


def _rows(
    draw: Draw,
    stream: Stream,
    rng: np.random.Generator | None,
    drawn_times: Mapping[str, NDArray[np.float64]],
) -> NDArray[np.intp]:
    if draw.group in drawn_times:
        candidates = np.flatnonzero(stream.mask)
        times = drawn_times[str(draw.group)]
        return candidates[_nearest(stream.time[candidates], times)]
    return draw_rows(draw.evaluate if rng is None else draw.train, stream.time, stream.mask, rng)


def draw_rows(
    rows: Rows,
    time: NDArray[np.float64],
    mask: NDArray[np.bool_],
    rng: np.random.Generator | None,
) -> NDArray[np.intp]:
    """Choose row indices, rising, by a rule; ``even`` and ``segments`` choose among valid rows.

    Args:
        rows: the rule and its count.
        time: (rows,) seconds.
        mask: (rows,) True where the row is there; at least one is.
        rng: needed by the random rules.
    """
    total, count = len(time), rows.count
    if rows.rule == "all" and (count is None or total <= count):
        return np.arange(total)
    assert count is not None
    if rows.rule in {"all", "center", "window"}:
        spare = max(0, total - count)
        if rows.rule == "window" and rng is not None:
            first = int(rng.integers(spare + 1))
        else:
            first = spare // 2
        return np.arange(first, first + min(count, total))
    candidates = np.flatnonzero(mask)
    if rows.rule == "random":
        assert rng is not None
        few = len(candidates) < count
        return np.sort(rng.choice(candidates, size=count, replace=few))
    step = float(np.median(np.diff(time))) if total > 1 else 1.0
    edges = np.linspace(time[0], time[-1] + step, count + 1)
    middles = (edges[:-1] + edges[1:] - step) / 2
    chosen = candidates[_nearest(time[candidates], middles)]
    if rows.rule == "segments":
        assert rng is not None
        share = (time[candidates] - edges[0]) / (edges[-1] - edges[0])
        part = (share * count + 1e-9).astype(int)  # a row on an edge begins the part
        for index in range(count):
            inside = candidates[part == index]
            if len(inside):  # an empty part keeps the row nearest to its middle
                chosen[index] = rng.choice(inside)
    return chosen


def _nearest(time: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.intp]:
    """Index of the time nearest to each wanted time; the earlier of two equals."""
    right = np.clip(np.searchsorted(time, wanted), 1, max(1, len(time) - 1))
    left = right - 1
    right = np.minimum(right, len(time) - 1)
    return np.where(np.abs(wanted - time[left]) <= np.abs(time[right] - wanted), left, right)


def _take(stream: Stream, rows: NDArray[np.intp], scaler: Scaler | None) -> AnyArray:
    assert stream.values is not None
    values = stream.values[rows]
    if values.dtype.kind not in "fiub":
        return values
    numbers = scaler(values) if scaler else values.astype(np.float32)
    gone = ~stream.mask[rows]
    if gone.any():
        numbers = numbers.copy()
        numbers[gone] = 0.0  # hidden by the mask
    return numbers


class Examples:
    """The examples of some clips: indexed by (epoch, index) in training, by index in evaluation."""

    def __init__(
        self,
        clips: Sequence[Clip],
        store: Store,
        keys: Mapping[str, str],
        draws: Mapping[str, Draw],
        *,
        targets: Sequence[str],
    ) -> None:
        self.clips = tuple(clips)
        self.store = store
        self.keys = dict(keys)
        self.draws = dict(draws)
        self.targets = tuple(targets)
        self.scalers: dict[str, Scaler] = {}
        self.seed: int | None = None  # evaluation: nothing is random and nothing is augmented
        self.augment: tuple[Augmentation, ...] = ()
        self._forget()

    def _forget(self) -> None:
        self._kept: dict[tuple[str, str], Stream] = {}
        self._kept_bytes = 0

    def scaled(self, scalers: Mapping[str, Scaler]) -> "Examples":
        """The same examples, standardised; they begin without the streams kept in memory."""
        other = copy(self)
        other.scalers = dict(scalers)
        other._forget()
        return other

    def for_training(self, seed: int, augment: Sequence[Augmentation] = ()) -> "Examples":
        """The same clips drawn at random, a pure function of seed and epoch, and augmented."""
        other = copy(self)
        other.seed, other.augment = seed, tuple(augment)
        other._forget()
        return other

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int | tuple[int, int]) -> Example:
        epoch, position = index if isinstance(index, tuple) else (0, index)
        clip = self.clips[position]
        streams = {name: self.stream(name, clip.id) for name in self.keys}
        rng = None if self.seed is None else np.random.default_rng([self.seed, epoch, position])
        example = draw_example(clip, streams, self.draws, rng=rng, scalers=self.scalers)
        if not self.augment:
            return example
        rng = np.random.default_rng([self.seed or 0, epoch, position, 1])
        return Example(clip, *change(example.streams, example.masks, self.augment, rng))

    def __getitems__(self, indices: Sequence[int | tuple[int, int]]) -> list[Example]:
        """Give the examples of a batch; a loader calls this, so that clips may be mixed."""
        examples = [self[index] for index in indices]
        if not any(transform.mix for transform in self.augment):
            return examples
        rng = np.random.default_rng([self.seed or 0, *np.ravel(np.asarray(indices)).tolist()])
        samples: list[Sample] = [(e.streams, e.masks, e.clip.targets) for e in examples]
        return [  # a mixed example keeps the name of its clip and gets mixed labels
            Example(
                replace(example.clip, targets=labels),
                streams,
                masks,
                mixed=streams is not example.streams,
            )
            for example, (streams, masks, labels) in zip(
                examples, blend(samples, self.augment, rng), strict=True
            )
        ]

    def stream(self, name: str, clip_id: str) -> Stream:
        """Read a stream of a clip; numbers stay in memory up to a limit, images do not."""
        kept = self._kept.get((name, clip_id))
        if kept is not None:
            return kept
        stream = self.store.read(self.keys[name], clip_id)
        if stream.values is not None and self._kept_bytes < KEPT_BYTES:
            self._kept[name, clip_id] = stream
            self._kept_bytes += stream.values.nbytes
        return stream

    def labels(self) -> NDArray[np.float64]:
        """Labels (clips, targets), NaN where one is missing."""
        return label_array(self.clips, self.targets)

    def columns(self) -> dict[str, tuple[str, ...]]:
        """Names of the last axis of each stream, after pooling."""
        named = {}
        for name in self.keys:
            draw = self.draws[name]
            columns = chosen_columns(self.stream(name, self.clips[0].id), draw.columns).columns
            pools = draw.pool
            named[name] = pooled_columns(name, columns, pools) if pools else columns
        return named

    def batch(self, indices: Sequence[int] | None = None) -> Batch:
        """Clips side by side, in the given order (all of them by default)."""
        chosen = range(len(self)) if indices is None else indices
        return collate([self[i] for i in chosen], self.targets, columns=self.columns())


def collate(
    examples: Sequence[Example],
    targets: Sequence[str],
    *,
    columns: Mapping[str, tuple[str, ...]] | None = None,
) -> Batch:
    """Pad examples to the longest of each stream and lay them side by side (NumPy arrays).

    Labels are (clips, targets) with zeros and a False mask where one is missing.
    """
    labels = label_array([example.clip for example in examples], targets)
    known = np.isfinite(labels)
    streams, masks = {}, {}
    for name in examples[0].streams:
        parts = [example.streams[name] for example in examples]
        if name not in examples[0].masks:
            streams[name] = np.stack(parts)
            continue
        longest = max(len(part) for part in parts)
        streams[name] = np.stack([_pad(part, longest) for part in parts])
        masks[name] = np.stack([_pad(example.masks[name], longest) for example in examples])
    return Batch(
        clips=tuple(example.clip.id for example in examples),
        streams=streams,
        masks=masks,
        targets=np.where(known, labels, 0.0).astype(np.float32),
        target_mask=known,
        mixed=np.array([example.mixed for example in examples]),
        columns=dict(columns or {}),
    )


def to_tensors(batch: Batch, device: Any = "cpu") -> Batch:
    """Move a batch to a device; NumPy arrays become tensors, text stays as it is."""
    import torch

    def move(array: Any) -> Any:
        if isinstance(array, np.ndarray):
            if array.dtype.kind not in "fiub":
                return array
            array = torch.from_numpy(array)
            array = array.float() if array.dtype == torch.float64 else array
        return array.to(device, non_blocking=True) if hasattr(array, "to") else array

    return replace(
        batch,
        streams={name: move(array) for name, array in batch.streams.items()},
        masks={name: move(array) for name, array in batch.masks.items()},
        targets=move(batch.targets),
        target_mask=move(batch.target_mask),
        mixed=move(batch.mixed),
    )


def _pad(array: AnyArray, length: int) -> AnyArray:
    if len(array) == length:
        return array
    padding = np.zeros((length - len(array), *array.shape[1:]), dtype=array.dtype)
    return np.concatenate([array, padding])


def fit_scalers(examples: Examples) -> dict[str, Scaler]:
    """Mean and sd of each column of the standardised streams, over the fitting clips alone."""
    names = [name for name, draw in examples.draws.items() if draw.standardize]
    moments: dict[str, Moments] = {}
    for clip in examples.clips if names else ():
        for name in names:
            draw = examples.draws[name]
            stream = chosen_columns(examples.stream(name, clip.id), draw.columns)
            if draw.pool:
                rows = pool(stream, draw.pool)[None]
            else:
                assert stream.values is not None
                rows = stream.values[stream.mask].astype(np.float64)
            moments[name] = moments.get(name, Moments.none(rows.shape[1])).add(rows)
    return {name: sums.scaler() for name, sums in moments.items()}
