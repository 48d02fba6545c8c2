"""The same application on a Ray cluster: one door that holds the jobs, and replicas that score.

    client -> proxy -> Door (jobs, uploads, page)  --order, recording-->  Scoring, 1 to N replicas
                                                   <--progress, answer--  each with its own worker

A job's state is in one place, so the door has one replica; it decodes nothing, and hands each
recording (as bytes, for another machine has other disks) to a replica that is free. A replica is a
lane as `traitscope serve` has them: a process with the same bounds, that may be killed.

Ray's replicas listen to the whole network of their machine, and believe whoever reaches them: a
cluster belongs behind a firewall (``docs/service.md``).
"""

import asyncio
import shutil
import signal
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from traitscope.config import build as build_config
from traitscope.errors import ConfigError, TraitscopeError
from traitscope.extras import require
from traitscope.ray_cluster import open_cluster
from traitscope.service.application import make_application, make_service
from traitscope.service.bench import Order
from traitscope.service.lanes import Bounds, Failure, Lane, LocalLane, Progress, failure
from traitscope.service.server import bound, check_tls, stock_of, upload_folder
from traitscope.service.settings import Settings

_NAME = "traitscope"
_OPEN_REQUESTS = 1000
"""At the door at once: clients that wait for an answer hold one open each."""
_START_SECONDS = 600.0


class Scoring:
    """One replica: a lane, for orders that come from the door."""

    def __init__(self, runs: Sequence[str], settings: Mapping[str, Any]) -> None:
        own = build_config(Settings, settings, where="the settings of a replica")
        one = own.model_copy(update={"workers": 1})
        self._bounds = Bounds(own.job_seconds, own.job_bytes)
        self._lane = LocalLane(stock_of([Path(run) for run in runs], one), self._bounds)
        self._cards = self._lane.start()
        self._folder = Path(tempfile.mkdtemp(prefix="traitscope-replica-"))

    async def cards(self) -> list[dict[str, Any]]:
        """What the runs are."""
        return self._cards

    async def score(self, order: Order, content: bytes) -> AsyncIterator[tuple[str, Any]]:
        """Score one order: its progress, then its answer; ``content`` is the recording."""
        loop, stopped = asyncio.get_running_loop(), threading.Event()
        messages: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

        def put(kind: str, value: Any) -> None:
            loop.call_soon_threadsafe(messages.put_nowait, (kind, value))

        def work() -> None:
            here = order
            if order.path is not None:
                here = replace(order, path=self._folder / order.path.name)
            try:
                # Also a disk that is full ends in an answer: else the door would wait for ever.
                if here.path is not None:
                    here.path.write_bytes(content)
                progress: Progress = lambda stage, share: put("progress", (stage, share))  # noqa: E731
                put("end", self._lane.do(here, progress=progress, stopped=stopped.is_set))
            except Exception as error:
                put("end", failure("internal", order, self._bounds))
                raise error
            finally:
                if here.path is not None:
                    here.path.unlink(missing_ok=True)

        done = loop.run_in_executor(None, work)
        try:
            while True:
                kind, value = await messages.get()
                yield kind, value
                if kind == "end":
                    break
        finally:
            stopped.set()
            await done

    def __del__(self) -> None:
        """End the process with the replica."""
        with suppress(AttributeError):  # it has not started
            self._lane.close()
            shutil.rmtree(self._folder, ignore_errors=True)


class RemoteLane:
    """A lane whose process is a replica of `Scoring`, whichever is free."""

    def __init__(self, handle: Any, bounds: Bounds) -> None:
        self._handle, self._bounds = handle, bounds

    def start(self) -> list[dict[str, Any]]:
        """Wait for a replica."""
        cards: list[dict[str, Any]] = self._handle.cards.remote().result(timeout_s=_START_SECONDS)
        return cards

    def do(
        self, order: Order, *, progress: Progress, stopped: Callable[[], bool]
    ) -> dict[str, Any] | Failure:
        """Send an order with its recording, and pass on what comes back."""
        content = order.path.read_bytes() if order.path is not None else b""
        messages = self._handle.options(stream=True).score.remote(order, content)
        for kind, value in messages:
            if kind == "end":
                result: dict[str, Any] | Failure = value
                return result
            if stopped():
                messages.cancel()
                return failure("cancelled", order, self._bounds)
            progress(*value)
        return failure("internal", order, self._bounds)

    def close(self) -> None:
        """Nothing was started here."""


