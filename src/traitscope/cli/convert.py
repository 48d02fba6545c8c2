"""``traitscope convert``: weights that another program saved, as a run."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None)


@app.command()
def convert(
    file: Annotated[Path, typer.Argument(help="A .pkl, .pt, .pth or .safetensors with tensors.")],
    settings: Annotated[
        list[str] | None, typer.Argument(help="key=value, such as model.backbone=resnet50.")
    ] = None,
    model: Annotated[
        str, typer.Option("--as", help="Recipe or model that the weights are of.")
    ] = "",
    to: Annotated[Path | None, typer.Option(help="Folder of the run.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what became of each tensor.")] = False,
) -> None:
    """Make a run of weights that another program saved; nothing in the file is run.

    traitscope convert model.pkl --as senet --to runs/theirs

    traitscope convert net.pth "train.start.rename={audio.: project.}" --as audio_lstm --to runs/b
    """
    from traitscope.cli._shared import log_to_stderr, say, write_json
    from traitscope.errors import ConfigError
    from traitscope.runs.conversion import convert as make_run

    if not model or to is None:
        lacking = "--as MODEL" if not model else "--to RUN"
        raise ConfigError(f"What {file} becomes is not said: add {lacking}")
    log_to_stderr()
    account = make_run(file, model=model, to=to, settings=settings or [])
    if json:
        write_json(account.as_json())
        return
    for line in account.lines():
        say(line)
    typer.echo(to)
