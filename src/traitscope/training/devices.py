"""Several processes that fit one network together, each on a part of every batch.

In: a network and a session of this process, which is number 0. Out: the same with company.
Lightning averages the gradients; what is ours is that nothing else depends on how many there are:

    batch of the epoch's order   a b c d e f g h     the same for any number of processes
    process 0 of 2               a   c   e   g       each loss counts by its share of the clips
    process 1 of 2                 b   d   f   h
    validation                   scored in parts, gathered by place: each clip once, by all

Process 0 alone makes and writes the folder and is the one a user's Ctrl-C stops; the others end
with it. All of them are on one machine, and talk over its loopback; or on several, see `on_ray`.
"""

import copy
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import Tensor, distributed

from traitscope.errors import TraitscopeError
from traitscope.features.pool import how_it_ended, settle_in, spawn
from traitscope.media import cores
from traitscope.runs.settings import Stage
from traitscope.training._lightning import ClusterEnvironment, DDPStrategy

_HERE = "127.0.0.1"
_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Devices:
    """The processes that fit one network, as one of them sees them.

    Attributes:
        count: how many there are.
        rank: the number of this one.
        port: where process 0 waits for the others.
        host: of process 0.
        apart: whether each is given one device by somebody else, as on a cluster; else each takes
            that of its number.
        device: of those that this process sees, the number of its own; where it is apart.
    """

    count: int = 1
    rank: int = 0
    port: int = 0
    host: str = _HERE
    apart: bool = False
    device: int = 0

    @property
    def first(self) -> bool:
        """Whether this process writes the folder."""
        return self.rank == 0

    def trainer(self, *, on_gpu: bool, parts_idle: bool = False) -> dict[str, Any]:
        """What Lightning is told of them.

        Args:
            on_gpu: whether each is one.
            parts_idle: whether steps leave parts of the network without a gradient, of which the
                processes have to tell one another.
        """
        if self.count == 1:
            return {"devices": 1}
        # Buffers are alike everywhere: of batch normalisation because its statistics are shared,
        # of the memory of self-distillation because all remember the whole batch.
        strategy = DDPStrategy(
            cluster_environment=_Environment(self),
            broadcast_buffers=False,
            find_unused_parameters=parts_idle,
        )
        told = {"strategy": strategy, "sync_batchnorm": on_gpu}
        if not self.apart:
            return {**told, "devices": self.count}
        # As if each had a machine for itself, whoever shares one.
        return {**told, "devices": [self.device] if on_gpu else 1, "num_nodes": self.count}

    def batch_size(self, stage: Stage) -> int:
        """How many clips of a batch are this process's."""
        return stage.batch_size // self.count

    def part(self, order: Sequence[Any], batch: int) -> list[Any]:
        """Those of an order that are this process's, batch by batch."""
        if self.count == 1:
            return list(order)
        batches = (order[first : first + batch] for first in range(0, len(order), batch))
        return [index for some in batches for index in some[self.rank :: self.count]]

    def weight(self, clips: int, batch: int) -> float:
        """Factor on a mean over these clips, so that the mean of all is one over the batch."""
        return clips * self.count / batch

    def gathered(self, value: Any) -> list[Any]:
        """The values of all processes, by rank; each has to ask."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        distributed.all_gather_object(values, value)
        return values

    def whole(self, part: Tensor) -> Tensor:
        """Rows (clips, ...) of the whole batch, of which each process has its part."""
        if self.count == 1:
            return part
        parts = self.gathered(part.detach().cpu())
        rows = part.new_empty((sum(map(len, parts)), *part.shape[1:]))
        for rank, some in enumerate(parts):
            rows[rank :: self.count] = some.to(part.device)
        return rows

    def agreed(self, answer: bool) -> bool:
        """What process 0 answers: clocks differ, and all have to do the same."""
        return bool(self.gathered(answer)[0])


ALONE = Devices()
"""One process, as a rule."""


class _Environment(ClusterEnvironment):
    """Who is who, for Lightning; it starts nobody and reads no environment."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return self._devices.host

    @property
    def main_port(self) -> int:
        return self._devices.port

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self._devices.count

    def set_world_size(self, size: int) -> None: ...

    def global_rank(self) -> int:
        return self._devices.rank

    def set_global_rank(self, rank: int) -> None: ...

    def local_rank(self) -> int:
        return 0 if self._devices.apart else self._devices.rank

    def node_rank(self) -> int:
        return self._devices.rank if self._devices.apart else 0


