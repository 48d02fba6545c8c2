"""``traitscope verify``: whether all files of a run are what training wrote."""

from typing import Annotated

import typer

from traitscope.cli._options import Run

app = typer.Typer(rich_markup_mode=None)


@app.command()
def verify(
    run: Run,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare the files of a run with their checksums; exit 1 if one differs.

    traitscope verify runs/a
    """
    from traitscope.cli._shared import say, write_json
    from traitscope.runs.checksums import verify_run

    found = verify_run(run)
    if json:
        write_json([{"path": str(one.path), "what": one.what} for one in found])
    else:
        for one in found:
            typer.echo(f"{one.path} {one.what}")
        typer.echo(f"{len(found)} files differ" if found else "all files are what training wrote")
    # On stderr, so that the list stays a list.
    if found:
        say("Bring the run back from a copy, or train again.")
        raise typer.Exit(1)
