"""Streams that were read once -> the same streams from memory that processes share, bounded.

    | table: start, length of each stream | part of process 0 | part of process 1 | ...

Each process writes into its own part and then into the table, so that none waits for another, and
all read what any has written. What does not fit is read from the store each time. Of pictures only
their places in the store are kept: the system keeps files that are read often.
"""

import json
import math
import mmap
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import TraitscopeError
from traitscope.features.stored_pictures import StoredPictures
from traitscope.types import Stream

T = TypeVar("T")

KEPT_BYTES = 1 << 30
"""Of streams kept in memory between epochs, per set of examples; taken only as it is filled."""
_LEAST_BYTES = 1 << 20  # below it hardly a stream fits
_ALIGNED = 16  # bytes; no kind of number needs more
_AT_HAND = 4096
"""Streams whose head was read already, per process: of one picture of a clip, reading the head took
as long as a quarter of its decoding. Their arrays stand on the shared memory; an entry is 2 kB."""


def reserve(streams: int, make: Callable[[int], T]) -> T:
    """Take memory for a shelf of so many streams: less where there is not as much.

    It is taken only as it is filled, but a limit on addresses (``ulimit -v``, as clusters set it)
    counts it at once; without room for any stream each is read again.

    Args:
        streams: how many.
        make: takes memory of a size in bytes.

    Raises:
        OSError, TraitscopeError: there is none at all.
    """
    kept = KEPT_BYTES
    while True:
        try:
            return make(_table_bytes(streams) + kept)
        except (OSError, TraitscopeError):
            if not kept:
                raise
            kept = kept // 4 if kept > _LEAST_BYTES else 0


class Shelf:
    """The streams in one piece of memory, as one of its processes sees them."""

    def __init__(self, memory: mmap.mmap, streams: int, *, part: int = 0, parts: int = 1) -> None:
        first = _table_bytes(streams)
        room = (len(memory) - first) // parts // _ALIGNED * _ALIGNED
        self._memory = memory
        self._at_hand: dict[int, Stream] = {}
        self._table = np.frombuffer(memory, np.int64, 2 * streams).reshape(streams, 2)
        self._next = first + part * room
        # Whoever comes after the last part has none: it reads what the others have put.
        self._end = self._next + (room if part < parts else 0)

    def get(self, place: int) -> Stream | None:
        """The stream at a place of the table; None if nobody has put it there."""
        known = self._at_hand.get(place)
        if known is not None:
            return known
        start, length = self._table[place].tolist()
        if not start:
            return None
        if len(self._at_hand) == _AT_HAND:  # the first that came: an epoch comes round to it last
            del self._at_hand[next(iter(self._at_hand))]
        stream = self._at_hand[place] = _unpacked(self._memory, start, length)
        return stream

    def put(self, place: int, stream: Stream) -> None:
        """Keep a stream, if there is room."""
        if self._next == self._end:
            return
        head, arrays = _packed(stream)
        size = _aligned(len(head)) + sum(_aligned(array.nbytes) for array in arrays)
        if self._next + size > self._end or any(array.dtype.itemsize == 0 for array in arrays):
            return
        at = self._next
        self._memory[at : at + len(head)] = head
        at += _aligned(len(head))
        for array in arrays:
            self._memory[at : at + array.nbytes] = np.ascontiguousarray(array).tobytes()
            at += _aligned(array.nbytes)
        self._table[place, 1] = len(head)
        self._table[place, 0] = self._next  # last: from now on the others read it
        self._next = at


def _packed(stream: Stream) -> tuple[bytes, list[NDArray[Any]]]:
    """A stream as a head that says what follows, and arrays."""
    arrays = [stream.time, stream.mask]
    facts: dict[str, Any] = {"columns": stream.columns, "info": dict(stream.info)}
    if isinstance(stream.images, StoredPictures):
        stored = stream.images
        facts["pictures"] = [stored.path, stored.start, stored.stamp]
        arrays.append(stored.offset)
    else:
        arrays.append(np.asarray(stream.values))
    facts["arrays"] = [[array.dtype.str, array.shape] for array in arrays]
    return json.dumps(facts).encode(), arrays


def _unpacked(memory: mmap.mmap, start: int, length: int) -> Stream:
    facts = json.loads(memory[start : start + length])
    arrays, at = [], start + _aligned(length)
    for kind, shape in facts["arrays"]:
        array = np.frombuffer(memory, kind, math.prod(shape), at).reshape(shape)
        array.flags.writeable = False  # it is everybody's
        arrays.append(array)
        at += _aligned(array.nbytes)
    time, valid, values = arrays
    images = None
    if "pictures" in facts:
        path, first, stamp = facts["pictures"]
        images = StoredPictures(path, first, values, tuple(stamp))
    # It was checked when it was made: checking it again takes as long as all the rest.
    stream = object.__new__(Stream)
    stream.__dict__.update(
        time=time,
        values=None if images is not None else values,
        images=images,
        valid=valid,
        columns=tuple(facts["columns"]),
        info=facts["info"],
    )
    return stream


def _table_bytes(streams: int) -> int:
    return _aligned(16 * max(1, streams))


def _aligned(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED


def places(clips: Sequence[Any], streams: Sequence[str]) -> dict[tuple[str, str], int]:
    """Number the streams of clips: (stream, clip) -> place."""
    pairs = ((stream, clip.id) for clip in clips for stream in streams)
    return {pair: place for place, pair in enumerate(pairs)}
