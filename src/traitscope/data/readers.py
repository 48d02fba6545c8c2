"""Processes that read examples: (epoch, clip) pairs in, batches in shared memory out.

    asks, by pipe          reads and decodes into its own memory          answers, by pipe
    task 0, 1, 2, 3 ...  ->  process 0: 0, 2 ...   process 1: 1, 3 ...  ->  where the arrays lie

A process imports NumPy and OpenCV, and no torch: it takes a tenth of the memory and of the time to
start. It has a few slots per set of examples; a batch lies in one until it has been used, while the
next ones are read into the others. Which process reads a batch does not change it, and neither does
their number: the draws are a function of seed, epoch and clip.
"""

import math
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from mmap import mmap
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from traitscope.data import _shared
from traitscope.data.batches import collate, is_pictures
from traitscope.data.drawing import Example
from traitscope.data.examples import Examples
from traitscope.data.shelf import reserve
from traitscope.errors import ClipError, DataError, TraitscopeError
from traitscope.features.pool import how_it_ended, settle_in, spawn
from traitscope.media import cores
from traitscope.types import Batch

MOST_THREADS = 4
"""Of one process: beyond, what Python does for each picture is what takes the time."""

SLOTS = 2  # per process and set: one is used, one is filled
_MOST_SPARE = 1.25  # memory of a slot grows by a quarter more than is needed, to grow seldom

Index = int | tuple[int, int]
T = TypeVar("T")


@dataclass(frozen=True)
class _Task:
    """What to read, and into which slot."""

    number: int
    which: int
    indices: Sequence[Index]
    slot: int


@dataclass(frozen=True)
class _Placed:
    """Where an array lies: text, because a `Path` is made anew from each answer."""

    file: str
    shape: tuple[int, ...]
    kind: str


@dataclass
class _Process:
    """A reader, its pipe, and what it has been asked for."""

    process: Any
    connection: Connection
    asked: list[_Task] = field(default_factory=list)


