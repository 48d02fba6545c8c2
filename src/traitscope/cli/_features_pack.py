"""``traitscope features pack`` and ``unpack``: a store in a few large files, and back."""

from pathlib import Path
from typing import Annotated

import typer


def pack(
    store: Annotated[Path, typer.Argument(help="Folder of the feature store; it stays.")],
    to: Annotated[str, typer.Option(help="New folder, or address such as s3://bucket/store.")],
    shard_mb: Annotated[int, typer.Option(min=1, help="Size of a large file, in MB.")] = 256,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a store as a few large files, read-only, which train reads faster.

    traitscope features pack store --to packed

    traitscope features pack store --to s3://bucket/store
    """
    from dataclasses import asdict

    from traitscope.cli._shared import progress, write_json
    from traitscope.cli.features import size
    from traitscope.features.remote import open_store
    from traitscope.features.remote import pack as run_packing

    with progress("streams") as hook:
        packed = run_packing(open_store(store), to, shard_bytes=shard_mb * 2**20, hook=hook)
    if json:
        write_json({"to": to, **asdict(packed)})
        return
    typer.echo(
        f"{to}: {packed.streams} streams of {packed.features} features in {packed.shards} files, "
        f"{size(packed.size_bytes)}"
    )


def unpack(
    store: Annotated[str, typer.Argument(help="Folder or address of the packed store; it stays.")],
    to: Annotated[Path, typer.Option(help="New folder.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a packed store as one file per clip again, each as it was, to be added to.

    traitscope features unpack packed --to store
    """
    from dataclasses import asdict

    from traitscope.cli._shared import progress, write_json
    from traitscope.cli.features import size
    from traitscope.features.packing import unpack_store
    from traitscope.features.remote import open_store

    with progress("streams") as hook:
        found = unpack_store(open_store(store), to, hook=hook)
    if json:
        write_json({"to": str(to), **asdict(found)})
        return
    typer.echo(
        f"{to}: {found.streams} streams of {found.features} features, {size(found.size_bytes)}"
    )
