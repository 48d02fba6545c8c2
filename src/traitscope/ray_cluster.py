"""Ray, started on this machine for one job or found where the user says: quiet, and loopback alone.

In: the address of a cluster that runs, or nothing. Out: Ray, connected, and gone after the job.
What runs on it is in `experiments` (search), `features` and `training`.
"""

import logging
import os
import re
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from traitscope import extras
from traitscope.errors import ConfigError, TraitscopeError

log = logging.getLogger(__name__)

HERE = "local"
"""The address that starts a cluster of this machine, as none does."""
_LONGEST = 30
"""Letters of a temporary folder: Ray's sockets lie in it, and a socket's path may have 107."""
_PREFIX = "ts-ray-"
_SECONDS = 10
"""For a machine of a cluster to answer at all."""

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else a warning that this will be the default
    "RAY_AIR_NEW_OUTPUT": "0",
}
_AS_TYPED = {
    # Ray replaces a loopback address by the machine's own, except where it is told that there is no
    # cluster, which is what it does on laptops. Replaced, a cluster that is started here listens to
    # everybody; and one that listens to this machine alone is sought where nobody answers, for
    # minutes.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}


@contextmanager
def open_cluster(
    address: str | None = None, *, why: str, cpus: int | None = None
) -> Iterator[ModuleType]:
    """Connect to Ray for one job; yields the package ``ray``.

    Without an address a cluster of this machine is started: it listens to this machine alone, asks
    for a token that only this process and its children have, has no dashboard, sends no statistics,
    and its processes and temporary files go with it, also where this process is killed (the
    files then with the next start). A connection that is open already is used and stays open.

    Args:
        address: ``HOST:PORT`` of a running cluster (``ray start --head``), ``auto`` for the one
            that runs on this machine, or ``local`` to start one, as without.
        why: what needs Ray, for the message where it is not installed.
        cpus: cores that a started cluster may give away; all by default.

    Raises:
        MissingError: Ray is not installed.
        ConfigError: there is no cluster at the address.
        TraitscopeError: Ray does not start.
    """
    if address == HERE:
        address = None
    if address:
        _check_heard(address)
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": _token()}
    with _environment(_QUIET | _AS_TYPED | ({} if address else token)):
        ray = extras.require("ray", extra="ray", why=why)
        if ray.is_initialized():
            yield ray
            return
        with _connected(ray, address) if address else _started(ray, cpus):
            yield ray


def _check_heard(address: str) -> None:
    """Ray waits five minutes for a cluster that is not there."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():  # auto: Ray knows at once
        return
    try:
        socket.create_connection((host.rpartition("/")[2], int(port)), timeout=_SECONDS).close()
    except OSError as error:
        raise _not_there(address, error) from error


def _not_there(address: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"There is no Ray cluster at {address!r} ({error}). Start one with: ray start --head, or "
        f"leave the address out for this machine alone."
    )


@contextmanager
def _connected(ray: ModuleType, address: str) -> Iterator[None]:
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, TimeoutError, ray.exceptions.RayError) as error:
        raise _not_there(address, error) from error
    try:
        yield
    finally:
        ray.shutdown()


@lru_cache(maxsize=1)
def _token() -> str:
    """A token that nobody else has; one per process, for Ray reads it once and never again."""
    return secrets.token_hex(32)


@contextmanager
def _started(ray: ModuleType, cpus: int | None) -> Iterator[None]:
    place = _temporary()
    try:
        _start(ray, cpus, place)
        if (seen := ray.util.get_node_ip_address()) != "127.0.0.1":
            raise ConfigError(
                f"Ray listens at {seen}, because this program had imported it before. Import ray "
                f"after traitscope has started it, or start it yourself and give its address."
            )
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(place, ignore_errors=True)


def _start(ray: ModuleType, cpus: int | None, place: Path) -> None:
    how: dict[str, Any] = {"address": "local", "num_cpus": cpus, "include_dashboard": False}
    how |= {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    for last in (False, True):
        try:
            ray.init(**how, _node_ip_address="127.0.0.1", _temp_dir=str(place))
            return
        # Ray waits half a minute for its own processes, and then raises nothing narrower. On a busy
        # machine the second try is quicker: what it loads is in memory by then.
        except Exception as error:
            ray.shutdown()
            if last:
                raise TraitscopeError(
                    f"Ray could not be started on this machine: {error} Where that took too long, "
                    f"start it by itself, ray start --head, and give its address."
                ) from error
            log.warning("Ray did not start (%s); it is tried once more.", error)


def _temporary() -> Path:
    """A short folder for Ray's sockets and logs; those of killed processes are removed."""
    import psutil

    home = Path(tempfile.gettempdir())
    if len(str(home)) > _LONGEST and Path("/tmp").is_dir():
        home = Path("/tmp")
    for old in home.glob(f"{_PREFIX}*"):
        process = re.match(rf"{_PREFIX}(\d+)-", old.name)
        if process and not psutil.pid_exists(int(process[1])):
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=home))


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    """Ray and its processes read these; what the user has set wins, and all is put back."""
    before = set(os.environ)
    os.environ |= {name: value for name, value in changes.items() if name not in before}
    try:
        yield
    finally:
        for name in set(os.environ) - before:
            if name.startswith("RAY_") or name == "PYTHONBREAKPOINT":  # Ray sets some itself
                del os.environ[name]
