"""The server of one machine: checked before it listens, and drained before it stops."""

import asyncio
import logging
import os
import re
import shutil
import signal
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from traitscope.errors import ConfigError
from traitscope.media import cores
from traitscope.prediction.inputs import clip_names
from traitscope.service.application import Service, make_application, make_service
from traitscope.service.bench import Stock
from traitscope.service.lanes import Bounds, LocalLane
from traitscope.service.settings import MIB, Settings

_log = logging.getLogger(__name__)
_PREFIX = "traitscope-serve"
_GRACE_SECONDS = 5.0
"""After the last answer, for clients that ask for it now and then."""


def stock_of(runs: Sequence[Path], settings: Settings) -> Stock:
    """What every worker loads: the runs under the names of their folders."""
    paths = [run.resolve() for run in runs]
    if len(set(paths)) < len(paths):
        raise ConfigError(f"A run is named twice: {', '.join(map(str, runs))}. Name it once.")
    named = dict(zip(clip_names(paths), paths, strict=True))
    threads = max(1, cores() // settings.workers)
    return Stock(named, settings.limits, threads, settings.job_bytes)


@contextmanager
def upload_folder(settings: Settings) -> Iterator[Path]:
    """A folder of this server's own for recordings; those of servers that were killed go.

    Raises:
        ConfigError: it cannot be written, or the disk is full.
    """
    parent = settings.folder or Path(tempfile.gettempdir())
    try:
        parent.mkdir(parents=True, exist_ok=True)
        # Whole, so that no part of it is left in a message where the file is called by its name.
        parent = parent.resolve()
        _remove_left(parent)
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}-{os.getpid()}-", dir=parent))
    except OSError as error:
        raise ConfigError(
            f"Recordings cannot be written to {parent} ({error.strerror}). Name another place "
            f"with --folder."
        ) from error
    try:
        free = shutil.disk_usage(folder).free
        if free < settings.spare_bytes + settings.upload_bytes:
            raise ConfigError(
                f"{parent} has {free / MIB:,.0f} MiB free, and one recording may take "
                f"{settings.upload_bytes / MIB:,.0f} MiB. Name another place with --folder, or "
                f"allow less with --upload-mib."
            )
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left(parent: Path) -> None:
    """Delete what servers left that were killed: their jobs are gone, and nobody asks for it."""
    for folder in parent.glob(f"{_PREFIX}-*-*"):
        match = re.fullmatch(rf"{_PREFIX}-(\d+)-\w+", folder.name)
        # In a container each server has the number 1: one that has ours is gone, too.
        if match and (int(match[1]) == os.getpid() or not psutil.pid_exists(int(match[1]))):
            shutil.rmtree(folder, ignore_errors=True)


def check_tls(certificate: Path | None, key: Path | None) -> None:
    """Refuse files that cannot be used for TLS, before runs are loaded for minutes.

    Raises:
        ConfigError: one of the two is missing, is no PEM file, belongs to another, or has a
            password.
    """
    if certificate is None and key is None:
        return
    if certificate is None or key is None:
        raise ConfigError("TLS takes both: --certificate FILE and --key FILE.")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Else OpenSSL asks for a password at the terminal, where nobody may be.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(
            f"{certificate} and {key} cannot be used for TLS ({error}). Give a certificate and its "
            f"own key as PEM files, the key without a password."
        ) from error


def local_service(runs: Sequence[Path], folder: Path, settings: Settings) -> Service:
    """A server whose workers are processes of this machine."""
    stock = stock_of(runs, settings)
    bounds = Bounds(settings.job_seconds, settings.job_bytes)
    lanes = [LocalLane(stock, bounds) for _ in range(settings.workers)]
    return make_service(list(lanes), folder, settings)


def run_server(
    service: Service,
    listener: socket.socket,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    behind_proxy: bool = False,
    say: Callable[[str], None] = _log.info,
) -> None:
    """Listen until told to stop.

    Args:
        service: whose workers are ready.
        listener: from `bound`.
        certificate: PEM file, for TLS; checked by `check_tls`.
        key: of the certificate, likewise.
        behind_proxy: believe what a proxy on this machine says of its clients.
        say: is told the address.
    """
    secure = certificate is not None
    config = uvicorn.Config(
        make_application(service),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=behind_proxy,
        http=_Impatient.of(service.settings.idle_seconds),
        ws="none",
        loop="asyncio",
        ssl_certfile=certificate,
        ssl_keyfile=key,
        timeout_graceful_shutdown=int(_GRACE_SECONDS),
    )
    host, port, *_ = listener.getsockname()
    name = f"[{host}]" if ":" in host else host
    root = service.settings.root_path
    say(f"serving at http{'s' if secure else ''}://{name}:{port}{root}/ (Ctrl-C stops)")
    Draining(config, service).run(sockets=[listener])


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that holds an address and does not listen yet: a taken one is told at once.

    Args:
        host: of this machine.
        port: of it; 0 for any that is free.

    Raises:
        ConfigError: the address is taken, or none of this machine.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        # Else a port stays taken for a minute after a server that has ended.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"{host}:{port} cannot be listened at ({error.strerror}). Choose another with --port, "
            f"or --port 0 for any."
        ) from error
    with listener:
        yield listener


class Draining(uvicorn.Server):
    """A server that, told to stop, takes no jobs and ends once the accepted ones are answered."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._drainer: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to drain; told again, stop at once."""
        if self._service.jobs.draining or not self.started:
            super().handle_exit(sig, frame)
            return
        self._service.jobs.draining = True
        left = self._service.jobs.unfinished
        if left:
            name = signal.Signals(sig).name
            _log.warning("%s: %d jobs are finished first; once more to stop now.", name, left)

    async def on_tick(self, counter: int) -> bool:
        """Look, several times a second, whether the drain is over."""
        if self._service.jobs.draining and self._drainer is None:
            self._drainer = asyncio.create_task(self._drain())
        return await super().on_tick(counter)

    async def _drain(self) -> None:
        jobs = self._service.jobs
        loop = asyncio.get_running_loop()
        end = loop.time() + self._service.settings.drain_seconds
        while jobs.unfinished and loop.time() < end:
            await asyncio.sleep(0.1)
        # Who asks for the answer now and then finds it still there for a moment.
        end = min(end, loop.time() + _GRACE_SECONDS)
        while jobs.unfetched and loop.time() < end:
            await asyncio.sleep(0.1)
        self.should_exit = True


class Silence:
    """How long a client has asked for nothing, as one who looks now and then knows it."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._before: Any = None

    def after(self, step: float, cycle: Any) -> float:
        """Seconds of silence.

        Args:
            step: seconds since the last look.
            cycle: the request that is answered now or was answered last; None before the first.
        """
        at_rest = cycle is None or cycle.response_complete
        # Another one came and went between two looks: nobody was silent.
        is_silent = at_rest and cycle is self._before
        self._before = cycle
        self._seconds = self._seconds + step if is_silent else 0.0
        return self._seconds


class _Impatient(H11Protocol):
    """HTTP that closes connections which keep it waiting for the head of a request."""

    seconds = 20.0

    @classmethod
    def of(cls, seconds: float) -> "type[_Impatient]":
        """With a time to wait."""
        return type(cls.__name__, (cls,), {"seconds": seconds})

    def connection_made(self, transport: Any) -> None:
        """Begin to count."""
        super().connection_made(transport)
        self._silence = Silence()
        self._look()

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        step = self.seconds / 4
        if self._silence.after(step, self.cycle) > self.seconds:
            self.transport.close()
        else:
            self.loop.call_later(step, self._look)