class Readers:
    """Some processes that read sets of examples; see the top of this file."""

    def __init__(self, sets: Sequence[Examples], workers: int) -> None:
        self._sets = sets
        self._asked = self._ready = 0
        self._answers: dict[int, Any] = {}
        self._mapped: dict[str, mmap] = {}
        self._seen: dict[tuple[int, int, int, str], str] = {}
        shelves = [reserve(_streams(examples), _sparse) for examples in sets]
        # What a process reads just now, for whoever asks after its end: set and place.
        marks, self._marks = _shared.make(16 * workers)
        files = [path for path, _ in shelves]
        # This process, when it reads as well, finds what they keep, and keeps nothing itself.
        self.here = [
            examples.sharing(memory, part=workers, parts=workers)
            for examples, (_, memory) in zip(sets, shelves, strict=True)
        ]
        lean = [examples.lean() for examples in sets]
        self._processes = [
            _Process(*spawn(_serve, lean, files, marks, number, workers, threads=1))
            for number in range(workers)
        ]
        self._unnamed = [*files, marks]

    @property
    def ahead(self) -> int:
        """How many batches of a set may be asked for before the first of them is given back."""
        return SLOTS * len(self._processes)

    def ask(self, which: int, indices: Sequence[Index], order: int) -> int:
        """Have a batch read.

        Args:
            which: the set.
            indices: of the clips of the batch.
            order: its place among the batches of this set; no more than `ahead` are under way.

        Returns:
            A number to `take` it by.
        """
        number, self._asked = self._asked, self._asked + 1
        reader = self._processes[order % len(self._processes)]
        # By turns: a slot comes round again only when the batch in it has been used.
        task = _Task(number, which, list(indices), order // len(self._processes) % SLOTS)
        reader.asked.append(task)
        with suppress(OSError):  # it has ended, which `take` will say
            reader.connection.send(task)
        return number

    @property
    def processors_left(self) -> int:
        """How many this process may use while all others read."""
        return max(0, cores() - len(self._processes))

    def idle(self, number: int) -> bool:
        """Whether to `take` a batch is to wait, with a processor that nobody else reads on."""
        if number in self._answers or not self.processors_left:
            return False
        return not self._reader(number).connection.poll()

    def take(self, number: int) -> Batch:
        """Wait for a batch; its arrays stay as they are until its slot is asked for again.

        Raises:
            DataError: a clip cannot be read.
            TraitscopeError: the process has ended.
        """
        while number not in self._answers:
            reader = self._reader(number)
            try:
                answer = reader.connection.recv()
            except (EOFError, OSError):
                raise self._death(reader) from None
            if answer is None:  # it is ready; when all are, nobody needs the names any more
                self._named()
                continue
            # Answers come in the order of the questions.
            task = reader.asked.pop(0)
            self._answers[task.number] = task, self._processes.index(reader), answer
        task, place, answer = self._answers.pop(number)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Batch)
        slot = place, task.which, task.slot
        streams = {name: self._array((*slot, name), a) for name, a in answer.streams.items()}
        masks = {name: self._array((*slot, f"{name} mask"), a) for name, a in answer.masks.items()}
        return replace(answer, streams=streams, masks=masks)

    def drop(self, number: int) -> None:
        """Wait for a batch that nobody needs any more."""
        with suppress(TraitscopeError, RuntimeError):
            self.take(number)

    def close(self) -> None:
        """End the processes."""
        for reader in self._processes:
            reader.connection.close()
            reader.process.terminate()
        for reader in self._processes:
            reader.process.join()
        for path in [*self._unnamed, *map(Path, self._mapped)]:
            _shared.forget(path)

    def _reader(self, number: int) -> _Process:
        """Who has been asked for a batch that has not come."""
        return next(r for r in self._processes if any(t.number == number for t in r.asked))

    def _named(self) -> None:
        self._ready += 1
        if self._ready == len(self._processes):
            for path in self._unnamed:
                _shared.forget(path)

    def _array(self, place: tuple[int, int, int, str], placed: Any) -> Any:
        """The array at a place; memory that was too small has been left for other memory."""
        if not isinstance(placed, _Placed):
            return placed
        before = self._seen.get(place)
        if before != placed.file:
            if before is not None:
                # Arrays that still stand on it keep that memory alive.
                del self._mapped[before]
            self._seen[place] = placed.file
            self._mapped[placed.file] = _shared.join(Path(placed.file))
            _shared.forget(Path(placed.file))
        count = math.prod(placed.shape)
        array = np.frombuffer(self._mapped[placed.file], placed.kind, count).reshape(placed.shape)
        # Tensors must not stand on it: it will be another batch's. Of pixels they never do.
        array.flags.writeable = is_pictures(array)
        return array

    def _death(self, reader: _Process) -> TraitscopeError:
        """Say which clip a process was reading when it ended."""
        how = how_it_ended(reader.process)
        marks = np.frombuffer(self._marks, np.int64).reshape(-1, 2)
        which, place = marks[self._processes.index(reader)].tolist()
        if not place:
            return TraitscopeError(
                f"A process that reads examples ended before it began ({how}). Is there enough "
                f"memory? With --workers 0 they are read in this process."
            )
        clip = self._sets[which].clips[place - 1].id
        return TraitscopeError(
            f"A process that reads examples ended ({how}) at clip {clip!r}. Is there enough "
            f"memory? Set fewer workers (--workers), or look at the clip's features with: "
            f"traitscope features verify {self._sets[which].store.folder}"
        )


def read(
    examples: Examples, indices: Sequence[Index], *, watch: Any = None, threads: int = 1
) -> list[Example]:
    """Read the examples of a batch; whatever cannot be read names its clip.

    Args:
        examples: the set.
        indices: the clips.
        watch: called with the place of each clip before it is read.
        threads: that decode pictures, each a part of the clips.
    """
    places = [index[1] if isinstance(index, tuple) else index for index in indices]

    def each(step: Callable[..., T], *given: Sequence[Any], part: slice = slice(None)) -> list[T]:
        done = []
        for place, *one in zip(places[part], *(some[part] for some in given), strict=True):
            if watch is not None:
                watch(place)
            try:
                done.append(step(*one))
            except ClipError:
                raise
            except DataError as error:
                clip = examples.clips[place].id
                if repr(clip) in str(error):
                    raise
                raise DataError(f"Clip {clip!r}: {error}") from error
        return done

    def decoded(part: slice) -> list[Example]:
        return each(lambda one: one.decoded(examples.draws), chosen, part=part)

    # All rows are read before any is decoded. By turns, each would push the other out of the
    # processor's nearest memory: of one small picture per clip that took a tenth of the time.
    chosen = each(examples.chosen, indices)
    if not any(one.encoded for one in chosen):
        threads = 1
    drawn = _side_by_side(decoded, len(places), threads)
    return examples.mixed(each(examples.augmented, indices, drawn), indices)


