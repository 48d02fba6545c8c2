"""``traitscope features verify``: whether all files of a store are whole."""

from pathlib import Path
from typing import Annotated

import typer


def verify(
    store: Annotated[Path, typer.Argument(help="Folder of the feature store.")],
    repair: Annotated[
        bool, typer.Option("--repair", help="Discard damaged files, to be made again.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read every file of a store and compare checksums; exit 1 if something is damaged.

    traitscope features verify store

    traitscope features verify store --repair
    """
    from traitscope.cli._shared import progress, say, write_json
    from traitscope.features.remote import open_store
    from traitscope.features.verification import verify_store

    with progress("files") as hook:
        found = verify_store(open_store(store), repair=repair, hook=hook)
    if json:
        faults = [
            {"path": str(f.path), "what": f.what, "mended": f.mended, "advice": f.advice}
            for f in found.faults
        ]
        write_json({"files": found.files, "unknown": found.unknown, "faults": faults})
    else:
        for fault in found.faults:
            # What cannot be mended here (a missing folder, no right to write) stays, with its
            # advice.
            done = " (discarded)" if fault.mended and repair else ""
            typer.echo(f"{fault.path}: {fault.what}{done}" + f" {fault.advice}".rstrip())
        typer.echo(f"{found.files} files, {len(found.faults)} faults")
    if found.unknown:
        say(f"{found.unknown} files have no checksum, as stores of before: they were read only")
    # Exit 0 then: unknown files could be read, which is all that is known of stores of before.
    if not found.faults:
        return
    again = "Then run the same 'traitscope prepare' (or 'features import') again."
    if repair:
        say("Run the same 'traitscope prepare' (or 'features import') again: it makes what lacks.")
    elif all(fault.advice for fault in found.faults):  # each says what to do with it
        for advice in sorted({fault.advice for fault in found.faults}):
            say(advice)
    else:
        say(f"Discard what is damaged with: traitscope features verify {store} --repair. {again}")
    raise typer.Exit(1)
