"""Examples + an order -> batches, read here or ahead of time in other processes.

Where reading is what takes the time, whoever waits for other processes reads as well, unless there
are as many of them as processors.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import count, islice
from typing import Protocol

from traitscope.data.batches import collate
from traitscope.data.examples import Examples
from traitscope.data.readers import MOST_THREADS, Index, Readers, read
from traitscope.media import own_cores
from traitscope.types import Batch


@contextmanager
def reading(sets: Sequence[Examples], workers: int) -> Iterator[Readers | None]:
    """Keep processes that read sets of examples, for as long as it takes; 0 for none."""
    if not workers:
        yield None
        return
    with closing(Readers(sets, workers)) as readers:
        yield readers


class Order(Protocol):
    """The clips of an epoch; a stage may take fewer than there are, or some of them twice."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Index]: ...


class Loader:
    """The batches of a set of examples, as often as one iterates over them.

    Attributes:
        sampler: gives the clips in order, anew each time. It is asked when the first batch is
            wanted, not before: until then Lightning may tell it the epoch.
        batch_sampler: none; Lightning looks for one where it finds a ``sampler``.
    """

    batch_sampler = None

    def __init__(
        self,
        examples: Examples,
        *,
        batch_size: int,
        sampler: Order | None = None,
        drop_last: bool = False,
        readers: Readers | None = None,
        which: int = 0,
    ) -> None:
        """Batches of ``examples``, which is the set number ``which`` of ``readers``."""
        self.examples = examples
        self.batch_size = batch_size
        self.sampler: Order = range(len(examples)) if sampler is None else sampler
        self.drop_last = drop_last
        self._readers = readers
        self._which = which

    def __len__(self) -> int:
        whole, rest = divmod(len(self.sampler), self.batch_size)
        return whole + bool(rest and not self.drop_last)

    def __iter__(self) -> Iterator[Batch]:
        """Give the batches of an epoch (NumPy arrays), each to be used before the next."""
        batches = self._batches()
        if self._readers is None:
            for indices in batches:
                yield self._read_here(indices)
            return
        yield from self._read_ahead(self._readers, batches)

    def _batches(self) -> Iterator[list[Index]]:
        """The clips of each batch; fewer than usual where a sampler goes on within an epoch."""
        order = iter(self.sampler)
        while indices := list(islice(order, self.batch_size)):
            if len(indices) == self.batch_size or not self.drop_last:
                yield indices

    def _read_here(self, indices: list[Index]) -> Batch:
        readers = self._readers
        examples = self.examples if readers is None else readers.here[self._which]
        left = own_cores() if readers is None else readers.processors_left
        threads = max(1, min(left, MOST_THREADS))
        return collate(read(examples, indices, threads=threads), examples.targets)

    def _read_ahead(self, readers: Readers, batches: Iterator[list[Index]]) -> Iterator[Batch]:
        waiting: deque[int | Batch] = deque()  # numbers of batches, or those that were read here
        places = count()

        def ask() -> None:
            # One batch, or none at the end of the epoch.
            for indices in islice(batches, 1):
                waiting.append(readers.ask(self._which, indices, next(places)))

        def take(number: int) -> Batch:
            # Whoever would only wait reads one itself; one at a time, for they may be large.
            here = any(isinstance(one, Batch) for one in waiting)
            if not here and readers.idle(number):
                waiting.extend(map(self._read_here, islice(batches, 1)))
            return readers.take(number)

        for _ in range(readers.ahead):
            ask()
        try:
            while waiting:
                following = waiting.popleft()
                if isinstance(following, Batch):
                    yield following
                    continue
                yield take(following)
                ask()  # its slot is free: the batch has been used
        finally:
            for left in waiting:  # an epoch that was left early
                if not isinstance(left, Batch):
                    readers.drop(left)
