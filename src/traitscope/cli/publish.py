"""``traitscope publish``: a run as a folder that model hubs hold."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from traitscope.cli._options import Run

app = typer.Typer(rich_markup_mode=None)


@app.command()
def publish(
    run: Run,
    to: Annotated[str, typer.Option(help="A folder to write, or hf:owner/name.")] = "",
    push: Annotated[bool, typer.Option("--push", help="Upload it; else nothing leaves.")] = False,
    private: Annotated[bool, typer.Option("--private", help="Others cannot see it.")] = False,
    licence: Annotated[str, typer.Option(help="Of the weights, such as cc-by-4.0.")] = "",
) -> None:
    """Write a run as model hubs hold them: tensors, settings and a card they can read.

    traitscope publish runs/a --to published --licence cc-by-4.0

    traitscope publish runs/a --to hf:owner/name --push
    """
    from traitscope.cli._shared import log_to_stderr, say
    from traitscope.errors import ConfigError
    from traitscope.report.publishing import publish as write
    from traitscope.report.publishing import push as upload
    from traitscope.weights import HUB, hub_name

    on_hub = to.startswith(HUB)
    if not to:
        raise ConfigError("Where the run goes is not said: add --to FOLDER, or --to hf:owner/name")
    if (push or private) and not on_hub:
        raise ConfigError(f"--push and --private go with --to hf:owner/name, not with {to}.")
    log_to_stderr()
    if not on_hub:
        typer.echo(write(run, to, licence=licence))
        return
    with tempfile.TemporaryDirectory() as folder:
        written = write(run, Path(folder) / "run", name=hub_name(to)[0], licence=licence)
        if push:
            typer.echo(upload(written, to, private=private))
            return
        files = sorted(path for path in written.iterdir())
        say(f"nothing was uploaded; with --push, {to} would get:")
        for path in files:
            typer.echo(f"{path.name} ({path.stat().st_size} bytes)")
