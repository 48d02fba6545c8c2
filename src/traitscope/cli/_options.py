"""Options of several verbs: a person's own code, typed once more; what of a clip is read."""

from pathlib import Path
from typing import Annotated

import typer


def run_named(name: str) -> Path:
    """The folder of a run that was typed as a path, or as ``hf:owner/name``."""
    if not name.startswith("hf:"):
        return Path(name)
    from traitscope.weights import run_folder

    return run_folder(name)


Run = Annotated[
    Path, typer.Argument(help="Folder of a trained run, or hf:owner/name.", parser=run_named)
]

Model = Annotated[str | None, typer.Option(help="Dotted path of the run's own model.")]
Stream = Annotated[
    list[str] | None, typer.Option(help="Dotted path of an extractor of yours that it reads.")
]
Speaker = Annotated[
    str | None, typer.Option(help="Whose words count, where a transcript labels speakers.")
]
Track = Annotated[
    int | None, typer.Option(min=1, help="Of files with several, from 1; else their default.")
]
# Several verbs have them in common; each stands once, so that the help says the same.
Workers = Annotated[
    int | None, typer.Option(min=0, help="Processes; one per core by default, 0 for none.")
]
Ray = Annotated[
    str | None,
    typer.Option(help="Work on this Ray cluster (HOST:PORT, auto); local starts one here."),
]
Limit = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        help="Raise what one clip may take, such as pixels=200000000 (a picture), seconds, "
        "silence_seconds, pictures, bytes.",
    ),
]
