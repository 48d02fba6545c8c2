"""Corpus + store + draws -> examples and batches in an exact order.

Which clips, in which state, and where their streams are read from. What is drawn of one clip is
decided in `drawing`. Everything random is a pure function of (seed, epoch, clip), so that it does
not matter which process reads a clip, or when.
"""

from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from mmap import mmap
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from traitscope.augment import Augmentation, Sample, blend, change
from traitscope.data.batches import collate
from traitscope.data.drawing import Chosen, Example, choose, chosen_columns, generator
from traitscope.data.pooling import pool, pooled_columns
from traitscope.data.scaling import Moments, Scaler
from traitscope.data.shelf import Shelf, places, reserve
from traitscope.errors import DataError
from traitscope.features.store import Chooser, StatusRow, Store
from traitscope.types import Batch, Clip, Draw, Stream, label_array

T = TypeVar("T")


def gather(
    clips: Sequence[Clip],
    store: Store,
    keys: Mapping[str, str],
    draws: Mapping[str, Draw] | None = None,
) -> tuple[list[Clip], list[dict[str, str]]]:
    """Split clips into those whose streams are all there and those that failed, with reasons.

    Args:
        clips: in the order to keep.
        store: where the features are.
        keys: stream name -> key of its folder in the store.
        draws: what is taken of each; of optional streams, any one is enough.

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
        rows = {stream: statuses[stream][clip.id] for stream in keys}
        bad = first_lacking({s: r for s, r in rows.items() if r.status != "ok"}, draws or {}, keys)
        if bad is None:
            ready.append(clip)
        else:
            failures.append({"clip": clip.id, "status": bad.status, "reason": bad.reason})
    return ready, failures


def first_lacking(
    failed: Mapping[str, T], draws: Mapping[str, Draw], streams: Collection[str]
) -> T | None:
    """What a clip cannot be seen without: the first failure of those that count, or None.

    Args:
        failed: stream -> why a clip has none, in the order to tell.
        draws: what is taken of each stream.
        streams: all that are asked for.
    """
    needed = [why for name, why in failed.items() if name not in draws or not draws[name].optional]
    if not needed and len(failed) == len(streams):
        needed = list(failed.values())  # each can be done without, but not all of them
    return next(iter(needed), None)


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
        self._absent = _absent(self.clips, store, keys, draws)
        self._forget()

    def _forget(self) -> None:
        self._shelf: Shelf | None = None
        self._places = places(self.clips, list(self.keys))

    def __getstate__(self) -> dict[str, Any]:
        """Leave what is kept in memory behind: another process has its own, or shares it."""
        return {**self.__dict__, "_shelf": None}

    def sharing(self, memory: mmap, *, part: int, parts: int) -> "Examples":
        """The same examples, whose streams are kept in memory that others use as well.

        Args:
            memory: `reserve`d for as many streams as there are clips and keys.
            part: which of ``parts`` equal parts is written here; none from ``parts`` on.
            parts: how many processes write.
        """
        other = copy(self)
        other._shelf = Shelf(memory, len(self._places), part=part, parts=parts)
        return other

    def lean(self) -> "Examples":
        """The same examples with only what reading takes, to be sent to another process."""
        other = copy(self)
        # Paths, words and attributes stay here: they would go through a pipe to every process.
        other.clips = tuple(Clip(clip.id, targets=clip.targets) for clip in self.clips)
        if (chooser := self.store.chooser) is not None:
            other.store = Store(self.store.folder, _Files.of(chooser, self))
        return other

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
        return self.augmented(index, self.chosen(index).decoded(self.draws))

    def chosen(self, index: int | tuple[int, int]) -> Chosen:
        """Choose the rows of an example and read them; pictures are not yet decoded."""
        epoch, position = index if isinstance(index, tuple) else (0, index)
        clip = self.clips[position]
        absent = self._absent.get(clip.id, ())
        streams = {name: self.stream(name, clip.id) for name in self.keys if name not in absent}
        rng = None if self.seed is None else generator(self.seed, epoch, position)
        return choose(clip, streams, self.draws, rng=rng, scalers=self.scalers)

    def augmented(self, index: int | tuple[int, int], example: Example) -> Example:
        """Change what was `chosen` and decoded as the augmentations of this epoch say."""
        if not self.augment:
            return example
        epoch, position = index if isinstance(index, tuple) else (0, index)
        # The 1 keeps augmentation apart from the choice of rows: one row more moves no crop.
        rng = generator(self.seed or 0, epoch, position, 1)
        changed, masks, draws = change(example.streams, example.masks, self.augment, rng)
        return Example(example.clip, changed, masks, draws=draws)

    def __getitems__(self, indices: Sequence[int | tuple[int, int]]) -> list[Example]:
        """Give the examples of a batch."""
        return self.mixed([self[index] for index in indices], indices)

    def mixed(
        self, examples: list[Example], indices: Sequence[int | tuple[int, int]]
    ) -> list[Example]:
        """Mix the examples of a batch, if a transform says so."""
        if not any(transform.mix for transform in self.augment):
            return examples
        # Of all clips of the batch, because it decides between them.
        rng = generator(self.seed or 0, *np.ravel(np.asarray(indices)).tolist())
        samples: list[Sample] = [(e.streams, e.masks, e.clip.targets) for e in examples]
        mixed, draws = blend(samples, self.augment, rng)
        return [  # a mixed example keeps the name of its clip and gets mixed labels
            Example(
                replace(example.clip, targets=labels),
                streams,
                masks,
                mixed=streams is not example.streams,
                draws={**example.draws, **drawn},
            )
            for example, (streams, masks, labels), drawn in zip(examples, mixed, draws, strict=True)
        ]

    def stream(self, name: str, clip_id: str) -> Stream:
        """Read a stream of a clip; it stays in memory up to a limit, its pictures do not."""
        if self._shelf is None:
            count = len(self._places)
            self._shelf = Shelf(reserve(count, lambda size: mmap(-1, size)), count)
        place = self._places[name, clip_id]
        stream = self._shelf.get(place)
        if stream is None:
            stream = self.store.read(self.keys[name], clip_id, in_place=True)
            self._shelf.put(place, stream)
        return stream

    def lacks(self, clip: Clip, name: str) -> bool:
        """Whether a clip has no such stream, which its draw allows."""
        return name in self._absent.get(clip.id, ())

    def labels(self) -> NDArray[np.float64]:
        """Labels (clips, targets), NaN where one is missing."""
        return label_array(self.clips, self.targets)

    def columns(self) -> dict[str, tuple[str, ...]]:
        """Names of the last axis of each stream, after pooling."""
        named: dict[str, tuple[str, ...]] = {}
        for name in self.keys:
            draw = self.draws[name]
            clip = next((c for c in self.clips if not self.lacks(c, name)), None)
            if clip is None:
                named[name] = ()
                continue
            columns = chosen_columns(self.stream(name, clip.id), draw.columns).columns
            pools = draw.pool
            named[name] = pooled_columns(name, columns, pools) if pools else columns
        return named

    def batch(self, indices: Sequence[int] | None = None) -> Batch:
        """Clips side by side, in the given order (all of them by default)."""
        chosen = range(len(self)) if indices is None else indices
        return collate([self[i] for i in chosen], self.targets, columns=self.columns())


@dataclass(frozen=True)
class _Files:
    """Which file holds a clip's stream, as was found out before: a chooser of a store.

    Attributes:
        names: key -> clip -> file; of those alone that are not the plain one.
    """

    names: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, chooser: Chooser, examples: Examples) -> "_Files":
        """Ask a chooser for all clips."""
        store, clips = examples.store, examples.clips
        return cls(
            {
                key: {c.id: f for c in clips if (f := chooser.file(store, key, c.id))}
                for key in examples.keys.values()
            }
        )

    def choose(self, store: Store, key: str, rows: Sequence[StatusRow]) -> dict[str, StatusRow]:
        """Choose nothing: the clips that are read are settled."""
        raise NotImplementedError

    def file(self, store: Store, key: str, clip_id: str) -> str:
        """Name the file of a clip's stream, if it is not the plain one."""
        return self.names[key].get(clip_id, "")


