"""``traitscope export``: a run as a graph of ONNX."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from traitscope.cli._options import Model, Run, Stream

if TYPE_CHECKING:
    from traitscope.runs.export import Exported

app = typer.Typer(rich_markup_mode=None)


@app.command()
def export(
    run: Run,
    to: Annotated[Path | None, typer.Option(help="Folder of the exported model.")] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="In 8 bits: smaller, faster, and a little less exact.")
    ] = False,
    model: Model = None,
    stream: Stream = None,
    json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Write a run as a graph of ONNX, which scores clips without PyTorch.

    traitscope export runs/a --to model

    traitscope predict --onnx model clip.mp4
    """
    from traitscope.cli._shared import log_to_stderr, write_json
    from traitscope.errors import ConfigError
    from traitscope.runs.export import export as export_run

    if to is None:
        raise ConfigError("Where the exported model goes is not said: add --to FOLDER")
    log_to_stderr()
    exported = export_run(run, to, int8=int8, model=model, streams=stream or ())
    if json:
        write_json(
            {
                "folder": str(exported.folder),
                "largest_difference": exported.difference,
                "checked": [{"clips": n, "rows": dict(rows)} for n, rows in exported.checked],
                "fixed_rows": dict(exported.fixed),
                "bytes": exported.size_bytes,
                "int8": exported.int8.to_tree() if exported.int8 is not None else None,
            }
        )
        return
    _tell(exported)
    typer.echo(exported.folder)


def _tell(exported: "Exported") -> None:
    """Say on stderr how well the graph agrees, and what of its input has one size."""
    from traitscope.cli._shared import say

    clips = sorted({clips for clips, _ in exported.checked})
    say(
        f"{exported.size_bytes / 1e6:.1f} MB; on random input of {' and '.join(map(str, clips))} "
        f"clips, at two lengths, scores differ from the run's by at most {exported.difference:.1g}"
    )
    if exported.int8 is not None:
        say(exported.int8.sentence)
    for name, rows in exported.fixed.items():
        say(f"{name}: {rows} rows of each clip, no more and no fewer; inputs.json says which")
