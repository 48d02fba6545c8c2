"""Processes of a Ray cluster that fit one network together: what `devices` does, on many machines.

This process is number 0, on a machine of the cluster; Ray finds a place for each of the others.
They are given the network and the examples once, and read the store and the folder of the run,
which all machines see. Nothing restarts one that ends: the last epoch is on the disk, and
``--resume`` goes on from there, with as many processes as there are then.

Not through Ray Train, whose workers would write the folder on a machine that nobody knows before,
and whose restarts and checkpoints would stand beside Lightning's own.
"""

import copy
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import distributed

from traitscope.errors import ConfigError, TraitscopeError
from traitscope.ray_cluster import HERE, open_cluster
from traitscope.training.devices import Devices, free_port, loopback

_PATIENCE_SECONDS = 30.0


@contextmanager
def in_company_on(
    address: str, count: int, fit: Callable[..., None], *args: Any, gpu: bool
) -> Iterator[Devices]:
    """Have actors of a cluster fit as well, for as long as it takes; see `devices.in_company`.

    Args:
        address: ``HOST:PORT`` or ``auto``; ``local`` starts a cluster on this machine.
        count: of all processes, with this one.
        fit: a function of a module, run as ``fit(devices, *args)``.
        args: of it; each process gets copies.
        gpu: whether each has a GPU.

    Raises:
        MissingError: Ray is not installed.
        ConfigError: there is no such cluster, or it has not so many cores or GPUs.
        TraitscopeError: another process ended, or what it raised.
    """
    where = loopback() if address == HERE else nullcontext()
    with where, open_cluster(address, why="traitscope train --ray", cpus=count) as ray:
        threads = _threads(ray, count, gpu=gpu)
        needs = {"num_cpus": threads, "num_gpus": int(gpu), "max_restarts": 0}
        kind = ray.remote(_Actor)
        # Nobody works in the first seat: it keeps Ray from giving away what this process uses.
        own = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        seats = [kind.options(**needs, scheduling_strategy=own).remote(threads, Path.cwd())]
        spread = kind.options(**needs, scheduling_strategy="SPREAD")
        seats += [spread.remote(threads, Path.cwd()) for _ in range(1, count)]
        before = torch.get_num_threads()
        fits: list[Any] = []
        try:
            device = ray.get([seat.device.remote() for seat in seats])[0]
            host = str(ray.util.get_node_ip_address())
            how: dict[str, Any] = {"port": free_port(host), "host": host, "apart": True}
            sent = ray.put(args)
            fits += [
                seat.fit.remote(Devices(count, rank, **how), fit, sent)
                for rank, seat in enumerate(seats[1:], 1)
            ]
            torch.set_num_threads(min(before, threads))
            yield Devices(count, 0, **how, device=device)
            ray.get(fits, timeout=_PATIENCE_SECONDS)
        # Ours, of a collective, only tells that a connection ended; why is known by who ended.
        except (RuntimeError, ray.exceptions.RayError) as error:
            raise _reason(ray, fits, error) from error
        finally:
            torch.set_num_threads(before)
            for seat in seats:
                with suppress(ray.exceptions.RayError):
                    ray.kill(seat)
            if distributed.is_initialized():
                distributed.destroy_process_group()


class _Actor:
    """A place for one process, and what it does there."""

    def __init__(self, threads: int, place: Path) -> None:
        torch.set_num_threads(threads)
        # Relative paths of store and run begin there; another machine may have no such folder.
        if place.is_dir():
            os.chdir(place)

    def device(self) -> int:
        """The number of its GPU on its machine, if it has one."""
        import ray

        return int((ray.get_gpu_ids() or [0])[0])

    def fit(self, devices: Devices, fit: Callable[..., None], args: Sequence[Any]) -> None:
        """Fit; what the user can mend comes home as it was raised."""
        # What Ray hands out can be read alone, and an optimiser steps in its weights.
        fit(devices, *copy.deepcopy(args))


def _threads(ray: ModuleType, count: int, *, gpu: bool) -> int:
    """Cores of each process: as many as all of them can have.

    Raises:
        ConfigError: not all of them have even one, or a GPU.
    """
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]

    def room(threads: int) -> int:
        """How many processes of so many threads there is room for."""
        each = [int(one.get("CPU", 0) // threads) for one in machines]
        gpus = [int(one.get("GPU", 0)) for one in machines]
        return sum(map(min, each, gpus)) if gpu else sum(each)

    if room(1) < count:
        what = "GPUs with a core" if gpu else "cores"
        raise ConfigError(
            f"The cluster has {room(1)} {what}, and --devices {count} are wanted. Take fewer, or "
            f"let machines join it: ray start --address HOST:PORT"
        )
    most = int(max(one.get("CPU", 0) for one in machines))
    return max(threads for threads in range(1, most + 1) if room(threads) >= count)


def _reason(ray: ModuleType, fits: Sequence[Any], error: Exception) -> Exception:
    """Why another process ended, of the first that says so; else what was raised here."""
    ended, _ = ray.wait(list(fits), timeout=_PATIENCE_SECONDS) if fits else ([], [])
    for one in ended:
        try:
            ray.get(one)
        except ray.exceptions.RayTaskError as raised:
            if isinstance(raised.cause, TraitscopeError):
                return raised.cause
            return TraitscopeError(f"A device's process ended: {raised.cause}")
        except ray.exceptions.RayError as lost:
            return TraitscopeError(
                f"A device's process ended ({type(lost).__name__}). Is there enough memory, and is "
                f"traitscope installed on every machine, in this version? The last epoch is kept: "
                f"go on with --resume, or with fewer --devices."
            )
    return error
