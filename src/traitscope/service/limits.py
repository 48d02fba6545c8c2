"""How often one client may come: a bucket that fills evenly."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

_CLIENTS = 10_000
"""Remembered at once; whoever came longest ago is forgotten, which is to his advantage alone."""


class Rate:
    """So many requests a minute for each client, a minute's worth of them at once.

    Example:
        ``Rate(60).wait("10.0.0.7")`` is 0, or the seconds until the next may come.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = per_minute, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> int:
        """Count a request of a client: 0 if it may come, else whole seconds until one may."""
        now = self._clock()
        left, then = self._buckets.pop(client, (float(self._most), now))
        left = min(float(self._most), left + (now - then) * self._most / 60.0)
        allowed = left >= 1.0
        # One that is refused takes nothing: who asks too often is not kept out for ever.
        self._buckets[client] = (left - 1.0 if allowed else left, now)
        if len(self._buckets) > _CLIENTS:
            self._buckets.popitem(last=False)
        return 0 if allowed else max(1, math.ceil((1.0 - left) * 60.0 / self._most))
