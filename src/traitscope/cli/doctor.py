"""``traitscope doctor``: what works on this machine, and how to mend what does not."""

from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None)


@app.command()
def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Try decoders, face backends, system libraries, extras and the GPU.

    traitscope doctor

    traitscope doctor --json
    """
    from traitscope.cli._shared import write_json, write_table
    from traitscope.doctor import examine

    findings = examine()
    if json:
        write_json([finding.__dict__ for finding in findings])
    else:
        words = {True: "ok", False: "NO", None: "optional"}
        write_table(
            ["what", "state", "detail"], [[f.name, words[f.works], f.detail] for f in findings]
        )
    # Optional parts that are not there (None) are no fault.
    if any(finding.works is False for finding in findings):
        raise typer.Exit(1)
