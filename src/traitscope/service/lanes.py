"""One worker process and who waits for it: a deadline, a bound on memory, one more try.

A lane is used by one thread at a time. Its process is started when it is needed and ended when it
takes too long or too much; what it was doing gets an answer in any case.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol

import psutil

from traitscope.errors import TraitscopeError
from traitscope.features.pool import TRIES, how_it_ended, spawn
from traitscope.service.bench import Order, Stock, serve_orders

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.2
"""Between two looks at the clock and at the memory of a worker."""
_START_SECONDS = 300.0
"""Until a worker has loaded its runs: the largest take a minute on a slow disk."""

FAILURES = {
    "crashed": "The process that read {name} ended twice ({how}): a fault in a decoder, or too "
    "little memory. Re-encode the recording, or send a shorter piece of it.",
    "timeout": "{name} took longer than the {seconds:.0f} s that one job may take. Send a shorter "
    "piece of it.",
    "too_much_memory": "{name} needed more than the {mib:,.0f} MiB that one job may take. Send it "
    "with fewer pixels, or a shorter piece of it.",
    "out_of_memory": "There was too little memory for {name}. Send it again later, or a shorter "
    "piece of it.",
    "unavailable": "The model cannot be used at the moment. Tell whoever runs this server, whose "
    "log says why, and send {name} again later.",
    "internal": "Something went wrong on our side with {name}. Tell whoever runs this server, "
    "whose log says what.",
    "cancelled": "The job was taken back.",
}
"""Why there is no answer -> what a client is told."""


@dataclass(frozen=True)
class Failure:
    """An order without an answer: a word of `FAILURES`, and a sentence for the client."""

    code: str
    reason: str


Progress = Callable[[str, float], None]
"""Called with a stage and its share, 0 to 1."""


class Lane(Protocol):
    """Something that scores one order at a time."""

    def start(self) -> list[dict[str, Any]]:
        """Be ready, and say what the runs are.

        Raises:
            TraitscopeError: a run, a package or a file is not as it should be.
        """

    def do(
        self, order: Order, *, progress: Progress, stopped: Callable[[], bool]
    ) -> dict[str, Any] | Failure:
        """Score an order: in the shape of `answers.Result`, or why there is nothing."""

    def close(self) -> None:
        """End what was started."""


@dataclass(frozen=True)
class Bounds:
    """What one order may take: seconds of one try, and bytes of its process."""

    seconds: float
    bytes: int


class LocalLane:
    """A lane whose process runs on this machine.

    Attributes:
        deaths: how its processes ended, one by one: for the metrics.
    """

    def __init__(self, stock: Stock, bounds: Bounds) -> None:
        self._stock, self._bounds = stock, bounds
        self._process: Any = None
        self._connection: Connection | None = None
        self.deaths: list[str] = []

    def start(self) -> list[dict[str, Any]]:
        """Start the process, and wait until it has loaded the runs."""
        self._process, self._connection = spawn(
            serve_orders, self._stock, threads=self._stock.threads
        )
        begun = time.monotonic()
        while not self._connection.poll(_LOOK_SECONDS):
            if time.monotonic() - begun > _START_SECONDS:
                self.close()
                raise TraitscopeError(
                    f"A worker was not ready within {_START_SECONDS:.0f} s. Is the disk slow, or "
                    f"the memory short?"
                )
        try:
            kind, value = self._connection.recv()
        except (EOFError, OSError):
            how = self._bury()
            raise TraitscopeError(
                f"A worker ended before it was ready ({how}). Is there enough memory?"
            ) from None
        if kind != "ready":
            self.close()
            raise TraitscopeError(value)
        cards: list[dict[str, Any]] = value
        return cards

    def do(
        self, order: Order, *, progress: Progress, stopped: Callable[[], bool]
    ) -> dict[str, Any] | Failure:
        """Score an order; one that ends its process is tried once more, in a fresh one."""
        for _ in range(TRIES):
            if self._process is None:
                try:
                    self.start()
                except TraitscopeError as error:
                    _log.error("%s", error)
                    return self._failure("unavailable", order)
            assert self._connection is not None
            with suppress(OSError):  # it has just died: the first look sees that
                self._connection.send(order)
            result = self._watch(order, progress, stopped)
            if result is not None:
                return result
        return self._failure("crashed", order)

    def close(self) -> None:
        """End the process, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._bury()

    @property
    def process(self) -> int | None:
        """Number of the worker's process, None where there is none."""
        return None if self._process is None else int(self._process.pid)

    def _watch(
        self, order: Order, progress: Progress, stopped: Callable[[], bool]
    ) -> dict[str, Any] | Failure | None:
        """Wait for the answer; None if the process has died."""
        assert self._connection is not None
        deadline = time.monotonic() + self._bounds.seconds
        while True:
            code = self._overstepped(deadline, stopped)
            if code:
                self.close()
                return self._failure(code, order)
            try:
                if not self._connection.poll(_LOOK_SECONDS):
                    continue
                kind, value = self._connection.recv()
            except (EOFError, OSError):
                self.deaths.append(self._bury())
                return None
            if kind == "progress":
                progress(*value)
            elif kind == "answer":
                result: dict[str, Any] = value
                return result
            else:
                return self._failure(value, order)

    def _overstepped(self, deadline: float, stopped: Callable[[], bool]) -> str:
        if stopped():
            return "cancelled"
        if time.monotonic() > deadline:
            return "timeout"
        with suppress(psutil.Error):  # it has ended meanwhile
            if psutil.Process(self._process.pid).memory_info().rss > self._bounds.bytes:
                return "too_much_memory"
        return ""

    def _bury(self) -> str:
        how = how_it_ended(self._process)
        assert self._connection is not None
        self._connection.close()
        self._process = self._connection = None
        return how

    def _failure(self, code: str, order: Order) -> Failure:
        return failure(code, order, self._bounds, self.deaths)


def failure(code: str, order: Order, bounds: Bounds, deaths: Sequence[str] = ()) -> Failure:
    """Say why there is no answer to an order, in words for a client."""
    facts = {"seconds": bounds.seconds, "mib": bounds.bytes / 2**20}
    how = deaths[-1] if deaths else "no reason given"
    return Failure(code, FAILURES[code].format(name=order.name, how=how, **facts))
