"""``traitscope demo``: the whole job on a generated corpus."""

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(rich_markup_mode=None)


@app.command()
def demo(
    to: Annotated[Path, typer.Option(help="Folder to write; it may be there already.")] = Path(
        "demo"
    ),
    seed: Annotated[int, typer.Option(help="Seed of corpus and training.")] = 0,
    backend: Annotated[
        Literal["auto", "mediapipe", "dlib"], typer.Option(help="Who finds the faces.")
    ] = "auto",
) -> None:
    """Generate talking faces, extract, train two models, evaluate, and write a report.

    traitscope demo

    traitscope demo --to elsewhere --seed 1
    """
    from traitscope.cli._shared import log_to_stderr, progress, say
    from traitscope.cli.evaluate import print_reports
    from traitscope.experiments.demonstration import demonstrate

    log_to_stderr()
    result = demonstrate(to, seed=seed, backend=backend, stage=progress)
    print_reports(list(result.reports))
    say(f"The page: {result.page}")
    say(f"The run:  {result.run}   (try: traitscope predict {result.run} YOUR_CLIP.mp4)")
