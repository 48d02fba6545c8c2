"""``traitscope train``: a recipe or a model, on prepared features."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from traitscope.cli._options import Stream, run_named

Accelerator = Annotated[
    Literal["auto", "cpu", "gpu"], typer.Option(help="Where a network is trained.")
]

app = typer.Typer(rich_markup_mode=None)
Workers = Annotated[
    int, typer.Option(min=0, help="Processes that read examples; 0 reads them in this one.")
]
Ray = Annotated[
    str | None,
    typer.Option(help="HOST:PORT of a Ray cluster that --devices are of; local for one here."),
]


@app.command()
def train(
    name: Annotated[str, typer.Argument(help="Recipe, model, YAML file or dotted path.")],
    settings: Annotated[
        list[str] | None, typer.Argument(help="key=value, such as train.lr=1e-3.")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="Folder of the run.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --to.")] = False,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Resume, though clips or features changed.")
    ] = False,
    start_from: Annotated[
        Path | None,
        typer.Option("--from", help="Run or file whose weights to start from.", parser=run_named),
    ] = None,
    accelerator: Accelerator = "auto",
    workers: Workers = 0,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Trainings of one system, with that many seeds.")
    ] = None,
    parallel: Annotated[
        int, typer.Option(min=1, help="Trainings at the same time, of --seeds or folds.")
    ] = 1,
    devices: Annotated[
        int, typer.Option(min=1, help="Processes or GPUs that share each batch of a network.")
    ] = 1,
    ray: Ray = None,
    stream: Stream = None,
) -> None:
    """Train a recipe or a model; prints the folder of the run.

    traitscope train audio_lstm data.corpus=fi:/data/fi data.store=store --to runs/a

    traitscope train audio_lstm data.corpus=table:mine.csv data.store=store --from runs/a

    traitscope train audio_lstm data.corpus=fi:/data/fi data.store=store --seeds 5 --parallel 2

    traitscope train my_lab.my_model data.corpus=table:clips.csv data.store=store train.lr=1e-4
    """
    from traitscope.cli._shared import log_to_stderr, progress
    from traitscope.training.fitting import train as run_training

    log_to_stderr()
    with progress("epochs") as hook:
        folder = run_training(
            name,
            [*(settings or []), *([] if seeds is None else [f"seeds={seeds}"])],
            to=to,
            resume=resume,
            accept_changes=accept_changes,
            start_from=start_from,
            accelerator=accelerator,
            workers=workers,
            parallel=parallel,
            devices=devices,
            ray=ray,
            streams=stream or (),
            hook=hook,
        )
    # The folder alone on stdout, for scripts: run=$(traitscope train ...).
    typer.echo(folder)