@contextmanager
def in_company(count: int, fit: Callable[..., None], *args: Any) -> Iterator[Devices]:
    """Start the other processes for as long as it takes; each runs ``fit(devices, *args)``.

    Args:
        count: of all processes.
        fit: a function of a module.
        args: of it; each process gets copies.

    Raises:
        TraitscopeError: another process ended, or what it raised.
    """
    if count == 1:
        yield ALONE
        return
    threads = max(1, cores() // count)
    port = free_port(_HERE)
    others: list[tuple[Any, Connection]] = []
    before = torch.get_num_threads()
    with loopback():
        try:
            for rank in range(1, count):
                # A copy for each: tensors travel in memory that both sides then share, and two
                # optimisers would step in the same weights.
                own = copy.deepcopy(args)
                to = (_serve, Devices(count, rank, port), fit, own, threads)
                others.append(spawn(*to, threads=threads, daemon=False))
            torch.set_num_threads(min(before, threads))
            yield Devices(count, 0, port)
        except RuntimeError as error:
            if "finished reduction" in str(error):  # a part was idle that was not in the look
                raise TraitscopeError(
                    "Some steps leave a part of the network out, and which differs: several "
                    "devices cannot fit that. Go on with --resume, and without --devices."
                ) from error
            # Ours only tells that the connection ended; why is known by who ended.
            raise _reason(others) or error from error
        finally:
            torch.set_num_threads(before)
            for process, connection in others:
                connection.close()
                process.join(_PATIENCE_SECONDS if sys.exc_info()[0] is None else 0)
                process.kill()
                process.join()
            if distributed.is_initialized():
                distributed.destroy_process_group()


def _serve(
    connection: Connection,
    devices: Devices,
    fit: Callable[..., None],
    args: tuple[Any, ...],
    threads: int,
) -> None:
    """What another process does: fit, and say what went wrong."""
    settle_in(threads)
    torch.set_num_threads(threads)
    try:
        fit(devices, *args)
    except TraitscopeError as error:
        connection.send(error)
    except Exception as error:
        with suppress(OSError):
            connection.send(f"{type(error).__name__}: {error}")
        raise
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _reason(others: Sequence[tuple[Any, Connection]]) -> Exception | None:
    """Why another process ended, of the first that says so."""
    for process, connection in others:
        with suppress(EOFError, OSError):
            if connection.poll(_PATIENCE_SECONDS / len(others)):
                answer = connection.recv()
                if isinstance(answer, TraitscopeError):
                    return answer
                return TraitscopeError(f"A device's process ended: {answer}")
        if process.exitcode is not None:
            how = how_it_ended(process)
            return TraitscopeError(
                f"A device's process ended ({how}). Is there enough memory? The last epoch is "
                f"kept: go on with --resume, or with fewer --devices."
            )
    return None


@contextmanager
def loopback() -> Iterator[None]:
    """Have gloo listen to this machine alone; elsewhere than on Linux it has its own default."""
    name = "GLOO_SOCKET_IFNAME"
    ours = sys.platform == "linux" and name not in os.environ
    if ours:
        os.environ[name] = "lo"
    try:
        yield
    finally:
        if ours:
            os.environ.pop(name, None)


def free_port(host: str) -> int:
    """A port at an address of this machine at which nobody listens."""
    with socket.socket() as one:
        one.bind((host, 0))
        return int(one.getsockname()[1])