def _absent(
    clips: Sequence[Clip], store: Store, keys: Mapping[str, str], draws: Mapping[str, Draw]
) -> dict[str, frozenset[str]]:
    """Optional streams that a clip has not got: clip -> names, of those clips alone."""
    lacking: dict[str, frozenset[str]] = {}
    for name, draw in draws.items():
        if draw.optional:
            statuses = store.statuses(keys[name])
            for clip in clips:
                if statuses[clip.id].status != "ok":
                    lacking[clip.id] = lacking.get(clip.id, frozenset()) | {name}
    return lacking


def fit_scalers(examples: Examples) -> dict[str, Scaler]:
    """Mean and sd of each column of the standardised streams, over the fitting clips alone."""
    names = [name for name, draw in examples.draws.items() if draw.standardize]
    moments: dict[str, Moments] = {}
    for clip in examples.clips if names else ():
        for name in names:
            if examples.lacks(clip, name):
                continue
            draw = examples.draws[name]
            stream = chosen_columns(examples.stream(name, clip.id), draw.columns)
            if draw.pool:
                rows = pool(stream, draw.pool)[None]
            else:
                assert stream.values is not None
                # In full precision: sums over millions of rows lose digits in half of it.
                rows = stream.values[stream.mask].astype(np.float64)
            moments[name] = moments.get(name, Moments.none(rows.shape[1])).add(rows)
    if nowhere := [name for name in names if name not in moments and examples.clips]:
        raise DataError(
            f"No fitting clip has {', '.join(nowhere)}. Train without: see traitscope show MODEL "
            f"for the setting that names the streams."
        )
    return {name: sums.scaler() for name, sums in moments.items()}
