"""Streams of a clip + what a model takes of them -> one example; only here rows are chosen."""

import fnmatch
import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.augment import Drawn
from traitscope.data.pooling import pool
from traitscope.data.scaling import Scaler
from traitscope.errors import ClipError, DataError
from traitscope.features.stored_pictures import rows_of
from traitscope.media.pictures import decode_rows
from traitscope.types import Clip, Draw, Rows, Stream

AnyArray = NDArray[Any]
_MANY = 2_000
"""Rows of which a few are chosen without a look at all of them."""
_PER_THREAD = threading.local()
_STEP = 0x5851F42D4C957F2D14057B7EF767814F
"""Of PCG's walk through all 2^128 states: that of its reference code (O'Neill, "PCG: A family of
simple fast space-efficient statistically good algorithms for random number generation", 2014)."""


@dataclass(frozen=True)
class Example:
    """What is drawn of one clip.

    Attributes:
        clip: with its labels.
        streams: stream -> (rows, ...), pictures (rows, height, width, 3) uint8; or pooled (n,).
        masks: stream -> (rows,) True where the row is there; of a pooled one (1,), if optional.
        mixed: whether augmentation blended it with another clip.
        draws: transform -> (n,), what it will do to the pictures when they are on their device.
        times: stream -> (rows,) seconds of what was drawn; none of pooled streams.
    """

    clip: Clip
    streams: Mapping[str, AnyArray]
    masks: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    mixed: bool = False
    draws: Mapping[str, Drawn] = field(default_factory=dict)
    times: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


def generator(*key: int) -> np.random.Generator:
    """Numbers that are a function of the key alone, good until the next call in this thread.

    `np.random.default_rng` takes five times as long for the same, a tenth of decoding a picture.
    """
    if not hasattr(_PER_THREAD, "bits"):
        _PER_THREAD.bits = np.random.PCG64(0)
        _PER_THREAD.numbers = np.random.Generator(_PER_THREAD.bits)
    digest = hashlib.blake2b(",".join(map(str, key)).encode(), digest_size=16).digest()
    _PER_THREAD.bits.state = {
        "bit_generator": "PCG64",
        # All walk in the same circle; two that begin at random never come near each other in it.
        "state": {"state": int.from_bytes(digest, "little"), "inc": _STEP},
        "has_uint32": 0,
        "uinteger": 0,
    }
    numbers: np.random.Generator = _PER_THREAD.numbers
    return numbers


@dataclass
class Chosen:
    """What was chosen and read of one clip, before its pictures are decoded.

    Attributes:
        clip, streams, masks, times: as of an `Example`, but for the pictures.
        encoded: stream -> one JPEG per row.
    """

    clip: Clip
    streams: dict[str, AnyArray] = field(default_factory=dict)
    masks: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    times: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    encoded: dict[str, list[bytes]] = field(default_factory=dict)

    def decoded(self, draws: Mapping[str, Draw]) -> Example:
        """Decode the pictures.

        Args:
            draws: what the model takes, in the order of the example's streams.

        Raises:
            DataError: there is none that can be decoded, or all of them are too large together.
        """
        streams, masks = {}, dict(self.masks)
        for name, draw in draws.items():
            if name in self.streams:
                streams[name] = self.streams[name]
                continue
            what = f"{name} of clip {self.clip.id!r}"
            streams[name], shown = decode_rows(self.encoded[name], draw.size, what)
            if not all(shown):
                masks[name] = masks[name] & shown
        return Example(self.clip, streams, masks, times=self.times)


def draw_example(
    clip: Clip,
    streams: Mapping[str, Stream],
    draws: Mapping[str, Draw],
    *,
    rng: np.random.Generator | None,
    scalers: Mapping[str, Scaler],
) -> Example:
    """Draw what the model takes of one clip: `choose`, and decode."""
    return choose(clip, streams, draws, rng=rng, scalers=scalers).decoded(draws)


def choose(
    clip: Clip,
    streams: Mapping[str, Stream],
    draws: Mapping[str, Draw],
    *,
    rng: np.random.Generator | None,
    scalers: Mapping[str, Scaler],
) -> Chosen:
    """Choose what the model takes of one clip, and read it.

    Args:
        clip: the clip.
        streams: its streams, by name; those of them that are optional may be missing.
        draws: what the model takes.
        rng: the source of randomness in training; None in evaluation.
        scalers: fitted scalers of the standardised streams.

    Raises:
        ClipError: a stream has no valid row.
    """
    chosen = Chosen(clip)
    values, masks = chosen.streams, chosen.masks
    drawn_times: dict[str, NDArray[np.float64]] = {}
    for name, draw in draws.items():
        if draw.optional and (name not in streams or not streams[name].mask.any()):
            # As wide as it would be; 0 is the mean of the fitting clips.
            values[name] = np.zeros((1, len(scalers[name].mean)), np.float32)
            masks[name] = np.zeros(1, bool)
            if draw.pool:
                values[name] = values[name][0]
            continue
        stream = chosen_columns(streams[name], draw.columns)
        if not np.count_nonzero(stream.mask):  # of few rows `any` takes four times as long
            raise ClipError(f"Clip {clip.id!r} has no usable row of {name}.", status="empty")
        if draw.pool:
            vector = pool(stream, draw.pool)
            values[name] = scalers[name](vector) if name in scalers else vector
            if draw.optional:
                masks[name] = np.ones(1, bool)
            continue
        rows = _rows(draw, stream, rng, drawn_times)
        # The first stream of a group chooses; the others follow by time, having other rows.
        if draw.group:
            drawn_times.setdefault(draw.group, stream.time[rows])
        chosen.times[name] = stream.time[rows]
        masks[name] = stream.mask[rows]
        if stream.images is not None:
            chosen.encoded[name] = rows_of(stream.images, rows.tolist())
        else:
            values[name] = _take(stream, rows, scalers.get(name))
    # Of streams that can each be done without, one at least has to be there.
    if draws and all(d.optional and not masks[name].any() for name, d in draws.items()):
        named = ", ".join(draws)
        raise ClipError(f"Clip {clip.id!r} has no usable row of any of {named}.", status="empty")
    return chosen


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
    candidates = mask.nonzero()[0]
    if rows.rule == "random":
        assert rng is not None
        # Where there are too few some are taken twice: batches need rows of one number.
        if count == 1 or len(candidates) < count:
            # `Generator.integers` takes longer for one number than all the rest of a draw.
            places = (rng.random(count) * len(candidates)).astype(np.intp)
        else:
            places = _some_of(len(candidates), count, rng)
        places.sort()
        return candidates[places]
    # The last row lasts as long as rows usually do, so that parts are equal to the end.
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


def _some_of(total: int, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Choose places among many, none twice; `Generator.choice` takes long for a few."""
    if total <= _MANY:
        return rng.random(total).argsort()[:count]
    return rng.choice(total, size=count, replace=False, shuffle=False)


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
    # Missing rows are NaN, and a NaN comes through every mask.
    gone = ~stream.mask[rows]
    if gone.any():
        numbers = numbers.copy()
        numbers[gone] = 0.0  # hidden by the mask
    return numbers