class Door:
    """The application, with lanes that are replicas of `Scoring`."""

    def __init__(self, handle: Any, lanes: int, settings: Mapping[str, Any]) -> None:
        own = build_config(Settings, settings, where="the settings of the door")
        self._place = upload_folder(own)
        bounds = Bounds(own.job_seconds, own.job_bytes)
        all_lanes: list[Lane] = [RemoteLane(handle, bounds) for _ in range(lanes)]
        self._service = make_service(all_lanes, self._place.__enter__(), own)

    def __serve_build_asgi_app__(self) -> Any:
        """What Ray serves."""
        return make_application(self._service)

    def __del__(self) -> None:
        """Delete what clients sent."""
        with suppress(AttributeError, StopIteration):
            self._place.__exit__(None, None, None)


def build(arguments: Mapping[str, Any]) -> Any:
    """Make the application of a ``serve.yaml``.

    Args:
        arguments: ``runs``, a list of folders that all machines see; ``replicas``, how many at
            most (2); any of the settings of `Settings`.

    Raises:
        ConfigError: a setting is unknown, or no run is named.
    """
    given = dict(arguments)
    runs, replicas = list(given.pop("runs", [])), int(given.pop("replicas", 2))
    if not runs:
        raise ConfigError("serve.yaml names no run. Give args: {runs: [/shared/runs/a]}.")
    settings = build_config(Settings, given, where="args of serve.yaml").model_dump(mode="json")
    serve: Any = require("ray.serve", extra="ray", why="serving on a Ray cluster")
    # A replica with one order is busy; each that waits asks for one more replica.
    grows = {"min_replicas": 1, "max_replicas": replicas, "target_ongoing_requests": 1}
    scoring = serve.deployment(Scoring, name="Scoring", max_ongoing_requests=1)
    scoring = scoring.options(autoscaling_config=grows, health_check_timeout_s=60)
    door = serve.deployment(serve.ingress()(Door), name="Door", num_replicas=1)
    door = door.options(max_ongoing_requests=_OPEN_REQUESTS)
    return door.bind(scoring.bind(runs, settings), replicas, settings)


def run_on_ray(
    runs: Sequence[Path],
    settings: Settings,
    *,
    host: str,
    port: int,
    replicas: int,
    address: str | None,
    certificate: Path | None = None,
    key: Path | None = None,
    say: Callable[[str], None],
) -> None:
    """Serve on a Ray cluster until Ctrl-C, or on one of this machine alone.

    Args:
        runs: folders that all machines of the cluster see.
        settings: of the door and of the replicas.
        host: where each machine's proxy listens.
        port: of it; 0 for any that is free.
        replicas: how many there may be.
        address: of a running cluster; None starts one here.
        certificate: PEM file, for TLS; every machine of the cluster sees it under this path.
        key: of the certificate, likewise.
        say: is told the address.

    Raises:
        MissingError: Ray is not installed.
        ConfigError: there is no cluster, or it could not start.
    """
    given = settings.model_dump(mode="json", exclude_defaults=True)
    stock_of(runs, settings)  # two runs of one name are told here, not in a log of Ray
    check_tls(certificate, key)
    with bound(host, port) as listener:  # a taken port is told here as well, and 0 finds a free one
        port = listener.getsockname()[1]
    listen: dict[str, Any] = {"host": host, "port": port}
    if certificate is not None and key is not None:
        listen |= {"ssl_certfile": str(certificate.resolve()), "ssl_keyfile": str(key.resolve())}
    with open_cluster(address, why="traitscope serve --ray"):
        serve: Any = require("ray.serve", extra="ray", why="traitscope serve --ray")
        serve.start(proxy_location="HeadOnly", http_options=listen)
        paths = [str(run.resolve()) for run in runs]
        try:
            serve.run(build({**given, "runs": paths, "replicas": replicas}), name=_NAME)
            scheme = "https" if certificate else "http"
            say(f"serving at {scheme}://{host}:{port}/ on Ray, up to {replicas} replicas")
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that all of it ends
            threading.Event().wait()
        except (RuntimeError, TimeoutError) as error:
            raise TraitscopeError(f"Ray could not start the service: {error}") from error
        except KeyboardInterrupt:
            return
        finally:
            serve.shutdown()