def _side_by_side(work: Callable[[slice], list[T]], count: int, threads: int) -> list[T]:
    """Do a part of some work in each thread, the first part in this one."""
    ends = [count * number // threads for number in range(threads + 1)]
    first, *others = map(slice, ends, ends[1:])
    waiting = [_threads().submit(work, part) for part in others]
    return [*work(first), *(one for part in waiting for one in part.result())]


@cache
def _threads() -> ThreadPoolExecutor:
    """Threads beside this one, kept from batch to batch."""
    return ThreadPoolExecutor(MOST_THREADS - 1, thread_name_prefix="traitscope-reading")


def _streams(examples: Examples) -> int:
    return len(examples.clips) * len(examples.keys)


def _sparse(size: int) -> tuple[Path, mmap]:
    return _shared.make(size, sparse=True)


class _Slot:
    """Memory of one batch in its process: a piece per array, which grows when it has to."""

    def __init__(self) -> None:
        self._pieces: list[tuple[Path, mmap]] = []
        self._used = 0
        self._files: dict[int, str] = {}

    def begin(self) -> None:
        """Forget the arrays of the batch before: their place is free."""
        self._used, self._files = 0, {}

    def allocate(self, shape: tuple[int, ...], kind: np.dtype[Any]) -> NDArray[Any]:
        """Give memory for an array; text goes through the pipe, and gets memory of its own."""
        count = math.prod(shape)
        if kind.kind not in "fiub" or not count:
            return np.empty(shape, kind)
        size, place = count * kind.itemsize, self._used
        self._used += 1
        if place == len(self._pieces):
            self._pieces.append(_shared.make(int(size * _MOST_SPARE)))
        elif len(self._pieces[place][1]) < size:
            self._pieces[place] = _shared.make(int(size * _MOST_SPARE))
        file, memory = self._pieces[place]
        array = np.frombuffer(memory, kind, count).reshape(shape)
        # By identity: what was laid out here comes back as the very same arrays.
        self._files[id(array)] = str(file)
        return array

    def placed(self, array: NDArray[Any]) -> Any:
        """Where an array lies, or the array itself if it is not here."""
        file = self._files.get(id(array))
        return array if file is None else _Placed(file, array.shape, array.dtype.str)


def _serve(
    connection: Connection,
    sets: Sequence[Examples],
    shelves: Sequence[Path],
    marks: Path,
    number: int,
    parts: int,
) -> None:
    """What a reader does until it is ended, or whoever started it is gone."""
    settle_in(threads=1)
    mark = np.frombuffer(_shared.join(marks), np.int64).reshape(-1, 2)[number]
    shared = [
        examples.sharing(_shared.join(shelf), part=number, parts=parts)
        for examples, shelf in zip(sets, shelves, strict=True)
    ]
    slots: dict[tuple[int, int], _Slot] = {}
    with suppress(EOFError, OSError):
        connection.send(None)
        for task in _tasks(connection):
            slot = slots.setdefault((task.which, task.slot), _Slot())
            connection.send(_answer(task, shared[task.which], slot, mark))


def _tasks(connection: Connection) -> Iterator[_Task]:
    while True:
        yield connection.recv()


def _answer(task: _Task, examples: Examples, slot: _Slot, mark: NDArray[np.int64]) -> Any:
    """Read a batch; what goes wrong goes home as a value, and is raised there."""

    def watch(place: int) -> None:
        mark[1] = place + 1

    # Places count from 1: 0 means that nothing was read, as memory begins with zeros.
    mark[:] = task.which, 0
    try:
        parts = read(examples, task.indices, watch=watch)
        slot.begin()
        batch = collate(parts, examples.targets, allocate=slot.allocate)
        streams = {name: slot.placed(array) for name, array in batch.streams.items()}
        masks = {name: slot.placed(mask) for name, mask in batch.masks.items()}
        return replace(batch, streams=streams, masks=masks)
    except TraitscopeError as error:
        return error
    except Exception:
        return RuntimeError(f"in a process that reads examples:\n{traceback.format_exc()}")
