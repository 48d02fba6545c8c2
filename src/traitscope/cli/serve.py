"""``traitscope serve``: a page and an API that score recordings with trained runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from traitscope.cli._options import Limit

if TYPE_CHECKING:
    from traitscope.service.settings import Settings

app = typer.Typer(rich_markup_mode=None)
Runs = Annotated[list[Path], typer.Argument(help="Folders of trained runs; the first by default.")]
Token = Annotated[
    str,
    typer.Option(envvar="TRAITSCOPE_TOKEN", help="What clients must show; none by default."),
]
Names = Annotated[
    list[str] | None,
    typer.Option("--name", help="Host names it is called by; else any, or this machine's own."),
]
Processes = Annotated[
    int, typer.Option(min=1, help="Jobs at once, each in a process of its own with all runs.")
]
Seconds = Annotated[float, typer.Option(min=1, help="For one job; then its process is ended.")]
Memory = Annotated[int, typer.Option(min=256, help="MiB of memory for one job.")]
Largest = Annotated[int, typer.Option(min=1, help="MiB that one recording may have.")]
Spare = Annotated[int, typer.Option(min=0, help="MiB that stay free on the disk.")]
Keep = Annotated[float, typer.Option(min=0, help="Minutes a recording stays after its answer.")]
Rate = Annotated[int, typer.Option(min=1, help="Jobs that one client may send in a minute.")]
Pem = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="PEM file, for TLS.")]
Address = Annotated[
    str | None, typer.Option(help="HOST:PORT of a running Ray cluster; else one of this machine.")
]
Proxy = Annotated[
    bool, typer.Option("--proxy", help="Believe a proxy on this machine about its clients.")
]


@app.command()
def serve(
    runs: Runs,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 8000,
    token: Token = "",
    name: Names = None,
    workers: Processes = 1,
    queue: Annotated[int, typer.Option(min=1, help="Jobs that may wait.")] = 16,
    seconds: Seconds = 900,
    memory_mib: Memory = 6144,
    upload_mib: Largest = 512,
    spare_mib: Spare = 256,
    keep: Keep = 0,
    per_minute: Rate = 120,
    limit: Limit = None,
    folder: Annotated[Path | None, typer.Option(help="For recordings, meanwhile.")] = None,
    root_path: Annotated[str, typer.Option(help="Where a proxy puts it, such as /traits.")] = "",
    certificate: Pem = None,
    key: Pem = None,
    proxy: Proxy = False,
    ray: Annotated[bool, typer.Option("--ray", help="Score in replicas of Ray.")] = False,
    address: Address = None,
    replicas: Annotated[
        int | None, typer.Option(min=1, help="At most, with --ray; 2 by default.")
    ] = None,
) -> None:
    """Serve a page and an API; it listens on this machine alone unless told.

    traitscope serve runs/a

    traitscope serve runs/a runs/b --host 0.0.0.0 --token SECRET --certificate c.pem --key k.pem
    """
    from traitscope.cli._shared import log_to_stderr
    from traitscope.errors import ConfigError

    log_to_stderr()
    settings = _settings(
        token=token,
        names=tuple(name or _own_names(host)),
        root_path=root_path.rstrip("/"),
        workers=workers,
        queue=queue,
        job_seconds=seconds,
        job_bytes=memory_mib * 2**20,
        upload_bytes=upload_mib * 2**20,
        spare_bytes=spare_mib * 2**20,
        keep_minutes=keep,
        per_minute=per_minute,
        folder=folder,
        limit=limit or (),
    )
    where: dict[str, Any] = {"host": host, "port": port}
    where |= {"certificate": certificate, "key": key}
    if ray:
        _check_goes_with_ray(proxy=proxy, workers=workers)
        _serve_on_ray(runs, settings, **where, address=address, replicas=replicas or 2)
        return
    if address is not None or replicas is not None:
        raise ConfigError("--address and --replicas are for a Ray cluster: say --ray as well.")
    _serve_here(runs, settings, **where, behind_proxy=proxy)


def _serve_on_ray(runs: list[Path], settings: "Settings", **how: Any) -> None:
    from traitscope.cli._shared import say
    from traitscope.service.deployment import run_on_ray

    run_on_ray(runs, settings, say=say, **how)


def _serve_here(
    runs: list[Path], settings: "Settings", *, host: str, port: int, **how: Any
) -> None:
    from traitscope.cli._shared import say
    from traitscope.errors import counted
    from traitscope.extras import require

    for package in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        require(package, extra="web", why="traitscope serve")
    from traitscope.service.server import (
        bound,
        check_tls,
        local_service,
        run_server,
        upload_folder,
    )

    check_tls(how["certificate"], how["key"])
    with bound(host, port) as listener, upload_folder(settings) as place:
        service = local_service(runs, place, settings)
        processes = counted(settings.workers, "process", "processes")
        say(f"loading {counted(len(runs), 'run')} in {processes}")
        # All that can be wrong with runs, weights and memory is told before anybody may connect.
        service.start()
        try:
            run_server(service, listener, say=say, **how)
        finally:
            service.crew.close()


def _own_names(host: str) -> tuple[str, ...]:
    """Where only this machine can call, only its own names are right; see `service.guards`."""
    from traitscope.service.guards import LOOPBACK

    return LOOPBACK if host in {"127.0.0.1", "localhost", "::1"} else ()


def _settings(*, limit: Any, **values: Any) -> "Settings":
    from traitscope.config import build, parse_overrides
    from traitscope.service.settings import Settings

    limits = Settings().limits.model_dump() | parse_overrides(limit)
    return build(Settings, {**values, "limits": limits}, where="traitscope serve")


def _check_goes_with_ray(*, proxy: bool, workers: int) -> None:
    """Refuse what Ray's own proxies and replicas would not heed."""
    from traitscope.errors import ConfigError

    if proxy:
        raise ConfigError(
            "--proxy has no effect with --ray: clients are known by the address that Ray's proxy "
            "sees. Leave it out, and bound the rate of clients at your own proxy."
        )
    if workers > 1:
        raise ConfigError("With --ray each replica is one worker: say --replicas, not --workers.")
